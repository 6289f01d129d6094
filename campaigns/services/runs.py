"""What a worker does with an account it has a lease on: check and copy it, cut it over, let it back, look after it.

Each run ends in a state that the next one can begin from, and gives nothing back: whoever holds the lease does that.
Servers and transactions never mix: rows are read, servers are talked to, then rows are written, each with the epoch.
``LeaseLost`` passes through: whoever has the account now goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from campaigns.bridge import rescue
from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.bridge.lease import Lease, LeaseLost, StopReason, hold, write
from campaigns.bridge.ledger import OrmLedger, storable
from campaigns.bridge.sink import OrmSink
from campaigns.models import Account, JournalEntry, Run
from campaigns.services import accounts, breakers, folder_rules, mail_counts, names, preflights
from campaigns.services.events import record
from campaigns.states import AccountState
from migrator import cutover
from migrator.cutover import CutoverOutcome, CutoverResult, Step
from migrator.errors import CATALOGUE, MigratorError, Patience, Radius, Side
from migrator.journal import EntryStatus, Journal, StepKind
from migrator.limits import Clock, StopSignal
from migrator.prestage import PrestageResult, Small, prestage
from migrator.recipes import RECIPES, OnFailure, Recipe
from migrator.steps.copying import Mail
from migrator.steps.kit import steps_of
from migrator.transfer.copy import run_pass
from migrator.transfer.plan import CopyPolicy, Mode

SLICE_SECONDS: Final = 600.0  # then others have their turn
RESTLESS_SECONDS: Final = 300.0  # until an account is tried again whose user is faster than the copy
PERSON_SECONDS: Final = 30.0  # until a step is looked at again that waits for a person

_S = AccountState

log = logging.getLogger(__name__)


def run_stage(lease: Lease, *, world: World = WORLD) -> None:
    """Check an account, then copy it ahead for one slice; ready when the last pass was small. Raises ``LeaseLost``."""
    with _at_work(lease, "stage", world) as work:
        if work.state is _S.CHECKING:
            _check(work)
        if work.state is _S.STAGING:
            _copy_ahead(work)


def run_cutover(lease: Lease, *, world: World = WORLD) -> None:
    """Carry out the steps that are left of an account's night, or let it back when that fails. Raises ``LeaseLost``."""
    with _at_work(lease, "cutover", world) as work:
        if work.account.stop_requested:
            lease.stop.ask(StopReason.STOPPED)
        result = _night(work, _forward)
        work.outcome = result.outcome.value
        _after_night(work, result)


def run_rollback(lease: Lease, *, world: World = WORLD) -> None:
    """Undo what was begun of an account's night, so that its user works on the source. Raises ``LeaseLost``."""
    with _at_work(lease, "rollback", world) as work:
        _let_back(work)


def run_catch_up(lease: Lease, *, world: World = WORLD) -> None:
    """Add to the target what came late to the source, and nothing else. Raises ``LeaseLost``."""
    with _at_work(lease, "catch_up", world) as work:
        try:
            work.ledger.bind(*work.identities)
            with work.approach.source() as source, work.approach.target() as target:
                result = run_pass(source, target, work.ledger, policy=work.policy(Mode.CATCH_UP), **work.terms())
            work.figures |= {"appended": result.appended, "bytes": result.size_bytes}
            error = result.error or next((one.error for one in result.folders if one.error), None)
        except MigratorError as failure:
            error = failure
        _look_again(work, error)


# One run


