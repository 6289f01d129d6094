"""Home: each role its own, and on the operator's everything that waits for a person."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Alarm, Campaign, Server
from campaigns.selectors import needs
from campaigns.services import alarms, campaigns, watchdog
from campaigns.states import AccountState
from tests.campaigns import scenes
from tests.campaigns.factories import make_account, make_batch, make_campaign, make_server, make_user, make_worker

pytestmark = pytest.mark.django_db

S = AccountState


def test_helpdesk_lands_at_the_search_box_and_a_manager_at_the_dashboard(client: Client) -> None:
    client.force_login(make_user(is_helpdesk=True))
    assert client.get("/")["Location"] == "/people"
    client.force_login(make_user(is_manager=True))
    assert b"No campaign yet." in client.get("/").content
    make_campaign()
    closed = make_campaign()
    latest = make_campaign()
    Campaign.objects.filter(pk=closed.pk).update(closed_at=timezone.now())
    assert client.get("/")["Location"] == f"/campaigns/{latest.pk}"
    Campaign.objects.update(closed_at=timezone.now())
    assert client.get("/")["Location"].startswith("/campaigns/")


def test_nobody_without_a_role_is_let_anywhere(client: Client) -> None:
    client.force_login(make_user())
    assert client.get("/")["Location"] == "/profile"


def test_an_empty_panel_offers_two_roads(client: Client) -> None:
    client.force_login(make_user(is_operator=True))
    page = client.get("/").content.decode()
    assert "./run demo" in page
    assert "Set up your servers" in page
    make_server()
    assert "Welcome to Mailferry" not in client.get("/").content.decode()


def test_nothing_is_needed_when_all_is_well(client: Client) -> None:
    make_worker("control,stage,cutover")
    make_worker("ticker")
    make_batch(2, state=S.STAGING)
    assert needs.now_needed().total == 0
    client.force_login(make_user(is_operator=True))
    page = client.get("/").content.decode()
    assert "Nothing needs you now." in page
    assert "<title>What needs me" in page


def test_everything_that_waits_for_a_person_is_told() -> None:
    make_worker("control,stage,cutover")
    ready = make_batch(3, state=S.READY)
    canary = make_batch(2, state=S.READY, go_at=timezone.now(), canary=1, cutovers_begun=1)
    paused = make_batch(1, state=S.STAGING, is_paused=True)
    later = timezone.now() + timedelta(days=1)
    make_batch(1, state=S.READY, go_at=timezone.now(), window_begins_at=later)
    make_batch(1, state=S.NEW, started=False)
    halted = make_campaign()
    make_batch(1, state=S.READY, campaign=halted)
    campaigns.pause(halted.pk, actor="test")
    locked, unsure = make_account(S.HELD), make_account(S.ATTENTION, owner="unknown", error_code="directory.lost")
    server = make_server(breaker_failures=1, breaker_code="server.unreachable")
    found = needs.now_needed()
    assert [(one.batch.pk, one.waits_for, one.accounts) for one in found.batches] == [
        (ready.pk, "go", 3), (canary.pk, "canary", 2), (paused.pk, "resume", 0),
    ]  # fmt: skip
    assert found.paused == [halted]
    assert ({one.account.pk for one in found.accounts}, found.undecided) == ({locked.pk, unsure.pk}, 2)
    assert [one.server for one in found.servers] == [server]
    assert [finding.name for finding in found.findings] == ["ticker"]
    assert found.total == 3 + 1 + 2 + 1 + 1


def test_a_batch_of_which_accounts_did_not_move_waits_with_how_many(client: Client) -> None:
    batch = make_batch(3, state=S.FAILED)
    make_batch(2, state=S.DONE)
    found = needs.now_needed()
    assert [(one.batch.pk, one.accounts) for one in found.failed] == [(batch.pk, 3)]
    client.force_login(make_user(is_operator=True))
    page = client.get("/").content.decode()
    assert f'href="/batches/{batch.pk}?state=failed"' in page
    assert "3 accounts did not move" in page
    Campaign.objects.filter(pk=batch.campaign_id).update(closed_at=timezone.now())
    assert needs.now_needed().failed == []


def test_accounts_of_closed_campaigns_need_nobody() -> None:
    account = make_account(S.ATTENTION)
    Campaign.objects.filter(pk=account.campaign_id).update(closed_at=timezone.now())
    assert needs.now_needed().undecided == 0


def test_home_costs_the_same_with_many_accounts_and_renews_itself(
    client: Client, django_assert_max_num_queries: object
) -> None:
    scenes.platform(40)
    client.force_login(make_user(is_operator=True))
    page = client.get("/").content.decode()
    assert 'data-live="15"' in page
    assert page.partition("<title>")[2][0].isdigit()
    with django_assert_max_num_queries(18):  # type: ignore[operator]
        part = client.get("/", headers={"HX-Request": "true"})
    assert part["X-Live-At"]
    assert part.content.decode().lstrip().startswith('<div id="home"')
    assert Server.objects.count() == 2


def test_who_is_locked_out_longer_than_allowed_stands_first(client: Client) -> None:
    account = make_account(S.ATTENTION, owner="unknown", locked_at=timezone.now() - timedelta(hours=1))
    found = needs.now_needed()
    (late,) = found.late
    assert (late.kind, late.accounts, late.first, late.alarm) == ("locked_out", 1, account.pk, None)
    client.force_login(make_user(is_operator=True))
    page = client.get("/").content.decode()
    sections = re.findall(r'aria-labelledby="(h-\w+)"', page)
    assert sections[0] == "h-late"
    assert "No alarm was raised yet." in page
    watchdog.look()
    assert "Nobody has seen the alarm." in client.get("/").content.decode()
    alarms.acknowledge(Alarm.objects.get().pk, actor="anna")
    assert "anna has seen the alarm." in client.get("/").content.decode()
