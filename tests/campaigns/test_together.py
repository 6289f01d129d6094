"""Batches that move together: a step is taken by all before the next begins, whatever happens to some of them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from django.utils import timezone

from campaigns.bridge.lease import Lease, StopReason
from campaigns.models import Account, Batch, Event, JournalEntry
from campaigns.selectors import batch as batch_selector
from campaigns.services import accounts, batches, capacity, scheduling, stopping, together
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from tests.campaigns.factories import make_batch
from tests.campaigns.towns import Town

pytestmark = pytest.mark.django_db(transaction=True)
S = AccountState
take_up = scheduling.take_up
LOGINS = tuple(f"{name}@example.test" for name in ("anna", "berta", "clara", "dora", "emil"))


def make(*logins: str, **batch_fields: Any) -> tuple[Town, list[Account]]:
    town = Town(recipe="classic")
    town.batch_fields |= {"is_together": True, "parallel_cutovers": 2, **batch_fields}
    town.accept()
    return town, town.move_in(*(logins or LOGINS))


def go_on(town: Town, *, advances: bool = True) -> None:
    """Do what ticker and workers do until nothing is left that is due now."""
    town.faults.live, town.faults.check = town.live, town.check
    for _ in range(200):
        leases = scheduling.claim_due(10)
        for lease in leases:
            town.take(lease)
        is_opened = advances and together.advance(list(capacity.open_batches().values()), timezone.now())
        if not leases and not is_opened:
            return
    raise AssertionError("no end")


def spans() -> list[tuple[Any, Any]]:
    """Return for each position when the first account began its step, and when the last ended it."""
    rows = JournalEntry.objects.order_by("position")
    places = sorted({row.position for row in rows})
    return [
        (
            min(row.begun_at for row in rows if row.position == at),
            max(row.ended_at for row in rows if row.position == at),
        )
        for at in places
    ]


@pytest.mark.req("S-116")
def test_all_take_a_step_before_any_takes_the_next() -> None:
    town, found = make()
    go_on(town)
    for account in found:
        town.assert_crossed(account)
    assert len(spans()) == 5
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(spans()))
    told = Event.objects.filter(name="batch.step").order_by("pk")
    assert [(row.data["step"], row.data["accounts"]) for row in told] == [
        (step, 5) for step in ("disable", "delta", "verify", "switch", "enable")
    ]


def test_alone_accounts_take_all_their_steps_one_after_the_other() -> None:
    town, _ = make(is_together=False)
    go_on(town)
    assert any(ended > begun for (_, ended), (begun, _) in pairwise(spans()))


def test_no_more_are_worked_on_at_once_than_the_batch_allows_though_all_are_on_their_way() -> None:
    town, _ = make(go_at=None)
    go_on(town)
    Batch.objects.update(go_at=timezone.now())
    assert len(scheduling.claim_due(10)) == 2


def test_who_fails_does_not_keep_the_others() -> None:
    town, found = make()
    broken = LOGINS[2]
    town.target.corrupts = {broken}
    type(town.campaign).objects.update(verify_level="digest")
    go_on(town)
    for account in found:
        if account.source_login == broken:
            town.assert_back(account, S.FAILED)
        else:
            town.assert_crossed(account)


def test_who_comes_later_waits_for_the_next_round() -> None:
    town, found = make(go_at=None)
    go_on(town)
    late = found[-1]
    Account.objects.filter(pk=late.pk).update(not_before=timezone.now() + timedelta(hours=1))
    Batch.objects.update(go_at=timezone.now(), is_stepwise=True)
    go_on(town)
    (batch,) = Batch.objects.all()
    together.next_step(batch, actor="test")
    Account.objects.filter(pk=late.pk).update(not_before=None)
    go_on(town)
    late.refresh_from_db()
    assert late.state == S.READY
    Batch.objects.update(is_stepwise=False)
    go_on(town)
    for account in found:
        town.assert_crossed(account)
    late.refresh_from_db()
    assert late.journal.order_by("begun_at").first().begun_at > max(
        row.ended_at for row in JournalEntry.objects.exclude(account=late)
    )


@pytest.mark.req("S-131")
def test_step_by_step_nothing_begins_before_somebody_says_so() -> None:
    town, found = make(is_stepwise=True)
    (batch,) = Batch.objects.all()
    for step in ("disable", "delta", "verify", "switch", "enable"):
        go_on(town)
        assert not JournalEntry.objects.filter(kind=step).exists()
        assert batch_selector.view(batch.pk).waits_for == "step"
        assert batch_selector.view(batch.pk).batch.step_gate == JournalEntry.objects.values(
            "position"
        ).distinct().count() + (1 if step != "disable" else 0)
        together.next_step(batch, actor="test")
    go_on(town)
    for account in found:
        town.assert_crossed(account)
    go_on(town)
    with pytest.raises(Refused, match="step_under_way"):
        together.next_step(batch, actor="test")


def test_a_pause_opens_no_step_and_an_end_of_it_goes_on() -> None:
    town, found = make(is_stepwise=True)
    go_on(town)
    (batch,) = Batch.objects.all()
    together.next_step(batch, actor="test")
    batches.pause(batch, actor="test")
    Batch.objects.update(is_stepwise=False)
    go_on(town)
    assert set(JournalEntry.objects.values_list("kind", flat=True)) == {"disable"}
    batches.resume(batch, actor="test")
    go_on(town)
    for account in found:
        town.assert_crossed(account)


@pytest.mark.req("S-95")
def test_a_stop_says_what_it_does_and_does_that() -> None:
    town, found = make(is_stepwise=True)
    (batch,) = Batch.objects.all()
    go_on(town)
    for _ in range(2):
        together.next_step(batch, actor="test")
        go_on(town)
    assert stopping.effect(batch) == stopping.Effect(waiting=0, back=5, finishing=0)
    assert stopping.stop(batch, actor="test") == stopping.Effect(waiting=0, back=5, finishing=0)
    go_on(town)
    for account in found:
        town.assert_back(account, S.READY)
        assert account.is_stopped
    for account in found:
        accounts.resume(account.pk, actor="test")
    batch.refresh_from_db()
    batches.resume(batch, actor="test")
    Account.objects.update(not_before=None)
    Batch.objects.update(is_stepwise=False)
    go_on(town)
    for account in found:
        town.assert_crossed(account)


def test_a_stop_after_the_switch_finishes_who_is_switched() -> None:
    town, found = make(is_stepwise=True)
    (batch,) = Batch.objects.all()
    for _ in range(5):
        go_on(town)
        together.next_step(batch, actor="test")
    assert stopping.stop(batch, actor="test") == stopping.Effect(waiting=0, back=0, finishing=5)
    go_on(town)
    for account in found:
        town.assert_crossed(account)


@pytest.mark.parametrize("is_stepwise", [False, True])
def test_nobody_who_has_crossed_stays_shut_out_because_a_batch_was_stopped(is_stepwise: bool) -> None:
    town, found = make(is_stepwise=True)
    (batch,) = Batch.objects.all()
    for _ in range(4):
        go_on(town)
        together.next_step(batch, actor="test")
    go_on(town, advances=False)
    assert {row.journal.count() for row in found} == {4}  # switched, and not yet let in
    assert stopping.stop(batch, actor="test") == stopping.Effect(waiting=0, back=0, finishing=5)
    Batch.objects.update(is_stepwise=is_stepwise)
    go_on(town)
    if is_stepwise:
        assert together.waits_for_step(Batch.objects.get(), timezone.now()) is not None
        together.next_step(batch, actor="test")
        go_on(town)
    for account in found:
        town.assert_crossed(account)


def test_who_is_asked_to_stop_in_the_middle_of_the_switch_keeps_no_other_back() -> None:
    town, found = make()

    def stop(lease: Lease) -> None:  # as the renewal of a lease finds the wish, and too late
        Account.objects.filter(pk=lease.account_id).update(stop_requested=True)
        lease.stop.ask(StopReason.STOPPED)

    taken: list[Lease] = []
    town.hooks = [("route.replace", lambda: stop(taken[-1]))]
    town.faults.live, town.faults.check = town.live, town.check
    with patch.object(scheduling, "take_up", lambda *words: taken.append(take_up(*words)) or taken[-1]):
        go_on(town)
    for account in found:
        town.assert_crossed(account)


def test_who_waits_for_the_others_is_let_back_when_their_time_is_over() -> None:
    town, found = make(is_stepwise=True)
    (batch,) = Batch.objects.all()
    go_on(town)
    together.next_step(batch, actor="test")
    go_on(town)
    for account in found:
        account.refresh_from_db()
        assert account.locked_at is not None
    Account.objects.update(locked_at=timezone.now() - timedelta(days=1), not_before=None)
    go_on(town)
    for account in found:
        town.assert_back(account, S.READY)
        assert account.error_code == "cutover.late"


def test_who_needed_a_decision_goes_on_in_the_next_round() -> None:
    town, found = make()
    Batch.objects.update(max_attempts=1)
    town.hooks = [("route.replace", lambda: town.rows[LOGINS[0]].update(host="third.example.test"))]
    town.check = lambda: None  # type: ignore[method-assign]  the third server is not a side
    go_on(town)
    stuck = next(account for account in found if account.source_login == LOGINS[0])
    stuck.refresh_from_db()
    if stuck.state != S.ATTENTION:  # the hook may have met the switch of another
        pytest.fail(f"{stuck.state}")
    town.rows[LOGINS[0]]["host"] = "Old.example.test"
    accounts.resolve(stuck.pk, accounts.Verdict.FORWARD, actor="test", reason="looked at it")
    go_on(town)
    for account in found:
        town.assert_crossed(account)


def test_the_mode_stays_while_anybody_is_moved() -> None:
    batch = make_batch(2, state=S.CUTTING_OVER)
    with pytest.raises(Refused, match="mode_under_way"):
        batches.plan(batch, actor="test", modes={"is_together": True, "is_stepwise": False})
    batch = make_batch(2, state=S.READY)
    batches.plan(batch, actor="test", modes={"is_together": True, "is_stepwise": True})
    assert (batch.is_together, batch.is_stepwise) == (True, True)
    with pytest.raises(Refused, match="modes"):
        batches.plan(batch, actor="test", modes={"is_together": False, "is_stepwise": True})


def test_a_server_that_fails_keeps_nobody_waiting_for_good() -> None:
    town, found = make()
    town.hooks = [
        ("directory.replace", lambda: setattr(town.source, "error", MigratorError("line.lost", side=Side.SOURCE)))
    ]
    go_on(town)
    town.source.error = None
    for _ in range(5):
        Account.objects.exclude(waiting_for="others").update(not_before=None)
        type(town.campaign.source).objects.update(breaker_until=timezone.now())
        go_on(town)
    for account in found:
        town.assert_crossed(account)
