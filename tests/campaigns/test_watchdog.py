"""Nobody is locked out, or their mail held, longer than their batch allows, without an alarm."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from campaigns.models import Account, Alarm, Batch, Campaign, Confirmation, JournalEntry
from campaigns.services import watchdog
from campaigns.states import AccountState
from migrator.recipes import recipe_of
from tests.campaigns.factories import event_names, make_account, make_batch, put

pytestmark = pytest.mark.django_db

S = AccountState
ALLOWED = timedelta(seconds=900 + watchdog.GRACE_SECONDS)  # of a batch as it comes


def step(account: Account, kind: str, side: str, status: str, at: datetime, *, cutover: int = 1) -> None:
    place = {"cutover": cutover, "position": JournalEntry.objects.count(), "kind": kind, "side": side}
    JournalEntry.objects.create(account=account, status=status, begun_at=at, **place)


def seen(now: datetime) -> list[tuple[int, str]]:
    return [(one.account_id, one.kind) for one in watchdog.overdue(now)]


def test_a_user_is_overdue_once_the_time_of_the_batch_and_a_minute_are_over() -> None:
    now = timezone.now()
    account = make_account(S.ATTENTION, locked_at=now, owner="unknown")
    assert seen(now + ALLOWED - timedelta(seconds=1)) == []
    assert seen(now + ALLOWED + timedelta(seconds=1)) == [(account.pk, "locked_out")]


def test_each_batch_has_its_own_time() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, locked_at=now - timedelta(seconds=200))
    assert seen(now) == []
    Batch.objects.update(cutover_seconds=60)
    assert seen(now) == [(account.pk, "locked_out")]


def test_whose_worker_died_while_it_locked_them_out_is_not_overlooked() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1)
    step(account, "disable", "source", "begun", now - ALLOWED * 2)
    assert account.locked_at is None
    assert seen(now) == [(account.pk, "locked_out")]


@pytest.mark.parametrize(
    ("kind", "side", "status"),
    [("disable", "source", "undone"), ("disable", "target", "done")],
)
def test_what_was_undone_or_is_of_the_other_side_locks_nobody_out(kind: str, side: str, status: str) -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1)
    step(account, kind, side, status, now - ALLOWED * 2)
    assert seen(now) == []


def test_a_user_whose_new_mailbox_is_open_is_not_locked_out() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1, owner="target")
    step(account, "disable", "source", "done", now - ALLOWED * 2)
    step(account, "enable", "target", "done", now - ALLOWED)
    assert seen(now) == []


def test_an_earlier_move_of_the_same_account_counts_no_more() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=2)
    step(account, "disable", "source", "begun", now - ALLOWED * 2, cutover=1)
    assert seen(now) == []


def test_mail_that_is_held_too_long_is_told_apart_and_over_when_it_is_released() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1, owner="target")
    step(account, "hold", "", "done", now - ALLOWED * 2)
    assert seen(now) == [(account.pk, "held")]
    step(account, "release", "", "begun", now)
    assert seen(now) == [(account.pk, "held")]
    JournalEntry.objects.filter(kind="release").update(status="done")
    assert seen(now) == []


@pytest.mark.parametrize("state", [S.DONE, S.READY, S.FAILED, S.STAGING, S.EXCLUDED])
def test_who_is_not_in_the_middle_of_a_move_waits_for_nothing(state: AccountState) -> None:
    make_account(state, locked_at=timezone.now() - ALLOWED * 2)
    assert seen(timezone.now()) == []


def test_who_arrives_first_and_is_stuck_on_the_way_is_not_overlooked() -> None:
    now = timezone.now()
    account = make_account(S.CHECKING, arrives_first=True, locked_at=now - ALLOWED * 2)
    step(account, "hold", "", "done", now - ALLOWED * 2, cutover=0)
    assert sorted(seen(now)) == [(account.pk, "held"), (account.pk, "locked_out")]


def by_hand(account: Account, check: str, status: str, at: datetime) -> None:
    """A person's step of the method switching, for an account."""
    steps = recipe_of("switching").steps
    Campaign.objects.update(recipe="switching")
    place = next(place for place, step in enumerate(steps) if step.check == check)
    columns = {"cutover": 1, "position": place, "kind": "person", "status": status, "begun_at": at - ALLOWED * 9}
    JournalEntry.objects.create(account=account, ended_at=at if status == "done" else None, **columns)


def test_whose_server_a_person_has_stopped_is_locked_out_from_then_on() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1)
    by_hand(account, "both_listen", "done", now - ALLOWED * 4)
    by_hand(account, "port_closed", "begun", now - ALLOWED * 3)
    assert seen(now) == [], "nobody has stopped it yet"
    JournalEntry.objects.filter(status="begun").update(status="done", ended_at=now - ALLOWED * 2)
    assert seen(now) == [(account.pk, "locked_out")]
    assert [one.since for one in watchdog.overdue(now)] == [now - ALLOWED * 2]
    by_hand(account, "ports_open", "done", now)
    assert seen(now) == []


