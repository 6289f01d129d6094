"""What is foreseen of a night: only from what was measured, and for as many at once as can move."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from campaigns.models import Account, Batch, Run
from campaigns.services import night_forecast
from campaigns.services.night_forecast import COPIES, MOVES, Forecast, Measured, forecast, slowest_tenth
from campaigns.states import AccountState
from tests.campaigns.factories import make_batch, make_worker

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
    for measured in (Measured(copies=seconds), Measured(moves=seconds, lockouts=seconds)):
        found = forecast(accounts, at_once, measured)
        if found is not None:
            assert found.low <= found.seconds <= found.high
            assert found.lockout <= found.lockout_worst
            assert Forecast.of(asdict(found)) == found


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
