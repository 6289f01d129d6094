"""What a worker does when it is called: once for each lease, then on with the batch, and never over a lost lease."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns import broker, tasks
from campaigns.bridge.lease import LEASE_SECONDS, Lease, LeaseKind, LeaseLost, StopReason
from campaigns.celery import app, stopping
from campaigns.models import Account
from campaigns.services import accounts, scheduling
from campaigns.states import AccountState
from tests.campaigns.factories import claim, figures, make_account, make_batch, make_worker

S = AccountState
pytestmark = pytest.mark.django_db(transaction=True)

Work = Callable[[Lease], None]


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Let each kind of work be noted, and bring the account one state further."""
    done: list[tuple[int, str]] = []

    def work(lease: Lease) -> None:
        done.append((lease.account_id, lease.kind.value))
        if Account.objects.get(pk=lease.account_id).state == S.CHECKING:
            accounts.transition(lease.account_id, expect=S.CHECKING, to=S.READY, lease=lease, actor="worker")

    set_work(monkeypatch, work)
    return done


@pytest.fixture(autouse=True)
def queues() -> Iterator[None]:
    yield
    with app.connection_for_write() as line:
        for name in ("control", "stage", "cutover"):
            line.default_channel.queue_purge(name)
    stopping.clear()


def set_work(monkeypatch: pytest.MonkeyPatch, work: Work) -> None:
    for kind in LeaseKind:
        monkeypatch.setitem(tasks._WORK, kind, work)


def call(lease: Lease) -> None:
    {"stage": tasks.run_stage, "cutover": tasks.run_cutover}[lease.kind.queue](lease.account_id, lease.epoch)


def waiting(queue: str) -> int:
    return broker.depth(settings.QUEUE_FOLDER, queue)


def test_each_kind_of_lease_has_its_work() -> None:
    assert tasks._WORK.keys() == set(LeaseKind)
    assert len(set(tasks._WORK.values())) == len(LeaseKind)


@pytest.mark.parametrize(
    ("state", "kind"), [(S.NEW, "stage"), (S.READY, "cutover"), (S.ROLLING_BACK, "rollback"), (S.DONE, "catch_up")]
)
def test_a_call_does_the_work_and_gives_the_account_back(
    worked: list[tuple[int, str]], state: AccountState, kind: str
) -> None:
    account = make_account(state, not_before=timezone.now() if state is S.DONE else None)
    (lease,) = scheduling.claim_due(1)
    call(lease)
    assert worked == [(account.pk, kind)]
    account.refresh_from_db()
    assert (account.lease_until, account.lease_holder, account.lease_epoch) == (None, "", 1)


@pytest.mark.req("C-64")
def test_a_doubled_or_late_call_claims_nothing(worked: list[tuple[int, str]]) -> None:
    make_account()
    (lease,) = scheduling.claim_due(1)
    for _ in range(3):
        call(lease)
    assert len(worked) == 1
    call(Lease(lease.account_id, lease.epoch + 1))
    call(Lease(999, 1))
    assert len(worked) == 1


def test_a_second_call_during_the_work_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_account()
    (lease,) = scheduling.claim_due(1)
    seen = []

    def work(inner: Lease) -> None:
        seen.append(inner)
        call(lease)

    set_work(monkeypatch, work)
    call(lease)
    assert [inner.account_id for inner in seen] == [lease.account_id]


def test_a_lane_works_through_its_batch(worked: list[tuple[int, str]]) -> None:
    batch = make_batch(5)
    (lease,) = scheduling.claim_due(1)
    call(lease)
    assert sorted(worked) == [(account.pk, "stage") for account in batch.accounts.order_by("pk")]
    assert figures(batch) == {S.READY: 5}
    assert not batch.accounts.filter(lease_until__isnull=False).exists()


def test_after_a_while_a_lane_lets_others_have_their_turn(
    worked: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "FOLLOW_SECONDS", 0.0)
    batch = make_batch(5)
    (lease,) = scheduling.claim_due(1)
    call(lease)
    assert len(worked) == 1
    assert not batch.accounts.filter(lease_until__isnull=False).exists()


