"""What a worker does with an account it has a lease on: check and copy it, cut it over, let it back, look after it.

Each run ends in a state that the next one can begin from, and gives nothing back: whoever holds the lease does that.
What all runs have in common is in ``one_run``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.utils import timezone

from campaigns.bridge import rescue, returning
from campaigns.bridge.connect import WORLD, World
from campaigns.bridge.lease import Lease, StopReason, write
from campaigns.models import Account, JournalEntry
from campaigns.services import (
    accounts,
    classes,
    preflights,
    scripts,
    together,
)
from campaigns.services.looking_after import look_again, look_for_late_mail, retire
from campaigns.services.one_run import Work, at_work, count_mail, error_columns, tell_error
from campaigns.states import AccountState
from migrator import cutover
from migrator.cutover import CutoverOutcome, CutoverResult, Step
from migrator.errors import CATALOGUE, MigratorError, Side
from migrator.journal import EntryStatus, Journal, StepKind
from migrator.prestage import PrestageResult, Small, prestage
from migrator.recipes import OnFailure, Recipe
from migrator.steps.back import CarryBack, stay, take_back
from migrator.steps.copying import Mail
from migrator.steps.kit import Kit, steps_of

RESTLESS_SECONDS: Final = 300.0  # until an account is tried again whose user is faster than the copy
PERSON_SECONDS: Final = 30.0  # until a step is looked at again that waits for a person

_S = AccountState


def run_stage(lease: Lease, *, world: World = WORLD) -> None:
    """Check an account, then copy it ahead for one slice; ready when the last pass was small. Raises ``LeaseLost``."""
    with at_work(lease, "stage", world) as work:
        if work.account.stop_requested:  # by now only of who is on the way to the new server before their mail
            lease.stop.ask(StopReason.STOPPED)
        if work.state is _S.CHECKING:
            _check(work)
        if work.state is _S.STAGING:
            _copy_ahead(work)


def run_cutover(lease: Lease, *, world: World = WORLD) -> None:
    """Carry out the steps that are left of an account's night, or let it back when that fails. Raises ``LeaseLost``."""
    with at_work(lease, "cutover", world) as work:
        if work.account.stop_requested:
            lease.stop.ask(StopReason.STOPPED)
        result = _night(work, _forward)
        work.outcome = result.outcome.value
        _after_night(work, result)


def run_rollback(lease: Lease, *, world: World = WORLD) -> None:
    """Undo what was begun of an account's night, so that its user works on the source. Raises ``LeaseLost``."""
    with at_work(lease, "rollback", world) as work:
        if work.account.return_asked_at is not None:
            _take_back(work)
        else:
            _let_back(work)


def run_catch_up(lease: Lease, *, world: World = WORLD) -> None:
    """Add to the target what came late to the source, and nothing else. Raises ``LeaseLost``."""
    with at_work(lease, "catch_up", world) as work:
        try:
            error = look_for_late_mail(work) or retire(work)
        except MigratorError as failure:
            error = failure
        look_again(work, error)


# Before the night


def _check(work: Work) -> None:
    """Let an account that passes every check go on."""
    try:
        if rescue.knows_a_later_night(work.account):
            return work.go(_S.READY, "rescue.differs")
        # Who has begun to arrive was checked before; they may be locked out by now, and no password would open.
        is_fresh = not work.account.arrives_first
        if is_fresh and not _come_first(work, work.recipe.made):
            return None
        failures = preflights.check_account(work.approach) if is_fresh else []
    except MigratorError as error:
        return work.settle(error)
    for failure in failures:
        tell_error(work, "account.check.failed", failure.error, check=failure.check)
    if failures:
        return work.settle(failures[0].error)
    work.note_success()
    if not _come_first(work, work.recipe.early):
        return None
    return work.go(_S.STAGING if work.recipe.is_staged else _S.READY)


