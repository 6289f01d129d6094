"""Surveys of batches: who would fail is known before anything is copied, and nothing is changed anywhere."""

from __future__ import annotations

import csv
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import tasks
from campaigns.celery import app
from campaigns.models import Account, Batch, BatchSurvey, Campaign, Event, Run, Server, SurveyedAccount
from campaigns.selectors import survey as selector
from campaigns.services import surveys
from campaigns.services.refusals import Refused
from campaigns.states import AccountState as S
from migrator.errors import MigratorError, Side
from tests.campaigns.crossings import give_password
from tests.campaigns.factories import at_once, event_names, make_batch, make_user
from tests.campaigns.towns import Town

pytestmark = pytest.mark.django_db
PEOPLE = ("anna@example.test", "bert@example.test", "carl@example.test")


def look_at_all(town: Town, batch: Batch) -> None:
    """Do what ticker and workers do."""
    while row := surveys.take(batch.pk):
        surveys.look(row, world=town.world)
    surveys.due()


def surveyed(town: Town, batch: Batch) -> dict[str, list[tuple[str, str, str]]]:
    """Ask for a survey, have it made, and return what was found of whom: code, side, severity."""
    surveys.ask(batch, actor="anna")
    look_at_all(town, batch)
    rows = SurveyedAccount.objects.select_related("account").order_by("pk")
    return {
        row.account.source_login.partition("@")[0]: [
            (one["code"], one["side"], one["severity"]) for one in row.found.get("foreseen", ())
        ]
        for row in rows
    }


def moved_in(town: Town, *people: str) -> Batch:
    return town.move_in(*(people or PEOPLE))[0].batch


def text_of(html: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html.decode()).split())


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True))
    return client


@pytest.mark.parametrize("is_governed", [False, True])
def test_a_survey_looks_at_everybody_and_changes_nothing(is_governed: bool) -> None:
    town = Town(is_governed=is_governed)
    batch = moved_in(town)
    before = {login: box.contents() for login, box in town.source.mailboxes.items()}, dict(town.rows)
    assert surveyed(town, batch) == {"anna": [], "bert": [], "carl": []}
    assert ({login: box.contents() for login, box in town.source.mailboxes.items()}, dict(town.rows)) == before
    assert all(box.size_bytes == 0 for box in town.target.mailboxes.values())
    assert set(Account.objects.values_list("state", flat=True)) == {S.NEW}
    survey = BatchSurvey.objects.get()
    assert (survey.asked_by, survey.ended_at is not None, survey.error_code) == ("anna", True, "")
    assert SurveyedAccount.objects.get(account__source_login=PEOPLE[0]).found["messages"] == 5
    assert event_names()[-2:] == ["batch.survey.asked", "batch.survey.ended"]


def test_who_would_fail_is_found_and_a_refused_password_is_sent_once() -> None:
    town = Town(is_governed=False, has_admin=False)
    batch = moved_in(town)
    anna = Account.objects.get(source_login=PEOPLE[0])
    give_password(anna, "wrong", "source")
    town.target.mailboxes[PEOPLE[1]].quota_bytes = 10
    town.target.mailboxes[PEOPLE[1]].features = town.target.mailboxes[PEOPLE[1]].features.__class__(
        has_quota=True, product="memory"
    )
    found = surveyed(town, batch)
    assert found["anna"] == [("sign_in.refused", "source", "stops")]
    assert found["bert"] == [("target.full", "target", "stops")]
    assert found["carl"] == []
    tries = town.source.tries.count(PEOPLE[0])
    assert surveyed(town, batch)["anna"] == [("sign_in.refused", "source", "stops")]
    assert town.source.tries.count(PEOPLE[0]) == tries
    anna.refresh_from_db()
    give_password(anna, f"of {PEOPLE[0]}", "source")
    assert surveyed(town, batch)["anna"] == []


def test_what_checks_before_a_copy_find_is_foreseen_too() -> None:
    town = Town(has_admin=False)
    batch = moved_in(town)
    del town.rows[PEOPLE[1]]
    town.rows[PEOPLE[2]]["host"] = "new.example.test"
    give_password(Account.objects.get(source_login=PEOPLE[0]), "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g2Ju4Z", "source")
    found = surveyed(town, batch)
    assert found["anna"][0][0] == "sign_in.hash_given"
    assert found["bert"][0] == ("directory.missing", "source", "stops")
    assert found["carl"][0][0] == "preflight.switched_already"


