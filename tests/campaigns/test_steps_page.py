"""The steps of a campaign: put in another order, left out, added, and put back as they are shipped."""

from __future__ import annotations

import pytest
from django.test import Client

from campaigns.models import Campaign, Event
from campaigns.services import campaigns
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.recipes import RECIPES, flaws, recipe_of, stored
from tests.campaigns.factories import make_batch, make_campaign, make_user

pytestmark = pytest.mark.django_db
S = AccountState
PLAIN = [":".join(step) for step in stored(RECIPES["plain"].steps)]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


def sent(
    rows: list[str], *, out: tuple[int, ...] = (), places: dict[int, int] | None = None, **more: str
) -> dict[str, str]:
    """Return what the form sends: the steps as they stand, with other places and without some."""
    form = {"steps-TOTAL_FORMS": str(len(rows)), "steps-INITIAL_FORMS": str(len(PLAIN))}
    for number, what in enumerate(rows):
        form[f"steps-{number}-what"] = what
        form[f"steps-{number}-ORDER"] = str((places or {}).get(number, 2 * number + 1))
        if number in out:
            form[f"steps-{number}-DELETE"] = "on"
    return form | more


def kinds() -> list[str]:
    campaign = Campaign.objects.get()
    return [step.kind.value for step in recipe_of(campaign.recipe, campaign.steps).steps]


@pytest.mark.req("S-98")
def test_a_step_is_added_left_out_and_moved(operator: Client) -> None:
    campaign = make_campaign()
    address = f"/campaigns/{campaign.pk}/steps"
    assert "as" in operator.get(address).content.decode().lower()
    answer = operator.post(address, sent([*PLAIN, "person::port_closed"], out=(3,), places={7: 4}))
    assert answer.status_code == 302
    assert kinds() == ["hold", "disable", "person", "delta", "switch", "enable", "release"]
    assert Campaign.objects.get().steps[2] == ["person", "", "port_closed"]
    assert Event.objects.get(name="campaign.configured").data["fields"] == ["steps"]
    page = operator.get(address).content.decode()
    assert "Edited, from" in page
    assert "the old server is stopped" in page
    operator.post(address, sent(PLAIN, act="as_shipped"))
    assert Campaign.objects.get().steps == []


@pytest.mark.parametrize(
    ("rows", "out", "told"),
    [
        (PLAIN, (4,), "exactly one switch"),
        (PLAIN, (5,), "a later step must open"),
        (PLAIN, (6,), "a later step must deliver"),
        (PLAIN, (0,), "only after a step that holds it"),
        (PLAIN, (2,), "copied exactly once"),
        (["enable:target:", *PLAIN[1:]], (), "before the switch"),
        (["polish::", *PLAIN[1:]], (), "Select a valid choice"),
        ([PLAIN[0]] * 60, (), "at most"),
    ],
)
def test_what_makes_no_method_is_not_saved_and_told_why(
    operator: Client, rows: list[str], out: tuple[int, ...], told: str
) -> None:
    campaign = make_campaign()
    answer = operator.post(f"/campaigns/{campaign.pk}/steps", sent(rows, out=out))
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert Campaign.objects.get().steps == []


def test_steps_as_they_are_shipped_are_not_kept_as_edited(operator: Client) -> None:
    campaign = make_campaign()
    operator.post(f"/campaigns/{campaign.pk}/steps", sent(PLAIN))
    assert Campaign.objects.get().steps == []


def test_steps_stay_while_somebody_is_moved(operator: Client) -> None:
    batch = make_batch(1, state=S.CUTTING_OVER)
    answer = operator.post(f"/campaigns/{batch.campaign_id}/steps", sent(PLAIN, out=(3,)))
    assert answer.status_code == 422
    assert "People are being moved just now" in answer.content.decode()


def test_another_method_forgets_what_was_edited_of_the_former() -> None:
    campaign = make_campaign(steps=stored(RECIPES["plain"].steps[1:6]))
    campaigns.configure(campaign, name=campaign.name, actor="test", recipe="classic")
    assert campaign.steps == []


def test_steps_and_services_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"steps": [["switch", "", ""]]}, {"steps": [["fly", "", ""]]}, {"services": ["sending"]}):
        with pytest.raises(Refused, match="bad_"):
            make_campaign(**wrong)


def test_only_who_plans_sees_and_sets_the_steps(client: Client) -> None:
    campaign = make_campaign()
    client.force_login(make_user(is_helpdesk=True))
    assert client.get(f"/campaigns/{campaign.pk}/steps").status_code == 403
    assert client.post(f"/campaigns/{campaign.pk}/steps", sent(PLAIN)).status_code == 403


def test_every_recipe_that_is_shipped_is_one() -> None:
    assert {key: flaws(recipe.steps) for key, recipe in RECIPES.items()} == {key: [] for key in RECIPES}
