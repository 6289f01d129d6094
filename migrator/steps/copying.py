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
from migrator.transfer.proof import require_sound
from migrator.transfer.verify import VerifyLevel, verify

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
            policy = self._mail.policy
            for _ in range(MOST_PASSES):
                is_quiet = _finds_nothing(self._pass(source, target, policy))
                if is_quiet and (policy.compare_all_flags or not _may_miss_flags(source, policy)):
                    require_sound(self._mail.ledger)
                    return
                # Once it is quiet all flags are compared: servers have been seen to change some and count nothing.
                policy = replace(self._mail.policy, compare_all_flags=is_quiet or policy.compare_all_flags)
                if self._stop.is_set():
                    raise Stopped
        raise MigratorError("cutover.restless")

    def undo(self, saved: Values) -> None:
        """Leave what was copied: the next night starts from it."""

    def _pass(self, source: SourceStore, target: TargetStore, policy: CopyPolicy) -> PassResult:
        mail = self._mail
        result = run_pass(
            source,
            target,
            mail.ledger,
            policy=policy,
            sink=mail.sink,
            limits=mail.limits,
            stop=self._stop,
            clock=self._clock,
        )
        if result.is_stopped:
            raise Stopped
        for error in (result.error, *(folder.error for folder in result.folders)):
            if error is not None:
                raise error
        return result


class VerifyStep:
    """The target is compared with what the ledger says of it."""

    def __init__(self, key: StepKey, mail: Mail, level: VerifyLevel) -> None:
        self.key = key
        self._mail = mail
        self._level = level

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return False

    def apply(self, saved: Values) -> None:
        mail = self._mail
        with mail.open_source() as source, mail.open_target() as target:
            report = verify(source, target, mail.ledger, level=self._level, sink=mail.sink, rules=mail.policy.rules)
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
