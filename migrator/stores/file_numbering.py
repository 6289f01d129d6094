"""Numbers for the messages of files, which have none of their own, and what must be remembered to keep them.

A number (UID) once given means the same message for ever, or the numbering as a whole gets another UIDVALIDITY; then
the engine matches everything by content. A message is known by a *key* of its own: in an mbox the hash of its body, in
a Maildir its name. Keys that are gone are remembered too: what comes back is no other message.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from migrator.errors import MigratorError

KEY_BYTES: Final = 16
_MAGIC: Final = b"mailferry numbers 1\n"
_HEAD: Final = struct.Struct("<QQ")


def key_of(content: bytes) -> bytes:
    """Return the key of a message whose identity is ``content``."""
    return hashlib.blake2b(content, digest_size=KEY_BYTES).digest()


class ServerNumbers(NamedTuple):
    """The numbers that a mail server wrote beside the messages: 0 for a message without one."""

    uidvalidity: int
    uidnext: int
    uids: Sequence[int]

    @property
    def is_complete(self) -> bool:
        """True when every message has a number, ascending, that the server says it gave.

        A stranger can send mail that bears a number of its own choice (X-UID): too high a one counts for nothing.
        """
        before = 0
        for uid in self.uids:
            if not before < uid < self.uidnext:
                return False
            before = uid
        return self.uidvalidity > 0


class Keys:
    """Many keys, packed."""

    def __init__(self, packed: bytes | bytearray = b"") -> None:
        self.packed = bytearray(packed)

    def __len__(self) -> int:
        return len(self.packed) // KEY_BYTES

    def __getitem__(self, at: int) -> bytes:
        if not 0 <= at < len(self):
            raise IndexError(at)
        return bytes(self.packed[at * KEY_BYTES : (at + 1) * KEY_BYTES])

    def __iter__(self) -> Iterator[bytes]:
        return (bytes(self.packed[start : start + KEY_BYTES]) for start in range(0, len(self.packed), KEY_BYTES))

    def append(self, key: bytes) -> None:
        """Add one more."""
        self.packed += key


@dataclass(slots=True)
class Numbering:
    """All keys ever seen in a folder, with their numbers, ascending. Packed: 24 octets a message."""

    uidvalidity: int = 0
    uidnext: int = 1
    uids: array[int] = field(default_factory=lambda: array("Q"))
    keys: Keys = field(default_factory=Keys)
    is_servers: bool = False  # UIDVALIDITY and all numbers are those of a mail server

    def add(self, key: bytes, uid: int) -> None:
        """Remember one more message; numbers ascend."""
        self.uids.append(uid)
        self.keys.append(key)
        self.uidnext = max(self.uidnext, uid + 1)


def begin(keys: Sequence[bytes] | Keys, server: ServerNumbers | None, *, is_lasting: bool) -> Numbering:
    """Number messages for the first time: as a server did where it numbered them all, else 1, 2, 3 ...

    What lasts has a UIDVALIDITY nobody had before. What does not is the same for the same keys, so that the next run,
    which remembers nothing, comes to the same numbers as long as nothing changed.
    """
    numbering = Numbering()
    numbering.is_servers = server is not None and server.is_complete
    uids = server.uids if server is not None and server.is_complete else range(1, len(keys) + 1)
    for key, uid in zip(keys, uids, strict=True):
        numbering.add(key, uid)
    if server is not None and numbering.is_servers:
        numbering.uidnext = max(numbering.uidnext, server.uidnext)
        numbering.uidvalidity = server.uidvalidity
    else:
        numbering.uidvalidity = int.from_bytes(key_of(bytes(numbering.keys.packed))[:4], "big") % 0x7FFFFFFF + 1
    if is_lasting:
        numbering.uidvalidity = _unheard_of()
    return numbering


def with_room(before: Numbering, *, is_lasting: bool) -> Numbering:
    """Return a copy that can be added to. One that does not last must not give a number that the next run gives, too:
    a server's numbering becomes another one, and our own goes on at the present instant.
    """
    numbering = Numbering(before.uidvalidity, before.uidnext, before.uids[:], Keys(before.keys.packed))
    if not is_lasting:
        numbering.uidnext = max(before.uidnext, time.time_ns() // 1000)
        if before.is_servers:
            numbering.uidvalidity = _unheard_of()
    return numbering


def number_in_order(
    keys: Keys, server: ServerNumbers | None, before: Numbering | None, *, is_lasting: bool
) -> Numbering:
    """Number messages that stand in a file one after the other; the result holds ``keys`` among its keys.

    As long as the file only grew or lost messages, ``before`` is kept and extended. Anything else (another order,
    something new amid what was there) begins a numbering of its own.
    """
    if before is not None:
        known, skipped = _known(keys, before.keys)
        if known == len(keys):
            return before
        added = range(known, len(keys))
        if not any(keys[at] in skipped for at in added):  # else one was moved, and would get a second number
            numbering = with_room(before, is_lasting=is_lasting)
            for at in added:
                numbering.add(keys[at], numbering.uidnext)
            return numbering
    return begin(keys, server, is_lasting=is_lasting)


def uids_in_order(keys: Keys, numbering: Numbering) -> array[int]:
    """Return the numbers of ``keys``, which stand in ``numbering`` in their order: each at the first place it can."""
    uids = array("Q")
    at = 0
    for key in keys:
        while numbering.keys[at] != key:
            at += 1
        uids.append(numbering.uids[at])
        at += 1
    return uids


def _known(keys: Keys, before: Keys) -> tuple[int, set[bytes]]:
    """Return how many of ``keys``, from the first on, are in ``before`` in this order, and what else is there."""
    skipped: set[bytes] = set()
    known = 0
    for key in before:
        if known < len(keys) and key == keys[known]:
            known += 1
        else:
            skipped.add(key)
    return known, skipped


def _unheard_of() -> int:
    return secrets.randbelow(0x7FFFFFFF) + 1


class Memory:
    """A folder of this program's own, in which the numbering of each mail folder is kept. Without one: for the day."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._kept: dict[bytes, Numbering] = {}

    @property
    def is_lasting(self) -> bool:
        """True when the next run remembers, too."""
        return self._folder is not None

    def recall(self, name: bytes) -> Numbering | None:
        """Return the numbering of the folder ``name``; None when there is none, or it cannot be read."""
        if name not in self._kept and self._folder is not None:
            with suppress(OSError, ValueError, struct.error):
                self._kept[name] = _unpacked(self._file(name).read_bytes())
        return self._kept.get(name)

    def keep(self, name: bytes, numbering: Numbering) -> None:
        """Keep ``numbering``. Raises ``MigratorError`` when it cannot be written: numbers would be given twice."""
        if self._kept.get(name) is numbering:
            return
        if self._folder is not None:
            try:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                fresh = self._file(name).with_suffix(f".{os.getpid()}")
                fresh.write_bytes(_packed(numbering))
                fresh.replace(self._file(name))
            except OSError as error:
                raise MigratorError("ledger.unwritable", reply=f"{error.strerror}: {self._folder}") from error
        self._kept[name] = numbering

    def _file(self, name: bytes) -> Path:
        assert self._folder is not None
        return self._folder / f"{key_of(name).hex()}.numbers"


def _packed(numbering: Numbering) -> bytes:
    body = _HEAD.pack(numbering.uidvalidity, numbering.uidnext) + numbering.uids.tobytes() + numbering.keys.packed
    return _MAGIC + key_of(body) + body


def _unpacked(written: bytes) -> Numbering:
    body = written[len(_MAGIC) + KEY_BYTES :]
    if not written.startswith(_MAGIC) or written[len(_MAGIC) :][:KEY_BYTES] != key_of(body):
        raise ValueError("not a numbering, or damaged")
    uidvalidity, uidnext = _HEAD.unpack_from(body)
    messages = (len(body) - _HEAD.size) // (8 + KEY_BYTES)
    uids = array("Q")
    uids.frombytes(body[_HEAD.size : _HEAD.size + 8 * messages])
    return Numbering(uidvalidity, uidnext, uids, Keys(body[_HEAD.size + 8 * messages :]))
