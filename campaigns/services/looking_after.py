"""After the night: late mail is added to the target, and the source is emptied where that was approved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from campaigns.bridge.connect import Approach
from campaigns.bridge.journal import OrmJournal
from campaigns.bridge.lease import hold, write
from campaigns.bridge.removals import RemovingOrmLedger
from campaigns.services import (
    accounts,
    breakers,
    retirements,
)
from campaigns.services.events import record
from campaigns.services.one_run import Work, count_mail, error_columns, tell_error
from campaigns.services.sign_ins import SignIns
from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.events import Event, EventSink, Progress
from migrator.limits import StopSignal
from migrator.mail import FolderPath
from migrator.steps.copying import Mail
from migrator.steps.held import bring_late
from migrator.transfer.copy import run_pass
from migrator.transfer.plan import Mode
from migrator.transfer.removal import RemovalReport, remove_proved, settle_removals


def look_for_late_mail(work: Work) -> MigratorError | None:
    """Run a pass that only adds; return what ended it, or one of its folders, early. Raises ``MigratorError``.

    So comes what reached a file of held mail after its release, also where the old server is gone by now. What was
    added counts as late mail, also where the look was cut off by an error.
    """
    work.ledger.bind(*work.identities)
    arrived = _Arrived(work.sink)
    try:
        unfetched = _fetch_held(work, arrived)
        return _look(work, arrived) or unfetched
    finally:
        work.figures |= {"appended": arrived.messages, "bytes": arrived.size_bytes}


def _fetch_held(work: Work, arrived: _Arrived) -> MigratorError | None:
    """Bring late held mail; return what kept it from that."""
    approach = work.approach
    try:
        hold = approach.hold()
        if hold is not None:
            mail = Mail(
                open_source=approach.source,
                open_target=approach.target,
                ledger=work.ledger,
                policy=work.policy(Mode.CATCH_UP),
                limits=approach.limits,
            )
            journal = OrmJournal(work.lease, work.account.cutover)
            arrived.messages += bring_late(hold.name, hold.connector, journal, work.account.source_login, mail)
    except MigratorError as error:
        return error
    return None


def _look(work: Work, arrived: _Arrived) -> MigratorError | None:
    with work.approach.source() as source, work.approach.target() as target:
        settle_removals(source, RemovingOrmLedger(work.lease), clock=work.approach.world.clock)
        policy = work.named(work.policy(Mode.CATCH_UP), source)
        result = run_pass(source, target, work.ledger, policy=policy, **{**work.terms(), "sink": arrived})
    return result.error or next((one.error for one in result.folders if one.error), None)


@dataclass(slots=True)
class _Arrived:
    """An EventSink that counts what the target confirms, and hands all on."""

    sink: EventSink
    messages: int = 0
    size_bytes: int = 0

    def emit(self, event: Event) -> None:
        """See EventSink."""
        if isinstance(event, Progress):
            self.messages += event.messages
            self.size_bytes += event.size_bytes
        self.sink.emit(event)


def retire(work: Work) -> MigratorError | None:
    """Remove from the source what is proved to be on the target, where that was approved and nothing speaks against it.

    Comes after a look that found nothing. Raises ``MigratorError`` before anything is removed.
    """
    account, now = work.account, timezone.now()
    retirement = retirements.of_batch(account.batch_id)
    if retirement is None or account.source_removed_at is not None or work.figures["appended"]:
        return None
    late = retirements.LateMail.of_account(account, retirement, now)
    signs = SignIns.of_account(account, retirement.quiet_days, now)
    if retirements.objections(account, retirement, now, late=late, signs=signs):
        return None
    if not _is_shut_out(work.approach, is_measured=retirement.is_by_log):
        return MigratorError("retirement.admitted", side=Side.SOURCE)
    ledger = RemovingOrmLedger(work.lease)
    folders = [FolderPath(state.source) for state in ledger.states()]
    terms = work.terms()
    with work.approach.shrinking_source() as source, work.approach.target() as target:
        stop = _Withdrawn(terms["stop"], retirement.pk)
        report = remove_proved(source, target, ledger, folders, stop=stop, clock=terms["clock"])
    work.lease.check()
    work.figures |= {"removed": report.removed, "kept": report.kept.total()}
    _tell_removed(work, report)
    if report.is_suspicious:
        return MigratorError("retirement.differs", side=Side.TARGET)
    error = report.error or next((failure for _, failure in report.folder_errors), None)
    if error is None and not report.is_stopped:
        write(work.lease, source_removed_at=timezone.now())
    return error


@dataclass(frozen=True, slots=True)
class _Withdrawn:
    """A StopSignal: ``stop``, and asked for when the retirement is withdrawn meanwhile."""

    stop: StopSignal
    retirement_id: int

    def is_set(self) -> bool:
        return self.stop.is_set() or not retirements.is_open(self.retirement_id)


def _is_shut_out(approach: Approach, *, is_measured: bool) -> bool:
    """Tell, by asking now, whether the user is kept from the source by all that could do so.

    A route alone is believed where their own password was seen refused just now, or logs (``is_measured``) show that
    nobody comes by the old door: that it leads them elsewhere does not close that one.
    """
    campaign, route = approach.account.campaign, approach.route()
    if route is not None and route.connector.current(approach.account.source_login) is not Side.TARGET:
        return False
    is_let_in = approach.lets_into_source()
    if is_let_in:
        return False
    directory = approach.directory(Side.SOURCE)
    if directory is not None and retirements.has_own_directory(campaign):
        return directory.connector.is_disabled(approach.address(Side.SOURCE))
    return retirements.is_shut_out(campaign) and (is_let_in is False or is_measured)


def _tell_removed(work: Work, report: RemovalReport) -> None:
    account = work.account
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    kept = {reason.value: count for reason, count in sorted(report.kept.items())}
    with transaction.atomic():
        hold(work.lease)
        actor = work.lease.holder or "worker"
        record("account.source_mail.removed", actor=actor, **ids, removed=report.removed, kept=kept)


def look_again(work: Work, error: MigratorError | None) -> None:
    """Note how a look for late mail went, and when the next one is due."""
    work.sink.flush()
    work.lease.check()
    now, account = timezone.now(), work.account
    again = now + timedelta(minutes=max(1, account.campaign.catch_up_minutes))
    is_over = account.catch_up_until is None or again > account.catch_up_until
    if is_over and error is None and retirements.is_awaited(account):
        is_over, again = False, now + timedelta(days=1)
    if error is None:
        work.note_success()
        count_mail(work)
        return write(work.lease, not_before=None if is_over else again, **accounts.NO_ERROR)
    work.outcome = error.code
    if error.radius is Radius.SERVER and error.side is not None:
        breakers.failed(account.target_id if error.side is Side.TARGET else account.source_id, error, now)
    if error.code != account.error_code:
        tell_error(work, "account.catch_up.failed", error)
    # What only a person mends is not tried all day: a password would be refused each time.
    is_over = is_over or error.patience is Patience.NEVER
    return write(work.lease, not_before=None if is_over else again, **error_columns(error))
