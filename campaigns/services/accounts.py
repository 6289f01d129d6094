"""One account: its state, and what people may ask for it.

``transition`` is the only writer of a state. It compares and sets: whoever acts on what is not so any more changes
nothing. The event and the figures of the batch are written in the same transaction.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from campaigns.bridge.lease import ARRIVING, STOPPABLE, Lease, LeaseLost, take_owner, write
from campaigns.models import Account, Batch, BatchCount, Campaign, JournalEntry, MovedHour
from campaigns.services import breakers, campaigns, secrets
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.states import TRANSITIONS, AccountState, Owner
from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.journal import EntryStatus, StepKind

__all__ = [
    "NoSuchEdge",
    "Retried",
    "StateChanged",
    "Verdict",
    "exclude",
    "is_home",
    "request_stop",
    "resolve",
    "resume",
    "retry",
    "retry_cause",
    "retry_many",
    "roll_back",
    "settle",
    "take_in",
    "take_owner",
    "transition",
]

_S = AccountState

# Something may still happen to these without a person.
UNFINISHED: Final = (_S.NEW, _S.CHECKING, _S.STAGING, _S.READY, _S.CUTTING_OVER, _S.ROLLING_BACK)

FIRST_PAUSE_SECONDS: Final = 30.0
LONGEST_PAUSE_SECONDS: Final = 3600.0
# After what is the fault of a server or of this machine: no attempt is used up by it.
SHARED_PAUSE_SECONDS: Final = 60.0

# After these nobody tries the same password again.
STRANGERS: Final = "pair.strangers"  # the target holds another person's mail
PASSWORD_CODES: Final = frozenset({"sign_in.refused", "sign_in.passwords_off", "sign_in.password_expired"})


def _of_campaign(column: str) -> Subquery:
    return Subquery(Campaign.objects.filter(pk=OuterRef("campaign_id")).values(column)[:1])


NO_ERROR: Final[dict[str, Any]] = {"error_code": "", "error_side": "", "error_reply": "", "error_at": None}
_FRESH: Final[dict[str, Any]] = {**NO_ERROR, "attempts": 0, "not_before": None}
_COLUMNS_OF_EDGE: Final[dict[str, dict[str, Any]]] = {
    "b": _FRESH,
    "c": _FRESH,
    # What is undone later is what was done then, however the campaign has been changed since.
    "f": {"cutover": F("cutover") + 1, "night_recipe": _of_campaign("recipe"), "night_steps": _of_campaign("steps")},
    "g": _FRESH,
    "l": _FRESH,
    "n": {**_FRESH, "is_stopped": False},
}
_REPLY_CHARACTERS: Final = 500


class NoSuchEdge(ValueError):
    """An account does not go from the one state to the other in one step."""


class StateChanged(Exception):
    """The account is not in the expected state any more, or somebody works on it. Nothing was written."""


def transition(
    account_id: int,
    *,
    expect: AccountState,
    to: AccountState,
    lease: Lease | None,
    actor: Actor,
    reason: str = "",
    **columns: Any,
) -> None:
    """Bring an account from ``expect`` to ``to``, with its event and the figures of its batch, or change nothing.

    Without a ``lease`` nobody must be working on it. ``columns`` are written in the same statement. Raises
    ``NoSuchEdge``, ``LeaseLost``, ``StateChanged``.
    """
    edge = TRANSITIONS.get((expect, to))
    if edge is None:
        raise NoSuchEdge(f"{expect} -> {to}")
    columns = {**_columns_of_edge(edge, expect, to), **columns}
    with transaction.atomic():
        rows = lease.rows() if lease else Account.objects.filter(pk=account_id, lease_until=None)
        if rows.filter(pk=account_id, state=expect).update(state=to, state_since=timezone.now(), **columns) != 1:
            if lease and not lease.rows().exists():
                raise LeaseLost(f"account {account_id}, epoch {lease.epoch}")
            raise StateChanged(f"account {account_id} is not {expect}, or is taken")
        rows = Account.objects.select_related("campaign")
        account = rows.only("batch", "cutover", "campaign__catch_up_days", "campaign__catch_up_minutes").get(
            pk=account_id
        )
        _count(account.batch_id, expect, to)
        _count_moved(account.batch_id, (to is _S.DONE) - (expect is _S.DONE))
        _follow_up(account, expect, to, edge)
        _tell(account, f"account.state.{to}", actor, start=expect, edge=edge, reason=reason)


def _columns_of_edge(edge: str, start: AccountState, end: AccountState) -> dict[str, Any]:
    columns = {"waiting_for": "person" if end in (_S.HELD, _S.ATTENTION) else "", **_COLUMNS_OF_EDGE.get(edge, {})}
    if end in (_S.READY, _S.DONE, _S.FAILED, _S.EXCLUDED):
        columns |= {"step": "", "return_asked_at": None}
    if end is _S.FAILED:
        columns["resume_state"] = start if start in (_S.CHECKING, _S.STAGING) else _S.READY
    return columns


def _count(batch_id: int, start: AccountState, end: AccountState) -> None:
    # Always in the same order: two transitions that cross must not wait for one another.
    for state, more in sorted(((start, -1), (end, 1))):
        rows = BatchCount.objects.filter(batch=batch_id, state=state)
        if not rows.update(accounts=F("accounts") + more):
            BatchCount.objects.get_or_create(batch_id=batch_id, state=state)
            rows.update(accounts=F("accounts") + more)


def _count_moved(batch_id: int, more: int) -> None:
    """Note in which hour accounts came to the new server, for the curve of a campaign."""
    if not more:
        return
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    rows = MovedHour.objects.filter(batch=batch_id, hour=hour)
    if not rows.update(accounts=F("accounts") + more):
        MovedHour.objects.get_or_create(batch_id=batch_id, hour=hour)
        rows.update(accounts=F("accounts") + more)


def _follow_up(account: Account, start: AccountState, end: AccountState, edge: str) -> None:
    """Write what a transition means beyond the row of its account's state."""
    batch = Batch.objects.filter(pk=account.batch_id)
    if edge == "f" and account.cutover == 1:
        batch.update(cutovers_begun=F("cutovers_begun") + 1)
    if end in UNFINISHED and start not in UNFINISHED:
        batch.update(ended_at=None)  # also where it is None: who is about to mark the batch as ended waits for us
    days, minutes = account.campaign.catch_up_days, account.campaign.catch_up_minutes
    if end is _S.DONE and days:
        now = timezone.now()
        Account.objects.filter(pk=account.pk).update(
            catch_up_until=now + timedelta(days=days), not_before=now + timedelta(minutes=minutes)
        )