def _come_first(work: Work, count: int) -> bool:
    """Carry out the first steps of the recipe, those outside of the night; False when they are not through."""
    if not count or work.account.cutover:
        return True
    if count > work.recipe.made and not work.account.arrives_first:
        write(work.lease, arrives_first=True)
        work.account.arrives_first = True
    result = _night(work, partial(_begin, count=count))
    if result.outcome is CutoverOutcome.DONE:
        return True
    # A pause, too: nobody would go on, and they would be locked out until it ends.
    is_asked = work.lease.stop.reason in (StopReason.STOPPED, StopReason.PAUSED)
    if result.outcome is CutoverOutcome.STOPPED and not (is_asked and not result.past_switch):
        _wait(work)
        return False
    if result.outcome is not CutoverOutcome.UNKNOWN and not result.past_switch:
        back = _night(work, partial(_undo_first, count=count))
        result = result if back.outcome is CutoverOutcome.DONE else back
        if back.outcome is CutoverOutcome.DONE and work.account.arrives_first:  # they have not begun to
            write(work.lease, arrives_first=False)
    if result.error is not None:
        work.settle(result.error)
    return False


def _copy_ahead(work: Work) -> None:
    """Copy while the user works, until a pass is small or the slice is over."""
    batch = work.account.batch
    small = Small(messages=batch.ready_messages, seconds=batch.ready_seconds)
    try:
        if rescue.knows_a_later_night(work.account):
            return work.go(_S.READY, "rescue.differs")
        work.ledger.bind(*work.identities)
        with work.approach.source(is_admitted=True) as source, work.approach.target() as target:
            policy = work.named(work.policy(work.mode), source, is_admitted=True)
            result = prestage(source, target, work.ledger, small=small, policy=policy, **work.terms())
        if result.is_ready:
            for beside in (classes, scripts):
                beside.copy_ahead(work.lease, work.approach, work.ledger, work.sink)
    except MigratorError as error:
        return work.settle(error)
    return _after_copy(work, result)


def _after_copy(work: Work, result: PrestageResult) -> None:
    work.sink.flush()
    work.figures |= {"passes": result.passes, "appended": result.appended, "bytes": result.size_bytes}
    work.figures["last_seconds"] = round(result.last.seconds, 3)  # what the night is foreseen by
    work.lease.check()
    if result.error is not None:
        return work.settle(result.error)
    work.note_success()
    if result.is_stopped:
        work.outcome = "stopped" if work.lease.stop.is_set() else "slice_over"
        return None
    count_mail(work)
    if result.is_ready:
        return work.go(_S.READY)
    return write(work.lease, not_before=timezone.now() + timedelta(seconds=RESTLESS_SECONDS))


# The night

_Direction = Callable[[Work, Kit, Journal], CutoverResult]


def _night(work: Work, go: _Direction) -> CutoverResult:
    """Carry out or undo the steps of the account's recipe. An error beside the steps leaves it open how things are."""
    try:
        work.ledger.bind(*work.identities)
        journal = rescue.journal_of(work.lease, work.account, work.approach)
        deadline = work.deadline if work.state is not _S.CHECKING else None
        kit = work.approach.kit(_mail(work), stop=work.lease.stop, deadline=deadline, is_approved=work.is_approved)
        result = go(work, kit, journal)
    except MigratorError as error:
        result = CutoverResult(CutoverOutcome.UNKNOWN, None, error)
    work.sink.flush()
    work.lease.check()
    return result


def _begin(work: Work, kit: Kit, journal: Journal, *, count: int) -> CutoverResult:
    first = [step for step in steps_of(work.recipe, kit, journal) if step.key.position < count]
    return cutover.run_cutover(first, journal, sink=work.sink, clock=work.approach.world.clock, stop=work.lease.stop)


def _undo_first(work: Work, kit: Kit, journal: Journal, *, count: int) -> CutoverResult:
    first = [step for step in steps_of(work.recipe, kit, journal) if step.key.position < count]
    return cutover.roll_back(first, journal, sink=work.sink, clock=work.approach.world.clock)


def _of_the_night(work: Work, kit: Kit, journal: Journal) -> list[Step]:
    return [step for step in steps_of(work.recipe, kit, journal) if step.key.position >= work.recipe.early]