@dataclass(slots=True)
class _Work:
    """One run of one account, and what it works with."""

    lease: Lease
    account: Account
    approach: Approach
    sink: OrmSink
    ledger: OrmLedger
    outcome: str = "ended"
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> AccountState:
        return AccountState(self.account.state)

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.account.campaign.recipe]

    @property
    def deadline(self) -> float:
        """When the night must have switched (seconds since the epoch): counted from its begin, whoever works on it."""
        passed = (timezone.now() - self.account.state_since).total_seconds()
        return self.approach.world.clock.now() + self.account.batch.cutover_seconds - passed

    @property
    def identities(self) -> tuple[str, str]:
        """The two mailboxes as the ledger calls them."""
        return self.approach.identity(Side.SOURCE), self.approach.identity(Side.TARGET)

    def policy(self, mode: Mode) -> CopyPolicy:
        account = self.account
        return CopyPolicy(
            mode,
            copy_deleted=account.campaign.copies_deleted,
            rules=folder_rules.rules_of(account),
            kin=None if account.is_one_person else names.kin(account),
        )

    def terms(self) -> dict[str, Any]:
        """What passes share: they end with the slice."""
        world = self.approach.world
        stop = _Slice(self.lease.stop, world.clock, world.clock.monotonic() + SLICE_SECONDS)
        return {"sink": self.sink, "limits": world.limits, "clock": world.clock, "stop": stop}

    def go(self, to: AccountState, reason: str = "", **columns: Any) -> None:
        """Bring the account into another state."""
        teller = self.lease.holder or "worker"
        accounts.transition(
            self.account.pk, expect=self.state, to=to, lease=self.lease, actor=teller, reason=reason, **columns
        )
        self.account.state = to.value

    def settle(
        self, error: MigratorError, *, wait_in: AccountState | None = None, give_up: AccountState = AccountState.FAILED
    ) -> None:
        """Give the account what an error deserves (see ``accounts.settle``)."""
        self.outcome = error.code
        error.reply = storable(error.reply)
        with transaction.atomic():  # it may open a breaker or pause the campaign: not for whoever lost the lease
            hold(self.lease)
            accounts.settle(self.lease, error, state=self.state, wait_in=wait_in, give_up=give_up)

    def note_success(self) -> None:
        """Tell the breakers of both servers that they work."""
        breakers.worked((self.account.source_id, self.account.target_id))


@dataclass(frozen=True, slots=True)
class _Slice:
    """Stops a pass when its lane is asked to end, or when its time is over."""

    stop: StopSignal
    clock: Clock
    end: float

    def is_set(self) -> bool:
        return self.stop.is_set() or self.clock.monotonic() >= self.end


@contextmanager
def _at_work(lease: Lease, kind: str, world: World) -> Iterator[_Work]:
    """Write the row of a run around the work. What nobody foresaw leaves it open: it did not end."""
    related = ("batch", "source", "target", "campaign")
    connectors = ("source_directory", "target_directory", "route", "source_sessions")
    rows = lease.rows().select_related(*related, *(f"campaign__{name}" for name in connectors))
    account = rows.first()
    if account is None:
        raise LeaseLost(f"account {lease.account_id}, epoch {lease.epoch}")
    run = Run.objects.create(account=account, kind=kind, lease_epoch=lease.epoch, holder=lease.holder)
    sink = OrmSink(lease, account, run.pk, world.clock)
    with Approach(account, world, lease.check) as approach:
        work = _Work(lease, account, approach, sink, OrmLedger(lease))
        try:
            yield work
            sink.flush()
        except LeaseLost:
            _end(run, "lease_lost", work.figures)
            _tell_late_changes(work)
            raise
    _end(run, work.outcome, work.figures)


def _tell_late_changes(work: _Work) -> None:
    """Call a person where a change may have reached a directory after the account had become somebody else's."""
    for address in work.approach.late:
        log.error("account %s: a change of %s may have come after the lease was lost", work.account.pk, address)
        ids = {"campaign_id": work.account.campaign_id, "batch_id": work.account.batch_id}
        record("account.changed_late", actor=work.lease.holder or "worker", account_id=work.account.pk, **ids)


def _end(run: Run, outcome: str, figures: dict[str, Any]) -> None:
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now(), outcome=outcome, figures=figures)


# Before the night


def _check(work: _Work) -> None:
    """Let an account that passes every check go on."""
    try:
        if rescue.knows_a_later_night(work.account):
            return work.go(_S.READY, "rescue.differs")
        failures = preflights.check_account(work.approach)
    except MigratorError as error:
        return work.settle(error)
    for failure in failures:
        _tell(work, "account.check.failed", failure.error, check=failure.check)
    if failures:
        return work.settle(failures[0].error)
    work.note_success()
    return work.go(_S.STAGING if work.recipe.is_staged else _S.READY)


