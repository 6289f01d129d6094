"""What a pass notes of single messages of one folder, packed: a folder may hold half a million."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from migrator.mail import Flags, Outcome
from migrator.packed import Column
from migrator.transfer.uid_map import UidMap


class FlagChange(NamedTuple):
    """Flags a target message shall have, and what it has now (None: not looked)."""

    wanted: Flags
    present: Flags | None


class FlagChanges:
    """Changes by target UID. Packed: 6 octets a message, for only few different ones there are."""

    def __init__(self) -> None:
        self._numbers: dict[FlagChange, int] = {}
        self._kinds: list[FlagChange] = []
        self._by_uid = UidMap("H")

    def __len__(self) -> int:
        return len(self._by_uid)

    def __setitem__(self, target_uid: int, change: FlagChange) -> None:
        number = self._numbers.get(change)
        if number is None:
            number = self._numbers[change] = len(self._kinds)
            self._kinds.append(change)
        self._by_uid.put(target_uid, number)

    def items(self) -> Iterator[tuple[int, FlagChange]]:
        """Yield them, ascending by target UID."""
        return ((uid, self._kinds[number]) for uid, number in self._by_uid.items())


class LeftOutcomes:
    """Outcomes of the messages of one folder that are not on the target, by source UID. Packed: 5 octets a message."""

    def __init__(self) -> None:
        self._outcomes = UidMap("B")  # 0: not any more
        self.is_empty = True  # there never was one; asked for with every message

    def __len__(self) -> int:
        return len(self._outcomes)

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, int) and bool(self._outcomes.get(uid))

    def __setitem__(self, uid: int, outcome: Outcome) -> None:
        self._outcomes.put(uid, outcome)
        self.is_empty = False

    def get(self, uid: int) -> Outcome | None:
        """Return the outcome of ``uid``, None when nobody left it behind."""
        number = self._outcomes.get(uid)
        return Outcome(number) if number else None

    def pop(self, uid: int) -> Outcome | None:
        """Forget the outcome of ``uid`` and return it."""
        outcome = self.get(uid)
        if outcome is not None:
            self._outcomes.put(uid, 0)
        return outcome


class Compared:
    """Messages with a record whose flags are looked at: source UIDs and numbers of flags. Packed: 6 octets each."""

    def __init__(self) -> None:
        self._uids, self._numbers = Column(), Column("H")

    def __len__(self) -> int:
        return len(self._uids)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._uids.packed, self._numbers.packed, strict=True)

    def add(self, uid: int, number: int) -> None:
        """Add one message."""
        self._uids.append(uid)
        self._numbers.append(number)

    def clear(self) -> None:
        """Forget all."""
        self._uids, self._numbers = Column(), Column("H")
