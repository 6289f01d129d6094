"""What people see: figures without counting accounts, reasons for waiting, pages that follow one another."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Account, Batch
from campaigns.selectors import account as account_selector
from campaigns.selectors import batch as batch_selector
from campaigns.selectors import overview
from campaigns.services import accounts, batches, campaigns
from campaigns.states import AccountState, Family
from tests.campaigns.factories import NIGHT, claim, make_account, make_batch, make_campaign, put

S = AccountState
pytestmark = pytest.mark.django_db


def test_the_overview_adds_up_batches_and_campaigns() -> None:
    campaign = make_campaign()
    first, second = make_batch(3, campaign=campaign), make_batch(2, state=S.DONE, campaign=campaign)
    put(first.accounts.all()[0], S.FAILED)
    empty = make_campaign()
    views = overview.campaigns()
    assert [view.campaign for view in views] == [empty, campaign]
    assert (views[0].figures.accounts, views[0].batches) == (0, [])
    assert views[1].figures.states == {S.NEW: 2, S.FAILED: 1, S.DONE: 2}
    assert views[1].figures.families == {Family.WAITING: 2, Family.FAILED: 1, Family.DONE: 2}
    assert [(batch, figures.accounts) for batch, figures in views[1].batches] == [(first, 3), (second, 2)]
    assert overview.figures(campaign) == views[1].figures


def test_the_overview_asks_four_questions_however_many_there_are() -> None:
    for _ in range(5):
        make_batch(2, campaign=make_campaign())
    with CaptureQueriesContext(connection) as queries:
        overview.campaigns()
    assert len(queries) <= 4


def test_a_batch_is_seen_with_two_questions() -> None:
    batch = make_batch(5)
    with CaptureQueriesContext(connection) as queries:
        view = batch_selector.view(batch.pk)
    assert (view.figures.states, view.has_ended, len(queries)) == ({S.NEW: 5}, False, 2)


@pytest.mark.parametrize(
    ("fields", "waits_for"),
    [
        ({"started_at": None}, "start"),
        ({"is_paused": True}, "resume"),
        ({"go_at": None}, "go"),
        ({"window_begins_at": NIGHT + timedelta(days=1)}, "window"),
        ({"window_ends_at": NIGHT}, "window"),
        ({"canary": 1, "cutovers_begun": 1}, "canary"),
        ({"canary": 1, "cutovers_begun": 0}, ""),
        ({"ended_at": NIGHT, "go_at": None}, ""),
        ({}, ""),
    ],
)
def test_a_batch_says_what_it_waits_for(fields: dict[str, object], waits_for: str) -> None:
    batch = make_batch(1, state=S.READY, **{"go_at": NIGHT, **fields})
    assert batch_selector.view(batch.pk, NIGHT).waits_for == waits_for


def test_accounts_come_page_by_page_each_once() -> None:
    batch = make_batch(25)
    make_batch(3)
    put(batch.accounts.all()[7], S.FAILED)
    seen, after = [], 0
    while True:
        page = batch_selector.accounts(batch.pk, after=after, limit=10)
        seen += [account.pk for account in page.accounts]
        if page.next_after is None:
            break
        after = page.next_after
    assert seen == list(batch.accounts.order_by("pk").values_list("pk", flat=True))
    assert len(batch_selector.accounts(batch.pk, state=S.FAILED).accounts) == 1
    assert len(batch_selector.accounts(batch.pk, family=Family.WAITING).accounts) == 24
    assert batch_selector.accounts(batch.pk, limit=25).next_after is None


def test_an_account_is_seen_with_what_happened_to_it_the_latest_first() -> None:
    account = make_account(S.FAILED)
    accounts.retry(account.pk, actor="anna")
    accounts.request_stop(account.pk, actor="anna")
    view = account_selector.view(account.pk)
    assert [event.name for event in view.events] == ["account.stop_requested", "account.state.checking"]
    assert view.waits_for == "person"
    with pytest.raises(Account.DoesNotExist):
        account_selector.view(0)


@pytest.mark.parametrize(
    ("state", "fields", "waits_for"),
    [
        (S.NEW, {}, "slot"),
        (S.READY, {}, "slot"),
        (S.STAGING, {"is_stopped": True}, "person"),
        (S.STAGING, {"not_before": NIGHT}, "pause"),
        (S.STAGING, {"not_before": NIGHT, "waiting_for": "breaker"}, "breaker"),
        (S.STAGING, {"not_before": NIGHT, "waiting_for": "room"}, "room"),
        (S.STAGING, {"lease_until": NIGHT}, ""),
        (S.DONE, {"not_before": NIGHT}, ""),
        (S.EXCLUDED, {}, ""),
        (S.FAILED, {}, "person"),
        (S.HELD, {}, "person"),
        (S.ATTENTION, {}, "person"),
    ],
)
def test_an_account_says_what_it_waits_for(state: AccountState, fields: dict[str, object], waits_for: str) -> None:
    account = make_account(state, **fields)
    assert account_selector.view(account.pk).waits_for == waits_for


def test_an_account_waits_for_what_its_batch_waits_for() -> None:
    new, ready = make_account(S.NEW), make_account(S.READY)
    Batch.objects.update(go_at=None)
    assert account_selector.view(ready.pk).waits_for == "go"
    Batch.objects.update(go_at=timezone.now(), canary=1, cutovers_begun=1)
    assert account_selector.view(ready.pk).waits_for == "canary"
    for account in (new, ready):
        batches.pause(account.batch, actor="anna")
        assert account_selector.view(account.pk).waits_for == "resume"
    Batch.objects.update(is_paused=False, started_at=None, canary=0)
    assert account_selector.view(new.pk).waits_for == account_selector.view(ready.pk).waits_for == "start"
    Batch.objects.update(started_at=timezone.now())
    campaigns.pause(new.campaign_id, actor="anna")
    assert account_selector.view(new.pk).waits_for == "resume"
    claim(new)
    assert account_selector.view(new.pk).waits_for == ""
