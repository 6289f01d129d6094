"""Claims: which accounts are worked on next, within all limits.

Of the accounts that wait only as many are read as there is room for, by index: a claim does not grow with the number
of accounts. Nobody is rung for here: whoever asked for the claims does that, after the commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import F, QuerySet

from campaigns.bridge.lease import Lease, LeaseKind
from campaigns.models import Account, Batch, Server
from campaigns.services import capacity
from campaigns.services.capacity import CUTOVER, STAGE, Capacity, Claimed, Counts, Pair
from campaigns.states import AccountState
from migrator.recipes import RECIPES

_S = AccountState

RING_SECONDS: Final = 60.0  # a claim that no worker took up for so long was lost on the way
_BATCHES_AT_ONCE: Final = 5  # of those that need a question each, so many are looked into in one tick
_COLUMNS: Final = ("state", "lease_epoch", "batch_id", "source_id", "target_id", "cutover")


def claim(known: dict[int, Batch], counts: Counts, windows: dict[str, int], now: datetime) -> list[Lease]:
    """Claim what is due in the batches ``known``, for each queue as many as its window has room for."""
    if not any(room > 0 for room in windows.values()):
        return []
    with transaction.atomic():
        # Whoever claims holds all servers: two who count at the same time would both find room for the last one.
        servers = list(Server.objects.select_for_update(no_key=True).order_by("pk"))
        room = Capacity.of(now, known, counts, windows, servers)
        if not room.is_anywhere():
            return []
        return [lease for offer in _offers(room) for lease in offer]


def _offers(room: Capacity) -> Iterator[list[Lease]]:
    """Claim in the order of urgency: who is locked out, who may cross, who is copied ahead, who is looked after."""
    pairs = _pairs()
    for pair in pairs:
        yield _claim_locked_out(room, pair)
    for pair in pairs:
        yield from _claim_ready(room, pair)
    for pair in pairs:
        yield from _claim_stages(room, pair)
    yield _claim_catch_ups(room)
    yield from _claim_refreshes(room)


def waiting(**conditions: object) -> QuerySet[Account]:
    """Return accounts that nobody has and nobody stopped, in the words of the index ``account_due``."""
    return Account.objects.filter(is_stopped=False, lease_until=None, **conditions)


def _pairs() -> list[Pair]:
    """Return between which servers accounts wait: from one entry of the index to the next, never reading it all.

    One query for all of them; through the ORM it would be two for each source and each target.
    """
    waiting_rows = f"FROM {Account._meta.db_table} WHERE NOT is_stopped AND lease_until IS NULL"
    # Apart, for SQLite uses of (source_id, target_id) > (...) only the first column, and reads all of a source.
    target = f"(SELECT MIN(target_id) {waiting_rows} AND source_id = pair.source_id AND target_id > pair.target_id)"
    source = f"(SELECT MIN(source_id) {waiting_rows} AND source_id > pair.source_id)"
    first = f"(SELECT MIN(target_id) {waiting_rows} AND source_id = {source})"
    with connection.cursor() as cursor:
        cursor.execute(f"""
            WITH RECURSIVE pair(source_id, target_id) AS (
                SELECT CAST(0 AS bigint), CAST(0 AS bigint)
                UNION ALL
                SELECT CASE WHEN {target} IS NULL THEN {source} ELSE pair.source_id END, COALESCE({target}, {first})
                FROM pair WHERE pair.source_id IS NOT NULL
            )
            SELECT source_id, target_id FROM pair WHERE source_id > 0""")
        return [Pair(*row) for row in cursor.fetchall()]


def first_due(rows: QuerySet[Account], now: datetime, limit: int) -> list[Account]:
    """Return the first due accounts: those never put off, then those whose pause is over."""
    if limit <= 0:
        return []
    # Who is being claimed by another at this moment is passed over, not waited for.
    rows = rows.select_for_update(no_key=True, skip_locked=True).only(*_COLUMNS)
    found = list(rows.filter(not_before=None)[:limit])
    if len(found) < limit:
        found += rows.filter(not_before__lte=now)[: limit - len(found)]
    return found


def _claim_locked_out(room: Capacity, pair: Pair) -> list[Lease]:
    """Claim accounts that a worker left in the middle: also in paused batches, and outside the window."""
    leases: list[Lease] = []
    for state, kind in ((_S.ROLLING_BACK, LeaseKind.ROLLBACK), (_S.CUTTING_OVER, LeaseKind.CUTOVER)):
        within = [batch_id for batch_id in room.batches if room.cutting[batch_id]]
        limit = room.room_between(pair, CUTOVER) if within else 0
        rows = waiting(source=pair.source_id, target=pair.target_id, state=state, batch__in=within)
        leases += _take(room, first_due(rows, room.now, limit), kind)
    return leases


def _claim_ready(room: Capacity, pair: Pair) -> Iterator[list[Lease]]:
    ready = [batch for batch in room.batches.values() if room.counts[batch.pk].get(_S.READY)]
    for batch in some([batch for batch in ready if capacity.is_canary(batch)], room.now):
        yield from _claim_canary(room, pair, batch)
    others = [batch for batch in ready if not capacity.is_canary(batch)]
    while others := [batch for batch in others if room.cutover_room(batch)[0] > 0]:
        limit = room.room_between(pair, CUTOVER)
        rows = waiting(source=pair.source_id, target=pair.target_id, state=_S.READY)
        found = first_due(rows.filter(batch__in=[batch.pk for batch in others]), room.now, limit)
        leases = _take(room, found, LeaseKind.CUTOVER)
        yield leases
        if not leases or len(found) < limit:  # else a batch may have used up its own room, and others have not
            return


def _claim_canary(room: Capacity, pair: Pair, batch: Batch) -> Iterator[list[Lease]]:
    """Claim of a batch whose first accounts are watched: who tried before, then others as far as they are wanted."""
    rows = waiting(source=pair.source_id, target=pair.target_id, state=_S.READY, batch=batch.pk)
    for place, some_rows in enumerate((rows.filter(cutover__gt=0), rows.filter(cutover=0))):
        limit = min(room.cutover_room(batch)[place], room.room_between(pair, CUTOVER))
        yield _take(room, first_due(some_rows, room.now, limit), LeaseKind.CUTOVER)


def some(candidates: list[Batch], now: datetime, at_once: int = _BATCHES_AT_ONCE) -> list[Batch]:
    """Return so many as one tick looks into; others next time."""
    if len(candidates) <= at_once:
        return candidates
    start = int(now.timestamp()) * at_once % len(candidates)
    return (candidates[start:] + candidates[:start])[:at_once]


def _claim_stages(room: Capacity, pair: Pair) -> Iterator[list[Lease]]:
    staging = [batch.pk for batch in room.batches.values() if capacity.may_stage(batch)]
    for state in (_S.STAGING, _S.CHECKING, _S.NEW):  # what was begun is finished first
        within = [batch_id for batch_id in staging if room.counts[batch_id].get(state)]
        limit = room.room_between(pair, STAGE) if within else 0
        rows = waiting(source=pair.source_id, target=pair.target_id, state=state, batch__in=within)
        yield _take(room, first_due(rows, room.now, limit), LeaseKind.STAGE)
    yield _claim_arriving(room, pair, staging)


def _claim_arriving(room: Capacity, pair: Pair, staging: list[int]) -> list[Lease]:
    """Claim, in paused batches, who is on the way to the new server before their mail: they are locked out."""
    within = [key for key in room.batches if key not in staging and room.counts[key].get(_S.CHECKING)]
    limit = room.room_between(pair, STAGE) if within else 0
    rows = waiting(source=pair.source_id, target=pair.target_id, state=_S.CHECKING, batch__in=within)
    return _take(room, first_due(rows.filter(arrives_first=True), room.now, limit), LeaseKind.STAGE)


def _claim_catch_ups(room: Capacity) -> list[Lease]:
    """Claim accounts that crossed and whose source is looked at for late mail."""
    limit = room.windows.get(STAGE, 0)
    if limit <= 0:
        return []
    rows = waiting(state=_S.DONE, not_before__lte=room.now, campaign__is_paused=False, campaign__closed_at=None)
    rows = rows.select_for_update(no_key=True, skip_locked=True, of=("self",)).only(*_COLUMNS)
    return _take(room, rows.order_by("not_before")[:limit], LeaseKind.CATCH_UP)


def _claim_refreshes(room: Capacity) -> Iterator[list[Lease]]:
    """Claim ready accounts that were copied long ago and cannot cross yet: what is left for the night stays small."""
    aging: dict[int, list[int]] = defaultdict(list)  # hours -> batches
    for batch in room.batches.values():
        is_ready = room.counts[batch.pk].get(_S.READY) and RECIPES[batch.campaign.recipe].is_staged
        if is_ready and capacity.may_stage(batch) and capacity.waits_for(batch, room.now):
            aging[batch.campaign.refresh_hours].append(batch.pk)
    aging.pop(0, None)  # never
    for hours, within in aging.items():
        since = room.now - timedelta(hours=hours)
        rows = waiting(state=_S.READY, batch__in=within, state_since__lte=since)
        yield _take(room, first_due(rows, room.now, room.windows.get(STAGE, 0)), LeaseKind.STAGE)


def _take(room: Capacity, found: Iterable[Account], kind: LeaseKind) -> list[Lease]:
    """Claim each of ``found`` for which there is room: one conditional update an account."""
    leases = []
    until = room.now + timedelta(seconds=RING_SECONDS)
    for account in found:
        pair = Pair(account.source_id, account.target_id)
        if room.room_between(pair, kind.queue) <= 0 or not room.admits(account, kind):
            continue
        lease = claim_one(account, kind, holder="", until=until)
        if lease is not None:
            claim = Claimed(account.pk, lease.epoch, account.state, kind, "", until, account.batch_id, pair, 0)
            room.take(claim._replace(cutover=account.cutover))
            leases.append(lease)
    return leases


def claim_one(account: Account, kind: LeaseKind, *, holder: str, until: datetime) -> Lease | None:
    """Claim one account as it was read; None when anything has changed since."""
    rows = waiting(pk=account.pk, state=account.state, lease_epoch=account.lease_epoch)
    columns = {"lease_until": until, "lease_kind": kind, "lease_holder": holder}
    if rows.update(lease_epoch=F("lease_epoch") + 1, **columns) != 1:
        return None
    return Lease(account.pk, account.lease_epoch + 1, kind, holder)
