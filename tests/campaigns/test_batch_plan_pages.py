"""The table of batches, the plan of one, and cutting one into smaller ones."""

from __future__ import annotations

import zoneinfo
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from campaigns.models import Batch, Event
from campaigns.services import batches
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from tests.campaigns import scenes
from tests.campaigns.factories import NIGHT, event_names, figures, make_batch, make_user, put

pytestmark = pytest.mark.django_db
S = AccountState


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_operator=True, time_zone="America/New_York"))
    return client


def sent(batch: Batch, **changed: Any) -> dict[str, Any]:
    return {"name": batch.name, **{name: getattr(batch, name) for name in batches.LIMITS}, **changed}


def test_the_table_shows_every_batch_with_what_it_waits_for(operator: Client) -> None:
    campaign = scenes.platform(30)
    page = operator.get(f"/campaigns/{campaign.pk}/batches").content.decode()
    for name in ("Science 2", "Science 3", "Arts 1"):
        assert name in page
    assert "Ended" in page
    assert "Somebody to start it" in page


def test_the_table_asks_as_much_for_one_batch_as_for_many(operator: Client, django_assert_num_queries: Any) -> None:
    batch = make_batch(2)
    address = f"/campaigns/{batch.campaign_id}/batches"
    operator.get(address)
    with django_assert_num_queries(6):
        operator.get(address)
    for _ in range(5):
        make_batch(2, campaign=batch.campaign)
    with django_assert_num_queries(6):
        operator.get(address)


def test_times_are_typed_and_shown_in_the_readers_zone(operator: Client) -> None:
    batch = make_batch(2, started=False)
    times = {"starts_at": "2030-03-01T22:00", "window_begins_at": "2030-03-02T22:00"}
    answer = operator.post(f"/batches/{batch.pk}/plan", sent(batch, **times, window_ends_at="2030-03-03T04:00"))
    assert answer.status_code == 302
    batch.refresh_from_db()
    assert batch.starts_at == datetime(2030, 3, 1, 22, tzinfo=zoneinfo.ZoneInfo("America/New_York"))
    page = operator.get(f"/batches/{batch.pk}/plan").content.decode()
    assert 'value="2030-03-01T22:00"' in page


def test_name_and_limits_are_set_with_an_event_of_the_person(operator: Client) -> None:
    batch = make_batch(2)
    operator.post(f"/batches/{batch.pk}/plan", sent(batch, name="Law", canary=5, stop_at_failed_percent=3))
    batch.refresh_from_db()
    assert (batch.name, batch.canary, batch.stop_at_failed_percent) == ("Law", 5, 3)
    assert Event.objects.get(name="batch.planned").actor is not None


@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("name", "", "Give the batch a name."),
        ("starts_at", "tomorrow", "Enter a day and a time"),
        ("starts_at", "2020-01-01T00:00", "That time is over."),
        ("window_ends_at", "2030-03-01T22:00", "The window must end after it begins."),
        ("parallel_cutovers", "0", "greater than or equal to 1"),
        ("stop_at_failed_percent", "101", "less than or equal to 100"),
        ("cutover_seconds", "soon", "Enter a whole number"),
    ],
)
def test_a_wrong_plan_is_told_at_the_field_and_on_top_and_nothing_is_lost(
    operator: Client, field: str, text: str, told: str
) -> None:
    batch = make_batch(2, started=False)
    answer = operator.post(
        f"/batches/{batch.pk}/plan", sent(batch, window_begins_at="2030-03-01T23:00", max_attempts=9) | {field: text}
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count(told) == 2
    assert 'value="2030-03-01T23:00"' in page
    assert 'value="9"' in page
    batch.refresh_from_db()
    assert batch.max_attempts == 5


def test_the_start_of_a_started_batch_is_not_asked_for_and_stays(operator: Client) -> None:
    batch = make_batch(2, starts_at=NIGHT)
    assert "Start time" not in operator.get(f"/batches/{batch.pk}/plan").content.decode()
    operator.post(f"/batches/{batch.pk}/plan", sent(batch))
    batch.refresh_from_db()
    assert batch.starts_at == NIGHT


def test_a_batch_is_started_and_resumed_from_the_table(operator: Client) -> None:
    batch = make_batch(2, started=False)
    operator.post(f"/batches/{batch.pk}/go-on", {"act": "start"})
    batch.refresh_from_db()
    assert batch.started_at
    page = operator.post(f"/batches/{batch.pk}/go-on", {"act": "start"}, follow=True).content.decode()
    assert "started already" in page
    Batch.objects.update(is_paused=True)
    assert "Paused" in operator.get(f"/campaigns/{batch.campaign_id}/batches").content.decode()
    operator.post(f"/batches/{batch.pk}/go-on", {"act": "resume"})
    assert not Batch.objects.get().is_paused


def test_a_batch_is_cut_in_its_order_with_its_times_and_limits(operator: Client) -> None:
    batch = make_batch(7, started=False, starts_at=NIGHT, canary=2)
    put(batch.accounts.order_by("pk")[6], S.EXCLUDED)
    keys = list(batch.accounts.order_by("pk").values_list("pk", flat=True))
    operator.post(f"/batches/{batch.pk}/split", {"split-size": "3"})
    first, second, third = Batch.objects.order_by("number")
    assert [list(one.accounts.order_by("pk").values_list("pk", flat=True)) for one in (first, second, third)] == [
        keys[:3], keys[3:6], keys[6:],
    ]  # fmt: skip
    assert [figures(one) for one in (first, second, third)] == [{S.NEW: 3}, {S.NEW: 3}, {S.EXCLUDED: 1}]
    assert {(one.starts_at, one.canary) for one in (first, second, third)} == {(NIGHT, 2)}
    assert event_names(batch=first)[-1] == "batch.split"


def test_a_batch_no_larger_than_that_stays_whole(operator: Client) -> None:
    batch = make_batch(3, started=False)
    page = operator.post(f"/batches/{batch.pk}/split", {"split-size": "3"}, follow=True).content.decode()
    assert "stays whole" in page
    assert Batch.objects.count() == 1


@pytest.mark.parametrize("text", ["", "0", "many"])
def test_a_size_that_is_none_is_refused(operator: Client, text: str) -> None:
    batch = make_batch(3, started=False)
    assert operator.post(f"/batches/{batch.pk}/split", {"split-size": text}).status_code == 422
    assert Batch.objects.count() == 1


def test_a_started_batch_is_not_cut() -> None:
    batch = make_batch(3)
    with pytest.raises(Refused, match=r"batch\.started"):
        batches.split(batch, size=1, actor="test")
    with pytest.raises(Refused, match=r"batch\.size"):
        batches.split(batch, size=0, actor="test")


@pytest.mark.parametrize("role", ["is_helpdesk", "is_manager", "is_administrator"])
def test_only_operators_change_batches(client: Client, role: str) -> None:
    batch = make_batch(2, started=False)
    client.force_login(make_user(**{role: True}))
    assert client.get(f"/batches/{batch.pk}/plan").status_code == 403
    for act in ("plan", "split", "go-on"):
        assert client.post(f"/batches/{batch.pk}/{act}", {}).status_code == 403
    expected = 403 if role == "is_helpdesk" else 200
    assert client.get(f"/campaigns/{batch.campaign_id}/batches").status_code == expected
