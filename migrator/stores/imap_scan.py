"""The fast path of metadata: UID, flags, date and size of every message, a microsecond each.

The common shape of an answer is read by one regular expression over whole blocks of the buffer, whatever the order of
its items; anything else is taken apart slowly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import Flags, FolderPath, MessageMeta
from migrator.stores import imap_labels, imap_parse
from migrator.stores.base import ScanRequest, Trouble
from migrator.stores.imap_dates import DateReader
from migrator.stores.imap_parse import Opened, Value, fetched, number
from migrator.stores.imap_session import ImapSession, Reply
from migrator.stores.imap_walk import Job, Walk, part_writable, trouble

SCANS_AHEAD: Final = 64
HELD_ROWS: Final = 20_000  # a folder up to this size is sorted when its server does not; bigger ones must come in order
KEPT_SPELLINGS: Final = 10_000
LARGEST_UID: Final = 2**63 - 1
_NOWHERE: Final = FolderPath(b"")
_ROW: Final = re.compile(
    rb"\* \d{1,10} FETCH \((?:(?:UID (\d{1,18})|FLAGS \(([^()\r\n]*)\)|INTERNALDATE \"([^\"\r\n]*)\"|"
    rb"RFC822\.SIZE (\d{1,18})|MODSEQ \(\d+\))[ )])+\r\n|([^\n]*\n)"
)


class Scanner:
    """Reads metadata. Flags and dates repeat, so each spelling is understood once."""

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._wire = session.wire
        self._flags: dict[bytes, Flags] = {}
        self._dates = DateReader()
        self._reply: Reply | None = None
        self._items = b"UID FLAGS INTERNALDATE RFC822.SIZE"
        if session.asks_labels:
            self._items += b" X-GM-LABELS"

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        """Yield metadata as ``Store.scan`` promises."""
        writable, troubles = part_writable(self._session, requests)
        yield from troubles
        for job, tag, opened in Walk(self._session, map(self._job, writable), SCANS_AHEAD):
            if isinstance(opened, MigratorError):
                self._reply = None
                self._skip(tag)
                yield trouble(job.path, opened)
                continue
            yield from self._folder(job, tag, opened)

    def _job(self, request: ScanRequest) -> Job[ScanRequest]:
        examine = self._session.examine(request.path, must_last=True)
        changed = b" (CHANGEDSINCE %d)" % request.changed_since if request.changed_since else b""
        first = request.after_uid + 1
        fetch = b"UID FETCH %d:* (%s)%s\r\n" % (first, self._items, changed)
        return Job(request, examine, fetch)

    def _skip(self, tag: bytes) -> None:
        for _ in self._blocks(_NOWHERE, tag, LARGEST_UID):
            pass

    def _folder(self, job: Job[ScanRequest], tag: bytes, opened: Opened) -> Iterator[MessageMeta | Trouble]:
        yield from self._ordered(job, tag)
        reply = self._reply
        # An empty folder has no message that * could mean: some servers refuse the range.
        if reply is not None and not reply.is_ok and opened.messages:
            yield trouble(job.path, self._session.refusal(reply, "FETCH"))

    def _ordered(self, job: Job[ScanRequest], tag: bytes) -> Iterator[MessageMeta | Trouble]:
        self._reply = None
        blocks = self._blocks(job.path, tag, job.request.after_uid)
        held: list[MessageMeta] = []
        failure = None
        try:
            while len(held) < HELD_ROWS and (block := next(blocks, None)):
                held += block
        except MigratorError as error:
            failure = error
        yield from (held := _ascending(held))
        if failure is not None:
            raise failure  # after what came before the line broke
        last = held[-1].uid if held else 0
        for row in chain.from_iterable(blocks):
            if row.uid < last:
                self._skip(tag)
                yield Trouble(job.path, self._wire.nonsense(b"UID %d after %d" % (row.uid, last), "out of order"))
                return
            if row.uid > last:
                last = row.uid
                yield row

    def _blocks(self, path: FolderPath, tag: bytes, after_uid: int) -> Iterator[list[MessageMeta]]:
        """Yield the rows of as much as has arrived, up to the answer to ``tag``, which goes to ``_reply``."""
        wire, known_flags, read_date = self._wire, self._flags, self._dates.read
        while self._reply is None:
            end = wire.buffer.rfind(b"\n") + 1
            if end <= wire.position:
                wire.pull()
                continue
            rows: list[MessageMeta] = []
            for found in _ROW.finditer(wire.buffer, wire.position, end):
                uid_digits, words, date, size, other = found.groups()
                if other is not None:
                    wire.position = found.start()
                    rows += self._other(path, tag, after_uid)
                    break
                if uid_digits is None or words is None or date is None or size is None:
                    continue  # a change of flags that nobody asked for
                uid = int(uid_digits)
                if uid <= after_uid:
                    continue  # n:* always holds the last message, also below n
                flags = known_flags.get(words)
                if flags is None:
                    flags = self._understand(words)
                instant, zone = read_date(date)
                rows.append(MessageMeta(path, uid, int(size), instant, zone, flags))
            else:
                wire.position = end
            if rows:
                yield rows

    def _understand(self, words: bytes) -> Flags:
        if len(self._flags) >= KEPT_SPELLINGS:
            self._flags.clear()
        return self._flags.setdefault(words, imap_parse.flags(words))

    def _other(self, path: FolderPath, tag: bytes, after_uid: int) -> list[MessageMeta]:
        """Take one response of another shape."""
        response = self._wire.gather()
        if response.startswith(b"* "):
            items = fetched(response)
            row = self._slow_row(path, items) if items else None
            return [row] if row is not None and row.uid > after_uid else []
        if response and not response.startswith(b"+"):
            self._reply = Reply(*self._session.tagged(response, tag), [])
        return []

    def _slow_row(self, path: FolderPath, items: dict[bytes, Value]) -> MessageMeta | None:
        uid, size, words = number(items.get(b"UID")), number(items.get(b"RFC822.SIZE")), items.get(b"FLAGS")
        if not uid or size is None or not isinstance(words, list):
            return None
        date = items.get(b"INTERNALDATE")
        instant, zone = self._dates.read(date) if isinstance(date, bytes) else (None, 0)
        flags = imap_parse.flags(b" ".join(word for word in words if isinstance(word, bytes)))
        if self._session.asks_labels and (labels := imap_labels.labels(items.get(b"X-GM-LABELS"))):
            flags |= {word for word in map(imap_labels.keyword_of, labels) if word}
        return MessageMeta(path, uid, size, instant, zone, flags)


def _ascending(rows: list[MessageMeta]) -> list[MessageMeta]:
    """Return the rows by UID, each UID once."""
    if all(a.uid < b.uid for a, b in pairwise(rows)):
        return rows
    once = {row.uid: row for row in rows}
    return [once[uid] for uid in sorted(once)]
