"""Taking people back who had crossed: one, or the accounts of a batch, the first few before the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Exists, OuterRef
from django.utils import timezone

from campaigns.bridge import returning
from campaigns.bridge.connect import Approach, World, night_recipe
from campaigns.bridge.ledger import StoredLedger
from campaigns.models import Account, Batch, RemovedMessage, Run
from campaigns.services import accounts
from campaigns.services.accounts import NO_ERROR, StateChanged
from campaigns.services.campaigns import require_open
from campaigns.services.events import Actor, record
from campaigns.services.preflights import IMPATIENT
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError

LOOKED: Final = "account.return.looked"
LOOKED_AT_MANY: Final = "batch.return.looked"
LOOK_SECONDS: Final = 20.0  # somebody waits for the answer
MOST_LOOKED_AT: Final = 20  # of a batch
MOST_FIRST: Final = 20  # more are no first few

_S = AccountState


def take_back(account_id: int, *, actor: Actor, reason: str) -> None:
    """Have one who crossed taken back to the source, with the mail that came since. Raises ``Refused``."""
    account = Account.objects.select_related("campaign", "batch", "source", "target").get(pk=account_id)
    refusal = why_not(account)
    if refusal:
        raise Refused(refusal)
    if not reason.strip():
        raise Refused("account.reason_missing")
    require_open(account.campaign_id)
    columns = {**NO_ERROR, "return_asked_at": timezone.now(), "not_before": None, "attempts": 0}
    try:
        accounts.transition(
            account_id, expect=_S.DONE, to=_S.ROLLING_BACK, lease=None, actor=actor, reason=reason.strip(), **columns
        )
    except StateChanged:
        raise Refused("account.busy") from None


def why_not(account: Account) -> str:
    """Return the code of the refusal that keeps an account from being taken back; "" when nothing does."""
    if account.state != _S.DONE:
        return "return.not_moved"
    if account.source_removed_at is not None or RemovedMessage.objects.filter(account=account).exists():
        return "return.retired"  # also where the removal is not through: what went is only on the target
    if night_recipe(account).arrive_first:
        return "return.arrived_first"
    if not returning.is_carried_between(account):
        return "return.no_imap"
    return ""


def look(account: Account, *, actor: Actor, world: World = IMPATIENT) -> None:
    """Count what came to the target since, and note it. Changes nothing. Raises ``MigratorError``, ``Refused``."""
    refusal = why_not(account)
    if refusal:
        raise Refused(refusal)
    messages, size_bytes = _arrived(account, world)
    place = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record(LOOKED, actor=actor, **place, messages=messages, bytes=size_bytes)


def look_at_some(batch: Batch, *, actor: Actor, world: World = IMPATIENT) -> None:
    """Count what came to the target since for some of a batch, as many as a person waits for, and note it.

    Raises ``Refused`` when nobody is there to look at, and ``MigratorError`` when nobody can be looked at.
    """
    keys = list(Account.objects.filter(batch=batch, state=_S.DONE).order_by("pk").values_list("pk", flat=True))
    if not keys:
        raise Refused("return.nobody")
    until = time.monotonic() + LOOK_SECONDS
    counts: list[tuple[int, int]] = []
    error: MigratorError | None = None
    for key in _spread(keys, MOST_LOOKED_AT):
        if time.monotonic() > until:
            break
        account = Account.objects.select_related("campaign", "batch", "source", "target").get(pk=key)
        try:
            counts.append(_arrived(account, world))
        except MigratorError as failure:
            error = failure
    if not counts and error is not None:
        raise error
    found = {"accounts": len(counts), "of": len(keys)}
    found |= {"messages": sum(one[0] for one in counts), "bytes": sum(one[1] for one in counts)}
    record(LOOKED_AT_MANY, actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, **found)


def _arrived(account: Account, world: World) -> tuple[int, int]:
    with Approach(account, world) as approach:
        return returning.arrived(approach, StoredLedger(account.pk))


def _spread(keys: Sequence[int], most: int) -> Sequence[int]:
    """Return at most ``most`` of them, from the first to the last."""
    return keys[:: max(1, -(-len(keys) // most))]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a batch has been taken back, in accounts."""

    done: int  # on the target
    under_way: int
    unsettled: int  # whose way back needs a decision
    back: int

    @property
    def may_all(self) -> bool:
        """True once the first few are home and nothing of theirs is open."""
        return self.back > 0 and not self.under_way and not self.unsettled


def standing(batch: Batch) -> Standing:
    """Return how far ``batch`` has been taken back."""
    rows = Account.objects.filter(batch=batch)
    asked = rows.filter(return_asked_at__isnull=False)
    return Standing(
        done=rows.filter(state=_S.DONE).count(),
        under_way=asked.filter(state=_S.ROLLING_BACK).count(),
        unsettled=asked.filter(state=_S.ATTENTION).count(),
        back=rows.filter(taken_back_at__isnull=False, owner="source").count(),
    )


@dataclass(slots=True)
class Asked:
    """How the asking for many went."""

    accounts: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # code -> accounts


def take_batch_back(batch: Batch, *, first: int | None, actor: Actor, reason: str) -> Asked:
    """Have the ``first`` few of a batch taken back, or with None all the others. Raises ``Refused``.

    The others follow only when somebody was taken back before and nothing of that is open: whoever was not asked
    before their way back failed stays on the target, and is in ``refused`` with the reason.
    """
    now = standing(batch)
    if not now.done:
        raise Refused("return.nobody")
    if first is None and not now.may_all:
        raise Refused("return.first_few" if not now.back else "return.open")
    if first is not None and not 1 <= first <= MOST_FIRST:
        raise Refused("return.number")
    asked = Asked()
    for account_id in _in_turn(batch)[:first]:
        try:
            take_back(account_id, actor=actor, reason=reason)
            asked.accounts += 1
        except Refused as refusal:
            if refusal.code == "account.reason_missing":
                raise
            asked.refused[refusal.code] += 1
    return asked


def _in_turn(batch: Batch) -> list[int]:
    """Return who works on the target. Nobody important is among the first few, nor who stayed when it was tried."""
    tried = Run.objects.filter(account=OuterRef("pk"), kind="rollback", figures__has_key="carried")
    rows = Account.objects.filter(batch=batch, state=_S.DONE).annotate(has_stayed=Exists(tried))
    return list(rows.order_by("has_stayed", "is_vip", "pk").values_list("pk", flat=True))
