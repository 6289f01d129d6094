"""Campaigns that are being planned: kept from page to page, and made real at once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from campaigns.models import Batch, Campaign, CampaignDraft, Connector, Server, UploadedList, User
from campaigns.services import batches, campaigns, imports, lists, preflights
from campaigns.services.imports import ChangedMeanwhile, Cutting
from campaigns.services.refusals import Refused


@dataclass(frozen=True, slots=True)
class Started:
    """What became of a draft. ``waits_for_proof``: its batches are not started before its method is proved."""

    campaign: Campaign
    batches: Sequence[Batch]
    waits_for_proof: bool


def save(draft: CampaignDraft | None, name: str, *, source: Server, target: Server, owner: User) -> CampaignDraft:
    """Keep what a campaign is called and between which servers it moves. Raises ``Refused``."""
    name = name.strip()
    if Campaign.objects.filter(name=name).exists():
        raise Refused("campaign.name_taken")
    campaigns.require_sides(source, target)
    draft = draft or CampaignDraft(owner=owner)
    draft.name, draft.source, draft.target = name, source, target
    draft.save()
    return draft


def save_options(draft: CampaignDraft, options: dict[str, Any]) -> None:
    """Keep the method and its options: those of ``campaigns.OPTIONS``."""
    stored = {key: value.pk if isinstance(value, Connector) else value for key, value in options.items()}
    draft.options, draft.has_method = stored, True
    draft.save(update_fields=["options", "has_method", "changed_at"])


def options_of(draft: CampaignDraft) -> dict[str, Any]:
    """Return the options as campaigns take them. A connector that is no more is left out."""
    keys = [draft.options[name] for name in Campaign.CONNECTORS if draft.options.get(name)]
    there = Connector.objects.in_bulk(keys)
    connectors = {name: there.get(draft.options.get(name)) for name in Campaign.CONNECTORS if name in draft.options}
    return {**draft.options, **connectors}


def discard(draft: CampaignDraft) -> None:
    """Forget a draft and its list."""
    uploaded = UploadedList.objects.filter(draft=draft).first()
    if uploaded:
        lists.discard(uploaded)
    draft.delete()


def start(
    draft: CampaignDraft, *, actor: User, cutting: Cutting, uploaded: UploadedList | None, starts_now: bool
) -> Started:
    """Make the campaign, import its list, and start its first batches: all of it or nothing.

    Raises ``Refused``, ``ChangedMeanwhile`` (its report is no more right), ``BadRoster``, ``ListGone``.
    """
    found = lists.compare(uploaded) if uploaded else None
    if found is not None and uploaded and found.figures != uploaded.report["figures"]:
        raise ChangedMeanwhile
    with transaction.atomic():
        options = options_of(draft)
        campaign = campaigns.create(draft.name, source=draft.source, target=draft.target, actor=actor, **options)
        made = imports.carry_out(campaign, found, actor=actor, cutting=cutting).batches if found is not None else ()
        is_proved = preflights.is_accepted(campaign)
        if starts_now and is_proved:
            batches.start_due(made, actor=actor)
        CampaignDraft.objects.filter(pk=draft.pk).delete()
    if uploaded:
        lists.discard(uploaded)
    return Started(campaign, made, not is_proved)
