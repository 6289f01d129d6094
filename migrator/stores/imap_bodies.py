"""The fast path of bodies: each literal is cut out of the buffer once, or handed on in pieces when it is big.

The length that the literal announces decides what a message is, never RFC822.SIZE, which servers get wrong. Only
messages that were asked for and that come whole are handed out; what a server cannot give is left out.
"""

from __future__ import annotations

import re
import tempfile
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Patience, Radius
from migrator.mail import FolderPath, Message
from migrator.stores import imap_syntax
from migrator.stores.base import ReadRequest, Trouble
from migrator.stores.imap_parse import LITERAL_END, Atom, fetched, number
from migrator.stores.imap_seen import seen, unsee
from migrator.stores.imap_session import ImapSession, Reply
from migrator.stores.imap_walk import Job, Walk, open_folder, part_writable, trouble
from migrator.stores.imap_ways import NO_PEEK, Singles, Ways
from migrator.stores.imap_wire import LONGEST_RESPONSE, READ_BYTES, Pieces

READS_AHEAD: Final = 16
SUBSTITUTE_OCTETS: Final = 4096  # such notices are short
_HEAD: Final = re.compile(rb"\* \d{1,10} FETCH \(UID (\d{1,18}) (?:BODY\[\]|RFC822) \{(\d{1,18})\}\r\n")
_BODY_NEXT: Final = re.compile(rb"(?:BODY\[\]|RFC822) *~?\{\d{1,19}\+?\}\Z", re.IGNORECASE)
TOO_LONG: Final = "request.too_long"
HOPELESS: Final = frozenset(("folder.missing", "folder.changed", "folder.no_permission", "folder.phantom"))
MOST_FAILURES: Final = 3  # one by one, before any message came
_END: Final = b")\r\n"
_REST: Final = re.compile(rb"(?: .*)?\) *\Z", re.DOTALL)  # more items, and the end


class Wanted:
    """The UIDs that may come, each once, mostly in their order."""

    def __init__(self, uids: Sequence[int]) -> None:
        self._uids = uids
        self._next = 0
        self._taken = bytearray(len(uids))

    def take(self, uid: int) -> bool:
        """True when ``uid`` was asked for and had not come yet."""
        place = self._next
        if place >= len(self._uids) or self._uids[place] != uid:
            place = bisect_left(self._uids, uid)
            if place >= len(self._uids) or self._uids[place] != uid or self._taken[place]:
                return False
        elif self._taken[place]:
            return False
        self._taken[place] = 1
        self._next = place + 1
        return True

    def missing(self) -> list[int]:
        """Return what has not come."""
        return [uid for uid, taken in zip(self._uids, self._taken, strict=True) if not taken]

    @property
    def came(self) -> int:
        """How many have come."""
        return self._taken.count(1)


class _Task(NamedTuple):
    """A request, or the rest of one that was refused as a whole: its messages are asked for one by one."""

    request: ReadRequest
    refusal: MigratorError | None = None

    @property
    def is_rest(self) -> bool:
        return self.refusal is not None