def test_a_worker_that_ends_takes_up_nothing_more(worked: list[tuple[int, str]]) -> None:
    account = make_account()
    (lease,) = scheduling.claim_due(1)
    stopping.set()
    call(lease)
    assert worked == []
    assert Account.objects.get(pk=account.pk).state == S.NEW


def test_a_worker_that_is_told_to_end_asks_its_lanes_and_gives_back(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_batch(3)
    reasons = []

    def work(lease: Lease) -> None:
        stopping.set()
        tasks._stop_lanes()
        reasons.append(lease.stop.reason)

    set_work(monkeypatch, work)
    (lease,) = scheduling.claim_due(1)
    call(lease)
    assert reasons == [StopReason.SHUTDOWN]
    assert not batch.accounts.filter(lease_until__isnull=False).exists()
    assert not batch.accounts.filter(is_stopped=True).exists()


def test_a_lane_that_lost_its_lease_leaves_the_account_to_the_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    account = make_account()

    def work(lease: Lease) -> None:
        claim(account, holder="another")
        raise LeaseLost(f"account {lease.account_id}")

    set_work(monkeypatch, work)
    (lease,) = scheduling.claim_due(1)
    with caplog.at_level(logging.WARNING):
        call(lease)
    account.refresh_from_db()
    assert (account.lease_holder, account.lease_epoch) == ("another", 2)
    assert "the lease was lost" in caplog.text


def test_what_nobody_foresaw_is_tried_again_when_the_lease_has_run_out(monkeypatch: pytest.MonkeyPatch) -> None:
    account = make_account(S.CUTTING_OVER)

    def work(lease: Lease) -> None:
        raise ZeroDivisionError

    set_work(monkeypatch, work)
    (lease,) = scheduling.claim_due(1)
    with pytest.raises(ZeroDivisionError):
        call(lease)
    assert scheduling.claim_due(1) == []
    later = timezone.now() + timedelta(seconds=LEASE_SECONDS + 1)
    assert scheduling.reap_expired(later) == [account.pk]
    (again,) = scheduling.claim_due(1, now=later)
    assert (again.account_id, again.kind) == (account.pk, "cutover")


def test_waking_rings_for_what_is_due_and_queues_it_by_kind() -> None:
    make_batch(3)
    make_batch(2, state=S.READY, go_at=timezone.now())
    make_worker()
    tasks.wake()
    assert (waiting("stage"), waiting("cutover")) == (3, 2)
    tasks.wake()
    assert (waiting("stage"), waiting("cutover")) == (3, 2)


def test_what_cannot_be_rung_for_is_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make_batch(3)
    make_worker()
    rung: list[Lease] = []

    def ring(lease: Lease) -> None:
        if rung:
            raise OperationalError("the queue is away")
        rung.append(lease)

    monkeypatch.setattr(tasks, "ring", ring)
    tasks.wake()
    assert [lease.account_id for lease in rung] == list(
        Account.objects.filter(lease_until__isnull=False).values_list("pk", flat=True)
    )
    assert len(scheduling.claim_due(9)) == 2


def test_the_clock_is_woken_after_the_commit_and_not_by_what_is_taken_back() -> None:
    with transaction.atomic():
        tasks.wake_after_commit()
        assert waiting("control") == 0
    assert waiting("control") == 1

    def give_up() -> None:
        with transaction.atomic():
            tasks.wake_after_commit()
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        give_up()
    assert waiting("control") == 1


def test_calls_carry_two_numbers_and_nothing_else() -> None:
    make_account()
    (lease,) = scheduling.claim_due(1)
    tasks.ring(lease)
    with app.connection_for_read() as line:
        message = line.default_channel.basic_get("stage")
        message.ack()
    assert message.payload[:2] == [[lease.account_id, lease.epoch], {}]
    login = Account.objects.get().source_login
    assert login not in str(message.payload) + str(message.headers)