def _copy_ahead(work: _Work) -> None:
    """Copy while the user works, until a pass is small or the slice is over."""
    batch = work.account.batch
    small = Small(messages=batch.ready_messages, seconds=batch.ready_seconds)
    try:
        if rescue.knows_a_later_night(work.account):
            return work.go(_S.READY, "rescue.differs")
        work.ledger.bind(*work.identities)
        with work.approach.source(is_admitted=True) as source, work.approach.target() as target:
            result = prestage(source, target, work.ledger, small=small, policy=work.policy(Mode.STAGE), **work.terms())
    except MigratorError as error:
        return work.settle(error)
    return _after_copy(work, result)


def _after_copy(work: _Work, result: PrestageResult) -> None:
    work.sink.flush()
    work.figures |= {"passes": result.passes, "appended": result.appended, "bytes": result.size_bytes}
    work.lease.check()
    if result.error is not None:
        return work.settle(result.error)
    work.note_success()
    if result.is_stopped:
        work.outcome = "stopped" if work.lease.stop.is_set() else "slice_over"
        return None
    _count_mail(work)
    if result.is_ready:
        return work.go(_S.READY)
    return write(work.lease, not_before=timezone.now() + timedelta(seconds=RESTLESS_SECONDS))


def _count_mail(work: _Work) -> None:
    """Set the account's figures to what the ledger says: exact, where progress was only counted.

    Messages of folders that a rule leaves out are in no ledger, and left behind all the same.
    """
    states = work.ledger.states()
    size, skipped = Account.objects.values_list("bytes_done", "messages_skipped").get(pk=work.account.pk)
    skipped = work.sink.skipped_messages(skipped)
    write(work.lease, bytes_total=size, **mail_counts.columns(states, skipped))


# The night

_Direction = Callable[[_Work, list[Step], Journal], CutoverResult]


def _night(work: _Work, go: _Direction) -> CutoverResult:
    """Carry out or undo the steps of the account's recipe. An error beside the steps leaves it open how things are."""
    try:
        work.ledger.bind(*work.identities)
        journal = rescue.journal_of(work.lease, work.account, work.approach)
        kit = work.approach.kit(_mail(work), stop=work.lease.stop, deadline=work.deadline)
        result = go(work, steps_of(work.recipe, kit, journal), journal)
    except MigratorError as error:
        result = CutoverResult(CutoverOutcome.UNKNOWN, None, error)
    work.sink.flush()
    work.lease.check()
    return result


def _forward(work: _Work, steps: list[Step], journal: Journal) -> CutoverResult:
    # The set-up may be another one since the account was checked. A night that has begun goes on all the same.
    if not journal.entries() and not preflights.is_accepted(work.account.campaign):
        return CutoverResult(CutoverOutcome.FAILED, None, MigratorError("preflight.not_proved"))
    clock = work.approach.world.clock
    _copy_again(journal)
    return cutover.run_cutover(
        steps, journal, sink=work.sink, clock=clock, deadline=work.deadline, stop=work.lease.stop
    )


def _copy_again(journal: Journal) -> None:
    """Let the copy run once more in a night that goes on before its switch: a difference may have been mended since."""
    entries = {entry.key.kind: entry for entry in journal.entries()}
    copied = entries.get(StepKind.DELTA)
    if copied and copied.status is EntryStatus.DONE and StepKind.SWITCH not in entries:
        journal.undone(copied.key)


def _backward(work: _Work, steps: list[Step], journal: Journal) -> CutoverResult:
    return cutover.roll_back(steps, journal, sink=work.sink, clock=work.approach.world.clock)


def _mail(work: _Work) -> Mail:
    return Mail(
        open_source=work.approach.source,
        open_target=work.approach.target,
        ledger=work.ledger,
        policy=work.policy(Mode.STAGE),
        limits=work.approach.world.limits,
        sink=work.sink,
    )


