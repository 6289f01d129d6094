"""Numbers for the messages of files, which have none of their own, and what must be remembered to keep them.

A number (UID) once given means the same message for ever, or the numbering as a whole gets another UIDVALIDITY; then
the engine matches everything by content. A message is known by a *key* of its own: in an mbox the hash of its body, in
a Maildir its name. Keys that are gone are remembered too: what comes back is no other message.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, NamedTuple, overload

from migrator.packed import Column
from migrator.scratch import Hashes
from migrator.stores.base import MessageName

KEY_BYTES: Final = 16


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


class Keys(Hashes):
    """Many keys, in a temporary file."""

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        super().__init__(KEY_BYTES)
        for key in keys:
            self.append(key)


@dataclass(slots=True)
class Numbering:
    """All keys ever seen in a folder, with their numbers, ascending. Packed: 4 octets a message."""

    uidvalidity: int = 0
    uidnext: int = 1
    uids: Column = field(default_factory=Column)
    keys: Keys = field(default_factory=Keys)
    is_servers: bool = False  # UIDVALIDITY and all numbers are those of a mail server

    def add(self, key: bytes, uid: int) -> None:
        """Remember one more message; numbers ascend."""
        self.uids.append(uid)
        self.keys.append(key)
        self.uidnext = max(self.uidnext, uid + 1)


def begin(keys: Keys, server: ServerNumbers | None) -> Numbering:
    """Number messages for the first time: as a server did where it numbered them all, else 1, 2, 3 ...

    The same keys get the same numbers and the same UIDVALIDITY, so that a run which remembers nothing comes to the
    numbers of the one before as long as nothing changed.
    """
    numbering = Numbering()
    numbering.is_servers = server is not None and server.is_complete
    uids = server.uids if server is not None and server.is_complete else range(1, len(keys) + 1)
    numbering.keys = keys  # shared: whoever adds to a numbering takes a copy
    numbering.uids = Column(numbers=uids)
    numbering.uidnext = numbering.uids[-1] + 1 if numbering.uids else 1
    if server is not None and numbering.is_servers:
        numbering.uidnext = max(numbering.uidnext, server.uidnext)
        numbering.uidvalidity = server.uidvalidity
    else:
        hashed = hashlib.blake2b(digest_size=KEY_BYTES)
        for part in numbering.keys.parts():
            hashed.update(part)
        numbering.uidvalidity = int.from_bytes(hashed.digest()[:4], "big") % 0x7FFFFFFF + 1
    return numbering


def with_room(before: Numbering, *, is_lasting: bool) -> Numbering:
    """Return a copy that can be added to. One that does not last must not give a number that the next run gives, too:
    a server's numbering becomes another one, and our own goes on at the present instant.
    """
    uids = Column(numbers=before.uids.packed)
    numbering = Numbering(before.uidvalidity, before.uidnext, uids, Keys(before.keys))
    if not is_lasting:
        numbering.uidnext = max(before.uidnext, time.time_ns() // 1000)
        if before.is_servers:
            numbering.uidvalidity = secrets.randbelow(0x7FFFFFFF) + 1
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
    fresh = begin(keys, server)
    if before is not None and is_lasting:
        fresh.uidvalidity = before.uidvalidity + 1
    return fresh


def uids_in_order(keys: Keys, numbering: Numbering) -> Column:
    """Return the numbers of ``keys``, which stand in ``numbering`` in their order: each at the first place it can."""
    if numbering.keys is keys:
        return numbering.uids
    uids = Column()
    numbered = zip(numbering.keys, numbering.uids, strict=True)
    for key in keys:
        uids.append(next(uid for other, uid in numbered if other == key))
    return uids


def _known(keys: Keys, before: Keys) -> tuple[int, set[bytes]]:
    """Return how many of ``keys``, from the first on, are in ``before`` in this order, and what else is there."""
    skipped: set[bytes] = set()
    known = 0
    sought = iter(keys)
    wanted = next(sought, None)
    for key in before:
        if key == wanted:
            known += 1
            wanted = next(sought, None)
        else:
            skipped.add(key)
    return known, skipped


class Numberings:
    """The numberings of all folders of a source, and what of them the caller has not kept yet (see NamingSource)."""

    def __init__(self) -> None:
        self.are_lasting = False  # the caller keeps them from one run to the next
        self._held: dict[bytes, Numbering] = {}
        self._kept: dict[bytes, tuple[int, int]] = {}  # UIDVALIDITY, and how many keys of it

    def get(self, folder: bytes) -> Numbering | None:
        """Return the numbering of a folder, None when it has none yet."""
        return self._held.get(folder)

    def put(self, folder: bytes, numbering: Numbering) -> None:
        """Replace the numbering of a folder."""
        self._held[folder] = numbering

    def recall(self, names: Iterable[MessageName]) -> None:
        """Take what was kept, ascending by folder, UIDVALIDITY and UID; forget everything else."""
        self.are_lasting = True
        self._held.clear()
        for name in names:
            numbering = self._held.get(name.folder)
            if numbering is None or numbering.uidvalidity != name.uidvalidity:
                numbering = self._held[name.folder] = Numbering(name.uidvalidity)
            if name.uid:
                numbering.add(name.name, name.uid)
        self._kept = {folder: (held.uidvalidity, len(held.uids)) for folder, held in self._held.items()}

    def take_fresh(self) -> Sequence[MessageName]:
        """Return what is not kept yet; it counts as kept from now on."""
        parts = []
        for folder, numbering in self._held.items():
            uidvalidity, kept = self._kept.get(folder, (0, 0))
            if numbering.uidvalidity != uidvalidity:
                parts.append(_Part(folder, numbering, -1))
            elif kept < len(numbering.uids):
                parts.append(_Part(folder, numbering, kept))
            self._kept[folder] = (numbering.uidvalidity, len(numbering.uids))
        return _FreshNames(parts)


class _Part(NamedTuple):
    folder: bytes
    numbering: Numbering
    first: int  # -1: the mark that the numbering was begun comes first

    def name(self, at: int) -> MessageName:
        at += self.first
        numbering = self.numbering
        uid, key = (numbering.uids[at], numbering.keys[at]) if at >= 0 else (0, b"")
        return MessageName(self.folder, numbering.uidvalidity, uid, key)


class _FreshNames(Sequence[MessageName]):
    """Names made when they are asked for: of half a million messages they would fill the memory."""

    def __init__(self, parts: Sequence[_Part]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part.numbering.uids) - part.first for part in parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, at: int) -> MessageName: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[MessageName]: ...
    def __getitem__(self, at: int | slice) -> MessageName | Sequence[MessageName]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if not 0 <= at < len(self):
            raise IndexError(at)
        part = bisect_right(self._ends, at)
        return self._parts[part].name(at - (self._ends[part - 1] if part else 0))
