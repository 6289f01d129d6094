"""Who arrives first: users come to an empty mailbox on the target, and their old mail follows, batch by batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from campaigns.models import Account, Batch, BatchCount, JournalEntry
from campaigns.selectors import account_page
from campaigns.services import accounts, campaigns, confirmations, stopping, watchdog
from campaigns.services.accounts import Verdict
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import Side
from migrator.journal import StepKind
from migrator.recipes import RECIPES, RecipeStep, stored
from migrator.testing import FaultKind
from migrator.testing.connectors import REGISTERED
from tests.campaigns.factories import make_user
from tests.campaigns.towns import Town, afresh, seeded
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import arrivals, body

pytestmark = pytest.mark.django_db(transaction=True)
S = AccountState
ANNA, BERTA = "anna@example.test", "berta@example.test"
STAFF = "somebody of the staff"


def make(*logins: str, recipe: str = "sims2", **fields: Any) -> tuple[Town, list[Account]]:
    # What a person does is left out, as somebody may edit it: tests of confirmations ask for it.
    steps = [step for step in RECIPES[recipe].steps if step.kind is not StepKind.PERSON]
    town = Town(recipe=recipe, steps=stored(steps), holds_mail=True, verify_level="digest", **fields)
    town.accept()
    return town, town.move_in(*(logins or (ANNA,)))


def arrived(town: Town) -> None:
    """Work until nobody goes on without a word."""
    Batch.objects.update(go_at=None)
    town.work()
    Batch.objects.update(go_at=town.batch_fields["go_at"])


@pytest.mark.req("S-115")
def test_users_work_on_the_target_before_their_old_mail_comes() -> None:
    town, (account,) = make()
    arrived(town)
    account.refresh_from_db()
    assert (account.state, account.owner, account.arrives_first) == (S.READY, "target", True)
    assert town.target.admits(ANNA)
    assert not town.source.admits(ANNA)
    assert not arrivals(town.target.mailboxes[ANNA], "INBOX")
    town.queue.deliver(ANNA, body("new"), Side.TARGET)
    assert town.queue.arrived == [(ANNA, Side.TARGET, body("new"))]
    assert town.accounts == {ANNA}


@pytest.mark.req("S-116", "S-120", "S-121")
def test_their_old_mail_follows_while_they_are_locked_and_new_mail_waits() -> None:
    town, (account,) = make()
    arrived(town)
    town.hooks = [("source.folders", lambda: town.queue.deliver(ANNA, body("meanwhile"), Side.TARGET))]
    town.work()
    town.assert_crossed(account)
    assert town.queue.arrived == [(ANNA, Side.TARGET, body("meanwhile"))]
    assert not town.queue.waiting
    kinds = [row.kind for row in account.journal.order_by("cutover", "position")]
    assert kinds == [
        *("populate", "hold", "disable", "switch", "enable", "release"),
        *("hold", "disable", "delta", "verify", "enable", "release"),
    ]
    assert account.lockout_seconds is not None


def test_while_somebody_waits_for_their_old_mail_the_method_stays_and_nothing_is_closed() -> None:
    town, (account,) = make()
    arrived(town)
    for change in ({"recipe": "plain"}, {"steps": stored(RECIPES["plain"].steps)}, {"hold": None}):
        with pytest.raises(Refused, match=r"campaign\.under_way"):
            campaigns.configure(town.campaign, name="the move", actor=STAFF, **change)
    with pytest.raises(Refused, match=r"campaign\.unfinished"):
        campaigns.close(town.campaign, actor=STAFF)
    town.work()
    town.assert_crossed(account)
    campaigns.configure(town.campaign, name="the move", actor=STAFF, recipe="plain")
    campaigns.close(town.campaign, actor=STAFF)


@pytest.mark.req("S-120")
def test_who_is_not_copied_right_stays_locked_with_mail_held_until_somebody_decides() -> None:
    town, (anna, berta) = make(ANNA, BERTA)
    arrived(town)
    town.target.corrupts = {ANNA}
    town.work()
    town.assert_crossed(berta)
    anna.refresh_from_db()
    assert (anna.state, anna.owner, anna.error_code) == (S.HELD, "target", "cutover.differs")
    assert town.rows[ANNA]["status"] == "inactive"
    assert town.rows[ANNA]["delivery"] == "hold"
    accounts.roll_back(anna.pk, actor=STAFF)
    Batch.objects.update(go_at=None)
    town.work()
    anna.refresh_from_db()
    assert (anna.state, anna.owner) == (S.FAILED, "target")
    assert town.target.admits(ANNA)
    assert town.rows[ANNA]["delivery"] == town.delivery["delivery"]


def test_an_arrival_of_which_nobody_knows_how_far_it_came_is_told_so_and_goes_on_when_that_is_mended() -> None:
    town, (account,) = make()
    town.hooks = [("route.replace", lambda: town.rows[ANNA].update(host="third.example.test"))]
    town.check = lambda: None  # type: ignore[method-assign]  the third server is not a side
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner, account.error_code) == (S.FAILED, "unknown", "directory.changed")
    assert account_page.view(Account.objects.select_related("batch", "campaign").get()).is_unknown
    town.rows[ANNA]["host"] = "Old.example.test"
    accounts.retry(account.pk, actor=STAFF)
    town.work()
    town.assert_crossed(account)


def test_a_stop_in_the_night_of_who_arrived_leaves_them_on_the_target() -> None:
    town, (account,) = make()
    arrived(town)
    town.hooks = [("source.folders", lambda: accounts.request_stop(account.pk, actor=STAFF))]
    town.work()
    account.refresh_from_db()
    assert account.owner == "target"
    if account.state != S.DONE:
        assert (account.state, town.target.admits(ANNA)) == (S.READY, True)


def on_the_way(*, past_switch: bool) -> tuple[Town, Account]:
    """Return one who is locked out on their way to the target, where a person is waited for."""
    place = StepKind.ENABLE if past_switch else StepKind.SWITCH
    steps = [step for step in RECIPES["sims2"].steps if step.kind is not StepKind.PERSON]
    steps.insert(next(at for at, step in enumerate(steps) if step.kind is place), RecipeStep(StepKind.PERSON))
    town = Town(recipe="sims2", steps=stored(steps), holds_mail=True, verify_level="digest")
    town.accept()
    (account,) = town.move_in(ANNA)
    town.work(until=lambda: Account.objects.filter(waiting_for="person").exists())
    account.refresh_from_db()
    assert (account.state, town.rows[ANNA]["status"]) == (S.CHECKING, "inactive")
    return town, account


@pytest.mark.parametrize("by", ["account", "batch"])
def test_who_is_stopped_on_the_way_to_the_target_is_let_back_and_not_left_locked_out(by: str) -> None:
    town, account = on_the_way(past_switch=False)
    if by == "account":
        accounts.request_stop(account.pk, actor=STAFF)
    else:
        assert stopping.stop(account.batch, actor=STAFF) == stopping.Effect(waiting=0, back=1, finishing=0)
    town.work()
    town.assert_back(account, S.CHECKING)
    assert account.is_stopped
    assert not account.arrives_first
    assert not town.queue.waiting


def test_who_has_crossed_on_the_way_is_finished_though_the_batch_is_stopped() -> None:
    town, account = on_the_way(past_switch=True)
    with pytest.raises(Refused, match="past_switch"):
        accounts.request_stop(account.pk, actor=STAFF)
    assert stopping.stop(account.batch, actor=STAFF) == stopping.Effect(waiting=0, back=0, finishing=1)
    for at, step in enumerate(account.campaign.steps):
        if step[0] == StepKind.PERSON:
            confirmations.record_by_hand(account.batch, at, "done", actor=make_user())
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner) == (S.READY, "target")
    assert town.target.admits(ANNA)


def test_whoever_is_locked_out_on_the_way_too_long_raises_an_alarm_and_is_not_excluded() -> None:
    _, account = on_the_way(past_switch=True)
    late = timezone.now() + timedelta(days=1)
    both = {(account.pk, "locked_out"), (account.pk, "held")}
    assert {(one.account_id, one.kind) for one in watchdog.overdue(late)} == both
    Account.objects.update(state=S.FAILED, owner="unknown")
    BatchCount.objects.filter(state=S.CHECKING).update(accounts=0)
    BatchCount.objects.filter(state=S.FAILED).update(accounts=1)
    assert {(one.account_id, one.kind) for one in watchdog.overdue(late)} == both
    with pytest.raises(Refused, match="cannot_exclude"):
        accounts.exclude(account.pk, actor=STAFF)


@pytest.mark.req("S-117", "S-120")
@pytest.mark.parametrize("recipe", ["sims1", "sims2", "sims3", "secondary"])
@pytest.mark.parametrize("kind", [FaultKind.KILL, FaultKind.KILL_AFTER, FaultKind.LINE, FaultKind.LOST_ANSWER])
def test_a_night_interrupted_at_any_call_ends_the_same(recipe: str, kind: FaultKind) -> None:
    town, _ = make(recipe=recipe)
    town.work()
    count = len(town.faults.calls)
    for number in seeded(20306, count):
        afresh()
        town, (account,) = make(recipe=recipe)
        town.faults = Faults({number: kind})
        REGISTERED["town"] = (town.rows, town.faults, "of the directory")
        town.work()
        town.assert_crossed(account)
        assert not town.queue.waiting
        assert not JournalEntry.objects.exclude(status="done").exists()


def test_what_is_decided_by_hand_of_who_arrived_leaves_them_on_the_target() -> None:
    town, (account,) = make()
    arrived(town)
    Account.objects.filter(pk=account.pk).update(state=S.ATTENTION, cutover=1)
    accounts.resolve(account.pk, Verdict.BACK, actor=STAFF, reason="looked at it")
    Batch.objects.update(go_at=None)
    town.work()
    account.refresh_from_db()
    assert (account.state, account.owner) == (S.READY, "target")
