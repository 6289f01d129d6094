"""Steps on the mail itself: DELTA and VERIFY. The user is locked out by now, so both sides are read by admin access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from migrator.entries import Values
from migrator.errors import MigratorError, Stopped
from migrator.events import EventSink, Silence
from migrator.journal import StepKey
from migrator.limits import Clock, Limits, NeverStop, StopSignal, SystemClock
from migrator.stores.base import SourceStore, TargetStore
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.ledger import Ledger
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.pop_names import PopNamer
from migrator.transfer.proof import require_sound
from migrator.transfer.verify import Difference, VerifyLevel, VerifyReport, verify

MOST_PASSES: Final = 10  # the second finds nothing, unless somebody writes to a mailbox that nobody can reach


@dataclass(frozen=True, slots=True)
class Mail:
    """Both mailboxes of one account, opened by admin access, and the ledger between them."""

    open_source: Callable[[], SourceStore]
    open_target: Callable[[], TargetStore]
    ledger: Ledger
    policy: CopyPolicy = field(default_factory=CopyPolicy)
    limits: Limits = field(default_factory=Limits)
    sink: EventSink = field(default_factory=Silence)
    # of an open source: what names its messages as POP3 programs know them; for CopyPolicy.pop_name_of
    pop_namer: Callable[[SourceStore], PopNamer] | None = None
    afterwards: Callable[[], None] | None = None  # what else goes, once the mail is there and before it is compared


class DeltaStep:
    """Passes until one finds nothing; a first copy is only a longer delta.

    Nothing proves it but another pass, so a look never takes it for done, and going on is the look. ``stop`` and
    ``deadline`` end a pass between two bundles.
    """

    def __init__(
        self,
        key: StepKey,
        mail: Mail,
        *,
        clock: Clock | None = None,
        stop: StopSignal | None = None,
        deadline: float | None = None,
    ) -> None:
        self.key = key
        self._mail = mail
        self._clock = clock or SystemClock()
        self._stop = _Bound(stop or NeverStop(), self._clock, deadline)

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return False

    def apply(self, saved: Values) -> None:
        with self._mail.open_source() as source, self._mail.open_target() as target:
            self._copy(source, target)
        if self._mail.afterwards is not None:
            self._mail.afterwards()

    def _copy(self, source: SourceStore, target: TargetStore) -> None:
        policy = self._mail.policy
        if self._mail.pop_namer is not None:
            policy = replace(policy, pop_name_of=self._mail.pop_namer(source))
        for _ in range(MOST_PASSES):
            is_quiet = _finds_nothing(self._pass(source, target, policy))
            if is_quiet and (policy.compare_all_flags or not _may_miss_flags(source, policy)):
                require_sound(self._mail.ledger)
                return
            # Servers have been seen to change flags and count nothing: the pass that finds nothing new must have
            # compared them all. It does so from the second on, for a pass of its own would cost another listing.
            policy = replace(policy, compare_all_flags=policy.compare_all_flags or _may_miss_flags(source, policy))
            if self._stop.is_set():
                raise Stopped
        raise MigratorError("cutover.restless")

    def undo(self, saved: Values) -> None:
        """Leave what was copied: the next night starts from it."""

    def _pass(self, source: SourceStore, target: TargetStore, policy: CopyPolicy) -> PassResult:
        return _pass(self._mail, source, target, policy, self._stop, self._clock)


class VerifyStep:
    """The target is compared with what the ledger says of it.

    Where nothing holds new mail back, some arrives after DELTA. It is copied, and all is compared again.
    """

    def __init__(self, key: StepKey, mail: Mail, level: VerifyLevel) -> None:
        self.key = key
        self._mail = mail
        self._level = level

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return False

    def apply(self, saved: Values) -> None:
        with self._mail.open_source() as source, self._mail.open_target() as target:
            report = self._compare(source, target)
            for _ in range(MOST_PASSES):
                if not _may_have_arrived(report) or _finds_nothing(self._pass(source, target)):
                    break
                report = self._compare(source, target)
        if not report.is_clean:
            first = report.differences[0]
            raise MigratorError(
                "cutover.differs",
                differences=len(report.differences),
                folder=first.folder.display,
                uid=first.uid,
                difference=first.difference.value,
            )

    def undo(self, saved: Values) -> None:
        """Nothing was changed."""

    def _compare(self, source: SourceStore, target: TargetStore) -> VerifyReport:
        mail = self._mail
        return verify(source, target, mail.ledger, level=self._level, sink=mail.sink, rules=mail.policy.rules)

    def _pass(self, source: SourceStore, target: TargetStore) -> PassResult:
        policy = self._mail.policy
        if self._mail.pop_namer is not None:
            policy = replace(policy, pop_name_of=self._mail.pop_namer(source))
        return _pass(self._mail, source, target, policy, NeverStop(), SystemClock())


def _pass(
    mail: Mail, source: SourceStore, target: TargetStore, policy: CopyPolicy, stop: StopSignal, clock: Clock
) -> PassResult:
    """Carry out one pass. Raises ``Stopped``, and what kept it from copying all there is."""
    result = run_pass(
        source, target, mail.ledger, policy=policy, sink=mail.sink, limits=mail.limits, stop=stop, clock=clock
    )
    if result.is_stopped:
        raise Stopped
    for error in (result.error, *(folder.error for folder in result.folders)):
        if error is not None:
            raise error
    return result


def _may_have_arrived(report: VerifyReport) -> bool:
    """True where all that differs is that the source holds messages of which no pass has told."""
    return not report.is_clean and all(one.difference is Difference.UNCOUNTED for one in report.differences)


def _may_miss_flags(source: SourceStore, policy: CopyPolicy) -> bool:
    """True where a pass trusts the source's count of changes, and flags are to follow it."""
    return policy.mode is Mode.STAGE and source.features.condstore and source.features.has_flags


def _finds_nothing(result: PassResult) -> bool:
    return result.is_balanced and not result.appended and not result.flag_changes


@dataclass(frozen=True, slots=True)
class _Bound:
    """Stops a pass when somebody says so, or when the deadline passes."""

    stop: StopSignal
    clock: Clock
    deadline: float | None

    def is_set(self) -> bool:
        return self.stop.is_set() or (self.deadline is not None and self.clock.now() >= self.deadline)