def _tell(account: Account, name: str, actor: Actor, **facts: Any) -> None:
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record(name, actor=actor, **ids, **facts)


# What follows an error


def settle(
    lease: Lease,
    error: MigratorError,
    *,
    state: AccountState,
    wait_in: AccountState | None = None,
    give_up: AccountState = AccountState.FAILED,
    now: datetime | None = None,
) -> bool:
    """Give an account what ``error`` deserves. True when it is tried again by itself, in ``wait_in`` or where it is.

    What is the server's fault opens its breaker and uses up no attempt; what a person must mend, and the attempt after
    the last, ends in ``give_up``. What all share and a person must mend pauses the campaign. Raises ``LeaseLost``.
    """
    now = now or timezone.now()
    account = Account.objects.select_related("batch").get(pk=lease.account_id)
    columns = _error_columns(account, error, now)
    pause = _pause(account, error, now)
    if pause is None:
        transition(
            account.pk, expect=state, to=give_up, lease=lease, actor=_worker(lease), reason=error.code, **columns
        )
        return False
    columns |= {"not_before": now + timedelta(seconds=pause), "waiting_for": _waits_for(error)}
    if not _is_shared(error):
        columns["attempts"] = account.attempts + 1
    if wait_in is None or wait_in is state:
        write(lease, **columns)
    else:
        transition(
            account.pk, expect=state, to=wait_in, lease=lease, actor=_worker(lease), reason=error.code, **columns
        )
    return True


