"""Campaigns are planned, copied, paused, and closed when nobody's fate is open."""

from __future__ import annotations

import pytest
from django.utils import timezone

from campaigns.models import Campaign, Event
from campaigns.services import campaigns
from campaigns.services.refusals import SENTENCES, Refused
from campaigns.states import AccountState
from tests.campaigns.factories import claim, event_names, make_account, make_batch, make_campaign, make_server, put

S = AccountState
pytestmark = pytest.mark.django_db


def refuses(code: str) -> object:
    return pytest.raises(Refused, match=f"^{code}$")


def test_a_campaign_names_its_servers_and_its_recipe() -> None:
    source, target = make_server(), make_server()
    campaign = campaigns.create(" the move ", source=source, target=target, actor="anna", recipe="classic")
    stored = Campaign.objects.get()
    assert stored == campaign
    assert (stored.name, stored.source, stored.target, stored.recipe) == ("the move", source, target, "classic")
    assert Event.objects.get().data == {"recipe": "classic"}


def test_what_does_not_fit_is_refused_and_not_stored() -> None:
    source, target = make_server(), make_server()
    campaigns.create("the move", source=source, target=target, actor="anna")
    with refuses("campaign.no_recipe"):
        campaigns.create("another", source=source, target=target, actor="anna", recipe="soup")
    with refuses("campaign.name_taken"):
        campaigns.create("the move", source=source, target=target, actor="anna")
    with refuses("campaign.two_servers"):
        campaigns.create("another", source=source, target=source, actor="anna")
    assert Campaign.objects.count() == 1


def test_a_copy_takes_over_all_but_name_batches_and_accounts() -> None:
    original = make_campaign(recipe="classic", catch_up_days=3, refresh_hours=7, verify_level="digest")
    make_batch(2, campaign=original)
    copy = campaigns.copy(original, "once more", actor="anna")
    for option in ("source", "target", *campaigns.OPTIONS):
        assert getattr(copy, option) == getattr(original, option), option
    assert (copy.batches.count(), copy.is_paused) == (0, False)


def test_every_option_of_a_campaign_is_copied() -> None:
    own = {"id", "name", "source", "target", "is_paused", "created_at", "closed_at"}
    fields = {field.name for field in Campaign._meta.concrete_fields}
    assert fields - own == set(campaigns.OPTIONS)


def test_a_campaign_is_paused_and_resumed_once() -> None:
    campaign = make_campaign()
    assert campaigns.pause(campaign.pk, actor="anna", reason="lunch")
    assert not campaigns.pause(campaign.pk, actor="anna")
    assert campaigns.resume(campaign.pk, actor="anna")
    assert not campaigns.resume(campaign.pk, actor="anna")
    assert event_names(campaign=campaign) == ["campaign.created", "campaign.paused", "campaign.resumed"]


@pytest.mark.parametrize("state", [S.CUTTING_OVER, S.ROLLING_BACK, S.HELD, S.ATTENTION])
def test_a_campaign_is_not_closed_over_somebody_whose_fate_is_open(state: AccountState) -> None:
    account = make_account(state)
    with refuses("campaign.unfinished"):
        campaigns.close(account.campaign, actor="anna")
    assert Campaign.objects.get().closed_at is None
    put(account, S.DONE)
    campaigns.close(account.campaign, actor="anna")
    assert Campaign.objects.get().closed_at is not None


def test_a_campaign_is_not_closed_under_the_hands_of_a_worker_nor_twice() -> None:
    account = make_account(S.STAGING)
    claim(account)
    with refuses("campaign.unfinished"):
        campaigns.close(account.campaign, actor="anna")
    account.campaign.accounts.update(lease_until=None)
    campaigns.close(account.campaign, actor="anna")
    with refuses("campaign.closed"):
        campaigns.close(account.campaign, actor="anna")
    assert account.campaign.closed_at <= timezone.now()


def test_every_refusal_has_a_sentence() -> None:
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())
    assert Refused("batch.size").sentence == SENTENCES["batch.size"]
