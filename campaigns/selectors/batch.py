"""One batch: how far it is, what it waits for, and its accounts page by page."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone

from campaigns.models import Account, Batch, BatchCount, Campaign
from campaigns.selectors.figures import Figures
from campaigns.services import capacity, together
from campaigns.states import FAMILY, AccountState, Family

PAGE: Final = 100
LONGEST_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch as people look at it. ``waits_for``: start, resume, go, window, canary, step, or "" for nothing."""

    batch: Batch
    figures: Figures
    waits_for: str

    @property
    def has_ended(self) -> bool:
        """True when nothing more happens without a person."""
        return self.batch.ended_at is not None


@dataclass(frozen=True, slots=True)
class Page:
    """Some accounts, by id. ``next_after`` asks for those that follow; None when there are none."""

    accounts: list[Account]
    next_after: int | None


def view(batch_id: int, now: datetime | None = None) -> BatchView:
    """Return one batch. Raises ``Batch.DoesNotExist``."""
    batch = Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch_id)
    return look(batch, now or timezone.now())


def look(batch: Batch, now: datetime) -> BatchView:
    """Return how a batch stands that was read already, with its campaign. One query."""
    rows = BatchCount.objects.filter(batch=batch, accounts__gt=0).values_list("state", "accounts")
    return BatchView(batch, Figures.of(rows), _waits_for(batch, now))


def views_of(campaign: Campaign, now: datetime | None = None) -> list[BatchView]:
    """Return all batches of a campaign, by number."""
    now = now or timezone.now()
    states: dict[int, list[tuple[str, int]]] = defaultdict(list)
    counts = BatchCount.objects.filter(batch__campaign=campaign, accounts__gt=0)
    for batch_id, state, accounts in counts.values_list("batch_id", "state", "accounts"):
        states[batch_id].append((state, accounts))
    rows = Batch.objects.filter(campaign=campaign).select_related("campaign").order_by("number")
    return [BatchView(batch, Figures.of(states[batch.pk]), _waits_for(batch, now)) for batch in rows]


def _waits_for(batch: Batch, now: datetime) -> str:
    if batch.ended_at is not None:
        return ""
    is_first_done = capacity.is_canary(batch) and batch.cutovers_begun >= batch.canary
    if together.waits_for_step(batch, now) is not None:
        return "step"
    return capacity.waits_for(batch, now) or ("canary" if is_first_done else "")


def accounts(
    batch_id: int,
    *,
    state: AccountState | None = None,
    family: Family | None = None,
    after: int = 0,
    limit: int = PAGE,
) -> Page:
    """Return accounts of a batch with an id above ``after``, of one state or family where that is asked for."""
    rows = Account.objects.filter(batch=batch_id, pk__gt=after)
    if state is not None:
        rows = rows.filter(state=state)
    if family is not None:
        rows = rows.filter(state__in=[state for state in AccountState if FAMILY[state] is family])
    limit = max(1, min(limit, LONGEST_PAGE))
    found = list(rows.order_by("pk").defer("source_secret", "target_secret")[: limit + 1])
    return Page(found[:limit], found[limit - 1].pk if len(found) > limit else None)