def _after_night(work: _Work, result: CutoverResult) -> None:
    if result.outcome is CutoverOutcome.DONE:
        work.note_success()
        _count_mail(work)
        return work.go(_S.DONE, step="", **_lockout(work), **_compared(work))
    if result.outcome is CutoverOutcome.STOPPED:
        return _after_stop(work, result)
    error = result.error or MigratorError("cutover.late")
    if result.outcome is CutoverOutcome.UNKNOWN or result.past_switch:
        return work.settle(error, give_up=_S.ATTENTION)
    if work.recipe.on_failure is OnFailure.STAY_HELD:
        return work.go(_S.HELD, error.code, **_error_columns(error))
    work.go(_S.ROLLING_BACK, error.code, **_error_columns(error))
    return _let_back(work)


def _lockout(work: _Work) -> dict[str, Any]:
    """End the time without mail where no step ENABLE did: who governs only the source admits nobody at the target."""
    locked_at = work.lease.rows().values_list("locked_at", flat=True).first()
    if locked_at is None:
        return {}
    return {"locked_at": None, "lockout_seconds": (timezone.now() - locked_at).total_seconds()}


def _compared(work: _Work) -> dict[str, Any]:
    """Note how, and when, both sides were compared; nothing where the method compares none."""
    rows = JournalEntry.objects.filter(account=work.account, kind=StepKind.VERIFY, status=EntryStatus.DONE)
    at = rows.order_by("-cutover", "-pk").values_list("ended_at", flat=True).first()
    return {"verified_level": work.account.campaign.verify_level, "verified_at": at} if at else {}


def _after_stop(work: _Work, result: CutoverResult) -> None:
    """Go back when a person wants that. A worker that ends leaves the night to the next, at once."""
    match work.lease.stop.reason:
        case StopReason.STOPPED if not result.past_switch:
            work.go(_S.ROLLING_BACK, "stopped", **accounts.NO_ERROR)
            _let_back(work)
        case None:  # a step waits for a person
            again = timezone.now() + timedelta(seconds=PERSON_SECONDS)
            write(work.lease, waiting_for="person", not_before=again)


def _let_back(work: _Work) -> None:
    """Undo the night, and let the account end where what ended the night sends it."""
    result = _night(work, _backward)
    if result.outcome is not CutoverOutcome.DONE:
        return work.settle(result.error or MigratorError("unknown"), give_up=_S.ATTENTION)
    write(work.lease, step="")
    columns = Account.objects.values_list("error_code", "error_side", "error_reply").get(pk=work.account.pk)
    if columns[0] not in CATALOGUE:
        work.outcome = "rolled_back"
        return work.go(_S.READY, "rolled_back", not_before=None)
    error = MigratorError(columns[0], side=Side(columns[1]) if columns[1] else None, reply=columns[2])
    return work.settle(error, wait_in=_S.READY, give_up=_S.FAILED)


# After the night


def _look_again(work: _Work, error: MigratorError | None) -> None:
    """Note how a look for late mail went, and when the next one is due."""
    work.sink.flush()
    work.lease.check()
    now, account = timezone.now(), work.account
    again = now + timedelta(minutes=max(1, account.campaign.catch_up_minutes))
    is_over = account.catch_up_until is None or again > account.catch_up_until
    if error is None:
        work.note_success()
        _count_mail(work)
        return write(work.lease, not_before=None if is_over else again, **accounts.NO_ERROR)
    work.outcome = error.code
    if error.radius is Radius.SERVER and error.side is not None:
        breakers.failed(account.target_id if error.side is Side.TARGET else account.source_id, error, now)
    if error.code != account.error_code:
        _tell(work, "account.catch_up.failed", error)
    # What only a person mends is not tried all day: a password would be refused each time.
    is_over = is_over or error.patience is Patience.NEVER
    return write(work.lease, not_before=None if is_over else again, **_error_columns(error))


def _error_columns(error: MigratorError) -> dict[str, Any]:
    side = error.side.value if error.side else ""
    return {
        "error_code": error.code,
        "error_side": side,
        "error_reply": storable(error.reply),
        "error_at": timezone.now(),
    }


def _tell(work: _Work, name: str, error: MigratorError, **facts: Any) -> None:
    account = work.account
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    with transaction.atomic():
        hold(work.lease)
        record(name, actor=work.lease.holder or "worker", **ids, code=error.code, side=error.side or "", **facts)
