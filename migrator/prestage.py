"""prestage(): copy ahead while the user works, until what is left for the night is small."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.errors import MigratorError
from migrator.events import EventSink
from migrator.limits import Clock, Limits, StopSignal
from migrator.stores.base import SourceStore, TargetStore
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.ledger import Ledger
from migrator.transfer.plan import CopyPolicy


@dataclass(frozen=True, slots=True)
class Small:
    """What a pass may take at most for the night to begin, and how many passes are tried in one go."""

    messages: int = 500
    seconds: float = 120.0
    passes: int = 5


@dataclass(frozen=True, slots=True)
class PrestageResult:
    """What came of it. Neither ready, nor stopped, nor an error: the user is faster than the copy; try again later."""

    last: PassResult
    passes: int
    appended: int  # messages stored on the target, over all passes
    size_bytes: int
    is_ready: bool

    @property
    def is_stopped(self) -> bool:
        """True when it was told to stop; going on later loses nothing."""
        return self.last.is_stopped

    @property
    def error(self) -> MigratorError | None:
        """What ended the last pass, or one of its folders; None when nothing did."""
        folders = (folder.error for folder in self.last.folders if folder.error is not None)
        return self.last.error or next(folders, None)


def prestage(
    source: SourceStore,
    target: TargetStore,
    ledger: Ledger,
    *,
    small: Small | None = None,
    policy: CopyPolicy | None = None,
    sink: EventSink | None = None,
    limits: Limits | None = None,
    stop: StopSignal | None = None,
    clock: Clock | None = None,
) -> PrestageResult:
    """Run passes until one is small; return how far that came.

    A pass is small when it reached its end with every message accounted for, stored no more messages and took no
    longer than ``small`` says. Safe to repeat at any time. Raises what :func:`run_pass` raises.
    """
    small = small or Small()
    appended = size_bytes = number = 0
    while True:
        number += 1
        last = run_pass(source, target, ledger, policy=policy, sink=sink, limits=limits, stop=stop, clock=clock)
        appended += last.appended
        size_bytes += last.size_bytes
        is_ready = last.is_balanced and last.appended <= small.messages and last.seconds <= small.seconds
        if is_ready or not last.is_complete or number >= small.passes:
            return PrestageResult(last, number, appended, size_bytes, is_ready)
