"""All campaigns at a glance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Sum

from campaigns.models import Batch, BatchCount, Campaign
from campaigns.selectors.figures import Figures


@dataclass(frozen=True, slots=True)
class CampaignView:
    """One campaign, its batches, and how far each is."""

    campaign: Campaign
    figures: Figures
    batches: list[tuple[Batch, Figures]]


def campaigns() -> list[CampaignView]:
    """Return all campaigns, the latest first."""
    rows = BatchCount.objects.filter(accounts__gt=0).values_list("batch_id", "state", "accounts")
    states: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for batch_id, state, accounts in rows:
        states[batch_id].append((state, accounts))
    batches: dict[int, list[Batch]] = defaultdict(list)
    for batch in Batch.objects.order_by("number"):
        batches[batch.campaign_id].append(batch)
    found = Campaign.objects.select_related("source", "target").order_by("-pk")
    return [_view(campaign, batches[campaign.pk], states) for campaign in found]


def _view(campaign: Campaign, batches: list[Batch], states: dict[int, list[tuple[str, int]]]) -> CampaignView:
    together = Figures.of(row for batch in batches for row in states[batch.pk])
    return CampaignView(campaign, together, [(batch, Figures.of(states[batch.pk])) for batch in batches])


def figures(campaign: Campaign) -> Figures:
    """Return how many accounts of one campaign are in each state."""
    rows = BatchCount.objects.filter(batch__campaign=campaign, accounts__gt=0)
    return Figures.of(rows.values_list("state").annotate(Sum("accounts")))