@pytest.mark.parametrize("recipe", ["switching", "sims1", "sims3"])
def test_whoever_is_at_an_old_server_that_a_person_stopped_is_locked_out_until_it_is_said_to_run(recipe: str) -> None:
    now = timezone.now()
    batch = make_batch(4, state=S.READY)
    back, waits, moved, excluded = batch.accounts.order_by("pk")
    put(back, S.ROLLING_BACK, cutover=1)
    put(moved, S.DONE)
    put(excluded, S.EXCLUDED)
    Campaign.objects.update(recipe=recipe)
    steps = [step.check for step in recipe_of(recipe).steps]
    place = steps.index("port_closed")
    columns = {"cutover": 1, "position": place, "kind": "person", "status": "undone", "begun_at": now - ALLOWED * 2}
    JournalEntry.objects.create(account=back, **columns)
    closed = {"check_name": "port_closed", "confirmed_at": now - ALLOWED * 2}
    row = Confirmation.objects.create(batch=batch, position=place, **closed)
    expected = [(back.pk, "locked_out"), (waits.pk, "locked_out")]
    assert seen(now) == expected
    assert watchdog.stopped_since(fresh(batch)) == row.confirmed_at
    put(back, S.FAILED)
    assert seen(now) == expected, "whoever went back stays without a server"
    Confirmation.objects.update(position=place + 1)
    assert seen(now) == [], "it was confirmed for another method"
    Confirmation.objects.update(position=place, confirmed_at=now)
    assert seen(now) == [], "not longer than allowed yet"
    Confirmation.objects.update(confirmed_at=None)
    assert seen(now + ALLOWED * 2) == [], "it was taken back: the old server runs again"
    Confirmation.objects.update(confirmed_at=now)
    if "ports_open" in steps:
        opened = {"check_name": "ports_open", "confirmed_at": now}
        Confirmation.objects.create(batch=batch, position=steps.index("ports_open"), **opened)
        assert seen(now + ALLOWED * 2) == []
        assert watchdog.stopped_since(fresh(batch)) is None


def fresh(batch: Batch) -> Batch:
    return Batch.objects.select_related("campaign").get(pk=batch.pk)


def test_who_is_let_in_at_the_new_server_is_not_locked_out_by_the_old_one_that_was_stopped() -> None:
    now = timezone.now()
    account = make_account(S.CUTTING_OVER, cutover=1, owner="target")
    by_hand(account, "port_closed", "done", now - ALLOWED * 2)
    assert seen(now) == [(account.pk, "locked_out")]
    step(account, "enable", "target", "done", now)
    assert seen(now) == []


def test_who_is_between_two_servers_because_nobody_knows_how_a_switch_ended_is_told() -> None:
    now = timezone.now()
    account = make_account(S.ATTENTION, cutover=1, owner="unknown")
    step(account, "switch", "", "begun", now - ALLOWED * 2)
    assert seen(now) == [], "the panel's own note is no route"
    JournalEntry.objects.update(connector="route front")
    assert seen(now) == [(account.pk, "locked_out")]
    JournalEntry.objects.update(status="done")
    assert seen(now) == []


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        ("plain", [["lift", "", ""]]),
        ("plain", [["disable", "neither", ""]]),
        ("plain", [["disable", "source", "", "", ""]]),
        ("of another version", []),
    ],
)
def test_a_method_that_nobody_can_read_keeps_nobody_else_from_being_watched(
    recipe: str, steps: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    now = timezone.now()
    broken, whole = (make_account(S.CUTTING_OVER, cutover=1, locked_at=now - ALLOWED * days) for days in (2, 3))
    assert broken.campaign_id != whole.campaign_id
    Campaign.objects.filter(pk=broken.campaign_id).update(recipe=recipe, steps=steps)
    for _ in range(2):
        assert seen(now) == [(whole.pk, "locked_out"), (broken.pk, "locked_out")]
    assert [line for line in caplog.messages if f"batch {broken.batch_id} cannot be read" in line] == caplog.messages
    assert len(caplog.messages) == 1


def test_closed_campaigns_raise_nothing() -> None:
    make_account(S.HELD, locked_at=timezone.now() - ALLOWED * 2)
    Campaign.objects.update(closed_at=timezone.now())
    assert seen(timezone.now()) == []


def test_a_thousand_who_wait_are_one_alarm_and_few_queries(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    now = timezone.now()
    batch = make_batch(1000, state=S.CUTTING_OVER)
    batch.accounts.update(locked_at=now - ALLOWED * 2)
    with django_assert_max_num_queries(20):
        assert len(watchdog.look(now)) == 1000
    alarm = Alarm.objects.get()
    assert (alarm.kind, alarm.batch_id, alarm.accounts) == ("locked_out", batch.pk, 1000)
    assert event_names(name="batch.alarm.raised", batch=batch) == ["batch.alarm.raised"]
    watchdog.look(now)
    assert Alarm.objects.count() == 1


def test_the_watch_costs_two_queries_while_nobody_is_moved(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_batch(3, state=S.READY)
    with django_assert_num_queries(2):
        assert watchdog.look() == []


def test_an_alarm_ends_by_itself_when_nobody_waits_any_more() -> None:
    account = make_account(S.ATTENTION, locked_at=timezone.now() - ALLOWED * 2)
    watchdog.look()
    put(account, S.DONE, owner="target", locked_at=None)
    watchdog.look()
    alarm = Alarm.objects.get()
    assert alarm.ended_at is not None
    assert event_names(batch=account.batch_id)[-2:] == ["batch.alarm.raised", "batch.alarm.ended"]
    put(account, S.ATTENTION, owner="unknown", locked_at=timezone.now() - ALLOWED * 2)
    watchdog.look()
    assert Alarm.objects.filter(ended_at=None).count() == 1
