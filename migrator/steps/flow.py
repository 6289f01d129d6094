"""Steps on inbound mail: HOLD and RELEASE."""

from __future__ import annotations

from collections.abc import Callable

from migrator.entries import Values
from migrator.errors import Side
from migrator.holds.base import MailHold
from migrator.journal import StepKey
from migrator.limits import Clock
from migrator.steps.held import MARK, HeldImport
from migrator.steps.replacement import AFTER, BEFORE, Replacement, pair, part, settle


class _FlowStep(Replacement):
    def __init__(
        self, key: StepKey, hold: MailHold, address: str, *, clock: Clock, bring: HeldImport | None = None
    ) -> None:
        super().__init__(key, hold, address)
        self._hold = hold
        self._clock = clock
        self._bring = bring

    def apply(self, saved: Values) -> None:
        super().apply(saved)
        self._settle()

    def _settle(self) -> None:
        """Return when no mail is on its way by what the entry was before."""
        settle(self._clock, self._is_settled, "hold.not_settled")

    def _is_settled(self) -> bool:
        return self._hold.is_settled(self._address)

    def _flush(self, to: Side, saved: Values) -> None:
        """Let flow what waits, and return when nothing does."""
        if self._is_empty():
            return
        if to is Side.TARGET and self._bring is not None:
            mark = saved.get(MARK)
            self._bring(mark if isinstance(mark, dict) else {})
        else:
            self._hold.flush(self._address, to)
        settle(self._clock, self._is_empty, "hold.still_held")

    def _is_empty(self) -> bool:
        return not self._hold.held(self._address).messages


class HoldStep(_FlowStep):
    """New mail waits, on a server that is fit to hold it. Undone, it flows to ``home``, which serves the user then."""

    def __init__(
        self,
        key: StepKey,
        hold: MailHold,
        address: str,
        *,
        clock: Clock,
        home: Side = Side.SOURCE,
        bring: HeldImport | None = None,
    ) -> None:
        super().__init__(key, hold, address, clock=clock, bring=bring)
        self._home = home

    def prepare(self) -> Values:
        for trouble in self._hold.trouble():
            raise trouble
        found = self.found()
        return pair(found, self._hold.holding(found))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved) and self._is_settled()

    def undo(self, saved: Values) -> None:
        super().undo(saved)
        self._settle()
        self._flush(self._home, saved)


class ReleaseStep(_FlowStep):
    """What HOLD saved is restored, and what waited flows to the target. ``held`` returns what HOLD saved; ``bring`` is
    for a hold that sends nothing itself.

    Undone, new mail waits again, and none is on its way to the target any more: nobody would carry that back.
    """

    def __init__(
        self,
        key: StepKey,
        hold: MailHold,
        address: str,
        *,
        clock: Clock,
        held: Callable[[], Values | None],
        bring: HeldImport | None = None,
    ) -> None:
        super().__init__(key, hold, address, clock=clock, bring=bring)
        self._held = held

    def prepare(self) -> Values:
        saved = self._prepared()
        return saved if self._bring is None else {**saved, MARK: dict(self._bring.mark())}

    def _prepared(self) -> Values:
        held = self._held()
        if held is None:
            found = self.found()
            return pair(found, found)
        return pair(part(held, AFTER), part(held, BEFORE))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved) and self._is_settled() and self._is_empty()

    def apply(self, saved: Values) -> None:
        super().apply(saved)
        self._flush(Side.TARGET, saved)

    def undo(self, saved: Values) -> None:
        super().undo(saved)
        self._settle()
