"""One account: where it is, what it waits for, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from campaigns.models import Account, Event
from campaigns.services import capacity
from campaigns.states import AccountState

EVENTS: Final = 100

_BY_A_PERSON: Final = (AccountState.FAILED, AccountState.HELD, AccountState.ATTENTION)


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account as people look at it, with its latest events, the latest first."""

    account: Account
    waits_for: str
    events: list[Event]


def view(account_id: int, *, events: int = EVENTS, now: datetime | None = None) -> AccountView:
    """Return one account. Raises ``Account.DoesNotExist``."""
    rows = Account.objects.select_related("batch__campaign", "source", "target")
    account = rows.defer("source_secret", "target_secret").get(pk=account_id)
    history = list(Event.objects.filter(account=account_id).order_by("-pk")[:events])
    return AccountView(account, waits_for(account, now or timezone.now()), history)


def waits_for(account: Account, now: datetime) -> str:
    """Return what keeps an account waiting; "" when it is worked on, or has nothing more to do.

    One of person, pause (its own, after an error), breaker, room, start, resume, go, window, canary, slot.
    """
    state = AccountState(account.state)
    if account.lease_until is not None or state in (AccountState.DONE, AccountState.EXCLUDED):
        return ""
    if account.is_stopped or state in _BY_A_PERSON:
        return "person"
    if account.not_before is not None and account.not_before > now:
        return account.waiting_for or "pause"
    if state is AccountState.READY:
        return _cutover_waits_for(account, now)
    batch = account.batch
    return "slot" if capacity.may_stage(batch) else ("start" if batch.started_at is None else "resume")


def _cutover_waits_for(account: Account, now: datetime) -> str:
    batch = account.batch
    is_later = capacity.is_canary(batch) and batch.cutovers_begun >= batch.canary and not account.cutover
    return capacity.waits_for(batch, now) or ("canary" if is_later else "slot")
