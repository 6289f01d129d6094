"""Recognise by content what a target already holds, as a multiset: two equal messages in the source are two messages.

Used wherever the target may hold mail that no record claims: after a crash, after an answer was lost, when a folder
was renumbered, when another tool or the delivery agent was there before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from migrator.mail import Digest, Flags, Message
from migrator.scratch import ScratchDatabase, open_scratch
from migrator.transfer.digest import RunningDigest, digest_whole
from migrator.transfer.plan import FlagTable

_HEADER_LIMIT: Final = 256 * 1024
# Marks that copy tools leave in the header of what they store: mbsync, offlineimap; names for POP3 programs, also ours.
_TOOL_HEADER: Final = re.compile(rb"^(?:X-TUID|X-OfflineIMAP|X-UIDL): [^\r\n]*\r?\n", re.MULTILINE | re.IGNORECASE)
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")


class Candidates:
    """Target messages of one folder that no record claims, found by their canonical digest.

    In a temporary file; one octet a message is held. Its index is made when the first message is asked for, all at
    once: that costs a tenth of keeping it while messages are added.
    """

    def __init__(self) -> None:
        self._table = FlagTable()
        self._waiting: list[tuple[int, int, int, bytes]] = []  # rows that are not in the file yet
        self._is_claimed = bytearray(1)  # by number of the row; they begin at 1
        self._length = 0
        self._file: ScratchDatabase | None = None
        self._has_others = self._is_indexed = False

    def __len__(self) -> int:
        return self._length

    def add(self, target_uid: int, digests: tuple[bytes, ...], flags: Flags, size_bytes: int) -> None:
        """Add one message, once; any of ``digests`` (canonical forms) identifies it. In ascending UID order."""
        self._waiting.append((target_uid, self._table.number(flags), size_bytes, digests[0]))
        self._is_claimed.append(0)
        self._length += 1
        others = [(name, len(self._is_claimed) - 1) for name in digests[1:] if name != digests[0]]
        if others or len(self._waiting) >= _ROWS_AT_ONCE:
            self._has_others |= bool(others)
            self._written().executemany("INSERT INTO other_name VALUES (?, ?)", others)

    def take(self, canonical: bytes) -> tuple[int, Flags] | None:
        """Claim the lowest message with this digest: its UID and flags, or None. It is not there a second time."""
        found = self._lowest(canonical)
        if found is None:
            return None
        number, uid, flags = found
        self._is_claimed[number] = 1
        self._length -= 1
        return uid, self._table.flags(flags)

    def holds(self, canonical: bytes) -> bool:
        """True when a message with this digest is there that nobody has claimed."""
        return self._lowest(canonical) is not None

    def _lowest(self, canonical: bytes) -> tuple[int, int, int] | None:
        if not self._length:
            return None
        rows = self._first_two(canonical)
        while rows and self._is_claimed[rows[0][0]]:
            if len(rows) == 1:
                return None
            for table in ("message", "other_name"):  # many equal ones: claimed ones are not to be passed over each time
                self._indexed().execute(f"DELETE FROM {table} WHERE digest = ? AND number = ?", (canonical, rows[0][0]))
            rows = self._first_two(canonical)
        return rows[0] if rows else None

    def _first_two(self, canonical: bytes) -> list[tuple[int, int, int]]:
        file = self._indexed()
        rows = file.execute(_FIND, (canonical,)).fetchall()
        if self._has_others:
            rows = sorted(rows + file.execute(_FIND_OTHER, (canonical,)).fetchall())[:2]
        return rows

    def holds_big(self, above_bytes: int) -> bool:
        """True when a candidate might be a message of more than ``above_bytes``; stores grow mail up to twofold."""
        rows = self._written().execute("SELECT number FROM message WHERE size > ?", (above_bytes,))
        return any(not self._is_claimed[number] for (number,) in rows)

    def remaining(self) -> Iterator[tuple[int, bytes]]:
        """Yield (UID, canonical digest) of what nobody claimed, ascending. Nothing may be taken meanwhile."""
        if self._length:
            rows = self._written().execute("SELECT number, uid, digest FROM message ORDER BY number")
            yield from ((uid, digest) for number, uid, digest in rows if not self._is_claimed[number])

    def _written(self) -> ScratchDatabase:
        if self._file is None:
            self._file = open_scratch(self, *_SCHEMA)
        if self._waiting:
            rows, self._waiting = self._waiting, []
            self._file.executemany("INSERT INTO message (uid, flags, size, digest) VALUES (?, ?, ?, ?)", rows)
        return self._file

    def _indexed(self) -> ScratchDatabase:
        file = self._written()
        if not self._is_indexed:
            self._is_indexed = True
            for table in ("message", "other_name"):
                file.execute(f"CREATE INDEX {table}_by_digest ON {table} (digest)")
        return file


_ROWS_AT_ONCE: Final = 500
_SCHEMA: Final = (
    "CREATE TABLE message (number INTEGER PRIMARY KEY, uid INTEGER, flags INTEGER, size INTEGER, digest BLOB)",
    "CREATE TABLE other_name (digest BLOB, number INTEGER)",
)
_FIND: Final = "SELECT number, uid, flags FROM message WHERE digest = ? ORDER BY number LIMIT 2"
_FIND_OTHER: Final = (
    "SELECT number, uid, message.flags FROM other_name JOIN message USING (number) "
    "WHERE other_name.digest = ? ORDER BY number LIMIT 2"
)


def identities(message: Message) -> tuple[bytes, ...]:
    """Consume the body of a target message; return its canonical digest, and the one without another tool's marks.

    The second is there only where such a mark stands in the header. Memory stays within the header's length.
    """
    if message.whole is not None:
        return _whole_identities(message.whole)
    plain, stripped = RunningDigest(), RunningDigest()
    for piece, bare in _split_marks(message.stream or iter(())):
        plain.update(piece)
        stripped.update(bare)
    return _unique(plain.finish(), stripped.finish())


def _whole_identities(body: bytes) -> tuple[bytes, ...]:
    plain = digest_whole(body)
    bare = without_marks(body)
    return (plain.canonical,) if bare is body else _unique(plain, digest_whole(bare))


def _unique(plain: Digest, stripped: Digest) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((plain.canonical, stripped.canonical)))


def without_marks(body: bytes) -> bytes:
    """Return ``body`` without the header lines other copy tools add; the same object when there are none."""
    end = _HEADER_END.search(body)
    head = body if end is None else body[: end.end()]
    bare = _TOOL_HEADER.sub(b"", head)
    return body if len(bare) == len(head) else bare + body[len(head) :]


def _split_marks(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each piece beside itself without marks; pieces of the header come joined."""
    head = b""
    for piece in pieces:
        head += piece
        if _HEADER_END.search(head) or len(head) > _HEADER_LIMIT:
            break
    yield head, without_marks(head)
    for piece in pieces:
        yield piece, piece
