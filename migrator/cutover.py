"""The order of the night: carry out steps with a journal, or undo them, and never guess.

Before an effect its intent is journalled, after it its proof. Whatever was begun and not proved is looked at before
anything else happens, and an error is followed by a look as well: servers do what they were told and lose the answer.
Until SWITCH begins a night can stop, be late, fail, and go back. After it there is only forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Protocol, TypeVar

from migrator.entries import Values
from migrator.errors import MigratorError, OutcomeUnknown, Patience, Stopped
from migrator.events import EventSink, Silence
from migrator.journal import (
    Entry,
    EntryStatus,
    Journal,
    StepBegun,
    StepDone,
    StepFailed,
    StepKey,
    StepKind,
    StepUndone,
)
from migrator.limits import Clock, NeverStop, StopSignal, SystemClock

T = TypeVar("T")
E = TypeVar("E", bound=MigratorError)

TRIES: Final = (0.0, 1.0, 5.0)  # seconds before each try of what may pass by itself
# Nothing to undo: the target only gained what the source has, and that somebody agreed is no effect.
_HARMLESS: Final = (StepKind.DELTA, StepKind.VERIFY, StepKind.PERSON)


class Step(Protocol):
    """One step of a night. Built anew for each run: what it must remember is in the journal.

    All methods raise ``MigratorError``; one of patience *never* is not tried again.
    """

    @property
    def key(self) -> StepKey:
        """Which step of the recipe this is; the same in every run of one cutover."""
        ...

    def prepare(self) -> Values:
        """Return what undoing must restore, and what doing shall make of it. Reads only; repeatable.

        Called once, before the step begins; from then on the journal holds the answer. It survives JSON.
        """
        ...

    def is_done(self, saved: Values) -> bool:
        """Look whether the effect is there, all of it. Reads only; repeatable.

        False means proved not done: nothing of it is there, or what is there is harmless and :meth:`apply` goes on.
        Raises ``OutcomeUnknown`` when the world is neither as it was nor as it shall be.
        """
        ...

    def apply(self, saved: Values) -> None:
        """Bring the effect about and return when it is proved. Idempotent; bounded in time.

        When it raises, it may have happened, all or half. Raises ``Stopped`` when told to stop, or when it waits for
        a person; it then goes on another time.
        """
        ...

    def undo(self, saved: Values) -> None:
        """Restore exactly what was saved, by compare-and-set, and return when that is proved. Idempotent.

        Called too when only a part of the effect is there, or nothing. Raises ``directory.changed`` rather than
        overwrite what somebody else set meanwhile.
        """
        ...


class CutoverOutcome(StrEnum):
    """How a run over the steps ended. The values are stored."""

    DONE = "done"
    FAILED = "failed"  # the step is proved not done
    LATE = "late"  # the deadline passed before SWITCH began
    STOPPED = "stopped"
    UNKNOWN = "unknown"  # what the world is like could not be proved; running again begins by looking


@dataclass(frozen=True, slots=True)
class CutoverResult:
    """How a run ended, and where. With ``past_switch`` there is only forward."""

    outcome: CutoverOutcome
    step: StepKey | None = None
    error: MigratorError | None = None
    past_switch: bool = False


def run_cutover(
    steps: Sequence[Step],
    journal: Journal,
    *,
    sink: EventSink | None = None,
    clock: Clock | None = None,
    deadline: float | None = None,
    stop: StopSignal | None = None,
) -> CutoverResult:
    """Carry out what the journal does not know as done; return how that ended.

    Safe to repeat at any time; a finished night does nothing. ``deadline`` (seconds since the epoch) and ``stop`` are
    honoured until SWITCH begins. Errors that may pass by themselves are tried again a few times, each time after a
    look. A result of patience *later*, UNKNOWN too, is worth another run later. Raises what the journal raises.
    """
    night = _Night(steps, journal, sink or Silence(), clock or SystemClock(), deadline, stop or NeverStop())
    return night.strangers() or night.forward()


def roll_back(
    steps: Sequence[Step], journal: Journal, *, sink: EventSink | None = None, clock: Clock | None = None
) -> CutoverResult:
    """Undo, last first, what was begun or done; return DONE when all is as it was saved.

    Refused past SWITCH (FAILED, ``cutover.past_switch``): one that was begun is looked at, and only when it is proved
    not done does the way back stand open. UNKNOWN when a look or an undo did not succeed; running again goes on there.
    Raises what the journal raises.
    """
    night = _Night(steps, journal, sink or Silence(), clock or SystemClock(), None, NeverStop())
    return night.strangers() or night.refusal() or night.backward()


class _Night:
    """One run over the steps, in either direction."""

    def __init__(
        self,
        steps: Sequence[Step],
        journal: Journal,
        sink: EventSink,
        clock: Clock,
        deadline: float | None,
        stop: StopSignal,
    ) -> None:
        self._steps = steps
        self._journal = journal
        self._sink = sink
        self._clock = clock
        self._deadline = deadline
        self._stop = stop
        self._entries = {entry.key: entry for entry in journal.entries()}
        self._past_switch = any(
            entry.key.kind is StepKind.SWITCH and entry.status is not EntryStatus.UNDONE
            for entry in self._entries.values()
        )

    def strangers(self) -> CutoverResult | None:
        """Refuse to work when the journal knows an effect that no step answers for: it would be forgotten."""
        known = {step.key for step in self._steps}
        for key, entry in self._entries.items():
            if key not in known and entry.status is not EntryStatus.UNDONE and key.kind not in _HARMLESS:
                return self._end(CutoverOutcome.UNKNOWN, key, MigratorError("cutover.other_steps"))
        return None

    def forward(self) -> CutoverResult:
        """Carry out the steps in order."""
        for step in self._steps:
            entry = self._entries.get(step.key)
            if entry is not None and entry.status is EntryStatus.DONE:
                continue
            ended = self._interruption(step) or self._carry(step, entry)
            if ended is not None:
                return ended
        return self._end(CutoverOutcome.DONE)

    def refusal(self) -> CutoverResult | None:
        """Return why there is no way back; None when there is."""
        switch = next((step for step in self._steps if step.key.kind is StepKind.SWITCH), None)
        entry = self._entries.get(switch.key) if switch is not None else None
        if switch is None or entry is None or entry.status is EntryStatus.UNDONE:
            return None
        try:
            is_past = entry.status is EntryStatus.DONE or self._look(switch, entry.saved)
        except OutcomeUnknown as error:
            return self._fail(CutoverOutcome.UNKNOWN, switch.key, error, is_undo=True)
        if is_past:
            return self._end(CutoverOutcome.FAILED, switch.key, MigratorError("cutover.past_switch"))
        self._past_switch = False
        return None

    def backward(self) -> CutoverResult:
        """Undo the steps, last first."""
        for step in reversed(self._steps):
            entry = self._entries.get(step.key)
            if entry is None or entry.status is EntryStatus.UNDONE:
                continue
            try:
                self._try(partial(step.undo, entry.saved))
            except MigratorError as error:
                return self._fail(CutoverOutcome.UNKNOWN, step.key, error, is_undo=True)
            self._journal.undone(step.key)
            self._sink.emit(StepUndone(step=step.key))
        return self._end(CutoverOutcome.DONE)

    def _interruption(self, step: Step) -> CutoverResult | None:
        if self._past_switch:
            return None
        if self._stop.is_set():
            return self._end(CutoverOutcome.STOPPED, step.key)
        if self._is_late():
            return self._end(CutoverOutcome.LATE, step.key)
        return None

    def _is_late(self) -> bool:
        return self._deadline is not None and self._clock.now() >= self._deadline

    def _carry(self, step: Step, entry: Entry | None) -> CutoverResult | None:
        """Bring one step about, whatever it was interrupted at; return what ends the run, None when it is done."""
        if entry is None or entry.status is EntryStatus.UNDONE:
            try:
                saved = self._try(step.prepare)
            except MigratorError as error:
                return self._fail(CutoverOutcome.FAILED, step.key, error)
            self._journal.begin(step.key, saved)
            self._sink.emit(StepBegun(step=step.key))
            ended = self._bring_about(step, saved, is_unknown=False)
        else:
            ended = self._bring_about(step, entry.saved, is_unknown=True)
        if ended is not None:
            return ended
        self._journal.done(step.key)
        self._sink.emit(StepDone(step=step.key))
        return None

    def _bring_about(self, step: Step, saved: Values, *, is_unknown: bool) -> CutoverResult | None:
        """Apply a step that is begun, after a look where it ``is_unknown`` how far it came."""
        is_switch = step.key.kind is StepKind.SWITCH
        self._past_switch = self._past_switch or is_switch
        try:
            if not (is_unknown and self._look(step, saved)):
                self._apply(step, saved)
        except Stopped:
            return self._interruption(step) or self._end(CutoverOutcome.STOPPED, step.key)
        except OutcomeUnknown as error:
            return self._fail(CutoverOutcome.UNKNOWN, step.key, error)
        except MigratorError as error:
            self._past_switch = self._past_switch and not is_switch  # proved not done
            return self._fail(CutoverOutcome.FAILED, step.key, error)
        return None

    def _apply(self, step: Step, saved: Values) -> None:
        """Apply until it is proved. Raises the last error, when the effect is then proved not to be there."""
        for number, seconds in enumerate(TRIES, 1):
            self._clock.wait(seconds)
            try:
                step.apply(saved)
                return
            except MigratorError as error:
                if self._look(step, saved):
                    return
                is_over = error.patience is Patience.NEVER or number == len(TRIES)
                if is_over or (not self._past_switch and self._is_late()):
                    raise _as(MigratorError, error) from None

    def _look(self, step: Step, saved: Values) -> bool:
        try:
            return self._try(partial(step.is_done, saved))
        except MigratorError as error:
            raise _as(OutcomeUnknown, error) from None

    def _try(self, call: Callable[[], T]) -> T:
        """Make a call that may be repeated, again where waiting may help."""
        for number, seconds in enumerate(TRIES, 1):
            self._clock.wait(seconds)
            try:
                return call()
            except MigratorError as error:
                if error.patience is Patience.NEVER or number == len(TRIES):
                    raise
        raise AssertionError("a try returns or raises")

    def _fail(
        self, outcome: CutoverOutcome, key: StepKey, error: MigratorError, *, is_undo: bool = False
    ) -> CutoverResult:
        self._sink.emit(StepFailed(step=key, error=error, is_undo=is_undo))
        return self._end(outcome, key, error)

    def _end(
        self, outcome: CutoverOutcome, key: StepKey | None = None, error: MigratorError | None = None
    ) -> CutoverResult:
        return CutoverResult(outcome, key, error, self._past_switch)


def _as(kind: type[E], error: MigratorError) -> E:
    """Return ``error`` as one of an unknown outcome, or as one without that doubt."""
    return kind(
        error.code,
        reply=error.reply,
        side=error.side,
        radius=error.radius,
        patience=error.patience,
        retry_after=error.retry_after,
        **error.params,
    )