def _forward(work: Work, kit: Kit, journal: Journal) -> CutoverResult:
    if work.account.return_asked_at is not None:
        return stay(work.recipe, kit, journal, sink=work.sink)
    # The set-up may be another one since the account was checked. A night that has begun goes on all the same.
    if not journal.entries() and not preflights.is_accepted(work.account.campaign):
        return CutoverResult(CutoverOutcome.FAILED, None, MigratorError("preflight.not_proved"))
    clock = work.approach.world.clock
    if not work.account.batch.is_together or work.account.error_code:  # else it only waited for the others
        _copy_again(journal)
    night = _of_the_night(work, kit, journal)
    work.gate = together.gate_of(work.account.batch_id) if work.account.batch.is_together else None
    due = _open_steps(work, night, journal)
    result = cutover.run_cutover(
        due, journal, sink=work.sink, clock=clock, deadline=work.deadline, stop=work.lease.stop
    )
    if result.outcome is CutoverOutcome.FAILED and not result.past_switch:
        _note_not_switched(work.recipe, journal)
    if result.outcome is CutoverOutcome.DONE and len(due) < len(night):
        if not result.past_switch and clock.now() >= work.deadline:  # whoever is locked out waits so long, no longer
            return replace(result, outcome=CutoverOutcome.LATE, step=night[len(due)].key)
        work.waits_for_others = True
        return replace(result, outcome=CutoverOutcome.STOPPED, step=night[len(due)].key)
    return result


def _open_steps(work: Work, night: list[Step], journal: Journal) -> list[Step]:
    """Return the steps that an account may take now: all, unless its batch moves together."""
    if work.gate is None:
        return night
    begun = [entry.key.position for entry in journal.entries() if entry.status is not EntryStatus.UNDONE]
    gate = max([work.gate, *(position + 1 for position in begun)])  # who comes from an earlier round goes on from there
    return [step for step in night if step.key.position < gate]


def _note_not_switched(recipe: Recipe, journal: Journal) -> None:
    """Give the user back to the source on paper, where SWITCH is proved not done and nothing is undone by itself.

    Whoever stays held is the source's: only so may a person let them go back, or the night be tried again.
    """
    if recipe.on_failure is not OnFailure.STAY_HELD:
        return
    for entry in journal.entries():
        if entry.key.kind is StepKind.SWITCH and entry.status is EntryStatus.BEGUN:
            journal.undone(entry.key)


def _copy_again(journal: Journal) -> None:
    """Let the copy run once more in a night that goes on before its switch: a difference may have been mended since."""
    entries = {entry.key.kind: entry for entry in journal.entries() if entry.status is not EntryStatus.UNDONE}
    if StepKind.SWITCH in entries:
        return
    for kind in (StepKind.VERIFY, StepKind.DELTA):  # what is copied is compared: nothing may come between
        entry = entries.get(kind)
        if entry and entry.status is EntryStatus.DONE:
            journal.undone(entry.key)


def _backward(work: Work, kit: Kit, journal: Journal) -> CutoverResult:
    steps = _of_the_night(work, kit, journal)
    return cutover.roll_back(steps, journal, sink=work.sink, clock=work.approach.world.clock)


def _mail(work: Work) -> Mail:
    return Mail(
        open_source=work.approach.source,
        open_target=work.approach.target,
        ledger=work.ledger,
        policy=work.policy(work.mode),
        limits=work.approach.limits,
        sink=work.sink,
        pop_namer=work.pop_namer(),
        afterwards=partial(_copy_beside, work),
    )


def _copy_beside(work: Work) -> None:
    """Copy what goes beside the mail, in the night."""
    for beside in (classes, scripts):
        beside.copy_in_the_night(work.lease, work.approach, work.ledger, work.sink)


def _after_night(work: Work, result: CutoverResult) -> None:
    if result.outcome is CutoverOutcome.DONE:
        work.note_success()
        count_mail(work)
        return work.go(_S.DONE, step="", **_lockout(work), **_compared(work))
    if result.outcome is CutoverOutcome.STOPPED:
        return _after_stop(work, result)
    error = result.error or MigratorError("cutover.late")
    if result.outcome is CutoverOutcome.UNKNOWN or result.past_switch:
        return work.settle(error, give_up=_S.ATTENTION)
    if work.recipe.on_failure is OnFailure.STAY_HELD:
        return work.go(_S.HELD, error.code, **error_columns(error))
    work.go(_S.ROLLING_BACK, error.code, **error_columns(error))
    return _let_back(work)


