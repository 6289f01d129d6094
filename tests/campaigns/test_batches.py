"""Lists are cut into batches, batches begin and brake, and what cannot be done says why."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError

from campaigns.models import Account, Batch, BatchCount, Event
from campaigns.services import batches, campaigns
from campaigns.services.batches import Timetable
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from tests.campaigns.factories import (
    NIGHT,
    event_names,
    figures,
    make_batch,
    make_campaign,
    make_server,
    make_user,
    put,
    unsaved,
)

S = AccountState
pytestmark = pytest.mark.django_db


def refuses(code: str) -> object:
    return pytest.raises(Refused, match=f"^{code}$")


@pytest.mark.req("S-116")
def test_a_list_is_cut_into_batches_of_a_thousand() -> None:
    campaign, accounts = make_campaign(), unsaved(2300)
    cut = batches.cut(campaign, accounts, actor="anna")
    assert [(batch.number, batch.accounts.count()) for batch in cut] == [(1, 1000), (2, 1000), (3, 300)]
    assert [figures(batch) for batch in cut] == [{S.NEW: 1000}, {S.NEW: 1000}, {S.NEW: 300}]
    stored = Account.objects.order_by("pk").values_list("source_login", flat=True)
    assert list(stored) == [account.source_login for account in accounts]
    assert all(account.pk for account in accounts)


@pytest.mark.parametrize(("size", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (1001, [5])])
def test_the_size_of_a_batch_can_be_chosen(size: int, sizes: list[int]) -> None:
    cut = batches.cut(make_campaign(), unsaved(5), actor="anna", size=size)
    assert [batch.accounts.count() for batch in cut] == sizes


def test_a_batch_holds_at_least_one_account() -> None:
    with refuses("batch.size"):
        batches.cut(make_campaign(), unsaved(2), actor="anna", size=0)


def test_no_batch_begins_after_all_calendars() -> None:
    campaign, far = make_campaign(), Timetable(NIGHT, every=timedelta(days=4_000_000))
    with refuses("batch.too_late"):
        batches.cut(campaign, unsaved(2), actor="anna", size=1, timetable=far)
    assert not Account.objects.exists()
    assert not Batch.objects.exists()


def test_each_batch_has_its_night() -> None:
    window = Timetable(NIGHT - timedelta(days=7), NIGHT, NIGHT + timedelta(hours=4), every=timedelta(days=1))
    cut = batches.cut(make_campaign(), unsaved(5), actor="anna", size=2, timetable=window, parallel_cutovers=3)
    assert [batch.window_begins_at for batch in cut] == [NIGHT + timedelta(days=n) for n in range(3)]
    assert [batch.window_ends_at - batch.starts_at for batch in cut] == [timedelta(days=7, hours=4)] * 3
    assert {batch.parallel_cutovers for batch in cut} == {3}


def test_accounts_take_the_servers_of_the_campaign_where_they_name_none() -> None:
    campaign, other = make_campaign(), make_server()
    accounts = unsaved(2)
    accounts[1].source = other
    batches.cut(campaign, accounts, actor="anna")
    assert [account.source for account in Account.objects.order_by("pk")] == [campaign.source, other]
    assert set(Account.objects.values_list("target", flat=True)) == {campaign.target_id}


def test_a_mailbox_that_is_there_already_leaves_nothing_half_stored() -> None:
    campaign = make_campaign()
    accounts = unsaved(5)
    accounts[4].target_login = accounts[0].target_login
    with pytest.raises(IntegrityError):
        batches.cut(campaign, accounts, actor="anna", size=2)
    assert (Account.objects.count(), Batch.objects.count(), BatchCount.objects.count()) == (0, 0, 0)
    assert event_names(name__startswith="batch") == []


def test_further_lists_become_further_batches_and_more_accounts_join_one() -> None:
    campaign = make_campaign()
    (first,) = batches.cut(campaign, unsaved(3), actor="anna")
    (second,) = batches.cut(campaign, unsaved(2), actor="anna")
    assert (first.number, second.number) == (1, 2)
    Batch.objects.filter(pk=first.pk).update(ended_at=NIGHT)
    batches.add(first, unsaved(4), actor="anna")
    assert figures(first) == {S.NEW: 7}
    assert Batch.objects.get(pk=first.pk).ended_at is None


def test_a_closed_campaign_takes_no_more() -> None:
    campaign = make_campaign()
    batch = make_batch(1, campaign=campaign, started=False)
    campaigns.close(campaign, actor="anna")
    for act in (
        lambda: batches.cut(campaign, unsaved(1), actor="anna"),
        lambda: batches.add(batch, unsaved(1), actor="anna"),
        lambda: batches.start(batch, actor="anna"),
        lambda: batches.go(batch, actor="anna"),
        lambda: batches.plan(batch, actor="anna", name="x"),
    ):
        with refuses("campaign.closed"):
            act()


def test_a_batch_starts_once_and_not_empty() -> None:
    batch = make_batch(1, started=False)
    user = make_user(is_operator=True)
    batches.start(batch, actor=user)
    assert batch.started_at is not None
    with refuses("batch.started"):
        batches.start(batch, actor=user)
    assert Event.objects.get(name="batch.started").actor == user
    empty = Batch.objects.create(campaign=batch.campaign, number=9, name="9")
    with refuses("batch.empty"):
        batches.start(empty, actor=user)


def test_go_is_said_once_and_can_be_withdrawn() -> None:
    batch = make_batch()
    batches.go(batch, actor="anna")
    with refuses("batch.gone"):
        batches.go(batch, actor="anna")
    batches.withdraw_go(batch, actor="anna")
    assert batch.go_at is None
    with refuses("batch.not_gone"):
        batches.withdraw_go(batch, actor="anna")
    assert event_names(batch=batch, name__startswith="batch.go") == ["batch.go", "batch.go_withdrawn"]


def test_only_a_batch_with_a_canary_waits_for_it() -> None:
    batch = make_batch(canary=2)
    batches.pass_canary(batch, actor="anna")
    with refuses("batch.no_canary"):
        batches.pass_canary(batch, actor="anna")
    with refuses("batch.no_canary"):
        batches.pass_canary(make_batch(), actor="anna")


def test_a_batch_is_paused_and_resumed_once_with_what_failed_accepted() -> None:
    batch = make_batch(4)
    put(batch.accounts.all()[0], S.FAILED)
    put(batch.accounts.all()[1], S.HELD)
    assert batches.pause(batch, actor="anna", reason="lunch")
    assert not batches.pause(batch, actor="anna")
    assert batches.resume(batch, actor="anna")
    assert not batches.resume(batch, actor="anna")
    assert (batch.is_paused, batch.failures_accepted) == (False, 2)
    assert event_names(batch=batch, name__in=["batch.paused", "batch.resumed"]) == ["batch.paused", "batch.resumed"]


def test_a_batch_is_planned_within_its_limits() -> None:
    batch = make_batch(started=False)
    batches.plan(batch, actor="anna", name=" Monday ", timetable=Timetable(starts_at=NIGHT), max_attempts=9)
    assert (batch.name, batch.starts_at, batch.max_attempts) == ("Monday", NIGHT, 9)
    assert Event.objects.get(name="batch.planned").data["fields"] == [
        "max_attempts",
        "name",
        "starts_at",
        "window_begins_at",
        "window_ends_at",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, (lowest, highest) in batches.LIMITS.items() for value in (lowest - 1, highest + 1)],
)
def test_a_limit_out_of_its_range_is_refused(name: str, value: int) -> None:
    batch = make_batch()
    with refuses("batch.limit"):
        batches.plan(batch, actor="anna", **{name: value})


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    wrong = Timetable(window_begins_at=NIGHT, window_ends_at=NIGHT)
    with refuses("batch.window"):
        batches.plan(make_batch(), actor="anna", timetable=wrong)
    with refuses("batch.window"):
        batches.cut(make_campaign(), unsaved(1), actor="anna", timetable=wrong)
