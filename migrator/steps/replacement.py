"""What steps on governed values share: before and after are decided and saved first, then one replaces the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from migrator.entries import Entries, Values
from migrator.errors import MigratorError, OutcomeUnknown
from migrator.journal import StepKey
from migrator.limits import Clock

FIRST_POLL_SECONDS: Final = 0.02  # the user is locked out meanwhile
MOST_POLL_SECONDS: Final = 0.5
SETTLE_SECONDS: Final = 60.0  # so long may a server take to act on what it has confirmed
BEFORE: Final = "before"
AFTER: Final = "after"


class Replacement:
    """One compare-and-set on one entry, and its way back."""

    def __init__(self, key: StepKey, entries: Entries, address: str) -> None:
        self.key = key
        self._entries = entries
        self._address = address

    def found(self) -> Values:
        """Return the entry's values. Raises ``directory.missing``."""
        found = self._entries.find(self._address)
        if found is None:
            raise MigratorError("directory.missing")
        return found

    def is_after(self, saved: Values) -> bool:
        """Tell whether the replacement is there; raises ``OutcomeUnknown`` when something else is."""
        found = self.found()
        if found == part(saved, AFTER):
            return True
        if found == part(saved, BEFORE):
            return False
        raise OutcomeUnknown("directory.changed")

    def apply(self, saved: Values) -> None:
        """Replace what was before by what shall be."""
        self._entries.replace(self._address, part(saved, BEFORE), part(saved, AFTER))

    def undo(self, saved: Values) -> None:
        """Restore what was before."""
        self._entries.replace(self._address, part(saved, AFTER), part(saved, BEFORE))


def pair(before: Values, after: Values) -> Values:
    """Return what a replacement saves."""
    return {BEFORE: dict(before), AFTER: dict(after)}


def part(saved: Values, name: str) -> Values:
    """Return one half of what a replacement saved."""
    half = saved[name]
    assert isinstance(half, dict)
    return half


def settle(clock: Clock, is_settled: Callable[[], bool], code: str) -> None:
    """Look until ``is_settled``. Raises ``MigratorError(code)`` when it is not within ``SETTLE_SECONDS``."""
    end = clock.monotonic() + SETTLE_SECONDS
    pauses = growing()
    while not is_settled():
        if clock.monotonic() >= end:
            raise MigratorError(code)
        clock.wait(next(pauses))


def growing() -> Iterator[float]:
    """Yield the seconds between two looks: short at first, doubling."""
    seconds = FIRST_POLL_SECONDS
    while True:
        yield seconds
        seconds = min(2 * seconds, MOST_POLL_SECONDS)
