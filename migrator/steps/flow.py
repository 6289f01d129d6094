"""Steps on inbound mail: HOLD and RELEASE."""

from __future__ import annotations

from collections.abc import Callable

from migrator.entries import Values
from migrator.errors import Side
from migrator.holds.base import MailHold
from migrator.journal import StepKey
from migrator.limits import Clock
from migrator.steps.replacement import AFTER, BEFORE, Replacement, pair, part, settle


class _FlowStep(Replacement):
    def __init__(self, key: StepKey, hold: MailHold, address: str, *, clock: Clock) -> None:
        super().__init__(key, hold, address)
        self._hold = hold
        self._clock = clock

    def _flush(self, to: Side) -> None:
        """Let flow what waits, and return when nothing does."""
        if not self._is_empty():
            self._hold.flush(self._address, to)
            settle(self._clock, self._is_empty, "hold.still_held")

    def _is_empty(self) -> bool:
        return not self._hold.held(self._address).messages


class HoldStep(_FlowStep):
    """New mail waits. Undone, it flows to the source."""

    def prepare(self) -> Values:
        found = self.found()
        return pair(found, self._hold.holding(found))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved)

    def undo(self, saved: Values) -> None:
        super().undo(saved)
        self._flush(Side.SOURCE)


class ReleaseStep(_FlowStep):
    """What HOLD saved is restored, and what waited flows to the target. ``held`` returns what HOLD saved."""

    def __init__(
        self, key: StepKey, hold: MailHold, address: str, *, clock: Clock, held: Callable[[], Values | None]
    ) -> None:
        super().__init__(key, hold, address, clock=clock)
        self._held = held

    def prepare(self) -> Values:
        held = self._held()
        if held is None:
            found = self.found()
            return pair(found, found)
        return pair(part(held, AFTER), part(held, BEFORE))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved) and self._is_empty()

    def apply(self, saved: Values) -> None:
        super().apply(saved)
        self._flush(Side.TARGET)
