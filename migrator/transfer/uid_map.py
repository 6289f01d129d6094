"""A map from UIDs to small numbers for millions of messages: packed, whatever order they come in."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.packed import Column

_LATE_AT_ONCE: Final = 65_536  # UIDs out of order that are kept as objects before they are packed, too


class UidMap:
    """From UID to number; a later number of the same UID replaces the earlier. ``kind`` is the type code that numbers
    begin with, see Column.

    UIDs nearly always ascend and are packed at once: 4 octets and those of the number. The few others wait in a
    dict of bounded size.
    """

    def __init__(self, kind: str = "I") -> None:
        self._kind = kind
        self._uids = Column()
        self._numbers = Column(kind)
        self._late: dict[int, int] = {}

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, int) and self.get(uid) is not None

    def __len__(self) -> int:
        self._pack()
        return len(self._uids)

    def put(self, uid: int, number: int) -> None:
        """Set the number of one UID."""
        if not self._uids or uid > self._uids[-1]:
            self._uids.append(uid)
            self._numbers.append(number)
        elif (at := self._position(uid)) is not None:
            self._numbers[at] = number
        else:
            self._late[uid] = number
            if len(self._late) >= _LATE_AT_ONCE:
                self._pack()

    def put_ascending(self, uids: Sequence[int], numbers: Sequence[int]) -> bool:
        """Set many at once when all are above those before; False, and nothing done, when the first is not."""
        if uids and self._uids and uids[0] <= self._uids[-1]:
            return False
        self._uids.extend(uids)
        self._numbers.extend(numbers)
        return True

    def get(self, uid: int) -> int | None:
        """Return the number of ``uid``, None when it has none."""
        at = self._position(uid)
        return self._late.get(uid) if at is None else self._numbers[at]

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield UIDs and their numbers, ascending."""
        self._pack()
        return zip(self._uids.packed, self._numbers.packed, strict=True)

    def uids(self) -> array[int]:
        """Return all UIDs, ascending."""
        self._pack()
        return self._uids.packed

    def numbers(self) -> array[int]:
        """Return the numbers, in the order of their UIDs."""
        self._pack()
        return self._numbers.packed

    def _position(self, uid: int) -> int | None:
        uids = self._uids.packed
        at = bisect_left(uids, uid)
        return at if at < len(uids) and uids[at] == uid else None

    def _pack(self) -> None:
        """Merge what came out of order."""
        if not self._late:
            return
        late = sorted(self._late.items())
        uids, numbers = Column(), Column(self._kind)
        begun = 0
        for uid, number in late:
            at = bisect_left(self._uids.packed, uid, begun)
            uids.extend(self._uids[begun:at])
            numbers.extend(self._numbers[begun:at])
            uids.append(uid)
            numbers.append(number)
            begun = at
        uids.extend(self._uids[begun:])
        numbers.extend(self._numbers[begun:])
        self._uids, self._numbers, self._late = uids, numbers, {}
