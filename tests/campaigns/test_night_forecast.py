"""What is foreseen of a night: only from what was measured, and for as many at once as can move."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import Account, Batch, Campaign, Connector, JournalEntry, Run
from campaigns.services import night_forecast, night_steps
from campaigns.services.night_forecast import COPIES, MOVES, Forecast, Measured, forecast, slowest_tenth
from campaigns.services.night_steps import StepTime
from campaigns.states import AccountState
from migrator.journal import StepKind
from tests.campaigns.factories import make_batch, make_user, make_worker, put

S = AccountState


def test_nothing_is_foreseen_where_nothing_was_measured_or_nobody_is_left() -> None:
    assert forecast(10, 4, Measured()) is None
    assert forecast(0, 4, Measured(copies=[1.0])) is None


def test_before_anybody_moved_each_is_copied_twice_more_and_compared() -> None:
    found = forecast(1000, 40, Measured(copies=[3.0] * 100))
    assert found is not None
    assert (found.basis, found.copy, found.lockout, found.at_once) == (COPIES, 3.0, 9.0, 40)
    assert found.seconds == pytest.approx(225.0)
    assert found.low == pytest.approx(150.0)


def test_once_some_have_moved_they_are_the_measure() -> None:
    measured = Measured(copies=[100.0], moves=[10.0, 20.0, 30.0], lockouts=[5.0, 6.0, 15.0])
    found = forecast(30, 3, measured)
    assert found is not None
    assert (found.basis, found.measured, found.lockout, found.lockout_worst) == (MOVES, 3, 6.0, 15.0)
    assert found.seconds == pytest.approx(200.0)


def test_two_moves_are_too_few_to_go_by() -> None:
    found = forecast(30, 3, Measured(copies=[1.0], moves=[10.0, 20.0], lockouts=[5.0, 6.0]))
    assert found is not None
    assert found.basis == COPIES


def test_a_night_is_never_shorter_than_its_slowest_account() -> None:
    found = forecast(10, 10, Measured(copies=[1.0] * 9 + [200.0]))
    assert found is not None
    assert found.seconds == pytest.approx(600.0)


@given(
    accounts=st.integers(1, 5000),
    at_once=st.integers(1, 100),
    seconds=st.lists(st.floats(0.01, 5000), min_size=1, max_size=60),
)
def test_the_range_always_holds_what_is_foreseen(accounts: int, at_once: int, seconds: list[float]) -> None:
    steps = [StepTime("hold", 0.5, 1.5, 6.0), StepTime("disable", 0.1, 1.0, 90.0, 2)]
    for measured in (
        Measured(copies=seconds),
        Measured(moves=seconds, lockouts=seconds),
        Measured(copies=seconds, steps=steps),
        Measured(moves=seconds, lockouts=seconds, steps=steps),
    ):
        found = forecast(accounts, at_once, measured)
        if found is not None:
            assert found.low <= found.seconds <= found.high
            assert found.lockout <= found.lockout_worst
            assert Forecast.of(asdict(found)) == found


def test_what_the_other_steps_take_comes_on_top_of_the_copies_and_only_what_locks_out_to_the_lockout() -> None:
    steps = [StepTime("hold", 1.0, 2.0, 6.0), StepTime("disable", 0.5, 1.0, 4.0, 2)]
    found = forecast(1000, 10, Measured(copies=[1.0] * 50, steps=steps))
    assert found is not None
    assert (found.low, found.seconds, found.high) == (350.0, 600.0, 1300.0)
    assert (found.lockout, found.lockout_worst) == (4.0, 7.0)
    assert (found.steps, found.steps_low, found.steps_high) == (3.0, 1.5, 10.0)
    assert (found.assumed, found.timed, found.timed_on) == (["hold"], ["disable"], 2)
    assert Forecast.of(json.loads(json.dumps(asdict(found)))) == found


def test_what_few_took_when_they_moved_alone_widens_the_upper_end_only() -> None:
    steps = [StepTime("hold", 1.0, 2.0, 12.0, 3), StepTime("publish", 1.0, 2.0, 50.0)]
    measured = Measured(moves=[10.0, 20.0, 30.0], lockouts=[5.0, 6.0, 15.0], steps=steps)
    found, without = forecast(30, 3, measured), forecast(30, 3, replace(measured, steps=[]))
    assert found is not None
    assert without is not None
    assert (found.seconds, found.low, found.lockout) == (without.seconds, without.low, without.lockout)
    assert (found.high, found.lockout_worst) == (without.high + 100.0, without.lockout_worst + 10.0)


def test_a_forecast_of_an_earlier_version_is_read_still() -> None:
    found = forecast(10, 2, Measured(copies=[1.0]))
    assert found is not None
    earlier = {
        name: value for name, value in asdict(found).items() if not name.startswith(("steps", "timed", "assumed"))
    }
    assert Forecast.of(earlier) == found


def test_a_night_of_a_thousand_on_a_loaded_machine_lies_in_the_range_and_did_not_without_the_steps() -> None:
    measured = Measured(copies=[1.11] * 1000)  # as it was: 417 s foreseen with 8 at once, 1,418 s came
    without = forecast(1000, 8, measured)
    assert without is not None
    assert without.high < 1418
    classic = (StepKind.HOLD, StepKind.DISABLE, StepKind.SWITCH, StepKind.ENABLE, StepKind.RELEASE)
    steps = [StepTime(kind.value, *night_steps.ASSUMED[kind]) for kind in classic]
    found = forecast(1000, 8, replace(measured, steps=steps))
    assert found is not None
    assert found.low < 1418 < found.high


@pytest.mark.parametrize(("spans", "wanted"), [([], 1.0), ([(0, 10)], 1.0), ([(0, 10), (0, 10), (5, 10)], 2.5)])
def test_how_many_moved_at_once(spans: list[tuple[int, int]], wanted: float) -> None:
    begin = timezone.now()
    moves = [tuple(begin + timedelta(seconds=one) for one in span) for span in spans]
    assert night_steps.at_once_when(moves) == wanted  # type: ignore[arg-type]


def test_where_the_slowest_tenth_begins() -> None:
    assert slowest_tenth([float(one) for one in range(1, 101)]) == 90.0
    assert slowest_tenth([7.0]) == 7.0


# From rows


def staged(account: Account, seconds: float) -> None:
    Run.objects.create(account=account, kind="stage", lease_epoch=1, outcome="ended", figures={"last_seconds": seconds})


def loaded(batch: Batch) -> Batch:
    return Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)


@pytest.mark.django_db
def test_the_last_copy_of_each_account_that_waits_is_the_measure() -> None:
    batch = make_batch(3, state=S.READY)
    first, second, gone = batch.accounts.order_by("pk")
    staged(first, 90.0)
    staged(first, 2.0)
    staged(second, 4.0)
    staged(gone, 500.0)
    Account.objects.filter(pk=gone.pk).update(state=S.EXCLUDED)
    Run.objects.create(account=second, kind="stage", lease_epoch=1, outcome="slice_over", figures={})
    assert sorted(night_forecast.measure(batch).copies) == [2.0, 4.0]


@pytest.mark.django_db
def test_moves_are_measured_from_claim_to_done_and_those_that_went_back_are_not() -> None:
    batch = make_batch(4, state=S.DONE)
    now = timezone.now()
    batch.accounts.update(lockout_seconds=3.0)
    for number, account in enumerate(batch.accounts.order_by("pk"), 1):
        run = Run.objects.create(
            account=account, kind="cutover", lease_epoch=1, outcome="done" if number < 4 else "late"
        )
        Run.objects.filter(pk=run.pk).update(started_at=now, ended_at=now + timedelta(seconds=number))
    measured = night_forecast.measure(batch)
    assert sorted(measured.moves) == [1.0, 2.0, 3.0]
    assert measured.lockouts == [3.0] * 4


@pytest.mark.django_db
def test_as_many_move_at_once_as_batch_servers_and_workers_allow() -> None:
    batch = loaded(make_batch(3, state=S.READY, parallel_cutovers=40))
    assert night_forecast.at_once(batch) == 40
    make_worker("control,cutover", lanes=8)
    assert night_forecast.at_once(batch) == 8
    batch.campaign.target.max_lanes = 5
    assert night_forecast.at_once(batch) == 5


# What the other steps take


def connected(batch: Batch, *rooms: str) -> Batch:
    for room in rooms:
        row = Connector.objects.create(room=room.rpartition("_")[2], kind="memory", name=room, options={})
        Campaign.objects.filter(pk=batch.campaign_id).update(**{room: row})
    return loaded(batch)


def journalled(account: Account, seconds: dict[str, float], status: str = "done") -> None:
    begun = timezone.now()
    for position, (name, took) in enumerate(seconds.items()):
        kind, _, side = name.partition(" ")
        place = {"account": account, "cutover": 1, "position": position, "kind": kind, "side": side}
        times = {"begun_at": begun, "ended_at": begun + timedelta(seconds=took)}
        JournalEntry.objects.create(**place, **times, status=status)


@pytest.mark.django_db
def test_only_steps_that_work_through_a_connection_take_time() -> None:
    batch = make_batch(1, state=S.READY)
    assert night_forecast.measure(loaded(batch)).steps == []
    kinds = [one.kind for one in night_forecast.measure(connected(batch, "hold", "source_directory")).steps]
    assert kinds == ["hold", "disable", "release"]
    kinds = [one.kind for one in night_forecast.measure(connected(batch, "route", "target_directory")).steps]
    assert kinds == ["hold", "disable", "switch", "enable", "release"]


@pytest.mark.django_db
def test_steps_are_assumed_until_one_account_has_been_through_them_and_then_measured() -> None:
    batch = connected(make_batch(3, state=S.READY, parallel_cutovers=6), "hold", "source_directory", "route")
    staged(batch.accounts.order_by("pk")[1], 1.0)
    before = night_forecast.of_batch(batch, 3)
    assert before is not None
    assert (before.assumed, before.timed) == (["hold", "disable", "switch", "release"], [])
    canary = batch.accounts.order_by("pk")[0]
    journalled(canary, {"hold": 2.0, "disable source": 1.0, "delta": 50.0, "release": 3.0})
    put(canary, S.DONE, lockout_seconds=4.0)
    found = night_forecast.of_batch(batch, 2)
    assert found is not None
    assert (found.basis, found.assumed, found.timed, found.timed_on) == (
        COPIES,
        ["switch"],
        ["hold", "disable", "release"],
        1,
    )
    assert found.steps == pytest.approx(2.0 + 1.0 + 3.0 + 0.3)
    # it was alone: with six at once each may have to wait for the five others
    assert found.steps_high == pytest.approx(6 * (2.0 + 1.0 + 3.0) + 2.0)


@pytest.mark.django_db
def test_a_step_that_was_tried_again_hours_later_does_not_count_and_one_that_was_undone_neither() -> None:
    batch = connected(make_batch(22, state=S.DONE, parallel_cutovers=1), "hold")
    batch.accounts.update(lockout_seconds=3.0)
    *usual, late, undone = batch.accounts.order_by("pk")
    for account in usual:
        journalled(account, {"hold": 2.0})
    journalled(late, {"hold": 20_000.0})
    journalled(undone, {"hold": 700.0}, status="undone")
    hold, release = night_forecast.measure(batch).steps
    assert (hold.low, hold.usual, hold.high, hold.measured) == (2.0, 2.0, 2.0, 21)
    assert not release.measured


@pytest.mark.django_db
def test_the_page_names_what_is_assumed_and_what_was_measured(client: Client) -> None:
    batch = connected(make_batch(3, state=S.READY, parallel_cutovers=6), "hold", "route")
    canary, second, _ = batch.accounts.order_by("pk")
    staged(second, 1.0)
    client.force_login(make_user(is_operator=True))
    page = " ".join(client.get(f"/batches/{batch.pk}/night").content.decode().split())
    assert "Nobody has moved yet, so the other steps are assumed to take between" in page
    assert "for each: Hold new mail, Switch, Deliver the held mail. They are measured with the first moves." in page
    journalled(canary, {"hold": 2.0, "release": 3.0})
    put(canary, S.DONE, lockout_seconds=4.0)
    page = " ".join(client.get(f"/batches/{batch.pk}/night").content.decode().split())
    assert "Measured by 1 account that has moved: Hold new mail, Deliver the held mail." in page
    assert "Assumed, for nobody has been through it: Switch." in page
    journalled(second, {"switch": 1.0})
    put(second, S.DONE, lockout_seconds=4.0)
    staged(batch.accounts.order_by("pk")[2], 1.0)
    page = " ".join(client.get(f"/batches/{batch.pk}/night").content.decode().split())
    assert "the longer where a connection serves one person after the other" in page
    assert "Assumed" not in page
