"""The index of one mbox: where each message is, and its key, by which every reading is checked."""

from __future__ import annotations

import hashlib
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.mail import Flags, FolderPath, MessageMeta
from migrator.packed import Column
from migrator.stores import mbox_scan, mbox_syntax
from migrator.stores.file_access import bare_ends, pieces, pieces_with_crlf, with_crlf
from migrator.stores.file_numbering import KEY_BYTES, Keys, ServerNumbers
from migrator.stores.mbox_lock import Lock
from migrator.stores.mbox_scan import Piece, Window
from migrator.stores.mbox_syntax import AS_DOVECOT, HEADER_LIMIT, Base, Variant

NO_DATE: Final = 0xFFFFFFFF
_NO_UID: Final = 1 << 32  # and above: no server gives such numbers
WHOLE_BYTES: Final = 256 * 1024  # a message up to this size is hashed in one go


class Signature(NamedTuple):
    """What changes when a file is changed."""

    device: int
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, found: os.stat_result) -> Signature:
        """Take it from what the system tells of a file."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(slots=True, eq=False)
class Contents:
    """The messages of one mbox in their order, without pseudo messages. Packed: about 18 octets a message."""

    signature: Signature
    starts: Column = field(default_factory=Column)
    lengths: Column = field(default_factory=Column)
    growths: Column = field(default_factory=lambda: Column("h"))  # by which it is longer or shorter as a literal
    dates: Column = field(default_factory=Column)
    zones: Column = field(default_factory=lambda: Column("h"))
    flags: Column = field(default_factory=lambda: Column("H"))
    server_uids: Column = field(default_factory=Column)
    keys: Keys = field(default_factory=Keys)
    base: Base | None = None
    without_fields: int = 0  # messages of which nothing says whether they were read
    flag_sets: list[Flags] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def size_bytes(self, at: int) -> int:
        """Return how long a message is as a literal."""
        return self.lengths[at] + self.growths[at]

    @property
    def server_numbers(self) -> ServerNumbers | None:
        """The numbering that stands in the file, None when there is none."""
        if self.base is None:
            return None
        return ServerNumbers(self.base.uidvalidity, self.base.last_uid + 1, self.server_uids)


@dataclass(slots=True, eq=False)
class MboxIndex:
    """Contents with the numbers the messages are known by."""

    contents: Contents
    uidvalidity: int
    uidnext: int
    uids: Column
    path: Path

    def is_current(self) -> bool:
        try:
            return Signature.of(self.path.stat()) == self.contents.signature
        except OSError:
            return False

    def position(self, uid: int) -> int | None:
        """Return where ``uid`` stands, None when there is no such message."""
        uids = self.uids.packed
        at = bisect_left(uids, uid)
        return at if at < len(uids) and uids[at] == uid else None

    def metas(self, path: FolderPath, after_uid: int) -> Iterator[MessageMeta]:
        found = self.contents
        for at in range(bisect_right(self.uids.packed, after_uid), len(self.uids)):
            date = found.dates[at]
            flags = found.flag_sets[found.flags[at]]
            yield MessageMeta(
                path, self.uids[at], found.size_bytes(at), None if date == NO_DATE else date, found.zones[at], flags
            )


def read_contents(descriptor: int, variant: Variant, lock: Lock) -> Contents:
    """Read where everything is in an mbox that nobody changes meanwhile. Raises ``MigratorError``."""
    return _read(descriptor, variant, lock, has_marks=True)


def read_as_mail(descriptor: int, variant: Variant, lock: Lock) -> Contents:
    """Read the same of an mbox to which no mail program ever wrote. Raises ``MigratorError``.

    There a message which looks like where one keeps the state of the file is some sender's mail like any other, and
    numbers in it are that sender's words.
    """
    return _read(descriptor, variant, lock, has_marks=False)


def _read(descriptor: int, variant: Variant, lock: Lock, *, has_marks: bool) -> Contents:
    about = os.fstat(descriptor)
    contents = Contents(Signature.of(about))
    numbers: dict[Flags, int] = {}
    window = Window(descriptor, about.st_size)
    for piece in mbox_scan.messages(window, variant):
        lock.refresh()
        if has_marks:
            contents.base = contents.base or piece.state.base
        if not (has_marks and piece.state.is_pseudo):
            _add(contents, piece, about, variant, window)
            contents.flags.append(numbers.setdefault(piece.state.flags, len(numbers)))
    contents.flag_sets = list(numbers)
    if Signature.of(os.fstat(descriptor)) != contents.signature:
        raise MigratorError("file.changing", side=Side.SOURCE, reply="it changed while it was listed")
    return contents


class Body(NamedTuple):
    """A message without the fields of its state, as it stands in the file but for these."""

    header: bytes
    rest: bytes

    @property
    def key(self) -> bytes:
        """What the message is known by."""
        hashed = new_hash()
        hashed.update(self.header)
        hashed.update(self.rest)
        return hashed.digest()

    def without_quotes(self, variant: Variant) -> Body:
        """Return it as its sender wrote it; the key is that of what stands in the file."""
        return Body(self.header, mbox_syntax.unquoted(self.rest)) if variant.is_quoted else self

    @property
    def size_bytes(self) -> int:
        """How long it is with CRLF at the ends of lines. The header ends with a line end, or there is no rest."""
        return len(self.header) + len(self.rest) + bare_ends(self.header) + bare_ends(self.rest)

    @property
    def literal(self) -> bytes:
        """The message as IMAP carries it."""
        return with_crlf(self.header + self.rest)


def body_of(raw: bytes) -> Body:
    """Return the message that ``raw`` is in the file."""
    length = mbox_syntax.header_length(raw[:HEADER_LIMIT])
    return Body(mbox_syntax.without_state(raw[:length]), raw[length:])


def parts_of(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the same piece by piece, for messages too big to be held."""
    head = b"".join(pieces(descriptor, start, min(end, start + HEADER_LIMIT)))
    yield from body_of(head)
    yield from pieces(descriptor, start + len(head), end)


