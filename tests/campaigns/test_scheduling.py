"""What may happen now: within every limit, once, and never forgotten."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.bridge.lease import (
    LEASE_SECONDS,
    TRUST_SECONDS,
    Keeper,
    Lease,
    LeaseKind,
    LeaseLost,
    StopReason,
    hold,
    holder_name,
    is_gone,
    release,
    renew,
    write,
)
from campaigns.models import Account, Batch, Campaign, Event, Server
from campaigns.services import accounts, batches, breakers, campaigns, claims, scheduling
from campaigns.states import AccountState, Owner
from migrator.errors import MigratorError, Side
from tests.campaigns.factories import (
    NIGHT,
    at_once,
    claim,
    event_names,
    figures,
    make_account,
    make_batch,
    make_campaign,
    make_server,
    make_worker,
    put,
    take_all,
)

S = AccountState
pytestmark = pytest.mark.django_db


def fresh(account: Account) -> Account:
    return Account.objects.get(pk=account.pk)


def due(limit: int = 100, **options: object) -> list[Lease]:
    return scheduling.claim_due(limit, **options)


def kinds(leases: list[Lease]) -> Counter[LeaseKind]:
    return Counter(lease.kind for lease in leases)


def spoil(server: Server, **options: object) -> None:
    breakers.failed(server.pk, MigratorError("server.unreachable", side=Side.SOURCE), **options)


# What is due


@pytest.mark.parametrize("state", [S.NEW, S.CHECKING, S.STAGING])
def test_what_is_to_be_checked_or_copied_ahead_is_claimed_for_the_stage_queue(state: AccountState) -> None:
    account = make_account(state)
    (lease,) = due()
    assert (lease.account_id, lease.epoch, lease.kind, lease.kind.queue) == (account.pk, 1, "stage", "stage")
    assert fresh(account).state == state  # it becomes "checking" when a worker takes it up
    assert due() == []


@pytest.mark.parametrize(
    ("state", "kind"),
    [(S.READY, "cutover"), (S.CUTTING_OVER, "cutover"), (S.ROLLING_BACK, "rollback")],
)
def test_what_crosses_or_goes_back_is_claimed_for_the_cutover_queue(state: AccountState, kind: str) -> None:
    make_account(state)
    (lease,) = due()
    assert (lease.kind, lease.kind.queue) == (kind, "cutover")


@pytest.mark.parametrize("state", [S.DONE, S.HELD, S.FAILED, S.ATTENTION, S.EXCLUDED])
def test_what_has_nothing_to_do_without_a_person_is_not_claimed(state: AccountState) -> None:
    make_account(state)
    assert due() == []


@pytest.mark.parametrize("fields", [{"is_stopped": True}, {"not_before": NIGHT}], ids=["stopped", "put off"])
@pytest.mark.parametrize("state", [S.NEW, S.STAGING, S.READY])
def test_what_is_stopped_or_put_off_is_not_claimed(state: AccountState, fields: dict[str, object]) -> None:
    make_account(state, **fields)
    assert due(now=NIGHT - timedelta(seconds=1)) == []


def test_a_pause_ends_by_itself() -> None:
    account = make_account(S.STAGING, not_before=NIGHT)
    assert [lease.account_id for lease in due(now=NIGHT)] == [account.pk]


def test_what_was_begun_is_finished_before_more_is_begun() -> None:
    batch = make_batch(6)
    last = list(batch.accounts.order_by("pk"))[-2:]
    for account, state in zip(last, (S.CHECKING, S.STAGING), strict=True):
        put(account, state)
    assert [lease.account_id for lease in due(2)] == [last[1].pk, last[0].pk]


# Who says when


def test_nothing_of_a_batch_that_was_not_started_is_claimed() -> None:
    make_batch(1, started=False)
    assert due() == []


@pytest.mark.parametrize("state", [S.NEW, S.CHECKING, S.STAGING, S.READY])
@pytest.mark.parametrize("whole", ["batch", "campaign"])
def test_a_pause_holds_back_all_that_has_not_begun_to_cross(state: AccountState, whole: str) -> None:
    account = make_account(state)
    if whole == "batch":
        batches.pause(account.batch, actor="anna")
    else:
        campaigns.pause(account.campaign_id, actor="anna")
    assert due() == []
    if whole == "batch":
        batches.resume(account.batch, actor="anna")
    else:
        campaigns.resume(account.campaign_id, actor="anna")
    assert len(due()) == 1


@pytest.mark.parametrize("state", [S.CUTTING_OVER, S.ROLLING_BACK])
def test_neither_a_pause_nor_the_end_of_the_window_leaves_anybody_locked_out(state: AccountState) -> None:
    account = make_account(state)
    Batch.objects.update(window_begins_at=NIGHT, window_ends_at=NIGHT + timedelta(hours=1), go_at=None)
    batches.pause(account.batch, actor="anna")
    campaigns.pause(account.campaign_id, actor="anna")
    assert len(due(now=NIGHT + timedelta(hours=2))) == 1


def test_nobody_crosses_before_the_operator_says_go() -> None:
    batch = make_batch(1, state=S.READY)
    assert due() == []
    batches.go(batch, actor="anna")
    assert kinds(due()) == {"cutover": 1}


@pytest.mark.parametrize(("minutes", "is_open"), [(-1, False), (0, True), (59, True), (60, False)])
def test_accounts_cross_only_within_the_window(minutes: int, is_open: bool) -> None:
    make_batch(1, state=S.READY, go_at=NIGHT, window_begins_at=NIGHT, window_ends_at=NIGHT + timedelta(hours=1))
    leases = due(now=NIGHT + timedelta(minutes=minutes), queues=["cutover"])
    assert bool(leases) == is_open


def test_only_so_many_of_a_batch_are_locked_out_at_once() -> None:
    batch = make_batch(10, state=S.READY, go_at=timezone.now(), parallel_cutovers=3)
    leases = due()
    assert len(leases) == 3
    assert due() == []  # while they wait in the queue
    taken = take_all(leases)
    assert (len(taken), due()) == (3, [])  # and while they are worked on
    put(Account.objects.get(pk=taken[0].account_id), S.DONE)
    release(taken[0])
    assert len(due()) == 1
    assert figures(batch) == {S.READY: 7, S.CUTTING_OVER: 2, S.DONE: 1}


def test_the_first_few_cross_then_the_others_wait_for_the_operator() -> None:
    batch = make_batch(10, state=S.READY, go_at=timezone.now(), canary=2)
    taken = take_all(due())
    assert len(taken) == 2
    for lease, state in zip(taken, (S.DONE, S.FAILED), strict=True):  # one that fails was a canary, too
        put(Account.objects.get(pk=lease.account_id), state)
        release(lease)
    assert due() == []
    batch.refresh_from_db()
    batches.pass_canary(batch, actor="anna")
    assert len(due()) == 8


def test_one_of_the_first_few_that_went_back_may_try_again() -> None:
    batch = make_batch(5, state=S.READY, go_at=timezone.now(), canary=1)
    (lease,) = take_all(due())
    put(Account.objects.get(pk=lease.account_id), S.READY)
    release(lease)
    assert [again.account_id for again in due()] == [lease.account_id]
    assert Batch.objects.get(pk=batch.pk).cutovers_begun == 1


def test_ready_accounts_are_copied_again_while_they_wait_for_the_night() -> None:
    batch = make_batch(2, state=S.READY)
    early, late = batch.accounts.order_by("pk")
    Account.objects.filter(pk=early.pk).update(state_since=timezone.now() - timedelta(hours=25))
    (lease,) = take_all(due())
    assert (lease.account_id, fresh(early).state, fresh(late).state) == (early.pk, S.STAGING, S.READY)


@pytest.mark.parametrize("options", [{"refresh_hours": 0}, {"recipe": "classic"}])
def test_there_is_no_refresh_where_none_is_wanted_or_nothing_is_copied_ahead(options: dict[str, object]) -> None:
    make_batch(1, state=S.READY, campaign=make_campaign(**options))
    Account.objects.update(state_since=timezone.now() - timedelta(days=9))
    assert due() == []


def test_late_mail_is_looked_for_when_it_is_time_also_after_the_batch_has_ended() -> None:
    account = make_account(S.DONE, not_before=NIGHT, catch_up_until=NIGHT + timedelta(days=1))
    Batch.objects.update(ended_at=NIGHT)
    assert due(now=NIGHT - timedelta(seconds=1)) == []
    (lease,) = due(now=NIGHT)
    assert (lease.kind, lease.kind.queue) == ("catch_up", "stage")
    (taken,) = take_all([lease], now=NIGHT)
    assert fresh(account).state == S.DONE
    release(taken)
    campaigns.pause(account.campaign_id, actor="anna")
    assert due(now=NIGHT) == []


# Servers


def test_a_server_has_only_so_many_accounts_at_once_on_whichever_side() -> None:
    shared = make_server(max_lanes=5)
    first = make_batch(10, campaign=make_campaign(source=shared))
    second = make_batch(10, campaign=make_campaign(target=shared))
    leases = due()
    assert len(leases) == 5
    assert due() == []
    release(leases[0])
    assert len(due()) == 1
    assert figures(first) == figures(second) == {S.NEW: 10}


def test_a_full_server_does_not_keep_the_accounts_of_others_back() -> None:
    batch = make_batch(10)
    other = make_server()
    ids = list(batch.accounts.order_by("pk").values_list("pk", flat=True))
    Account.objects.filter(pk__in=ids[5:]).update(source=other)
    Server.objects.filter(pk=batch.campaign.source_id).update(max_lanes=2)
    assert [lease.account_id for lease in due()] == [*ids[:2], *ids[5:]]


def test_long_copies_leave_half_of_a_server_to_the_night() -> None:
    campaign = make_campaign(source=make_server(max_lanes=8))
    make_batch(20, campaign=campaign)
    make_batch(20, state=S.READY, campaign=campaign, go_at=timezone.now(), parallel_cutovers=2)
    assert kinds(due()) == {"cutover": 2, "stage": 4}


def test_a_broken_server_gets_nothing_then_one_account_then_all() -> None:
    batch = make_batch(10)
    server = batch.campaign.source
    now = timezone.now()
    spoil(server, now=now)
    assert due(now=now) == []
    half_open = now + timedelta(seconds=breakers.FIRST_SECONDS)
    (probe,) = due(now=half_open)
    assert due(now=half_open) == []
    breakers.worked([server.pk, batch.campaign.target_id], half_open)
    assert len(due(now=half_open)) == 9
    release(probe)
    assert event_names(name__startswith="server.") == ["server.breaker.opened", "server.breaker.closed"]


def test_a_server_that_stays_broken_is_asked_less_and_less_and_told_of_once() -> None:
    server = make_server()
    now = timezone.now()
    pauses = []
    for _ in range(7):
        pause = breakers.failed(server.pk, MigratorError("server.unreachable", side=Side.SOURCE), now)
        now += timedelta(seconds=pause)
        pauses.append(pause)
    assert pauses == [15, 30, 60, 120, 240, 300, 300]
    assert event_names() == ["server.breaker.opened"]


def test_errors_and_successes_of_accounts_under_way_do_not_move_an_open_breaker() -> None:
    server = make_server()
    now = timezone.now()
    spoil(server, now=now)
    spoil(server, now=now + timedelta(seconds=5))
    breakers.worked([server.pk], now + timedelta(seconds=5))
    server.refresh_from_db()
    assert (server.breaker_failures, server.breaker_until) == (1, now + timedelta(seconds=15))


# Leases


@pytest.mark.req("C-64")
def test_of_two_calls_for_one_account_the_second_does_nothing() -> None:
    account = make_account()
    (lease,) = due()
    taken = scheduling.take_up(account.pk, lease.epoch, "first")
    assert taken is not None
    before = Account.objects.values().get(pk=account.pk)
    assert scheduling.take_up(account.pk, lease.epoch, "second") is None
    assert scheduling.take_up(account.pk, lease.epoch, "first") is None
    assert Account.objects.values().get(pk=account.pk) == before
    assert before["lease_holder"] == "first"


def test_a_call_that_comes_after_the_account_was_claimed_again_does_nothing() -> None:
    account = make_account()
    now = timezone.now()
    (lost,) = due(now=now)
    later = now + timedelta(seconds=claims.RING_SECONDS + 1)
    assert scheduling.reap_expired(later) == [account.pk]
    (again,) = due(now=later)
    assert scheduling.take_up(account.pk, lost.epoch, "late") is None
    assert scheduling.take_up(account.pk, again.epoch, "in time") is not None
    assert not Event.objects.filter(name="account.lease.expired").exists()  # nobody had it


@pytest.mark.parametrize("change", ["stop", "pause", "withdraw"])
def test_who_is_not_wanted_any_more_when_the_worker_comes_is_given_back(change: str) -> None:
    account = make_account(S.READY)
    (lease,) = due()
    if change == "stop":
        accounts.request_stop(account.pk, actor="anna")
    elif change == "pause":
        batches.pause(account.batch, actor="anna")
    else:
        batches.withdraw_go(account.batch, actor="anna")
    assert scheduling.take_up(account.pk, lease.epoch, "worker") is None
    row = fresh(account)
    assert (row.state, row.lease_until, row.is_stopped) == (S.READY, None, change == "stop")


@pytest.mark.parametrize(
    ("state", "state_after"),
    [(S.NEW, S.CHECKING), (S.CHECKING, S.CHECKING), (S.READY, S.CUTTING_OVER), (S.ROLLING_BACK, S.ROLLING_BACK)],
)
def test_an_account_enters_its_work_when_a_worker_takes_it_up(state: AccountState, state_after: AccountState) -> None:
    account = make_account(state)
    (lease,) = take_all(due())
    assert (fresh(account).state, fresh(account).lease_holder) == (state_after, "worker")
    hold(lease)
    assert figures(account.batch) == {state_after: 1}


@pytest.mark.parametrize("state", [S.STAGING, S.CUTTING_OVER, S.ROLLING_BACK])
def test_an_account_whose_worker_died_is_claimed_again_and_the_dead_one_writes_nothing(state: AccountState) -> None:
    account = make_account(state)
    now = timezone.now()
    (dead,) = take_all(due(now=now), holder="dead", now=now)
    assert scheduling.reap_expired(now + timedelta(seconds=LEASE_SECONDS - 1)) == []
    later = now + timedelta(seconds=LEASE_SECONDS + 1)
    assert scheduling.reap_expired(later) == [account.pk]
    assert event_names(name="account.lease.expired") == ["account.lease.expired"]
    with pytest.raises(LeaseLost):
        write(dead, messages_done=1)
    (again,) = due(now=later)
    assert (again.account_id, again.epoch) == (account.pk, dead.epoch + 1)
    with pytest.raises(LeaseLost):
        write(dead, messages_done=1)
    assert (fresh(account).state, fresh(account).messages_done) == (state, 0)


def test_a_renewed_lease_is_not_taken_away() -> None:
    make_account()
    now = timezone.now()
    (lease,) = take_all(due(now=now), now=now)
    renew(lease, now + timedelta(seconds=50))
    assert scheduling.reap_expired(now + timedelta(seconds=LEASE_SECONDS + 1)) == []


def test_accounts_of_a_process_of_this_machine_that_is_dead_are_found_at_once() -> None:
    account = make_account(S.CUTTING_OVER)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ours = holder_name(f"cutover-1@{os.uname().nodename}")
    theirs = ours.replace(f":{os.getpid()}:", f":{gone.pid}:")
    (lease,) = due()
    take_all([lease], holder=theirs)
    assert (is_gone(ours), is_gone(theirs), is_gone("somebody")) == (False, True, False)
    assert scheduling.reap_expired() == [account.pk]
    take_all(due(), holder=ours)
    assert scheduling.reap_expired() == []


def test_an_account_is_not_put_back_under_the_hands_of_a_worker() -> None:
    account, other = make_account(), make_account()
    leases = due()
    take_all([lease for lease in leases if lease.account_id == account.pk])
    scheduling.put_back(leases)
    assert fresh(account).lease_until is not None
    assert fresh(other).lease_until is None


# A lane goes on


def test_a_lane_goes_on_with_the_next_account_of_its_batch() -> None:
    batch = make_batch(3)
    (lease,) = take_all(due(1))
    put(Account.objects.get(pk=lease.account_id), S.READY)
    following = scheduling.follow(lease)
    assert following is not None
    assert (following.holder, following.kind) == ("worker", "stage")
    assert figures(batch) == {S.READY: 1, S.CHECKING: 1, S.NEW: 1}
    assert Account.objects.filter(lease_until__isnull=False).count() == 1
    with pytest.raises(LeaseLost):
        hold(lease)


def test_a_lane_does_not_turn_round_and_round_with_one_account() -> None:
    make_account(S.STAGING)
    (lease,) = take_all(due())
    assert scheduling.follow(lease) is None
    assert len(due()) == 1


@pytest.mark.parametrize("reason", ["waiting", "paused", "broken", "asked", "lost"])
def test_a_lane_ends_when_others_wait_or_nothing_more_may_begin(reason: str) -> None:
    batch = make_batch(3)
    (lease,) = take_all(due(1))
    if reason == "waiting":
        due(1)
    elif reason == "paused":
        batches.pause(batch, actor="anna")
    elif reason == "broken":
        spoil(batch.campaign.source)
    elif reason == "asked":
        lease.stop.ask(StopReason.SHUTDOWN)
    else:
        claim(Account.objects.get(pk=lease.account_id), holder="another")
    assert scheduling.follow(lease) is None
    assert fresh(Account(pk=lease.account_id)).lease_holder == ("another" if reason == "lost" else "")


def test_a_lane_of_the_night_keeps_to_the_limits_of_its_batch() -> None:
    batch = make_batch(3, state=S.READY, go_at=timezone.now(), parallel_cutovers=1)
    (lease,) = take_all(due())
    assert scheduling.follow(lease) is None  # the user is still locked out
    put(Account.objects.get(pk=lease.account_id), S.DONE)
    (lease,) = take_all(due())
    put(Account.objects.get(pk=lease.account_id), S.DONE)
    assert scheduling.follow(lease) is not None
    assert figures(batch) == {S.DONE: 2, S.CUTTING_OVER: 1}


# The keeper


@pytest.mark.django_db(transaction=True)
def test_a_kept_lease_is_renewed_and_hears_of_stops_and_pauses() -> None:
    account = make_account(S.STAGING)
    lease = claim(account)
    Account.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    with Keeper(every_seconds=0.02).keep(lease):
        wait_for(lambda: fresh(account).lease_until > timezone.now() + timedelta(seconds=30))
        assert not lease.stop.is_set()
        batches.pause(account.batch, actor="anna")
        wait_for(lease.stop.is_set)
    assert lease.stop.reason is StopReason.PAUSED


@pytest.mark.django_db(transaction=True)
def test_a_pause_does_not_stop_a_cutover_but_a_person_does() -> None:
    account = make_account(S.CUTTING_OVER)
    lease = claim(account, LeaseKind.CUTOVER)
    batches.pause(account.batch, actor="anna")
    renew(lease)
    assert not lease.stop.is_set()
    accounts.request_stop(account.pk, actor="anna")
    renew(lease)
    assert lease.stop.reason is StopReason.STOPPED


@pytest.mark.django_db(transaction=True)
def test_a_lane_whose_lease_went_to_another_is_stopped() -> None:
    account = make_account(S.STAGING)
    lease = claim(account)
    with Keeper(every_seconds=0.02).keep(lease):
        claim(account, holder="another")
        wait_for(lease.stop.is_set)
    assert lease.stop.reason is StopReason.LOST
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_lane_that_could_not_renew_stops_before_anybody_else_may_claim() -> None:
    assert TRUST_SECONDS < LEASE_SECONDS
    lease = claim(make_account())
    lease.stop.trust(0.0)
    assert (lease.stop.is_set(), lease.stop.reason) == (True, StopReason.LOST)
    renew(lease)
    assert not lease.stop.is_set()


def wait_for(condition: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


# Ticks


def test_a_tick_gives_a_queue_no_more_than_its_free_lanes_can_use() -> None:
    make_batch(100)
    make_worker("stage", lanes=4)
    claimed = scheduling.tick().claimed
    assert len(claimed) == 8
    assert scheduling.tick().claimed == []
    take_all(claimed[:4])
    assert scheduling.tick().claimed == []  # all lanes are busy, four wait
    for lease in claimed[:4]:
        release(lease)
    assert len(scheduling.tick().claimed) == 4


def test_each_queue_gets_what_its_own_workers_can_do() -> None:
    campaign = make_campaign()
    make_batch(50, campaign=campaign)
    make_batch(50, state=S.READY, campaign=campaign, go_at=timezone.now(), parallel_cutovers=50)
    make_worker("stage", lanes=3)
    make_worker("control,cutover", lanes=2)
    assert kinds(scheduling.tick().claimed) == {"cutover": 4, "stage": 6}


def test_without_a_worker_that_lives_nothing_is_claimed() -> None:
    make_batch(3)
    worker = make_worker(at=timezone.now() - timedelta(minutes=5))
    report = scheduling.tick()
    assert (report.claimed, report.stale) == ([], [worker.name])


def test_a_tick_starts_a_batch_whose_time_has_come() -> None:
    early = make_batch(1, started=False, starts_at=NIGHT)
    make_batch(1, started=False, starts_at=NIGHT + timedelta(hours=1))
    make_batch(1, started=False)
    assert scheduling.tick(NIGHT - timedelta(seconds=1)).started == []
    assert scheduling.tick(NIGHT).started == [early.pk]
    assert scheduling.tick(NIGHT).started == []
    assert Event.objects.get(name="batch.started").actor_name == "ticker"


def test_a_paused_batch_or_campaign_does_not_start_by_itself() -> None:
    first, second = (make_batch(1, started=False, starts_at=NIGHT) for _ in range(2))
    batches.pause(first, actor="anna")
    campaigns.pause(second.campaign_id, actor="anna")
    assert scheduling.tick(NIGHT).started == []


@pytest.mark.parametrize("state", [S.DONE, S.FAILED, S.HELD, S.ATTENTION, S.EXCLUDED])
def test_a_batch_has_ended_when_nothing_happens_without_a_person(state: AccountState) -> None:
    batch = make_batch(2, state=state)
    now = timezone.now()
    assert scheduling.tick(now).ended == [batch.pk]
    assert Batch.objects.get().ended_at == now
    assert scheduling.tick().ended == []
    assert event_names(name="batch.ended") == ["batch.ended"]


@pytest.mark.parametrize("state", [S.NEW, S.CHECKING, S.STAGING, S.READY, S.CUTTING_OVER, S.ROLLING_BACK])
def test_a_batch_with_one_unfinished_account_goes_on(state: AccountState) -> None:
    batch = make_batch(3, state=S.DONE)
    put(batch.accounts.all()[0], state)
    assert scheduling.tick().ended == []


def test_stopped_accounts_do_not_keep_a_batch_going_until_somebody_lets_them_go_on() -> None:
    batch = make_batch(2, state=S.STAGING)
    for account in batch.accounts.all():
        accounts.request_stop(account.pk, actor="anna")
    assert scheduling.tick().ended == [batch.pk]
    accounts.resume(account.pk, actor="anna")
    assert Batch.objects.get().ended_at is None
    assert [lease.account_id for lease in due()] == [account.pk]


def test_a_batch_in_which_too_many_fail_is_paused_and_goes_on_when_the_operator_accepts_that() -> None:
    batch = make_batch(40, stop_at_failed_percent=20)
    some = list(batch.accounts.all())
    for account, state in zip(some[:8], (S.FAILED, S.HELD, S.ATTENTION, S.FAILED) * 2, strict=True):
        put(account, state)
    assert scheduling.tick().braked == []  # 20 %
    put(some[8], S.FAILED)
    assert scheduling.tick().braked == [batch.pk]
    assert due() == []
    batch.refresh_from_db()
    batches.resume(batch, actor="anna")
    assert scheduling.tick().braked == []
    assert len(due()) == 31
    assert Event.objects.get(name="batch.paused").data == {"reason": "failures"}


def test_a_few_failures_do_not_stop_a_small_batch() -> None:
    batch = make_batch(5, state=S.FAILED)
    put(batch.accounts.all()[0], S.NEW)
    assert scheduling.tick().braked == []


def test_an_account_goes_the_whole_road_by_ticks_alone() -> None:
    batch = make_batch(5, go_at=timezone.now())
    make_worker()
    roads = {S.CHECKING: S.STAGING, S.STAGING: S.READY, S.CUTTING_OVER: S.DONE}
    for _ in range(30):
        for lease in take_all(scheduling.tick().claimed):
            state = AccountState(fresh(Account(pk=lease.account_id)).state)
            if state is S.CUTTING_OVER:
                Account.objects.filter(pk=lease.account_id).update(owner=Owner.TARGET)
            accounts.transition(lease.account_id, expect=state, to=roads[state], lease=lease, actor="worker")
            release(lease)
    assert figures(batch) == {S.DONE: 5}
    assert Batch.objects.get().ended_at is not None


def test_a_tick_asks_the_same_number_of_questions_for_ten_accounts_and_for_two_thousand() -> None:
    make_worker(lanes=2)

    def questions() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            leases = scheduling.tick().claimed
        scheduling.put_back(leases)
        return len(queries)

    campaign = make_campaign()
    make_batch(10, campaign=campaign)
    few = questions()
    batches.cut(campaign, [Account(source_login=f"x{n}", target_login=f"x{n}") for n in range(2000)], actor="test")
    Batch.objects.update(started_at=timezone.now())
    assert questions() <= few + 2  # one more look each for two more batches that might have ended
    assert few < 40


# Two at once


@pytest.mark.req("C-64")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", range(10))
def test_of_many_who_race_for_one_lease_one_wins(turn: int) -> None:
    account = make_account()
    (lease,) = [lease for leases in at_once(*[lambda: scheduling.claim_due(1)] * 4) for lease in leases]
    assert lease.account_id == account.pk
    racers = [lambda n=n: scheduling.take_up(account.pk, lease.epoch, f"worker {n}") for n in range(4)]
    (winner,) = [taken for taken in at_once(*racers) if taken is not None]
    assert (fresh(account).lease_holder, fresh(account).lease_epoch) == (winner.holder, 1)


@pytest.mark.django_db(transaction=True)
def test_two_who_claim_at_once_keep_to_the_limit_of_a_server_together() -> None:
    for _ in range(5):
        make_batch(30, campaign=make_campaign(source=make_server(max_lanes=7)))
        results = at_once(*[lambda: scheduling.claim_due(30, queues=["stage"])] * 3)
        claimed = [lease.account_id for result in results for lease in result]
        assert len(claimed) == len(set(claimed)) == 7
        Account.objects.update(is_stopped=True, lease_until=None)
        Campaign.objects.update(is_paused=True)


@pytest.mark.django_db(transaction=True)
def test_lanes_that_go_on_at_once_never_take_the_same_account() -> None:
    batch = make_batch(40)
    leases = take_all(due(4))

    def lane(lease: Lease) -> list[int]:
        seen = []
        following: Lease | None = lease
        while following is not None:
            seen.append(following.account_id)
            for start, end in ((S.CHECKING, S.STAGING), (S.STAGING, S.READY)):
                accounts.transition(following.account_id, expect=start, to=end, lease=following, actor="lane")
            following = scheduling.follow(following)
        return seen

    results = at_once(*[lambda lease=lease: lane(lease) for lease in leases])
    seen = [account_id for result in results for account_id in result]
    assert len(seen) == len(set(seen)) == 40
    assert figures(batch) == {S.READY: 40}


@pytest.mark.django_db(transaction=True)
def test_lanes_that_go_on_and_others_that_claim_keep_to_the_limit_of_the_batch_together() -> None:
    batch = make_batch(40, state=S.READY, go_at=timezone.now(), parallel_cutovers=3)
    crowds: list[int] = []

    def cross(lease: Lease) -> None:
        crowds.append(Account.objects.filter(batch=batch, state=S.CUTTING_OVER).count())
        Account.objects.filter(pk=lease.account_id).update(owner=Owner.TARGET)
        accounts.transition(lease.account_id, expect=S.CUTTING_OVER, to=S.DONE, lease=lease, actor="lane")

    def lane() -> None:
        while Account.objects.filter(batch=batch, state=S.READY).exists():
            for taken in take_all(due(1, queues=["cutover"])):
                lease: Lease | None = taken
                while lease is not None:
                    cross(lease)
                    lease = scheduling.follow(lease)

    assert at_once(*[lane] * 5) == [None] * 5
    assert figures(batch) == {S.DONE: 40}
    assert max(crowds) <= 3
    assert Batch.objects.get().cutovers_begun == 40


@pytest.mark.django_db(transaction=True)
def test_a_batch_never_ends_over_an_account_that_comes_back_at_that_moment() -> None:
    for _ in range(10):
        account = make_account(S.FAILED)
        at_once(scheduling.tick, lambda pk=account.pk: accounts.retry(pk, actor="anna"), scheduling.tick)
        assert (fresh(account).state, Batch.objects.get(pk=account.batch_id).ended_at) == (S.CHECKING, None)
        put(account, S.DONE)


@pytest.mark.django_db(transaction=True)
def test_a_breaker_that_many_open_at_once_opens_once() -> None:
    server = make_server()
    assert all(isinstance(pause, float) for pause in at_once(*[lambda: spoil(server) or 0.0] * 6))
    server.refresh_from_db()
    assert server.breaker_failures == 1
    assert event_names(name="server.breaker.opened") == ["server.breaker.opened"]