def test_a_governed_side_without_a_way_in_for_administrators_ends_the_survey_for_all() -> None:
    town = Town(has_admin=False)
    batch = moved_in(town)
    assert surveyed(town, batch) == {"anna": [], "bert": [], "carl": []}
    assert BatchSurvey.objects.get().error_code == "preflight.no_admin"
    assert SurveyedAccount.objects.filter(taken_at=None).count() == 3


def test_a_server_that_is_away_ends_the_survey_and_is_named_once(operator: Client) -> None:
    town = Town(is_governed=False)
    batch = moved_in(town)
    town.target.error = MigratorError("server.unreachable", side=Side.TARGET, reply="no route")
    surveyed(town, batch)
    survey = BatchSurvey.objects.get()
    assert (survey.error_code, survey.error_side, survey.error_reply) == ("server.unreachable", "target", "no route")
    assert len(town.target.tries) == 1
    assert Event.objects.filter(name="batch.survey.stopped").count() == 1
    assert "What the server said no route" in text_of(operator.get(f"/batches/{batch.pk}/survey").content)
    town.target.error = None
    assert surveyed(town, batch) == {"anna": [], "bert": [], "carl": []}


def test_who_has_moved_or_is_left_out_is_not_looked_at() -> None:
    batch = make_batch(2, state=S.DONE)
    with pytest.raises(Refused):
        surveys.ask(batch, actor="anna")
    assert not BatchSurvey.objects.exists()


def test_a_worker_that_dies_leaves_a_claim_that_runs_out() -> None:
    town = Town(is_governed=False)
    batch = moved_in(town, PEOPLE[0])
    surveys.ask(batch, actor="anna")
    assert surveys.take(batch.pk) is not None
    assert surveys.take(batch.pk) is None
    later = timezone.now() + timedelta(seconds=surveys.CLAIM_SECONDS + 1)
    for _ in range(surveys.MOST_TRIES - 1):
        assert surveys.take(batch.pk, later) is not None
        later += timedelta(seconds=surveys.CLAIM_SECONDS + 1)
    assert surveys.take(batch.pk, later) is None  # over this one nobody else dies
    assert surveys.due(later) == []
    assert BatchSurvey.objects.get().ended_at is not None


def test_workers_are_called_a_few_at_a_time_and_again_only_when_some_are_missing() -> None:
    batch = make_batch(10)
    surveys.ask(batch, actor="anna")
    now = timezone.now()
    assert surveys.due(now) == [surveys.Call(batch.pk, surveys.LANES)]
    assert surveys.due(now) == []
    for _ in range(surveys.LANES):
        surveys.take(batch.pk, now)
    later = now + timedelta(seconds=surveys.RING_SECONDS + 1)
    assert surveys.due(later) == []
    SurveyedAccount.objects.filter(claimed_until__gt=later).update(claimed_until=now)
    assert surveys.due(later + timedelta(seconds=surveys.RING_SECONDS + 1)) == [surveys.Call(batch.pk, surveys.LANES)]


def test_no_more_mailboxes_are_opened_at_once_than_the_servers_bear() -> None:
    batch = make_batch(10)
    Server.objects.filter(pk=batch.campaign.target_id).update(max_lanes=2)
    surveys.ask(batch, actor="anna")
    assert surveys.due() == [surveys.Call(batch.pk, 2)]


def test_a_closed_campaign_is_not_looked_at() -> None:
    batch = make_batch(2)
    Campaign.objects.update(closed_at=timezone.now())
    with pytest.raises(Refused, match=r"campaign\.closed"):
        surveys.ask(batch, actor="anna")
    assert not BatchSurvey.objects.exists()


def test_a_campaign_that_is_closed_meanwhile_is_looked_at_no_further() -> None:
    batch = make_batch(2)
    surveys.ask(batch, actor="anna")
    assert surveys.take(batch.pk) is not None
    Campaign.objects.update(closed_at=timezone.now())
    assert surveys.due() == []
    assert surveys.take(batch.pk) is None


@pytest.mark.django_db(transaction=True)
def test_two_who_ask_at_once_have_one_survey() -> None:
    batch = make_batch(20)
    assert at_once(*[lambda: surveys.ask(batch, actor="anna")] * 4) == [None] * 4
    assert (BatchSurvey.objects.count(), SurveyedAccount.objects.count()) == (1, 20)


def test_surveys_go_to_the_workers_that_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app.amqp.router.route({}, tasks.run_survey.name, args=(1,))["queue"].name == "stage"
    batch = make_batch(2)
    surveys.ask(batch, actor="anna")
    rung: list[tuple[int, ...]] = []
    monkeypatch.setattr(tasks.run_survey, "apply_async", lambda args: rung.append(args))
    tasks.ring_surveys()
    assert rung == [(batch.pk,)] * 2
    looked: list[int] = []
    monkeypatch.setattr(surveys, "look", lambda row: looked.append(row.pk))
    tasks.run_survey(batch.pk)
    assert looked == list(Account.objects.order_by("pk").values_list("pk", flat=True))


