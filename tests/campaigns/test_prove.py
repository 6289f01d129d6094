"""The page on which a campaign's method is proved."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from campaigns.models import Campaign, Event
from campaigns.services import preflights
from tests.campaigns.factories import make_user
from tests.campaigns.towns import PROBE, Town

pytestmark = pytest.mark.django_db


@pytest.fixture
def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    """A campaign whose servers live in memory."""
    town = Town()
    monkeypatch.setattr(preflights, "IMPATIENT", town.world)
    return town


@pytest.fixture
def operator() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    return client


def prove(operator: Client, town: Town, **logins: str) -> Any:
    return operator.post(f"/campaigns/{town.campaign.pk}/prove", logins, follow=True)


def test_the_page_explains_asks_on_each_governed_side_and_takes_the_proof(operator: Client, town: Town) -> None:
    page = operator.get(f"/campaigns/{town.campaign.pk}/prove")
    assert "It is not proved yet. Nothing is copied before it is." in page.text
    assert {field.name for field in page.context["form"]} == {"source", "target"}
    page = prove(operator, town, source=PROBE, target=PROBE)
    assert "It is proved." in page.text
    assert preflights.is_accepted(town.campaign)
    assert Event.objects.get(name=preflights.ACCEPTED).actor is not None
    Campaign.objects.update(recipe="classic")
    page = operator.get(f"/campaigns/{town.campaign.pk}/prove")
    assert "has changed since. Prove it again." in page.text


def test_what_speaks_against_it_is_listed_with_its_cure_and_the_input_is_kept(operator: Client, town: Town) -> None:
    town.rows["anna@example.test"] = {"status": "active", "host": "old.example.test"}
    page = prove(operator, town, source="anna@example.test", target="nobody@example.test")
    assert page.status_code == 422
    assert "This account is not disabled in the directory" in page.text
    assert "The directory knows nobody with this address." in page.text
    assert "old server" in page.text
    assert 'value="anna@example.test"' in page.text
    assert not preflights.is_accepted(town.campaign)


def test_both_accounts_must_be_named(operator: Client, town: Town) -> None:
    page = prove(operator, town, source=PROBE)
    assert (page.status_code, page.text.count("This field is required.")) == (422, 2)
    assert not Event.objects.filter(name=preflights.REFUSED).exists()


def test_a_campaign_that_nobody_governs_says_so_and_asks_for_nothing(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(is_governed=False)
    page = operator.get(f"/campaigns/{town.campaign.pk}/prove")
    assert "so nothing must be proved" in page.text
    assert "<form class" not in page.text
