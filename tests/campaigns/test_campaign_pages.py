"""The list of campaigns, and what is done to one as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign, Connector, Event, Server
from campaigns.services import campaigns, drafts
from campaigns.states import AccountState
from tests.campaigns import scenes
from tests.campaigns.factories import make_batch, make_campaign, make_server, make_user

pytestmark = pytest.mark.django_db
S = AccountState


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


def plain(campaign: Campaign, **changed: Any) -> dict[str, Any]:
    """What the settings page sends for a campaign without connections."""
    sent = {"name": campaign.name, "method": "plain", "verify_level": "ledger"}
    return {**sent, "catch_up_days": "7", "catch_up_minutes": "30", "refresh_hours": "24", **changed}


def test_an_empty_panel_says_what_belongs_here_and_holds_the_one_first_action(operator: Client) -> None:
    page = operator.get("/campaigns").content.decode()
    assert "No campaign yet" in page
    assert "An administrator adds them under Servers" in page
    assert page.count("btn-primary") == 0
    make_server(), make_server()
    page = operator.get("/campaigns").content.decode()
    assert page.count("btn-primary") == 1
    assert 'href="/campaigns/new"' in page


def test_each_campaign_stands_with_its_sentence_and_who_needs_a_person(operator: Client) -> None:
    scenes.platform(20)
    page = operator.get("/campaigns").content.decode()
    assert "are on the new server" in page
    assert "need you" in page


def test_the_list_of_campaigns_asks_as_much_for_one_as_for_many(
    operator: Client, django_assert_num_queries: Any
) -> None:
    make_batch(2)
    operator.get("/campaigns")
    with django_assert_num_queries(8):
        operator.get("/campaigns")
    for _ in range(5):
        make_batch(2)
    with django_assert_num_queries(8):
        operator.get("/campaigns")


def test_drafts_are_seen_by_who_began_them_alone(operator: Client, client: Client) -> None:
    owner = make_user(is_operator=True)
    draft = drafts.save(None, "Mine", source=make_server(), target=make_server(), owner=owner)
    assert "Mine" not in operator.get("/campaigns").content.decode()
    for page in ("", "/method", "/list", "/list/refused.csv"):
        assert operator.get(f"/campaigns/new/{draft.pk}{page}").status_code == 404
    for page in ("/start", "/discard", "/list/discard", "/list/reading"):
        assert operator.post(f"/campaigns/new/{draft.pk}{page}").status_code == 404


def test_settings_are_shown_and_saved(operator: Client) -> None:
    campaign = make_campaign()
    assert campaign.name in operator.get(f"/campaigns/{campaign.pk}/settings").content.decode()
    answer = operator.post(f"/campaigns/{campaign.pk}/settings", plain(campaign, name="New name", catch_up_days="3"))
    assert answer.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.name, campaign.catch_up_days) == ("New name", 3)
    event = Event.objects.get(name="campaign.configured")
    assert event.data == {"fields": ["catch_up_days", "name"]}
    assert event.actor is not None


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("name", "", "Give the campaign a name."),
        ("catch_up_days", "-1", "greater than or equal to 0"),
        ("verify_level", "guess", "Select a valid choice"),
        ("method", "magic", "Select a valid choice"),
    ],
)
def test_wrong_settings_are_told_at_the_field_and_on_top_and_nothing_is_lost(
    operator: Client, field: str, text: str, told: str
) -> None:
    campaign = make_campaign()
    sent = plain(campaign, refresh_hours="48") | {field: text}
    answer = operator.post(f"/campaigns/{campaign.pk}/settings", sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count(told) == 2
    assert 'value="48"' in page
    campaign.refresh_from_db()
    assert campaign.refresh_hours == 24


def test_a_method_that_locks_needs_its_directory(operator: Client) -> None:
    campaign = make_campaign()
    answer = operator.post(f"/campaigns/{campaign.pk}/settings", plain(campaign, method="ahead"))
    assert answer.status_code == 422
    assert "Choose one, or a method without" in answer.content.decode()


def test_a_method_that_locks_is_not_believed_before_it_is_proved(operator: Client) -> None:
    campaign = make_campaign()
    directory = Connector.objects.create(room="directory", kind="sql", name="People")
    sent = plain(campaign, method="locked", source_directory=directory.pk, target_directory=directory.pk)
    operator.post(f"/campaigns/{campaign.pk}/settings", sent)
    campaign.refresh_from_db()
    assert (campaign.recipe, campaign.source_directory) == ("classic", directory)
    page = operator.get(f"/campaigns/{campaign.pk}/settings").content.decode()
    assert "not proved yet" in page
    operator.post(f"/campaigns/{campaign.pk}/settings", plain(campaign, source_directory=directory.pk))
    campaign.refresh_from_db()
    assert campaign.source_directory is None
    assert "not proved yet" not in operator.get(f"/campaigns/{campaign.pk}/settings").content.decode()


def test_the_method_stays_while_somebody_is_moved(operator: Client) -> None:
    batch = make_batch(1, state=S.CUTTING_OVER)
    answer = operator.post(f"/campaigns/{batch.campaign_id}/settings", plain(batch.campaign, method="once"))
    assert answer.status_code == 422
    assert "People are being moved just now" in answer.content.decode()
    answer = operator.post(f"/campaigns/{batch.campaign_id}/settings", plain(batch.campaign, catch_up_days="9"))
    assert answer.status_code == 302
    assert Campaign.objects.get().catch_up_days == 9


def test_a_campaign_is_copied_without_its_batches(operator: Client) -> None:
    batch = make_batch(2)
    Campaign.objects.update(catch_up_days=5)
    answer = operator.post(f"/campaigns/{batch.campaign_id}/copy", {"copy-name": "Again"})
    made = Campaign.objects.get(name="Again")
    assert answer["Location"] == f"/campaigns/{made.pk}/settings"
    assert (made.catch_up_days, made.source, made.batches.count()) == (5, batch.campaign.source, 0)


def test_a_copy_needs_a_name_of_its_own(operator: Client) -> None:
    campaign = make_campaign()
    answer = operator.post(f"/campaigns/{campaign.pk}/copy", {"copy-name": campaign.name})
    assert answer.status_code == 422
    assert answer.content.decode().count("There is a campaign of this name already.") == 2


def test_a_campaign_is_paused_resumed_and_closed(operator: Client) -> None:
    campaign = make_campaign()
    operator.post(f"/campaigns/{campaign.pk}/pause")
    assert Campaign.objects.get().is_paused
    operator.post(f"/campaigns/{campaign.pk}/resume")
    assert not Campaign.objects.get().is_paused
    operator.post(f"/campaigns/{campaign.pk}/close")
    assert Campaign.objects.get().closed_at
    assert operator.get(f"/campaigns/{campaign.pk}/settings").status_code == 403
    assert "Closed on" not in operator.get("/campaigns").content.decode()  # it never had a list
    acts = Event.objects.filter(name__in=("campaign.paused", "campaign.resumed", "campaign.closed"))
    assert acts.filter(actor__isnull=False).count() == 3


def test_a_campaign_with_somebody_on_the_way_is_not_closed(operator: Client) -> None:
    batch = make_batch(1, state=S.ATTENTION)
    page = operator.post(f"/campaigns/{batch.campaign_id}/close", follow=True).content.decode()
    assert "wait for a decision" in page
    assert Campaign.objects.get().closed_at is None


@pytest.mark.parametrize("role", ["is_helpdesk", "is_manager", "is_administrator"])
def test_only_operators_plan(client: Client, role: str) -> None:
    campaign = make_campaign()
    client.force_login(make_user(**{role: True}))
    for address in ("campaigns/new", f"campaigns/{campaign.pk}/settings", f"campaigns/{campaign.pk}/list"):
        assert client.get(f"/{address}").status_code == 403
    for act in ("copy", "pause", "resume", "close", "list", "list/reading", "list/import", "list/discard"):
        assert client.post(f"/campaigns/{campaign.pk}/{act}", {}).status_code == 403
    assert campaigns.pause(campaign.pk, actor="test")  # nobody had


def test_a_server_is_named_with_its_host_where_it_is_chosen(operator: Client) -> None:
    make_server(name="Old", host="old.example.test"), make_server()
    assert "Old (old.example.test)" in operator.get("/campaigns/new").content.decode()
    assert Server.objects.count() == 2