class BodyReader:
    """Reads bodies."""

    def __init__(self, session: ImapSession, whole_bytes: int, ways: Ways) -> None:
        self._session = session
        self._ways = ways
        self._wire = session.wire
        self._whole_bytes = whole_bytes
        self._reply: Reply | None = None
        self._wanted = Wanted(())  # of what is being read
        self._parts_done = 0

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Yield bodies as ``Store.read`` promises."""
        self._wire.is_private = True
        self._parts_done, self._wanted = 0, Wanted(())
        try:
            yield from self._read(requests)
        except MigratorError as error:
            is_death = error.patience is Patience.NOW and not _is_of_folder(error)
            are_many = sum(len(request.uids) for request in requests) > 1
            if is_death and are_many and not self._parts_done and self._wanted.came <= 1:
                self._ways.note_death()
            raise
        finally:
            self._wire.is_private = False

    def _read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        writable, troubles = part_writable(self._session, requests)
        yield from troubles
        waiting = deque(_Task(request) for request in writable)
        while waiting:
            if self._ways.now.one_by_one or waiting[0].is_rest:
                yield from self._singly(waiting.popleft())
            else:
                waiting = yield from self._together(waiting)

    # Many messages at once

    def _together(self, tasks: Sequence[_Task]) -> Generator[Message | Trouble, None, deque[_Task]]:
        """Read all that the server hands out this way; return what must be asked for in another."""
        failed: object = None  # what is left of a request after its trouble is read over
        later: list[_Task] = []
        unsent: list[_Task] = []
        jobs = self._jobs([task.request for task in tasks], later, unsent)
        for job, tag, opened in Walk(self._session, jobs, READS_AHEAD):
            error = opened if isinstance(opened, MigratorError) else None
            wanted = Wanted(() if error or later or failed is job.request else job.uids)
            yield from self._part(job.path, tag, wanted)
            self._end_part(wanted)
            if later:
                if failed is not job.request:
                    later.append(_Task(job.request._replace(uids=job.uids)))
                continue
            if error is None and self._reply is not None and not self._reply.is_ok:
                error = self._session.refusal(self._reply, "FETCH")
                if failed is not job.request and self._has_other_way(self._reply, error, wanted, later, job):
                    continue
            if error is not None and failed is not job.request and error.radius is not Radius.MESSAGE:
                failed = job.request
                yield trouble(job.path, error)
        return deque((*later, *unsent))

    def _has_other_way(
        self, reply: Reply, error: MigratorError, wanted: Wanted, later: list[_Task], job: Job[ReadRequest]
    ) -> bool:
        """Put off what was not handed out, where another way may help: another item, or one message at a time."""
        rest = job.request._replace(uids=wanted.missing())
        if _is_of_folder(error) and reply.status == "BAD" and error.code != TOO_LONG and self._ways.fall():
            later.append(_Task(rest))
        elif _is_of_folder(error) and error.code not in HOPELESS and len(rest.uids) > 1:
            later.append(_Task(rest, error))
        return bool(later)

    def _jobs(
        self, requests: Sequence[ReadRequest], later: list[_Task], unsent: list[_Task]
    ) -> Iterator[Job[ReadRequest]]:
        """Yield what to send, until something is put off for ``later``; from then on it is ``unsent``."""
        item = self._ways.now.item
        for request in requests:
            if later:
                unsent.append(_Task(request))
                continue
            examine = self._session.examine(request.path, must_last=False)
            for uids, start, end in imap_syntax.uid_sets(request.uids, request.known_uids):
                part = request.uids if end - start == len(request.uids) else request.uids[start:end]
                if later:
                    unsent.append(_Task(request._replace(uids=part)))
                else:
                    yield Job(request, examine, b"UID FETCH %s (UID %s)\r\n" % (uids, item), part)

    # One message at a time

    def _singly(self, task: _Task) -> Iterator[Message | Trouble]:
        request = task.request
        opened = open_folder(self._session, request)
        if isinstance(opened, MigratorError):
            yield trouble(request.path, opened)
            return
        tally = Singles(MOST_FAILURES)
        error = task.refusal
        for uid in request.uids:
            came, refusal = yield from self._single(request, uid)
            tally.came += came
            tally.failed += refusal is not None
            error = error or refusal
            if tally.is_hopeless:
                break
        if error is not None and not tally.came:
            yield trouble(request.path, error)
        elif task.is_rest and tally.proves_the_way:
            self._ways.go_one_by_one()

    def _single(
        self, request: ReadRequest, uid: int
    ) -> Generator[Message | Trouble, None, tuple[bool, MigratorError | None]]:
        """Read one message; return whether it came, and the refusal that concerns more than this message."""
        while True:
            item = self._ways.now.item
            unseen = item == NO_PEEK and not seen(self._session, uid)
            tag = self._wire.tag()
            self._wire.put(b"%s UID FETCH %d (UID %s)\r\n" % (tag, uid, item))
            wanted = Wanted((uid,))
            yield from self._part(request.path, tag, wanted)
            self._end_part(wanted)
            if unseen and seen(self._session, uid):
                unsee(self._session, request.path, uid)
                open_folder(self._session, request)
            if self._reply is None or self._reply.is_ok:
                return not wanted.missing(), None
            error = self._session.refusal(self._reply, "FETCH")
            if not _is_of_folder(error):
                if error.radius is not Radius.MESSAGE:
                    raise error
                return not wanted.missing(), None
            if self._reply.status != "BAD" or not self._ways.fall():
                return not wanted.missing(), error

    # What comes

    def _part(self, path: FolderPath, tag: bytes, wanted: Wanted) -> Iterator[Message]:
        wire, whole_bytes, match, take = self._wire, self._whole_bytes, _HEAD.match, wanted.take
        substitutes = self._session.profile.substitutes
        self._reply, self._wanted = None, wanted
        while self._reply is None:
            buffer = wire.buffer
            head = match(buffer, wire.position)
            if head is None:
                if buffer.find(b"\n", wire.position) < 0:
                    wire.pull()
                else:
                    yield from self._other(path, tag, wanted)
                continue
            uid, size = int(head[1]), int(head[2])
            start = head.end()
            if size > whole_bytes:
                wire.position = start
                yield from self._stream(path, uid, size, wanted)
                continue
            end = start + size
            if buffer.startswith(_END, end):
                wire.position = end + 3
                body = buffer[start:end]
            else:
                wire.position = start
                body = wire.exact(size)
                self._end_item()
            if size and take(uid) and not (substitutes and is_substitute(body, substitutes)):
                yield Message(path, uid, size, body)

    def _end_part(self, wanted: Wanted) -> None:
        self._parts_done += 1
        if wanted.came or (self._reply is not None and self._reply.is_ok):
            self._ways.prove()

    def _stream(self, path: FolderPath, uid: int, size: int, wanted: Wanted) -> Iterator[Message]:
        pieces = self._pieces(size)
        if wanted.take(uid):
            yield Message(path, uid, size, stream=pieces)
        for _ in pieces:
            pass  # what the caller did not take

    def _pieces(self, size: int) -> Iterator[bytes]:
        yield from Pieces(self._wire, size)
        self._end_item()  # before the last octet counts as the last: a message cut short must not be stored

    def _end_item(self) -> None:
        """Read what follows a body. What no FETCH says there is more of the message than the server announced."""
        rest = self._wire.gather()
        if not _REST.match(rest):
            raise self._wire.nonsense(rest, "something behind the announced end of a message")

    def _other(self, path: FolderPath, tag: bytes, wanted: Wanted) -> Iterator[Message]:
        """Take one response of another shape: items in another order, noise, or the end."""
        wire = self._wire
        parts = [wire.first_line()]
        total = 0
        while found := LITERAL_END.search(parts[-1]):
            size = int(found[1])
            total += size
            if total > LONGEST_RESPONSE:
                raise wire.nonsense(parts[0], "an endless response")
            if size > self._whole_bytes:
                yield from self._big(path, b"".join(parts), size, wanted)
                return
            parts += (b"\r\n", wire.exact(size), wire.line())
        response = b"".join(parts)
        if response.startswith(b"* "):
            items = fetched(response) or {}
            uid, body = number(items.get(b"UID")), items.get(b"BODY[]") or items.get(b"RFC822")
            if isinstance(body, Atom):
                raise wire.nonsense(response, "a length that is none in place of a message")
            if uid and body and isinstance(body, bytes) and wanted.take(uid):
                yield Message(path, uid, len(body), bytes(body))
        elif response and not response.startswith(b"+"):
            self._reply = Reply(*self._session.tagged(response, tag), [])

    def _big(self, path: FolderPath, head: bytes, size: int, wanted: Wanted) -> Iterator[Message]:
        """Take a big body whose UID stands elsewhere than expected."""
        if not _BODY_NEXT.search(head):
            raise self._wire.nonsense(head, f"a literal of {size} octets")
        uid = number((fetched(head) or {}).get(b"UID"))
        if uid:
            yield from self._stream(path, uid, size, wanted)
        else:
            yield from self._spool(path, head, size, wanted)

    def _spool(self, path: FolderPath, head: bytes, size: int, wanted: Wanted) -> Iterator[Message]:
        # DavMail tells the UID after the literal: whose body it is shows only then, so it waits on the disk.
        with tempfile.TemporaryFile() as kept:
            for piece in Pieces(self._wire, size):
                kept.write(piece)
            kept.seek(0)
            items = fetched(_BODY_NEXT.sub(b"BODY[] NIL", head) + self._wire.gather()) or {}
            uid = number(items.get(b"UID"))
            if uid and wanted.take(uid):
                yield Message(path, uid, size, stream=iter(partial(kept.read, READ_BYTES), b""))


def _is_of_folder(error: MigratorError) -> bool:
    """True for a refusal that leaves the line, and other folders, alone."""
    return error.radius is Radius.FOLDER or error.code == "server.fault"


def is_substitute(body: bytes, texts: tuple[bytes, ...]) -> bool:
    """True for the notice a server hands out in place of a message it cannot read, but not for mail that quotes one."""
    return len(body) <= SUBSTITUTE_OCTETS and any(text in body for text in texts)
