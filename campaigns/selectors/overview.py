"""All campaigns at a glance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import F, QuerySet, Sum

from campaigns.models import Batch, BatchCount, Campaign
from campaigns.selectors.figures import Figures
from campaigns.states import AccountState


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One campaign, its batches, and how far each is."""

    campaign: Campaign
    figures: Figures
    batches: list[tuple[Batch, Figures]]

    @property
    def done(self) -> int:
        """Accounts on the new server."""
        return self.figures.states[AccountState.DONE]

    @property
    def key(self) -> str:
        """Something unique on a page of campaigns."""
        return f"campaign-{self.campaign.pk}"


def campaigns() -> list[CampaignView]:
    """Return all campaigns, the latest first."""
    return _views(Campaign.objects.all())


def open_campaigns() -> list[CampaignView]:
    """Return the campaigns that are not closed, the latest first."""
    return _views(Campaign.objects.filter(closed_at=None))


def latest() -> Campaign | None:
    """Return the open campaign that was made last; the last closed one when none is open."""
    return Campaign.objects.order_by(F("closed_at").desc(nulls_first=True), "-pk").first()


def _views(wanted: QuerySet[Campaign]) -> list[CampaignView]:
    counted = BatchCount.objects.filter(accounts__gt=0, batch__campaign__in=wanted)
    rows = counted.values_list("batch_id", "state", "accounts")
    states: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for batch_id, state, accounts in rows:
        states[batch_id].append((state, accounts))
    batches: dict[int, list[Batch]] = defaultdict(list)
    for batch in Batch.objects.filter(campaign__in=wanted).order_by("number"):
        batches[batch.campaign_id].append(batch)
    found = wanted.select_related("source", "target").order_by("-pk")
    return [_view(campaign, batches[campaign.pk], states) for campaign in found]


def _view(campaign: Campaign, batches: list[Batch], states: dict[int, list[tuple[str, int]]]) -> CampaignView:
    together = Figures.of(row for batch in batches for row in states[batch.pk])
    return CampaignView(campaign, together, [(batch, Figures.of(states[batch.pk])) for batch in batches])


def figures(campaign: Campaign) -> Figures:
    """Return how many accounts of one campaign are in each state."""
    rows = BatchCount.objects.filter(batch__campaign=campaign, accounts__gt=0)
    return Figures.of(rows.values_list("state").annotate(Sum("accounts")))
