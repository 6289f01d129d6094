"""Which method to take is a table with reasons, and every recipe says what users will notice."""

from __future__ import annotations

import itertools

import pytest
from django.test import Client

from campaigns.selectors import advice, notices
from campaigns.selectors.adviser import FEW, NIGHT_SECONDS, Downtime, Effort, advise
from campaigns.selectors.methods import METHODS
from migrator.directories.base import ALL_SERVICES, Service
from migrator.journal import StepKind
from migrator.recipes import RECIPES
from tests.campaigns.factories import make_campaign, make_user

N, H, S = Downtime.NIGHT, Downtime.HOURS, Downtime.SECONDS


@pytest.mark.req("S-96")
@pytest.mark.parametrize(
    ("downtime", "effort", "few", "many"),
    [
        (N, Effort.NONE, "sims1", "plain"),
        (N, Effort.LOCKS, "sims1", "sims2"),
        (N, Effort.PROXY, "sims1", "sims3"),
        (H, Effort.NONE, "plain", "plain"),
        (H, Effort.LOCKS, "sims2", "sims2"),
        (H, Effort.PROXY, "sims3", "sims3"),
        (S, Effort.NONE, "plain", "plain"),
        (S, Effort.LOCKS, "ahead", "ahead"),
        (S, Effort.PROXY, "ahead", "ahead"),
    ],
)
def test_three_questions_and_what_was_measured_choose_the_method(
    downtime: Downtime, effort: Effort, few: str, many: str
) -> None:
    assert advise(FEW, downtime, effort).method == few
    assert advise(FEW + 1, downtime, effort).method == many
    # what was measured counts more than heads
    assert advise(5000, downtime, effort, seconds=NIGHT_SECONDS).method == few
    assert advise(5, downtime, effort, seconds=NIGHT_SECONDS + 1).method == many


def test_every_answer_has_reasons_needs_a_title_and_what_users_will_notice() -> None:
    for downtime, effort, people in itertools.product(Downtime, Effort, (1, 100_000)):
        found = advise(people, downtime, effort)
        assert len(found.reasons) >= 2
        assert found.needs
        assert found.otherwise != found.method
        for method in (found.method, found.otherwise):
            assert len(advice.told(method)) == len(notices.QUESTIONS)
            assert str(advice.title(method)) != method


def test_every_recipe_that_is_shipped_says_what_users_will_notice() -> None:
    assert RECIPES.keys() <= notices.ANSWERS.keys() | {one.recipe for one in METHODS}
    assert all(len(answers) == len(notices.QUESTIONS) for answers in notices.ANSWERS.values())


@pytest.mark.req("S-99")
def test_the_simplest_recipe_names_its_three_drawbacks() -> None:
    told = {str(question): str(answer) for question, answer in advice.told("sims1")}
    assert told == {
        "Can they read mail?": "Not from the stop of the old server until the new one is started: hours",
        "Can they send?": "Not in that time",
        "Does mail bounce?": "It may: no server takes mail meanwhile, so it waits at its senders or comes back to them",
        "Change in mail program?": "New server name, for everybody, once",
        "Order of mail?": "As it was",
        "How long?": "One night for all, as long as the whole copy takes",
        "Way back?": "By starting the old server again, until people are on the new one",
    }


def test_a_connection_that_is_missing_is_told_by_what_it_means_for_people() -> None:
    recipe = RECIPES["plain"]
    kinds = {step.kind for step in recipe.steps}
    assert notices.missing(recipe, kinds) == []
    told = [str(one) for one in notices.missing(recipe, kinds - {StepKind.HOLD, StepKind.DISABLE})]
    assert [one.partition(":")[0] for one in told] == ["Nothing holds new mail", "Nobody is locked out"]


def test_sending_that_stays_allowed_is_told() -> None:
    assert notices.sending_stays(ALL_SERVICES) is None
    assert "Sending stays allowed" in str(notices.sending_stays({Service.READING}))


@pytest.mark.django_db
def test_the_page_asks_three_questions_and_answers_with_reasons() -> None:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_operator=True))
    url = f"/campaigns/{make_campaign().pk}/advice"
    assert client.get(url).status_code == 200
    page = client.get(url, {"people": "1000", "downtime": "hours", "effort": "proxy"}).text
    assert "Nobody changes a mail program, and people can send while their mail is copied." in page
    assert "Can they read mail?" in page
    assert "One thing to mend" in client.get(url, {"people": "x", "downtime": "hours", "effort": "proxy"}).text