# The page


def test_the_page_leads_from_nothing_to_what_was_found(operator: Client) -> None:
    town = Town(is_governed=False, has_admin=False)
    batch = moved_in(town)
    give_password(Account.objects.get(source_login=PEOPLE[0]), "wrong", "source")
    page = f"/batches/{batch.pk}/survey"
    assert f'href="{page}"' in operator.get(f"/batches/{batch.pk}").content.decode()
    assert "Nobody has looked yet" in text_of(operator.get(page).content)
    answer = operator.post(f"{page}/ask", follow=True)
    assert "Looking: 0 of 3 accounts." in text_of(answer.content)
    live = operator.get(f"{page}/live?seen=0")
    assert (live.status_code, live["X-Live-Seconds"]) == (204, "2")
    look_at_all(town, batch)
    live = operator.get(f"{page}/live?seen=0")
    assert (live.status_code, live["X-Live-Seconds"], live["X-Live-Seen"]) == (200, "0", "3")
    told = text_of(operator.get(page).content)
    assert "1 of 3 accounts will not be moved unless somebody does something." in told
    assert "The name or the password for this mailbox is not accepted." in told
    assert "anna@example.test" in told
    assert "bert@example.test" not in told
    assert "Calendars, tasks" in told
    assert "messages that were read; nothing was written" in told


def test_the_forecast_is_taken_from_earlier_copies_between_the_same_servers(operator: Client) -> None:
    town = Town(is_governed=False)
    batch = moved_in(town)
    surveyed(town, batch)
    now = timezone.now()
    for account in Account.objects.filter(batch=batch):
        run = Run.objects.create(account=account, kind="stage", lease_epoch=1, figures={"appended": 5, "bytes": 999})
        Run.objects.filter(pk=run.pk).update(started_at=now - timedelta(seconds=60), ended_at=now)
    told = text_of(operator.get(f"/batches/{batch.pk}/survey").content)
    assert "Taken from 3 copies between these servers." in told
    assert "What holds it up:" in told


def test_a_page_of_a_thousand_accounts_takes_no_more_questions(operator: Client, django_assert_max_num_queries) -> None:
    batch = make_batch(1000)
    surveys.ask(batch, actor="anna")
    found = {
        "folders": 5, "messages": 30, "size_bytes": 10_000, "biggest_bytes": 900, "target_messages": 0,
        "products": ["Dovecot", "Dovecot"], "has_access_lists": [True, True], "opening_seconds": 0.1,
        "sample": {"messages": 3, "size_bytes": 900, "seconds": 0.1},
        "foreseen": [{"code": "target.full", "severity": "stops", "side": "target", "count": 0, "examples": [],
                      "facts": {"resource": "STORAGE", "needed": 9, "free": 1}, "reply": ""}],
    }  # fmt: skip
    SurveyedAccount.objects.update(found=found, taken_at=timezone.now())
    with django_assert_max_num_queries(12):
        told = text_of(operator.get(f"/batches/{batch.pk}/survey").content)
    assert "and 980 more" in told
    with django_assert_max_num_queries(8):
        answer = operator.get(f"/batches/{batch.pk}/survey.csv")
        rows = list(csv.reader(answer.getvalue().decode().splitlines()))
    assert len(rows) == 1001  # whom the page does not show stands here
    assert rows[1][1:3] == ["Will not be moved", "new server"]
    assert rows[1][-1] == "target.full"


def test_where_nothing_is_new_no_findings_are_read(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(3)
    surveys.ask(batch, actor="anna")
    monkeypatch.setattr(selector, "view", lambda _: pytest.fail("read"))
    live = operator.get(f"/batches/{batch.pk}/survey/live?seen=0")
    assert (live.status_code, live["X-Live-Seen"], live["X-Live-Seconds"]) == (204, "0", "2")


def test_helpdesk_reads_no_survey_and_a_manager_starts_none(client: Client) -> None:
    batch = make_batch(3)
    for role, expected in (("is_helpdesk", (403, 403, 403, 403)), ("is_manager", (200, 200, 200, 403))):
        client.force_login(make_user(**{role: True}))
        page = f"/batches/{batch.pk}/survey"
        found = [client.get(address).status_code for address in (page, f"{page}/live", f"{page}.csv")]
        assert (*found, client.post(f"{page}/ask").status_code) == expected
    assert not BatchSurvey.objects.exists()