def _worker(lease: Lease) -> str:
    return lease.holder or "worker"


def _error_columns(account: Account, error: MigratorError, now: datetime) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "error_code": error.code,
        "error_side": error.side or "",
        "error_reply": error.reply[:_REPLY_CHARACTERS],
        "error_at": now,
    }
    sealed = account.target_secret if error.side is Side.TARGET else account.source_secret
    if error.code in PASSWORD_CODES and sealed:
        columns["refused_secret"] = secrets.fingerprint(bytes(sealed))
    return columns


def remember_refused(account: Account, error: MigratorError) -> None:
    """Note that a server refused the stored password of ``account``, so that it is not sent again. Not its state."""
    columns = _error_columns(account, error, timezone.now())
    if refused := columns.get("refused_secret"):
        Account.objects.filter(pk=account.pk).update(refused_secret=refused)


def _is_shared(error: MigratorError) -> bool:
    """True for what is no fault of this account."""
    return _is_of_server(error) or error.radius is Radius.CONFIG


def _is_of_server(error: MigratorError) -> bool:
    return error.radius is Radius.SERVER and error.side is not None


def _pause(account: Account, error: MigratorError, now: datetime) -> float | None:
    """Return the seconds until the next attempt; None when there is none."""
    if _is_shared(error) and error.patience is Patience.NEVER:
        campaigns.pause(account.campaign_id, actor="mailferry", reason=error.code)
    if _is_of_server(error):
        server = account.target_id if error.side is Side.TARGET else account.source_id
        return max(breakers.failed(server, error, now), error.retry_after or 0.0)
    if error.radius is Radius.CONFIG:
        return max(SHARED_PAUSE_SECONDS, error.retry_after or 0.0)
    if error.patience is Patience.NEVER or account.attempts + 1 >= account.batch.max_attempts:
        return None
    return max(back_off_seconds(account.attempts + 1), error.retry_after or 0.0)


