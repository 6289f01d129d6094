"""Copy one whole account as a command does: open both mailboxes, copy, verify, and say in one value how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import ClassVar, Final, NamedTuple, Protocol, cast

from migrator.cli import classes, pop_readers, scripts
from migrator.cli.classes import ClassesEnd
from migrator.cli.pop_readers import PopEnd
from migrator.cli.removing import mailbox_of
from migrator.cli.scripts import ScriptsEnd
from migrator.cli.side_doors import SideDoors
from migrator.errors import MigratorError, Patience, Side
from migrator.events import Event, EventSink
from migrator.limits import Limits, StopSignal
from migrator.mail import FolderPath, Outcome
from migrator.stores.base import SettingAsideSource, SourceStore, TargetStore
from migrator.transfer.all_there import not_there
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import Ledger
from migrator.transfer.listing import LeftOutFolder
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.proof import require_sound
from migrator.transfer.removal import RemovalReport, count_removals, remove_proved, settle_removals
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

    def targets(self) -> Iterable[str]:
        """Return every mailbox that is, or was, the target of a copy, as far as is known here."""
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
    scripts: SideDoors | None = None  # Sieve scripts go, too
    pop3: SideDoors | None = None  # both sides are asked by POP3, too
    classes: SideDoors | None = None  # classes of folders go, too
    is_shared: bool = False  # folders of nobody's own mailbox
    reads_files: bool = False  # by programs that no server controls


@dataclass(frozen=True, slots=True)
class Choices:
    """What holds for all accounts of one command."""

    policy: CopyPolicy
    limits: Limits
    verify: VerifyLevel | None = None
    named: frozenset[Outcome] = MISSED  # messages left behind with these outcomes are named one by one,
    most_named: int = 20  # at most so many of an account
    removes: bool = False  # what is proved to be on the target goes from the source
    sets_aside: bool = False  # what a mail file held goes to another beside it, once all of it is proved to be there
    targets: Sequence[str] = ()  # of all accounts of the command: nothing is removed in any of them
    keeps_pop_names: bool = False  # messages tell by which names POP3 programs know them


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
    removed_by_us: int = 0  # of those removed, by an earlier run that had proved them to be on the target

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
            self.removed_by_us + other.removed_by_us,
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
    removal: RemovalReport | None = None
    set_aside: Path | None = None  # where the content of the old mail file is now
    is_started: bool = True
    scripts: ScriptsEnd | None = None  # None: nobody asked for them, or the mail did not come to its end
    pop3: PopEnd | None = None  # the same
    classes: ClassesEnd | None = None  # the same


def not_started(account: Account, closed_by: MigratorError | None) -> AccountResult:
    """Return the result of an account that was never begun: what closed the road is its error, too."""
    exit_code = Exit.STOPPED if closed_by is None else exit_of_error(closed_by)
    return AccountResult(account, exit_code, error=closed_by, is_started=False)


def carry(account: Account, ledgers: Ledgers, choices: Choices, sink: EventSink, stop: StopSignal) -> AccountResult:
    """Copy one account, verify it when asked to, and say how it ended. Raises nothing that a mail server causes."""
    passed, report, failure, removal = PassResult(), None, None, None
    scripts_end, classes_end = None, None
    policy = _policy_for(account, choices)
    rows: list[LeftMessage] = []
    aside: Path | None = None
    gone = 0
    try:
        with (
            ledgers.account(account.source, account.target) as ledger,
            account.open_source() as source,
            account.open_target() as target,
        ):
            if not policy.dry_run:
                settle_removals(source, ledger)
            if choices.keeps_pop_names and not policy.dry_run:
                policy = replace(policy, pop_name_of=pop_readers.namer_of(account.pop3, source))
            passed = run_pass(
                source,
                target,
                ledger,
                policy=policy,
                sink=sink,
                limits=choices.limits,
                stop=stop,
                more=lambda: (account.open_source(), account.open_target()),
            )
            if choices.verify and passed.is_complete:
                sink.emit(VerifyBegun(messages=sum(count for it, count in passed.totals.items() if it.is_on_target)))
                report = verify(source, target, ledger, level=choices.verify, sink=sink, rules=account.rules)
            if _has_come(passed):
                classes_end, scripts_end = _carry_beside(account, policy, ledger, sink, dry_run=passed.is_dry_run)
            if passed.is_balanced:
                require_sound(ledger)
            gone = count_removals(ledger) if passed.removed else 0
            if choices.removes and not policy.dry_run and not passed.is_stopped:
                is_proved = passed.is_balanced and (report is None or report.is_clean)
                guarded = [*choices.targets, *ledgers.targets()]
                removal = _remove(account, guarded, (source, target, ledger), passed if is_proved else None, sink, stop)
            if choices.sets_aside and not policy.dry_run and not passed.is_stopped and not passed.error:
                aside = _set_aside(source, ledger, passed, report)
            rows += islice(_left_messages(ledger, passed, choices.named), choices.most_named)
    except MigratorError as error:
        failure = error
    return AccountResult(
        account=account,
        exit_code=max(
            exit_of(passed, report, failure),
            exit_of_beside(scripts_end),
            exit_of_beside(classes_end),
            exit_of_removal(removal),
        ),
        sums=replace(Sums.of(passed), removed_by_us=gone),
        is_balanced=passed.is_balanced and failure is None,
        seconds=passed.seconds,
        error=failure or passed.error or (removal.error if removal else None),
        left_out=passed.left_out,
        folder_errors=[(folder.source.display, folder.error) for folder in passed.folders if folder.error],
        left_behind=rows,
        report=report,
        scripts=scripts_end,
        classes=classes_end,
        pop3=_pop_readers(account, passed, failure, sink),
        removal=removal,
        set_aside=aside,
    )


def _policy_for(account: Account, choices: Choices) -> CopyPolicy:
    """Return how this account is copied: by its own rules, and for whoever owns it; shared mail has no one owner."""
    kin = choices.policy.kin
    kin = None if kin is None or account.is_shared else kin | {account.source_name}
    return replace(choices.policy, rules=account.rules, kin=kin)


def _has_come(passed: PassResult) -> bool:
    """True when the mail came to its end, or would have: what goes beside it may follow."""
    return (passed.is_complete or passed.is_dry_run) and not passed.error


def _carry_beside(
    account: Account, policy: CopyPolicy, ledger: Ledger, sink: EventSink, *, dry_run: bool
) -> tuple[ClassesEnd | None, ScriptsEnd | None]:
    """Copy what goes beside the mail, where it was asked for."""
    classes_end, scripts_end = None, None
    if account.classes is not None:
        classes_end = classes.carry(account.classes, ledger, sink, dry_run=dry_run)
    if account.scripts is not None:
        is_live = policy.mode is Mode.CATCH_UP
        scripts_end = scripts.carry(account.scripts, ledger, sink, dry_run=dry_run, adds_only=is_live)
    return classes_end, scripts_end


def _pop_readers(account: Account, passed: PassResult, failure: MigratorError | None, sink: EventSink) -> PopEnd | None:
    """Ask by POP3 when both mailboxes are left: servers let one session at a time in."""
    may_ask = _has_come(passed) and failure is None
    return pop_readers.look(account.pop3, sink) if account.pop3 is not None and may_ask else None


def _remove(
    account: Account,
    guarded: Iterable[str],
    sides: tuple[SourceStore, TargetStore, Ledger],
    passed: PassResult | None,
    sink: EventSink,
    stop: StopSignal,
) -> RemovalReport:
    """Remove from the source what is proved to be on the target, unless people work there (as far as is known)."""
    if passed is None:
        return RemovalReport(error=MigratorError("removal.unfinished"))
    mailbox = mailbox_of(account.source)
    other = next((one for one in guarded if mailbox_of(one) == mailbox), None)
    if other is not None:
        return RemovalReport(error=MigratorError("removal.live_target", side=Side.SOURCE, reply=other))
    return remove_proved(*sides, [folder.source for folder in passed.folders], sink=sink, stop=stop)


def _set_aside(source: SourceStore, ledger: Ledger, passed: PassResult, report: VerifyReport | None) -> Path | None:
    """Set a mail file aside when all of it was found on the target, octet for octet; None where it held nothing.

    Where the target had most of it before us, it may be that very file: then it stays.
    """
    if not passed.is_balanced or report is None or not report.is_clean or Sums.of(passed).missed:
        raise MigratorError("removal.unfinished")
    if not passed.totals:
        return None
    if passed.totals.get(Outcome.ALREADY_THERE, 0) > passed.totals.get(Outcome.COPIED, 0):
        raise MigratorError("removal.same_mailbox", side=Side.SOURCE)
    if not source.features.sets_aside:
        raise MigratorError("removal.not_offered", side=Side.SOURCE)
    if missing := not_there(source, ledger):
        words = (f"{count:,} {'new' if it is None else it.name.lower()}" for it, count in missing.items())
        raise MigratorError("removal.not_all_there", side=Side.SOURCE, reply=", ".join(words))
    return cast(SettingAsideSource, source).set_aside() if passed.listed else None


def exit_of_removal(removal: RemovalReport | None) -> Exit:
    """Return what the shell is told of a removal by itself."""
    if removal is None:
        return Exit.ALL_THERE
    errors = [removal.error, *(error for _, error in removal.folder_errors)]
    exits = [exit_of_error(error) for error in errors if error is not None]
    exits += [Exit.PERSON] * removal.is_suspicious + [Exit.STOPPED] * removal.is_stopped
    return max(exits, default=Exit.ALL_THERE)


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


def exit_of_beside(end: ScriptsEnd | ClassesEnd | None) -> Exit:
    """Return what the shell is told of what goes beside the mail of one account. A side without it is no fault."""
    if end is None or (end.error is None and not end.missed):
        return Exit.ALL_THERE
    return Exit.LEFT_BEHIND if end.error is None else exit_of_error(end.error)


def exit_of_error(error: MigratorError) -> Exit:
    """Return what the shell is told of an error: try again, or call a person."""
    # a full mailbox mends itself only when a person makes room
    needs_person = error.patience is Patience.NEVER or error.code in ("target.full", "server.full")
    return Exit.PERSON if needs_person else Exit.AGAIN
