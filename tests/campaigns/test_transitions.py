"""Accounts go along the edges of the table and nowhere else; who acts on what is not so any more changes nothing."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from django.db import transaction

from campaigns.bridge.lease import LeaseLost, release, take_owner, write
from campaigns.models import Account, Batch, BatchCount, Event
from campaigns.services.accounts import NoSuchEdge, StateChanged, transition
from campaigns.states import TRANSITIONS, AccountState, Owner
from tests.campaigns.factories import at_once, claim, event_names, figures, make_account, make_batch, make_user, put

S = AccountState


@pytest.fixture
def account(db: None) -> Account:
    return make_account()


def walk(account: Account, start: S, end: S, **options: object) -> None:
    transition(account.pk, **{"expect": start, "to": end, "lease": None, "actor": "test", **options})


def snapshot(account: Account) -> object:
    counts = sorted(BatchCount.objects.values_list("batch", "state", "accounts"))
    return Account.objects.values().get(pk=account.pk), counts, Event.objects.count()


@pytest.mark.parametrize("start", S)
def test_an_edge_that_is_not_in_the_table_raises_and_changes_nothing(account: Account, start: S) -> None:
    put(account, start)
    for make_lease in (lambda: None, lambda: claim(account)):
        lease = make_lease()
        before = snapshot(account)
        for end in (end for end in S if (start, end) not in TRANSITIONS):
            try:
                walk(account, start, end, lease=lease)
            except NoSuchEdge:
                assert snapshot(account) == before, end
            else:
                pytest.fail(f"{start} to {end} was walked")


@pytest.mark.parametrize(("start", "end"), list(TRANSITIONS))
def test_an_edge_of_the_table_changes_row_figures_and_history_together(account: Account, start: S, end: S) -> None:
    # Whose the mailbox is, the journal has settled before.
    put(account, start, owner=Owner.TARGET if S.DONE in (start, end) else Owner.SOURCE)
    walk(account, start, end, reason="why")
    account.refresh_from_db()
    assert account.state == end
    assert figures(account.batch) == {end: 1}
    event = Event.objects.latest("pk")
    assert (event.name, event.account_id, event.batch_id) == (f"account.state.{end}", account.pk, account.batch_id)
    assert event.data == {"start": start, "edge": TRANSITIONS[start, end], "reason": "why"}


@pytest.mark.parametrize(("start", "end"), list(TRANSITIONS))
def test_an_account_in_another_state_than_expected_stays_as_it_is(account: Account, start: S, end: S) -> None:
    put(account, next(state for state in S if state not in (start, end)))
    before = snapshot(account)
    with pytest.raises(StateChanged):
        walk(account, start, end)
    assert snapshot(account) == before


def test_who_has_no_lease_does_not_move_an_account_that_is_worked_on(account: Account) -> None:
    claim(account)
    before = snapshot(account)
    with pytest.raises(StateChanged):
        walk(account, S.NEW, S.CHECKING)
    assert snapshot(account) == before


def test_a_zombie_writes_nothing_and_is_told(account: Account) -> None:
    zombie = claim(account)
    claim(account, holder="another")
    before = snapshot(account)
    for act in (
        lambda: walk(account, S.NEW, S.CHECKING, lease=zombie),
        lambda: write(zombie, messages_done=5),
        lambda: take_owner(account.pk, Owner.UNKNOWN, zombie.epoch),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert not release(zombie)
    assert snapshot(account) == before


def test_who_gave_the_lease_back_writes_nothing_either(account: Account) -> None:
    lease = claim(account)
    assert release(lease)
    with pytest.raises(LeaseLost):
        walk(account, S.NEW, S.CHECKING, lease=lease)
    with pytest.raises(LeaseLost):
        write(lease, messages_done=5)


def test_with_the_lease_a_worker_moves_its_account_and_signs_for_it(account: Account) -> None:
    lease = claim(account)
    walk(account, S.NEW, S.CHECKING, lease=lease, actor=lease.holder, step="disable")
    account.refresh_from_db()
    assert (account.state, account.step, account.lease_epoch) == (S.CHECKING, "disable", lease.epoch)
    assert Event.objects.latest("pk").actor_name == "worker"


def test_a_person_is_named_in_the_event(account: Account) -> None:
    user = make_user(is_operator=True)
    walk(account, S.NEW, S.EXCLUDED, actor=user)
    event = Event.objects.latest("pk")
    assert (event.actor, event.actor_name) == (user, user.username)


def test_a_transition_is_undone_whole_with_the_transaction_around_it(account: Account) -> None:
    before = snapshot(account)

    def crash() -> None:
        with transaction.atomic():
            walk(account, S.NEW, S.CHECKING)
            raise RuntimeError("a crash")

    with pytest.raises(RuntimeError, match="a crash"):
        crash()
    assert snapshot(account) == before


@pytest.mark.parametrize(
    ("start", "resume_state"),
    [(S.CHECKING, S.CHECKING), (S.STAGING, S.STAGING), (S.ROLLING_BACK, S.READY), (S.ATTENTION, S.READY)],
)
def test_a_failure_notes_where_a_retry_goes_on(account: Account, start: S, resume_state: S) -> None:
    put(account, start)
    walk(account, start, S.FAILED)
    account.refresh_from_db()
    assert account.resume_state == resume_state


def test_every_cutover_of_an_account_has_its_number_and_the_batch_counts_accounts(account: Account) -> None:
    for number in (1, 2):
        put(account, S.READY)
        walk(account, S.READY, S.CUTTING_OVER)
        account.refresh_from_db()
        assert account.cutover == number
        put(account, S.ROLLING_BACK)
        walk(account, S.ROLLING_BACK, S.READY)
    put(account, S.HELD)
    walk(account, S.HELD, S.CUTTING_OVER)  # goes on with the second
    account.refresh_from_db()
    assert account.cutover == 2
    assert Batch.objects.get().cutovers_begun == 1


def test_the_owner_changes_by_steps_through_unknown(account: Account) -> None:
    put(account, S.CUTTING_OVER)
    lease = claim(account)
    with pytest.raises(LeaseLost):
        take_owner(account.pk, Owner.TARGET, lease.epoch)
    for owner in (Owner.UNKNOWN, Owner.UNKNOWN, Owner.TARGET):
        take_owner(account.pk, owner, lease.epoch)
        account.refresh_from_db()
        assert account.owner == owner
    with pytest.raises(LeaseLost):
        take_owner(account.pk, Owner.SOURCE, lease.epoch)
    assert event_names(name__startswith="account.owner") == ["account.owner.unknown", "account.owner.target"]


def test_what_comes_to_life_again_wakes_its_batch(account: Account) -> None:
    put(account, S.FAILED)
    Batch.objects.update(ended_at=account.state_since)
    walk(account, S.FAILED, S.STAGING)
    assert Batch.objects.get().ended_at is None


@pytest.mark.django_db(transaction=True)
def test_of_two_who_move_an_account_at_once_one_does() -> None:
    account = make_account(S.FAILED)
    results = at_once(
        lambda: walk(account, S.FAILED, S.STAGING),
        lambda: walk(account, S.FAILED, S.EXCLUDED),
        lambda: walk(account, S.FAILED, S.STAGING),
    )
    assert Counter(type(result) for result in results) == {StateChanged: 2, type(None): 1}
    assert event_names(name__startswith="account.state") == [f"account.state.{Account.objects.get().state}"]
    figures(account.batch)


@pytest.mark.django_db(transaction=True)
def test_the_figures_are_right_after_many_transitions_at_once() -> None:
    batch = make_batch(24)
    ids = list(batch.accounts.values_list("pk", flat=True))

    def go_round(some: list[int]) -> None:
        for account_id in some:
            for start, end in itertools.pairwise((S.NEW, S.EXCLUDED, S.NEW, S.CHECKING, S.STAGING, S.READY)):
                transition(account_id, expect=start, to=end, lease=None, actor="test")

    assert at_once(*(lambda part=part: go_round(ids[part::6]) for part in range(6))) == [None] * 6
    assert figures(batch) == {S.READY: 24}
    assert Event.objects.filter(name__startswith="account.state").count() == 24 * 5
