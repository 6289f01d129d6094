"""The log: its filters, its pages, its table; and what is wrong with a filter is told at its field."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import AccountName, Event, User
from campaigns.selectors import log, stories
from campaigns.selectors.log import Wanted
from campaigns.services import names
from campaigns.services.events import record
from campaigns.states import AccountState
from tests.campaigns.factories import make_account, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client: Client) -> User:
    user = make_user(is_operator=True)
    client.force_login(user)
    return user


def keys(wanted: Wanted) -> list[str]:
    return [line.event.name for line in log.page(wanted).lines]


@pytest.mark.parametrize(("field", "day"), [("since", "0001-01-01"), ("until", "9999-12-31")])
def test_a_day_at_the_end_of_the_calendar_is_refused_at_its_field(
    operator: User, client: Client, field: str, day: str
) -> None:
    User.objects.update(time_zone="Pacific/Auckland")
    answer = client.get("/log", {field: day})
    assert answer.status_code == 422
    assert "There is nothing in such a year." in answer.content.decode()
    assert client.get("/log.csv", {field: day}).status_code == 422


def test_events_are_filtered_by_everything_they_carry() -> None:
    user, account, other = make_user(is_operator=True), make_account(), make_account()
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    Event.objects.all()._raw_delete("default")
    record("account.call.noted", actor=user, note="x", **ids)
    record("account.state.done", actor="worker", account_id=other.pk, campaign_id=other.campaign_id)
    record("batch.started", actor=user, campaign_id=account.campaign_id, batch_id=account.batch_id)
    record("server.breaker.opened", actor="mailferry", server=1, code="line.silent")
    everything = ["server.breaker.opened", "batch.started", "account.state.done", "account.call.noted"]
    assert keys(Wanted()) == everything
    assert keys(Wanted(account=account.pk)) == ["account.call.noted"]
    assert keys(Wanted(batch=account.batch_id)) == ["batch.started", "account.call.noted"]
    assert keys(Wanted(campaign=other.campaign_id)) == ["account.state.done"]
    assert keys(Wanted(person=str(user.pk))) == keys(Wanted(person=log.PEOPLE)) == [everything[1], everything[3]]
    assert keys(Wanted(person=log.MAILFERRY)) == [everything[0], everything[2]]
    assert [keys(Wanted(kind=kind)) for kind in ("calls", "states", "batches", "servers", "staff")] == [
        ["account.call.noted"], ["account.state.done"], ["batch.started"], ["server.breaker.opened"], [],
    ]  # fmt: skip


def test_every_kind_of_the_form_asks_for_names() -> None:
    assert [keys(Wanted(kind=kind)) for kind in log.KINDS] == [[]] * len(log.KINDS)


def test_days_are_whole_days_of_the_reader() -> None:
    now = timezone.localtime().replace(hour=12)
    for days in (0, 1, 2):
        record(f"test.{days}", actor="test")
    for days in (0, 1, 2):  # as if the clock had been put on between them: rows of events cannot be altered
        row = Event.objects.get(name=f"test.{days}")
        Event.objects.filter(pk=row.pk)._raw_delete("default")
        Event.at.field.auto_now_add = False
        try:
            Event.objects.create(name=f"test.{days}", at=now - timedelta(days=2 - days), actor_name="test")
        finally:
            Event.at.field.auto_now_add = True
    today = now.date()
    yesterday = today - timedelta(days=1)
    assert keys(Wanted(since=today)) == ["test.2"]
    assert keys(Wanted(until=yesterday)) == ["test.1", "test.0"]
    assert keys(Wanted(since=yesterday, until=yesterday)) == ["test.1"]
    assert keys(Wanted(since=today + timedelta(days=1))) == []


def test_pages_go_by_key_and_cost_the_same(client: Client, operator: User, django_assert_num_queries: object) -> None:
    account = make_account(AccountState.DONE)
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    Event.objects.bulk_create(
        Event(name="account.state.done", actor=operator, actor_name="x", data={"n": n}, **ids) for n in range(250)
    )
    first = log.page(Wanted(account=account.pk))
    second = log.page(Wanted(account=account.pk), first.older)
    third = log.page(Wanted(account=account.pk), second.older)
    assert [len(page.lines) for page in (first, second, third)] == [100, 100, 50]
    assert third.older is None
    seen = [line.event.data["n"] for page in (first, second, third) for line in page.lines]
    assert seen == list(range(249, -1, -1))
    client.get("/log")
    for address in ("/log", f"/log?before={first.older}"):
        with django_assert_num_queries(5):  # type: ignore[operator]
            client.get(address)


def test_an_account_is_filtered_by_its_whole_address_or_its_number(client: Client, operator: User) -> None:
    account = make_account(source_login="ann@x.test")
    AccountName.objects.bulk_create(names.rows_of(account, ["also@x.test"]))
    record("account.retried", actor=operator, account_id=account.pk)
    record("campaign.paused", actor=operator)
    for text in ("ANN@x.test", "also@x.test", str(account.pk)):
        page = client.get("/log", {"account": text}).content.decode()
        assert "What happened to ann@x.test" in page
        assert "Paused the campaign." not in page


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"since": "yesterday"}, "Write a day as 2026-11-18."),
        ({"until": "2026-13-45"}, "Write a day as 2026-11-18."),
        ({"since": "2026-11-18", "until": "2026-11-17"}, "The last day comes before the first."),
        ({"account": "nobody@x.test"}, "No account has this address."),
        ({"account": "9" * 30}, "No account has this address."),
        ({"batch": "999999"}, "There is no such batch."),
        ({"batch": "x"}, "Enter a whole number."),
        ({"kind": "x"}, "Select a valid choice."),
        ({"person": "-1"}, "Select a valid choice."),
        ({"campaign": "x"}, "Select a valid choice."),
    ],
)
@pytest.mark.parametrize("address", ["/log", "/log.csv"])
def test_a_filter_that_cannot_be_read_is_told_and_kept(
    client: Client, operator: User, address: str, query: dict[str, str], sentence: str
) -> None:
    answer = client.get(address, query)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert operator.is_operator


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "", "٣"])
def test_a_page_that_cannot_be_read_is_the_first(client: Client, operator: User, before: str) -> None:
    assert client.get("/log", {"before": before}).status_code == 200
    assert operator.is_operator


def test_the_table_holds_everything_and_no_formula(client: Client, operator: User) -> None:
    account = make_account(source_login="=cmd|calc@x.test")
    record("account.call.noted", actor=operator, account_id=account.pk, note="=1+1")
    record("batch.paused", actor="mailferry", reason="@SUM(1)")
    answer = client.get("/log.csv")
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))  # type: ignore[attr-defined]
    assert tuple(rows[0]) == log.HEADER
    assert len(rows) == Event.objects.count() + 1
    assert [row[7] for row in rows if row[2] == "account.call.noted"] == ["'=cmd|calc@x.test"]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+", "-"))]


def test_the_table_is_read_in_pieces(operator: User, django_assert_num_queries: object) -> None:
    Event.objects.bulk_create(Event(name="test", actor_name="x", data={}) for _ in range(2500))
    count = Event.objects.count()
    with django_assert_num_queries(count // 1000 + 2):  # type: ignore[operator]
        assert len(list(log.table(Wanted()))) == count
    assert operator.is_operator


def test_only_who_may_export_gets_the_table(client: Client) -> None:
    for role, statuses in {
        "is_operator": (200, 200), "is_manager": (200, 200), "is_administrator": (200, 403), "is_helpdesk": (403, 403),
    }.items():  # fmt: skip
        client.force_login(make_user(**{role: True}))
        page = client.get("/log")
        assert (page.status_code, client.get("/log.csv").status_code) == statuses
        assert (b"/log.csv" in page.content) == (statuses == (200, 200))


def test_calls_read_as_sentences() -> None:
    for name in ("account.call.noted", "account.operator.told", "account.operator.looked"):
        assert stories.is_known(name)
