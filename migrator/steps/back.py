"""The way back of one who had crossed: take_back() undoes a finished night, and CarryBack brings home what came since.

The order is that of the night read backward: mail is held, the target is closed, the route leads to the source, what
arrived at the target is carried back and proved, the source is opened, and what was held flows there. Each undoing is
journalled before it begins, so that whoever comes later may go on in either direction. Nothing is removed anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from migrator.cutover import TRIES, CutoverOutcome, CutoverResult, Step, run_cutover
from migrator.entries import Values
from migrator.errors import MigratorError, Patience, Side, Stopped
from migrator.events import EventSink, Silence
from migrator.journal import Entry, EntryStatus, Journal, StepFailed, StepKey, StepKind, StepUndone
from migrator.limits import Clock, NeverStop, StopSignal, SystemClock
from migrator.mail import Outcome
from migrator.prestage import PrestageResult, Small, prestage
from migrator.recipes import Recipe
from migrator.steps.access import DisableStep
from migrator.steps.copying import DeltaStep, Mail
from migrator.steps.kit import Kit, steps_of
from migrator.steps.replacement import AFTER, BEFORE, pair, part
from migrator.transfer.verify import Difference, VerifyLevel, verify

# What is left as it is: an account that was made holds mail by now, and that somebody agreed is no effect.
_LEFT: Final = (StepKind.POPULATE, StepKind.PERSON)
_MAIL: Final = (StepKind.DELTA, StepKind.VERIFY)
# What their owner marked as deleted may stay; what is empty is nothing; what vanished its owner removed meanwhile.
_NOT_CARRIED: Final = (Outcome.TOO_BIG, Outcome.REFUSED, Outcome.UNREADABLE, Outcome.UNCONFIRMED)


@dataclass(frozen=True, slots=True)
class CarryBack:
    """What arrived at the target goes to the source, by adding only.

    ``mail`` is turned round: its source is the mailbox at the target, its ledger a mirror (transfer/mirror.py), its
    policy one that catches up.
    """

    mail: Mail
    level: VerifyLevel = VerifyLevel.LEDGER
    clock: Clock = field(default_factory=SystemClock)
    stop: StopSignal = field(default_factory=NeverStop)

    def ahead(self, small: Small) -> PrestageResult:
        """Copy back while the user still works on the target, until little is left.

        Raises ``MigratorError``: also back.left_behind, for what the source does not take.
        """
        mail = self.mail
        with mail.open_source() as source, mail.open_target() as target:
            result = prestage(
                source,
                target,
                mail.ledger,
                small=small,
                policy=mail.policy,
                sink=mail.sink,
                limits=mail.limits,
                stop=self.stop,
                clock=self.clock,
            )
        self._require_all()
        return result

    def __call__(self) -> None:
        """Carry until a pass finds nothing, then prove it. Raises ``MigratorError``: ``Stopped``, cutover.differs."""
        DeltaStep(StepKey(0, StepKind.DELTA), self.mail, clock=self.clock, stop=self.stop).apply({})
        self._require_all()
        mail = self.mail
        with mail.open_source() as source, mail.open_target() as target:
            report = verify(source, target, mail.ledger, level=self.level, sink=mail.sink, rules=mail.policy.rules)
        # Marks are not carried: those of the source are as the user left them there.
        found = [one for one in report.differences if one.difference is not Difference.FLAGS]
        if found:
            first = found[0]
            raise MigratorError(
                "cutover.differs",
                differences=len(found),
                folder=first.folder.display,
                uid=first.uid,
                difference=first.difference.value,
            )

    def _require_all(self) -> None:
        """Raise where a message would be left on a mailbox that nobody opens any more."""
        totals = Counter[Outcome]()
        for state in self.mail.ledger.states():
            totals.update(state.totals)
        left = sum(totals[outcome] for outcome in _NOT_CARRIED)
        if left:
            raise MigratorError("back.left_behind", side=Side.SOURCE, messages=left)


def take_back(
    recipe: Recipe, kit: Kit, journal: Journal, carry: Callable[[], None], *, sink: EventSink | None = None
) -> CutoverResult:
    """Undo a finished night, last step first; return DONE when the user works on the source with all their mail.

    ``carry`` is called in the place of DELTA: it brings the source what arrived since, and proves it. Safe to repeat at
    any time. UNKNOWN when an undo or the carrying did not succeed: run again, or let the user :func:`stay`. STOPPED
    leaves it to the next run. Raises what the journal raises, and ``ValueError`` where nothing was copied, or the
    target was open from the start.
    """
    steps = steps_of(recipe, kit, journal)
    if recipe.arrive_first or not any(step.key.kind is StepKind.DELTA for step in steps):
        raise ValueError("from such a night there is no way back")
    return _Return(steps, kit, journal, carry, sink or Silence()).run()


def stay(recipe: Recipe, kit: Kit, journal: Journal, *, sink: EventSink | None = None) -> CutoverResult:
    """Give a way back up, wherever it was cut off: DONE when the user works on the target as before.

    Nothing is copied or compared: the target has been worked on. What reached the source meanwhile is late mail. Safe
    to repeat; raises what the journal raises.
    """
    steps = [step for step in steps_of(recipe, kit, journal) if step.key.kind not in _MAIL]
    return run_cutover(steps, journal, sink=sink, clock=kit.clock)


class _Return:
    def __init__(
        self, steps: Sequence[Step], kit: Kit, journal: Journal, carry: Callable[[], None], sink: EventSink
    ) -> None:
        self._steps = steps
        self._kit = kit
        self._journal = journal
        self._carry = carry
        self._sink = sink
        self._entries = {entry.key: entry for entry in journal.entries()}

    def run(self) -> CutoverResult:
        known = {step.key for step in self._steps}
        strangers = [entry.key for entry in self._open() if entry.key not in known]
        if strangers:
            return CutoverResult(CutoverOutcome.UNKNOWN, strangers[0], MigratorError("cutover.other_steps"))
        for step in reversed(self._steps):
            entry = self._entries.get(step.key)
            if entry is None or entry.status is EntryStatus.UNDONE:
                continue
            try:
                self._undo(step, entry)
            except Stopped:
                return CutoverResult(CutoverOutcome.STOPPED, step.key)
            except MigratorError as error:
                self._sink.emit(StepFailed(step=step.key, error=error, is_undo=True))
                return CutoverResult(CutoverOutcome.UNKNOWN, step.key, error)
        return CutoverResult(CutoverOutcome.DONE)

    def _open(self) -> Iterator[Entry]:
        return (entry for entry in self._entries.values() if entry.status is not EntryStatus.UNDONE)

    def _undo(self, step: Step, entry: Entry) -> None:
        if entry.status is EntryStatus.DONE:
            self._journal.begin(step.key, entry.saved)  # from here on its effect may be gone
        match step.key.kind:
            case StepKind.DELTA:
                self._publish()
                self._carry()
            case StepKind.ENABLE:
                self._try(partial(self._shut, step.key, entry.saved))
            case kind if kind not in _LEFT:
                self._try(partial(step.undo, entry.saved))
        self._journal.undone(step.key)
        self._sink.emit(StepUndone(step=step.key))

    def _shut(self, key: StepKey, saved: Values) -> None:
        """Close what ENABLE opened, as DISABLE does: done when sign-in is refused and no session is open."""
        access = self._kit.access(Side(key.side))
        assert access.directory is not None, "its step would not be there"
        DisableStep(
            key,
            access.directory.connector,
            access.address,
            clock=self._kit.clock,
            sessions=access.sessions,
            is_admitted=access.is_admitted,
        ).apply(pair(part(saved, AFTER), part(saved, BEFORE)))

    def _publish(self) -> None:
        """Let servers act on the way back before the last look at the target: else mail goes on arriving there."""
        for step in self._steps:
            if step.key.kind is StepKind.PUBLISH and (entry := self._entries.get(step.key)):
                self._try(partial(step.undo, entry.saved))

    def _try(self, call: Callable[[], None]) -> None:
        """Make a call that may be repeated, again where waiting may help."""
        for number, seconds in enumerate(TRIES, 1):
            self._kit.clock.wait(seconds)
            try:
                return call()
            except MigratorError as error:
                if error.patience is Patience.NEVER or number == len(TRIES):
                    raise
        raise AssertionError("a try returns or raises")
