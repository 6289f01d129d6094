"""The fast path of bodies: each literal is cut out of the buffer once, or handed on in pieces when it is big.

The length that the literal announces decides what a message is, never RFC822.SIZE, which servers get wrong. Only
messages that were asked for and that come whole are handed out; what a server cannot give is left out.
"""

from __future__ import annotations

import re
import tempfile
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from migrator.errors import MigratorError, Radius
from migrator.mail import FolderPath, Message
from migrator.stores import imap_syntax
from migrator.stores.base import ReadRequest, Trouble
from migrator.stores.imap_parse import LITERAL_END, fetched, number
from migrator.stores.imap_session import ImapSession, Reply
from migrator.stores.imap_walk import Job, Walk, part_writable, trouble
from migrator.stores.imap_wire import LONGEST_RESPONSE, READ_BYTES, Pieces

READS_AHEAD: Final = 16
SUBSTITUTE_OCTETS: Final = 4096  # such notices are short
_HEAD: Final = re.compile(rb"\* \d{1,10} FETCH \(UID (\d{1,18}) BODY\[\] \{(\d{1,18})\}\r\n")
_BODY_NEXT: Final = re.compile(rb"BODY\[\] *~?\{\d{1,19}\+?\}\Z", re.IGNORECASE)
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


class BodyReader:
    """Reads bodies."""

    def __init__(self, session: ImapSession, whole_bytes: int) -> None:
        self._session = session
        self._wire = session.wire
        self._whole_bytes = whole_bytes
        self._reply: Reply | None = None

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Yield bodies as ``Store.read`` promises."""
        self._wire.is_private = True
        try:
            yield from self._read(requests)
        finally:
            self._wire.is_private = False

    def _read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        failed: object = None  # what is left of a request after its trouble is read over
        writable, troubles = part_writable(self._session, requests)
        yield from troubles
        for job, tag, opened in Walk(self._session, self._jobs(writable), READS_AHEAD):
            error = opened if isinstance(opened, MigratorError) else None
            yield from self._part(job.path, tag, Wanted(() if error or failed is job.request else job.uids))
            if error is None and self._reply is not None and not self._reply.is_ok:
                error = self._session.refusal(self._reply, "FETCH")
            if error is not None and failed is not job.request and error.radius is not Radius.MESSAGE:
                failed = job.request
                yield trouble(job.path, error)

    def _jobs(self, requests: Sequence[ReadRequest]) -> Iterator[Job[ReadRequest]]:
        for request in requests:
            examine = self._session.examine(request.path, must_last=False)
            for uids, start, end in imap_syntax.uid_sets(request.uids, request.known_uids):
                fetch = b"UID FETCH %s (UID BODY.PEEK[])\r\n" % uids
                part = request.uids if end - start == len(request.uids) else request.uids[start:end]
                yield Job(request, examine, fetch, part)

    def _part(self, path: FolderPath, tag: bytes, wanted: Wanted) -> Iterator[Message]:
        wire, whole_bytes, match, take = self._wire, self._whole_bytes, _HEAD.match, wanted.take
        substitutes = self._session.profile.substitutes
        self._reply = None
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
            if size and take(uid) and not (substitutes and _is_substitute(body, substitutes)):
                yield Message(path, uid, size, body)

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
            uid, body = number(items.get(b"UID")), items.get(b"BODY[]")
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


def _is_substitute(body: bytes, texts: tuple[bytes, ...]) -> bool:
    """True for the notice a server hands out in place of a message it cannot read, but not for mail that quotes one."""
    return len(body) <= SUBSTITUTE_OCTETS and any(text in body for text in texts)