def _lockout(work: Work) -> dict[str, Any]:
    """End the time without mail where no step ENABLE did: who governs only the source admits nobody at the target."""
    locked_at = work.lease.rows().values_list("locked_at", flat=True).first()
    if locked_at is None:
        return {}
    return {"locked_at": None, "lockout_seconds": (timezone.now() - locked_at).total_seconds()}


def _compared(work: Work) -> dict[str, Any]:
    """Note how, and when, both sides were compared; nothing where the method compares none."""
    rows = JournalEntry.objects.filter(account=work.account, kind=StepKind.VERIFY, status=EntryStatus.DONE)
    at = rows.order_by("-cutover", "-pk").values_list("ended_at", flat=True).first()
    return {"verified_level": work.account.campaign.verify_level, "verified_at": at} if at else {}


def _after_stop(work: Work, result: CutoverResult) -> None:
    """Go back when a person wants that. A worker that ends leaves the night to the next, at once."""
    match work.lease.stop.reason:
        case StopReason.STOPPED if not result.past_switch:
            work.go(_S.ROLLING_BACK, "stopped", **accounts.NO_ERROR)
            _let_back(work)
        case StopReason.STOPPED | None:
            _wait(work)


def _wait(work: Work) -> None:
    """Look again later at a step that waits for a person or the others. Another worker goes on at once.

    Who was asked to stop when they had crossed waits as the others do: there is only forward for them.
    """
    work.outcome = "stopped"
    if work.lease.stop.reason not in (None, StopReason.STOPPED):
        return None
    if work.waits_for_others and work.gate is not None:
        return together.wait_for_others(work.lease, work.account.batch_id, work.gate)
    return write(work.lease, waiting_for="person", not_before=timezone.now() + timedelta(seconds=PERSON_SECONDS))


def _let_back(work: Work) -> None:
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


# The way back of who had crossed


def _take_back(work: Work) -> None:
    """Bring who had crossed back to the source, with what came since; whom that fails for stays on the target."""
    load = returning.Load()
    begun = work.approach.world.clock.monotonic()
    try:
        with returning.carriage(work.approach, work.ledger, load=load, stop=work.lease.stop) as carry:
            result = _carried_ahead(work, carry) or _night(work, partial(_home, carry))
    except MigratorError as error:
        result = CutoverResult(CutoverOutcome.UNKNOWN, None, error)
    work.lease.check()
    seconds = round(work.approach.world.clock.monotonic() - begun, 1)
    work.figures |= {"carried": load.messages, "bytes": load.size_bytes, "seconds": seconds}
    if result.outcome is CutoverOutcome.DONE:
        work.note_success()
        work.outcome = "taken_back"
        ends = {"is_stopped": True, "taken_back_at": timezone.now(), "catch_up_until": None, "not_before": None}
        return work.go(_S.READY, "taken_back", **ends, **accounts.NO_ERROR)
    if result.outcome is CutoverOutcome.STOPPED and work.lease.stop.is_set():
        return None  # the next worker goes on, at once
    return _stay(work, result.error or MigratorError("unknown"))


def _carried_ahead(work: Work, carry: CarryBack) -> CutoverResult | None:
    """Carry while the user still works; return what ends the way back before it has begun to change anything."""
    batch = work.account.batch
    try:
        result = carry.ahead(Small(messages=batch.ready_messages, seconds=batch.ready_seconds))
    except MigratorError as error:
        return CutoverResult(CutoverOutcome.UNKNOWN, None, error)
    if result.is_stopped:
        return CutoverResult(CutoverOutcome.STOPPED)
    return CutoverResult(CutoverOutcome.UNKNOWN, None, result.error) if result.error else None


def _home(carry: CarryBack, work: Work, kit: Kit, journal: Journal) -> CutoverResult:
    return take_back(work.recipe, kit, journal, carry, sink=work.sink)


def _stay(work: Work, error: MigratorError) -> None:
    """Let the user go on at the target, and look at once for mail that reached the source meanwhile."""
    work.outcome = error.code
    again = _night(work, _again)
    if again.outcome is not CutoverOutcome.DONE:
        return work.settle(again.error or error, give_up=_S.ATTENTION)
    return work.go(_S.DONE, error.code, not_before=timezone.now(), **error_columns(error))


def _again(work: Work, kit: Kit, journal: Journal) -> CutoverResult:
    return stay(work.recipe, kit, journal, sink=work.sink)
