"""May this happen now? The clock of the panel, and the leases in the hands of its workers.

A tick reads batches, figures and leased accounts, and of those that wait only as many as there is room for: its time
does not grow with the number of accounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from campaigns.bridge.lease import (
    LEASE_SECONDS,
    LOCKED_OUT,
    Lease,
    LeaseKind,
    is_gone,
    release,
    renew,
)
from campaigns.models import Account, Batch, BatchCount, Server, Worker
from campaigns.services import accounts, batches, beats, capacity, claims, together
from campaigns.services.accounts import UNFINISHED
from campaigns.services.capacity import Claimed, Counts
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from campaigns.states import AccountState

__all__ = ["TickReport", "claim_due", "follow", "put_back", "reap_expired", "release", "renew", "take_up", "tick"]

_S = AccountState
PLACES_PER_LANE: Final = 2  # accounts that are given to a queue for each lane that is free
_ENDS_A_TICK: Final = 2  # batches that are marked as ended; the next tick marks others
_RESTING_A_TICK: Final = 2  # batches of which every account may have to be looked at, to see whether any goes on
_BRAKE_FROM: Final = 5  # failures; fewer tell nothing of the others
_TICKER: Final = "ticker"

# What an account that was claimed becomes when a worker takes it up.
_ENTRANCES: Final = {
    (LeaseKind.STAGE, _S.NEW): _S.CHECKING,
    (LeaseKind.STAGE, _S.READY): _S.STAGING,
    (LeaseKind.CUTOVER, _S.READY): _S.CUTTING_OVER,
}


@dataclass(slots=True)
class TickReport:
    """What one tick did. ``claimed`` must be rung for."""

    claimed: list[Lease] = field(default_factory=list)
    reaped: list[int] = field(default_factory=list)  # accounts whose worker was lost
    started: list[int] = field(default_factory=list)  # batches
    ended: list[int] = field(default_factory=list)
    braked: list[int] = field(default_factory=list)  # paused because too many failed
    stale: list[str] = field(default_factory=list)  # workers that were not heard of lately


def tick(now: datetime | None = None) -> TickReport:
    """Do all that is due. Safe beside another tick, and at any time."""
    now = now or timezone.now()
    leased = capacity.leased()
    report = TickReport(started=_start_batches(now), reaped=_reap_lost(leased, now))
    known = capacity.open_batches()
    counts = capacity.counts_of(known)
    report.braked = _brake(known, counts)
    together.advance(list(known.values()), now)
    workers = list(Worker.objects.all())
    kept = [claim for claim in leased if claim.account_id not in report.reaped]
    report.claimed = claims.claim(known, counts, _windows(_lanes(workers, now), kept), now)
    report.ended = _end_batches(known, counts, now)
    report.stale = [worker.name for worker in workers if not _is_alive(worker, now)]
    return report


def claim_due(limit: int, *, now: datetime | None = None, queues: Iterable[str] = capacity.QUEUES) -> list[Lease]:
    """Claim up to ``limit`` accounts for each of ``queues``, whether workers are there or not."""
    known = capacity.open_batches()
    return claims.claim(known, capacity.counts_of(known), dict.fromkeys(queues, limit), now or timezone.now())


def _is_alive(worker: Worker, now: datetime) -> bool:
    return worker.beat_at >= now - timedelta(seconds=beats.STALE_SECONDS)


def _lanes(workers: Sequence[Worker], now: datetime) -> dict[str, int]:
    lanes = dict.fromkeys(capacity.QUEUES, 0)
    for worker in workers:
        for queue in lanes.keys() & worker.queues.split(","):
            lanes[queue] += worker.lanes if _is_alive(worker, now) else 0
    return lanes


def _windows(lanes: dict[str, int], leased: list[Claimed]) -> dict[str, int]:
    """Return how many more accounts each queue gets: a few for each lane that is free, never a whole batch."""
    windows = {}
    for queue, count in lanes.items():
        held = sum(claim.queue == queue and bool(claim.holder) for claim in leased)
        waiting = sum(claim.queue == queue and not claim.holder for claim in leased)
        windows[queue] = max(0, count - held) * PLACES_PER_LANE - waiting
    return windows


# Leases in the hands of workers


def take_up(account_id: int, epoch: int, holder: str, *, now: datetime | None = None) -> Lease | None:
    """Begin the work for which an account was claimed. None for whoever comes second, or too late, or unwanted."""
    now = now or timezone.now()
    with transaction.atomic():
        rows = Account.objects.filter(pk=account_id, lease_epoch=epoch, lease_until__isnull=False, lease_holder="")
        if rows.update(lease_holder=holder, lease_until=now + timedelta(seconds=LEASE_SECONDS)) != 1:
            return None
        account = Account.objects.select_related("batch__campaign").get(pk=account_id)
        lease = Lease(account_id, epoch, LeaseKind(account.lease_kind), holder)
        if _is_unwanted(account, lease.kind, now):
            release(lease)
            return None
        _enter(account, lease)
        return lease


def _is_unwanted(account: Account, kind: LeaseKind, now: datetime) -> bool:
    """True when somebody changed their mind while the account waited in the queue."""
    if account.state in LOCKED_OUT or (account.arrives_first and account.state == _S.CHECKING):
        return False
    if kind is LeaseKind.CUTOVER:
        is_late = not together.takes_newcomers(account.batch)
        return account.stop_requested or is_late or bool(capacity.waits_for(account.batch, now))
    is_paused = account.batch.is_paused or account.batch.campaign.is_paused
    return account.stop_requested or is_paused


def _enter(account: Account, lease: Lease) -> None:
    state = AccountState(account.state)
    to = _ENTRANCES.get((lease.kind, state))
    if to is not None:
        accounts.transition(account.pk, expect=state, to=to, lease=lease, actor=lease.holder, not_before=None)


def follow(lease: Lease, *, now: datetime | None = None) -> Lease | None:
    """Give an account back and go on with the next one of its batch, which inherits its place on both servers.

    None when there is none, when others wait in the queue, or when the lane should end: then only given back.
    """
    now = now or timezone.now()
    account = _place_of(lease)
    if lease.stop.is_set() or not _may_follow(account, lease.kind):
        release(lease)
        return None
    with transaction.atomic():
        has_room = lease.kind is not LeaseKind.CUTOVER or _has_cutover_room(account, now)
        if not release(lease) or not has_room:
            return None
        pair = {"source": account.source_id, "target": account.target_id}
        rows = claims.waiting(**pair, state__in=_followed(account.batch, lease.kind), batch=account.batch_id)
        for candidate in claims.first_due(rows.exclude(pk=account.pk), now, 1):
            return _continue(candidate, lease, now)
    return None


# With what a lane goes on after work of a kind; rolled back or looked after are only a few.
_FOLLOWED: Final = {
    LeaseKind.STAGE: (_S.STAGING, _S.CHECKING, _S.NEW),
    LeaseKind.CUTOVER: (_S.READY,),
    LeaseKind.ROLLBACK: (),
    LeaseKind.CATCH_UP: (),
}


def _followed(batch: Batch, kind: LeaseKind) -> tuple[AccountState, ...]:
    if kind is LeaseKind.CUTOVER and batch.is_together:
        return (_S.READY, _S.CUTTING_OVER) if together.takes_newcomers(batch) else (_S.CUTTING_OVER,)
    return _FOLLOWED[kind]


# What decides whether more of a batch may begin.
_BATCH_COLUMNS: Final = (
    "started_at",
    "is_paused",
    "go_at",
    "window_begins_at",
    "window_ends_at",
    "canary",
    "canary_passed_at",
    "parallel_cutovers",
    "is_together",
    "step_gate",
    "campaign__is_paused",
    "campaign__closed_at",
)


def _place_of(lease: Lease) -> Account:
    """Return between which servers and in which batch an account is: this is asked after each account."""
    rows = Account.objects.select_related("batch__campaign")
    return rows.only("source", "target", *(f"batch__{name}" for name in _BATCH_COLUMNS)).get(pk=lease.account_id)


def _continue(account: Account, lease: Lease, now: datetime) -> Lease | None:
    following = claims.claim_one(account, lease.kind, holder=lease.holder, until=now + timedelta(seconds=LEASE_SECONDS))
    if following is not None:
        _enter(account, following)
    return following


def _may_follow(account: Account, kind: LeaseKind) -> bool:
    """Look whether more of the batch may begin, and nobody who was called for waits for this lane."""
    if not _FOLLOWED[kind] or not capacity.may_stage(account.batch):
        return False
    queued = [other for other in LeaseKind if other.queue == kind.queue]
    if Account.objects.filter(lease_until__isnull=False, lease_holder="", lease_kind__in=queued).exists():
        return False
    servers = Server.objects.filter(pk__in=(account.source_id, account.target_id))
    return not servers.filter(breaker_failures__gt=0).exists()


def _has_cutover_room(account: Account, now: datetime) -> bool:
    """Look whether another account of the batch may be locked out, side by side with nobody else who looks."""
    batch = account.batch
    if capacity.waits_for(batch, now) or capacity.is_canary(batch):
        return False
    servers = Server.objects.filter(pk__in=(account.source_id, account.target_id)).order_by("pk")
    list(servers.select_for_update(no_key=True).values_list("pk"))  # as whoever claims does
    claimed = Account.objects.filter(batch=batch, lease_until__isnull=False)
    if batch.is_together:
        busy = claimed.filter(lease_kind__in=(LeaseKind.CUTOVER, LeaseKind.ROLLBACK)).exclude(pk=account.pk)
        return busy.count() < batch.parallel_cutovers
    cutting = BatchCount.objects.filter(batch=batch, state__in=LOCKED_OUT).values_list("accounts", flat=True)
    waiting = claimed.filter(lease_kind=LeaseKind.CUTOVER, state=_S.READY).exclude(pk=account.pk)
    return sum(cutting) + waiting.count() < batch.parallel_cutovers


def put_back(leases: Iterable[Lease]) -> None:
    """Give back claims for which nobody could be rung. They are due again at once."""
    for lease in leases:
        with transaction.atomic():
            if lease.rows().filter(lease_holder="").update(lease_holder=_TICKER) == 1:
                release(lease)


def reap_expired(now: datetime | None = None) -> list[int]:
    """Take back what its worker lost: because its time is over, or its process is proved dead. Returns the accounts.

    What is being cut over or rolled back is due again by that, and the next worker goes on where the journal ends.
    """
    return _reap_lost(capacity.leased(), now or timezone.now())


def _reap_lost(leased: list[Claimed], now: datetime) -> list[int]:
    lost = [claim for claim in leased if claim.until < now or (claim.holder and is_gone(claim.holder))]
    return [claim.account_id for claim in lost if _reap(claim)]


def _reap(claim: Claimed) -> bool:
    lease = Lease(claim.account_id, claim.epoch, LeaseKind(claim.kind or LeaseKind.STAGE), claim.holder)
    with transaction.atomic():
        rows = lease.rows().filter(lease_until=claim.until)  # unless it was renewed since we looked
        if not rows.update(lease_holder=claim.holder) or not release(lease):
            return False
        if claim.holder:
            place = Account.objects.values("campaign_id", "batch_id").get(pk=claim.account_id)
            facts: dict[str, Any] = {"holder": claim.holder, "state": claim.state}
            record("account.lease.expired", actor=_TICKER, account_id=claim.account_id, **place, **facts)
        return True


# Batches


def _start_batches(now: datetime) -> list[int]:
    due = Batch.objects.filter(starts_at__lte=now, started_at=None, campaign__is_paused=False, campaign__closed_at=None)
    started = []
    for batch in due.filter(is_paused=False):
        try:
            batches.start(batch, actor=_TICKER)
        except Refused:  # empty, or somebody was faster
            continue
        started.append(batch.pk)
    return started


def _brake(known: dict[int, Batch], counts: Counts) -> list[int]:
    """Pause batches in which too many failed since the operator last said go on."""
    braked = []
    for batch in known.values():
        count = counts[batch.pk]
        failures = sum(count.get(state, 0) for state in batches.FAILURES) - batch.failures_accepted
        total = sum(count.values()) - count.get(_S.EXCLUDED, 0)
        is_bad = failures >= _BRAKE_FROM and failures * 100 > batch.stop_at_failed_percent * total
        if is_bad and not batch.is_paused and batches.pause(batch, actor=_TICKER, reason="failures"):
            braked.append(batch.pk)
    return braked


def _end_batches(known: dict[int, Batch], counts: Counts, now: datetime) -> list[int]:
    """Mark batches in which nothing more happens without a person."""
    empty = [batch for batch in known.values() if not any(counts[batch.pk].get(state) for state in UNFINISHED)]
    # Others may hold nothing but stopped accounts. That costs a look, so only some of them are asked each time.
    others = claims.some([batch for batch in known.values() if batch not in empty], now, _RESTING_A_TICK)
    empty += _resting(batch.pk for batch in others)
    return _end([batch.pk for batch in empty[:_ENDS_A_TICK]], now) if empty else []


def _resting(batch_ids: Iterable[int]) -> list[Batch]:
    """Return those of the batches in which nothing happens to any account without a person."""
    going_on = Account.objects.filter(Q(is_stopped=False) | Q(lease_until__isnull=False), state__in=UNFINISHED)
    rows = Batch.objects.filter(pk__in=list(batch_ids), ended_at=None)
    return list(rows.filter(~Exists(going_on.filter(batch=OuterRef("pk")))))


def _end(batch_ids: list[int], now: datetime) -> list[int]:
    with transaction.atomic():
        # The lock first, the look second: who brings an account back writes this row, too.
        rows = Batch.objects.filter(pk__in=batch_ids)
        list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        resting = _resting(batch_ids)
        rows.filter(pk__in=[batch.pk for batch in resting]).update(ended_at=now)
        for batch in resting:
            record("batch.ended", actor=_TICKER, campaign_id=batch.campaign_id, batch_id=batch.pk)
        return [batch.pk for batch in resting]
