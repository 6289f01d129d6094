"""Where there is room for more work: decided from a snapshot, without a look at any account that only waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from campaigns.bridge.lease import LOCKED_OUT, LeaseKind
from campaigns.models import Account, Batch, BatchCount, Server
from campaigns.services import breakers
from campaigns.states import AccountState

STAGE: Final = "stage"
CUTOVER: Final = "cutover"
QUEUES: Final = (CUTOVER, STAGE)

Counts = dict[int, dict[AccountState, int]]  # batch -> state -> accounts


class Pair(NamedTuple):
    """A source and a target between which accounts move."""

    source_id: int
    target_id: int


class Claimed(NamedTuple):
    """An account that is leased: somebody works on it, or it waits in the queue (no holder)."""

    account_id: int
    epoch: int
    state: str
    kind: str
    holder: str
    until: datetime
    batch_id: int
    pair: Pair
    cutover: int

    @property
    def queue(self) -> str:
        return LeaseKind(self.kind).queue if self.kind else ""

    @property
    def is_about_to_cut_over(self) -> bool:
        return self.state == AccountState.READY and self.kind == LeaseKind.CUTOVER


def waits_for(batch: Batch, now: datetime) -> str:
    """Return what keeps ready accounts of ``batch`` from being cut over; "" when nothing does."""
    if batch.started_at is None:
        return "start"
    if batch.is_paused or batch.campaign.is_paused or batch.campaign.closed_at is not None:
        return "resume"
    if batch.go_at is None:
        return "go"
    begins_at, ends_at = batch.window_begins_at, batch.window_ends_at
    if (begins_at is not None and now < begins_at) or (ends_at is not None and now >= ends_at):
        return "window"
    return ""


def is_canary(batch: Batch) -> bool:
    """True until the operator lets the others follow the first accounts."""
    return batch.canary > 0 and batch.canary_passed_at is None


def may_stage(batch: Batch) -> bool:
    """True when accounts of ``batch`` may be checked and copied ahead."""
    campaign = batch.campaign
    return not (batch.started_at is None or batch.is_paused or campaign.is_paused or campaign.closed_at)


def open_batches() -> dict[int, Batch]:
    """Return the batches in which something may happen, the earliest first."""
    rows = Batch.objects.filter(started_at__isnull=False, ended_at=None, campaign__closed_at=None)
    return {batch.pk: batch for batch in rows.select_related("campaign").order_by("started_at", "pk")}


def counts_of(batches: dict[int, Batch]) -> Counts:
    """Return how many accounts of each batch are in each state, as every transition keeps it."""
    counts: Counts = {batch_id: {} for batch_id in batches}
    rows = BatchCount.objects.filter(batch__in=list(batches), accounts__gt=0)
    for batch_id, state, accounts in rows.values_list("batch_id", "state", "accounts"):
        counts[batch_id][AccountState(state)] = accounts
    return counts


def leased() -> list[Claimed]:
    """Return all accounts that are leased: never more than there are lanes and places in the queues."""
    rows = Account.objects.filter(lease_until__isnull=False).values_list(
        "pk",
        "lease_epoch",
        "state",
        "lease_kind",
        "lease_holder",
        "lease_until",
        "batch_id",
        "source_id",
        "target_id",
        "cutover",
    )
    return [
        Claimed(pk, epoch, state, kind, holder, until, batch_id, Pair(source_id, target_id), cutover)
        for pk, epoch, state, kind, holder, until, batch_id, source_id, target_id, cutover in rows
        if until is not None
    ]


@dataclass(slots=True)
class Capacity:
    """How much room is left, while claims are made. ``windows``: queue -> accounts it may still be given."""

    now: datetime
    batches: dict[int, Batch]
    counts: Counts
    windows: dict[str, int]
    claimed: list[Claimed]
    servers: dict[int, Server]
    cutting: Counter[int]  # batch -> accounts being cut over or back
    is_night: bool = field(init=False)  # anybody is cut over, or could be

    def __post_init__(self) -> None:
        ready = (batch for batch in self.batches.values() if self.counts[batch.pk].get(AccountState.READY))
        self.is_night = bool(self.cutting) or any(not waits_for(batch, self.now) for batch in ready)

    @classmethod
    def of(
        cls, now: datetime, batches: dict[int, Batch], counts: Counts, windows: dict[str, int], servers: list[Server]
    ) -> Capacity:
        """Look at what is leased and cut over now; the servers are locked by the caller."""
        rows = BatchCount.objects.filter(state__in=LOCKED_OUT, accounts__gt=0, batch__in=list(batches))
        cutting: Counter[int] = Counter()
        for batch_id, accounts in rows.values_list("batch_id", "accounts"):
            cutting[batch_id] += accounts
        return cls(now, batches, counts, dict(windows), leased(), {row.pk: row for row in servers}, cutting)

    def take(self, claim: Claimed) -> None:
        """Count an account that was claimed."""
        self.claimed.append(claim)
        self.windows[claim.queue] -= 1

    def room_between(self, pair: Pair, queue: str) -> int:
        """Return how many more accounts of ``queue`` may move between two servers."""
        sides = (self._room_on(server_id, queue) for server_id in pair)
        return min(self.windows.get(queue, 0), *sides)

    def _room_on(self, server_id: int, queue: str) -> int:
        server = self.servers[server_id]
        here = [claim for claim in self.claimed if server_id in claim.pair]
        room = breakers.room(server, len(here), self.now)
        if queue == STAGE and self.is_night:
            # Half of a server is kept free of long copies: users who wait locked out come first.
            staging = sum(claim.queue == STAGE for claim in here)
            room = min(room, max(1, server.max_lanes // 2) - staging)
        return room

    def is_anywhere(self) -> bool:
        """True when there is room between any two servers: while all are full there is nothing to look for."""
        return sum(any(self._room_on(server, queue) > 0 for queue in self.windows) for server in self.servers) > 1

    def admits(self, account: Account, kind: LeaseKind) -> bool:
        """True when the batch of ``account`` has room for what it is to be claimed for."""
        if kind is not LeaseKind.CUTOVER or account.state != AccountState.READY:
            return True
        return self.cutover_room(self.batches[account.batch_id])[not account.cutover] > 0

    def _busy(self, batch: Batch, waiting: int) -> int:
        """Return how many accounts of a batch count against its parallel cutovers; ``waiting`` are about to begin.

        Of those that move together most only wait for each other: those that are worked on count.
        """
        if not batch.is_together:
            return self.cutting[batch.pk] + waiting
        return sum(claim.batch_id == batch.pk and claim.queue == CUTOVER for claim in self.claimed)

    def cutover_room(self, batch: Batch) -> tuple[int, int]:
        """Return how many more accounts of ``batch`` may be cut over now, and how many of them for the first time."""
        if waits_for(batch, self.now):
            return 0, 0
        if batch.is_together and batch.step_gate:  # the others are on their way: the next round
            return 0, 0
        waiting = [claim for claim in self.claimed if claim.batch_id == batch.pk and claim.is_about_to_cut_over]
        room = max(0, batch.parallel_cutovers - self._busy(batch, len(waiting)))
        if not is_canary(batch):
            return room, room
        first = batch.canary - batch.cutovers_begun - sum(not claim.cutover for claim in waiting)
        return room, min(room, max(0, first))