def new_hash() -> hashlib.blake2b:
    """Return the hash that keys are made with."""
    return hashlib.blake2b(digest_size=KEY_BYTES)


def _add(contents: Contents, piece: Piece, about: os.stat_result, variant: Variant, window: Window) -> None:
    if piece.end - piece.start <= WHOLE_BYTES:
        body = body_of(window.read(piece.start, piece.end - piece.start))
        key, size = body.key, body.without_quotes(variant).size_bytes
    else:
        key, size = _measure(window.descriptor, piece.start, piece.end, variant)
    separator = piece.separator
    date, zone = (separator.date, separator.zone_minutes) if separator else (None, 0)
    if date is None:
        date, zone = mbox_syntax.date_of(piece.header)
    if date is None:
        date, zone = mbox_syntax.sensible(int(about.st_mtime)), 0
    contents.starts.append(piece.start)
    contents.lengths.append(piece.end - piece.start)
    contents.growths.append(size - (piece.end - piece.start))
    contents.dates.append(NO_DATE if date is None else date)
    contents.zones.append(zone)
    contents.server_uids.append(piece.state.uid if piece.state.uid < _NO_UID else 0)
    contents.keys.append(key)
    contents.without_fields += not (piece.state.is_told or (separator is not None and separator.has_fields))


def count(descriptor: int, variant: Variant = AS_DOVECOT) -> int:
    """Return how many messages a file holds when it is read as ``variant``. Raises ``MigratorError``."""
    window = Window(descriptor, os.fstat(descriptor).st_size)
    return sum(not piece.state.is_pseudo for piece in mbox_scan.messages(window, variant))


def without_quotes(parts: Iterator[bytes], variant: Variant) -> Iterator[bytes]:
    """Take off what quotes a message in a file of ``variant``; ``parts`` are those of :func:`parts_of`."""
    return mbox_syntax.unquoted_pieces(parts) if variant.is_quoted else parts


def _measure(descriptor: int, start: int, end: int, variant: Variant) -> tuple[bytes, int]:
    hashed = new_hash()

    def parts() -> Iterator[bytes]:
        for part in parts_of(descriptor, start, end):
            hashed.update(part)
            yield part

    size = sum(map(len, pieces_with_crlf(without_quotes(parts(), variant))))
    return hashed.digest(), size
