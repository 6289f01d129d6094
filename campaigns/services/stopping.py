"""Stop for a whole batch: what it would do, in numbers, and doing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Q

from campaigns.bridge.lease import ARRIVING
from campaigns.models import Account, Batch
from campaigns.services import accounts, batches
from campaigns.services.events import Actor
from campaigns.services.refusals import Refused
from campaigns.states import AccountState

_S = AccountState
_WAIT: Final = (_S.NEW, _S.CHECKING, _S.STAGING, _S.READY)
_MOVE: Final = (_S.CUTTING_OVER, _S.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class Effect:
    """What becomes of the accounts of a batch when it is stopped."""

    waiting: int  # begin nothing more
    back: int  # are being moved and go back
    finishing: int  # are switched, or may be: there is only forward


def effect(batch: Batch) -> Effect:
    """Return what stopping would do now."""
    rows = Account.objects.filter(batch=batch, state__in=(*_WAIT, *_MOVE)).only("state", "owner", "arrives_first")
    found = list(rows)
    moving = [account for account in found if account.state in _MOVE or _is_arriving(account)]
    back = [account for account in moving if accounts.is_home(account)]
    return Effect(len(found) - len(moving), len(back), len(moving) - len(back))


def _is_arriving(account: Account) -> bool:
    return account.arrives_first and account.state == _S.CHECKING


def stop(batch: Batch, *, actor: Actor) -> Effect:
    """Begin nothing more, and let all go back who are being moved and not switched. Return what really was done.

    Who crosses the switch meanwhile is finished.
    """
    batches.pause(batch, actor=actor, reason="stopped")
    back = 0
    moving = Account.objects.filter(Q(state=_S.CUTTING_OVER) | ARRIVING, batch=batch, stop_requested=False)
    for account_id in moving.order_by("pk").values_list("pk", flat=True):
        try:
            accounts.request_stop(account_id, actor=actor)
            back += 1
        except Refused:  # switched by now
            continue
    now = effect(batch)
    return Effect(now.waiting, back, now.finishing)
