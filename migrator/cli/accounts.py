"""Copy one whole account as a command does: open both mailboxes, copy, verify, and say in one value how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import islice
from typing import ClassVar, Final, NamedTuple, Protocol

from migrator.errors import MigratorError, Patience, Side
from migrator.events import Event, EventSink
from migrator.limits import Limits, StopSignal
from migrator.mail import FolderPath, Outcome
from migrator.stores.base import SourceStore, TargetStore
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import Ledger
from migrator.transfer.listing import LeftOutFolder
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.proof import require_sound
from migrator.transfer.verify import VerifyLevel, VerifyReport, verify

# What somebody may miss. Messages marked as deleted, empty ones, and those removed meanwhile are only counted.
MISSED: Final = frozenset((Outcome.TOO_BIG, Outcome.REFUSED, Outcome.UNREADABLE, Outcome.UNCONFIRMED))


class Exit(IntEnum):
    """How a command ended, as the shell is told. Of several accounts the highest number counts."""

    ALL_THERE = 0
    LEFT_BEHIND = 1
    USAGE = 2
    AGAIN = 3
    PERSON = 4
    STOPPED = 130


class Ledgers(Protocol):
    """A place that holds the ledgers of many accounts."""

    def account(self, source: str, target: str) -> AbstractContextManager[Ledger]:
        """Open the ledger of this pair of mailboxes, an empty one for a new pair."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyBegun(Event):
    """The copy is done; so many messages are compared now."""

    name: ClassVar[str] = "verify.begun"
    messages: int


@dataclass(frozen=True, slots=True)
class Account:
    """One account to copy. ``source`` and ``target`` are its identities in the ledger, the names are for people."""

    source: str
    target: str
    source_name: str
    target_name: str
    open_source: Callable[[], SourceStore]
    open_target: Callable[[], TargetStore]
    admin_sides: frozenset[Side] = frozenset()  # where an administrator signs in
    line: int = 0  # in the list it comes from
    rules: FolderRules = field(default_factory=FolderRules)


@dataclass(frozen=True, slots=True)
class Choices:
    """What holds for all accounts of one command."""

    policy: CopyPolicy
    limits: Limits
    verify: VerifyLevel | None = None
    named: frozenset[Outcome] = MISSED  # messages left behind with these outcomes are named one by one,
    most_named: int = 20  # at most so many of an account


class LeftMessage(NamedTuple):
    """A message that is not on the target."""

    folder: str
    uid: int
    outcome: Outcome
    code: str
    reply: str


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures of a pass, or of many."""

    folders: int = 0
    listed: int = 0  # messages in the source
    removed: int = 0  # recorded once, and no longer in the source
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)  # over all passes, removed ones included
    appended: int = 0  # by this pass
    appended_bytes: int = 0
    flag_changes: int = 0
    planned: int = 0  # by a dry run
    planned_bytes: int = 0

    @classmethod
    def of(cls, passed: PassResult) -> Sums:
        """Take the figures out of a pass."""
        return cls(
            folders=len(passed.folders),
            listed=passed.listed,
            removed=passed.removed,
            outcomes=passed.totals,
            appended=passed.appended,
            appended_bytes=passed.size_bytes,
            flag_changes=passed.flag_changes,
            planned=sum(folder.pending for folder in passed.folders),
            planned_bytes=sum(folder.pending_bytes for folder in passed.folders),
        )

    def __add__(self, other: Sums) -> Sums:
        outcomes = Counter(self.outcomes)
        outcomes.update(other.outcomes)
        return Sums(
            self.folders + other.folders,
            self.listed + other.listed,
            self.removed + other.removed,
            dict(sorted(outcomes.items())),
            self.appended + other.appended,
            self.appended_bytes + other.appended_bytes,
            self.flag_changes + other.flag_changes,
            self.planned + other.planned,
            self.planned_bytes + other.planned_bytes,
        )

    @property
    def missed(self) -> int:
        """How many messages were left behind that somebody may miss."""
        return sum(count for outcome, count in self.outcomes.items() if outcome in MISSED)


@dataclass(frozen=True, slots=True)
class AccountResult:
    """How one account ended."""

    account: Account
    exit_code: Exit
    sums: Sums = Sums()
    is_balanced: bool = False
    seconds: float = 0.0
    error: MigratorError | None = None  # what kept the account from its end
    folder_errors: Sequence[tuple[str, MigratorError]] = ()
    left_out: Sequence[LeftOutFolder] = ()
    left_behind: Sequence[LeftMessage] = ()  # as ``Choices.named`` says
    report: VerifyReport | None = None
    is_started: bool = True


def carry(account: Account, ledgers: Ledgers, choices: Choices, sink: EventSink, stop: StopSignal) -> AccountResult:
    """Copy one account, verify it when asked to, and say how it ended. Raises nothing that a mail server causes."""
    passed, report, failure = PassResult(), None, None
    kin = choices.policy.kin
    policy = replace(choices.policy, rules=account.rules, kin=None if kin is None else kin | {account.source_name})
    rows: list[LeftMessage] = []
    try:
        with (
            ledgers.account(account.source, account.target) as ledger,
            account.open_source() as source,
            account.open_target() as target,
        ):
            passed = run_pass(source, target, ledger, policy=policy, sink=sink, limits=choices.limits, stop=stop)
            if choices.verify and passed.is_complete:
                sink.emit(VerifyBegun(messages=sum(count for it, count in passed.totals.items() if it.is_on_target)))
                report = verify(source, target, ledger, level=choices.verify, sink=sink, rules=account.rules)
            if passed.is_balanced:
                require_sound(ledger)
            rows += islice(_left_messages(ledger, passed, choices.named), choices.most_named)
    except MigratorError as error:
        failure = error
    return AccountResult(
        account=account,
        exit_code=exit_of(passed, report, failure),
        sums=Sums.of(passed),
        is_balanced=passed.is_balanced and failure is None,
        seconds=passed.seconds,
        error=failure or passed.error,
        left_out=passed.left_out,
        folder_errors=[(folder.source.display, folder.error) for folder in passed.folders if folder.error],
        left_behind=rows,
        report=report,
    )


def _left_messages(ledger: Ledger, passed: PassResult, named: frozenset[Outcome]) -> Iterator[LeftMessage]:
    paths = {folder.source.raw: folder.source for folder in passed.folders}
    for row in ledger.left_behind():
        if row.outcome not in named or row.outcome.is_on_target:
            continue
        path = paths.get(row.folder, FolderPath(row.folder))
        yield LeftMessage(path.display, row.uid, row.outcome, row.code, row.reply)


def exit_of(passed: PassResult, report: VerifyReport | None, failure: MigratorError | None) -> Exit:
    """Return what the shell is told of one account."""
    error = failure or passed.error
    if error is not None:
        return exit_of_error(error)
    if passed.is_stopped:
        return Exit.STOPPED
    folder_errors = [folder.error for folder in passed.folders if folder.error]
    if folder_errors:
        return max(map(exit_of_error, folder_errors))
    if report is not None and not report.is_clean:
        return Exit.PERSON
    if passed.is_dry_run:
        return Exit.ALL_THERE
    if not passed.is_balanced:
        return Exit.AGAIN
    return Exit.LEFT_BEHIND if Sums.of(passed).missed else Exit.ALL_THERE


def exit_of_error(error: MigratorError) -> Exit:
    """Return what the shell is told of an error: try again, or call a person."""
    # a full mailbox mends itself only when a person makes room
    needs_person = error.patience is Patience.NEVER or error.code in ("target.full", "server.full")
    return Exit.PERSON if needs_person else Exit.AGAIN