def back_off_seconds(attempts: int) -> float:
    """Return how long to wait after so many failed attempts: 30 s, 2 min, 8 min ... an hour; a tenth by chance."""
    seconds = min(FIRST_PAUSE_SECONDS * 4.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
    return seconds * random.uniform(0.9, 1.1)


def _waits_for(error: MigratorError) -> str:
    if _is_of_server(error):
        return "breaker"
    return "room" if error.code == "target.full" else ""


# What people ask for


def retry(account_id: int, *, actor: Actor) -> None:
    """Try again at once: from where it failed, from where it is held, or before its pause is over.

    Raises ``Refused``: also when the server has refused the very password that is stored.
    """
    account = Account.objects.get(pk=account_id)
    state = AccountState(account.state)
    if _has_refused_password(account):
        raise Refused("account.same_password")
    if state is _S.FAILED:
        resume_state = AccountState(account.resume_state or _S.CHECKING)
        _ask(account_id, expect=state, to=resume_state, actor=actor, reason="retry", is_stopped=False)
    elif state is _S.HELD:
        _ask(account_id, expect=state, to=_S.CUTTING_OVER, actor=actor, reason="retry", **_FRESH)
    else:
        _clear_pause(account, actor)


def vouch(account_id: int, *, actor: Actor) -> None:
    """Say that both mailboxes are one person's though they look different, and try again. Raises ``Refused``."""
    account = Account.objects.get(pk=account_id)
    with transaction.atomic():
        rows = Account.objects.filter(pk=account_id, error_code=STRANGERS, is_one_person=False)
        if rows.update(is_one_person=True) != 1:
            raise Refused("account.nothing_to_vouch")
        _tell(account, "account.vouched", actor)
        retry(account_id, actor=actor)


def _has_refused_password(account: Account) -> bool:
    sealed = account.target_secret if account.error_side == Side.TARGET else account.source_secret
    if account.error_code not in PASSWORD_CODES or not sealed or not account.refused_secret:
        return False
    return secrets.fingerprint(bytes(sealed)) == account.refused_secret


def _clear_pause(account: Account, actor: Actor) -> None:
    with transaction.atomic():
        rows = Account.objects.filter(pk=account.pk, state__in=UNFINISHED, lease_until=None, not_before__isnull=False)
        if rows.update(not_before=None, attempts=0, waiting_for="") != 1:
            raise Refused("account.nothing_to_retry")
        _tell(account, "account.retried", actor)


def _ask(account_id: int, **change: Any) -> None:
    """Make a transition that a person asks for."""
    try:
        transition(account_id, lease=None, **change)
    except StateChanged as error:
        raise Refused("account.busy") from error


@dataclass(frozen=True, slots=True)
class Retried:
    """How the retry of many went."""

    accounts: int
    refused: Counter[str] = field(default_factory=Counter)  # code -> accounts


def retry_many(account_ids: Iterable[int], *, actor: Actor) -> Retried:
    """Try several again, each for itself: what one account refuses does not keep the others back."""
    done, refused = 0, Counter[str]()
    for account_id in account_ids:
        try:
            retry(account_id, actor=actor)
            done += 1
        except Refused as refusal:
            refused[refusal.code] += 1
    return Retried(done, refused)


def retry_cause(campaign_id: int, error_code: str, *, actor: Actor, batch_id: int | None = None) -> Retried:
    """Try all again that failed, are held or wait for the same cause, in a campaign or one batch of it."""
    rows = Account.objects.filter(campaign=campaign_id, error_code=error_code)
    if batch_id is not None:
        rows = rows.filter(batch=batch_id)
    waiting = rows.filter(state__in=UNFINISHED, not_before__isnull=False)
    ids = {*rows.filter(state__in=(_S.FAILED, _S.HELD)).values_list("pk", flat=True)}
    return retry_many(sorted(ids | {*waiting.values_list("pk", flat=True)}), actor=actor)


def request_stop(account_id: int, *, actor: Actor) -> None:
    """Let an account rest where it is, as soon as its worker reaches a place to go on from. Raises ``Refused``.

    During a cutover the worker goes back first: nobody stays locked out because an account was stopped.
    """
    account = Account.objects.get(pk=account_id)
    if not is_home(account):
        raise Refused("account.past_switch")
    rows = Account.objects.filter(pk=account_id, owner=account.owner)
    with transaction.atomic():
        # Who is on the way to the new server goes back, too: they are locked out meanwhile.
        resting = rows.filter(~ARRIVING, lease_until=None, state__in=STOPPABLE).update(is_stopped=True)
        moving = rows.filter(Q(state=_S.CUTTING_OVER) | ARRIVING)
        worked_on = rows.filter(lease_until__isnull=False, state__in=STOPPABLE) | moving
        # Who waits, for others or a person, is not left waiting.
        if not resting and not worked_on.update(stop_requested=True, not_before=None):
            raise Refused("account.cannot_stop")
        _tell(account, "account.stop_requested", actor)


def resume(account_id: int, *, actor: Actor) -> None:
    """Let a stopped account go on. Raises ``Refused``."""
    account = Account.objects.get(pk=account_id)
    with transaction.atomic():
        if Account.objects.filter(pk=account_id, is_stopped=True).update(is_stopped=False) != 1:
            raise Refused("account.not_stopped")
        Batch.objects.filter(pk=account.batch_id).update(ended_at=None)
        _tell(account, "account.resumed", actor)


def exclude(account_id: int, *, actor: Actor, reason: str = "") -> None:
    """Leave an account out of the move. Nothing is disabled, held or worked on then. Raises ``Refused``."""
    state = _state(account_id)
    if state not in (_S.NEW, _S.READY, _S.FAILED) or _is_shut_out_on_the_way(account_id):
        raise Refused("account.cannot_exclude")
    _ask(account_id, expect=state, to=_S.EXCLUDED, actor=actor, reason=reason)


def _is_shut_out_on_the_way(account_id: int) -> bool:
    """True for who came first to the target, failed on the way there, and may be locked out on both servers."""
    rows = Account.objects.filter(pk=account_id, state=_S.FAILED, arrives_first=True)
    return rows.filter(Q(locked_at__isnull=False) | Q(owner=Owner.UNKNOWN)).exists()


def take_in(account_id: int, *, actor: Actor, reason: str = "") -> None:
    """Take an excluded account into the move again, from the beginning. Raises ``Refused``."""
    if _state(account_id) is not _S.EXCLUDED:
        raise Refused("account.not_excluded")
    _ask(account_id, expect=_S.EXCLUDED, to=_S.NEW, actor=actor, reason=reason)


def _state(account_id: int) -> AccountState:
    return AccountState(Account.objects.values_list("state", flat=True).get(pk=account_id))


def is_home(account: Account) -> bool:
    """True when the user is where a night that is undone leaves them.

    That is the source, but for who came to the target before their old mail did: they go on there without it, once
    they have arrived.
    """
    has_arrived = account.state not in (_S.CHECKING, _S.DONE)
    is_there = account.arrives_first and account.owner == Owner.TARGET and has_arrived
    return account.owner == Owner.SOURCE or is_there


def roll_back(account_id: int, *, actor: Actor, reason: str = "") -> None:
    """Let the user back to the source, before the switch. A worker that is at it is asked to. Raises ``Refused``."""
    account = Account.objects.get(pk=account_id)
    state = AccountState(account.state)
    if state not in (_S.CUTTING_OVER, _S.HELD):
        raise Refused("account.past_switch" if state is _S.DONE else "account.nothing_to_undo")
    if not is_home(account):
        raise Refused("account.past_switch")
    if account.lease_until is not None:
        request_stop(account_id, actor=actor)
    else:
        _ask(account_id, expect=state, to=_S.ROLLING_BACK, actor=actor, reason=reason or "asked", not_before=None)


class Verdict(StrEnum):
    """What a person decides about an account of which it is not known how far it came."""

    FORWARD = "forward"  # finish the cutover
    BACK = "back"  # let the user back to the source
    ON_SOURCE = "on_source"  # it was looked at by hand: the user is on the source
    ON_TARGET = "on_target"


def resolve(account_id: int, verdict: Verdict, *, actor: Actor, reason: str) -> None:
    """Decide about an account that waits for a decision. ``reason`` is kept. Raises ``Refused``.

    Rolling back needs the proof that the user is still on the source. To say by hand where the user is settles it; that
    is refused while new mail is held: nobody would look after it any more, and in the end it would be returned.
    """
    account = Account.objects.get(pk=account_id)
    if account.state != _S.ATTENTION:
        raise Refused("account.no_decision_needed")
    if not reason.strip():
        raise Refused("account.reason_missing")
    if verdict is Verdict.BACK and not is_home(account) and account.return_asked_at is None:
        raise Refused("account.owner_not_source")
    if verdict in (Verdict.ON_SOURCE, Verdict.ON_TARGET) and _is_held(account):
        raise Refused("account.mail_held")
    to, columns = _DECISIONS[verdict]
    with transaction.atomic():
        _ask(account_id, expect=_S.ATTENTION, to=to, actor=actor, reason=reason, **columns)
        _tell(account, "account.resolved", actor, verdict=verdict, owner=columns.get("owner", ""), reason=reason)


def _is_held(account: Account) -> bool:
    """Return whether new mail may wait for the user: somebody held it, and it is not proved to flow again."""
    entries = JournalEntry.objects.filter(account=account, cutover=account.cutover)
    held = entries.filter(kind=StepKind.HOLD).exclude(status=EntryStatus.UNDONE).count()
    return held > entries.filter(kind=StepKind.RELEASE, status=EntryStatus.DONE).count()


_DECISIONS: Final[dict[Verdict, tuple[AccountState, dict[str, Any]]]] = {
    Verdict.FORWARD: (_S.CUTTING_OVER, {"attempts": 0, "not_before": None}),
    Verdict.BACK: (_S.ROLLING_BACK, {"attempts": 0, "not_before": None}),
    Verdict.ON_SOURCE: (_S.FAILED, {"owner": Owner.SOURCE}),
    Verdict.ON_TARGET: (_S.DONE, {"owner": Owner.TARGET, "is_stopped": False}),
}
