"""How much new mail waits for the users of a batch, and since when: asked of the hold itself, while anybody is moved.

A thread of the ticker asks, never a page: a hold may take its time. What could not be asked is told as not known.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import F, Q
from django.utils import timezone

from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.models import Account, Batch, BatchCount, BatchHeld, JournalEntry
from campaigns.services.watchdog import WATCHED
from migrator.errors import MigratorError
from migrator.journal import EntryStatus, StepKind

AGAIN_SECONDS: Final = 10.0
MOST_SECONDS: Final = 20.0  # for one batch; who was not asked by then is not known


@dataclass(slots=True)
class _Sum:
    """What a count comes to."""

    messages: int = 0
    accounts: int = 0
    unknown: int = 0
    oldest_at: datetime | None = None
    oldest_account: int | None = None
    error_code: str = ""

    def add(self, account: Account, messages: int, oldest: float | None) -> None:
        if not messages:
            return
        self.messages += messages
        self.accounts += 1
        at = datetime.fromtimestamp(oldest, UTC) if oldest is not None else None
        if at is not None and (self.oldest_at is None or at < self.oldest_at):
            self.oldest_at, self.oldest_account = at, account.pk


def count_due(now: datetime | None = None, *, world: World = WORLD) -> list[int]:
    """Count the held mail of every batch whose figures are not fresh. Returns the batches."""
    found = due(now or timezone.now())
    for batch_id in found:
        count(batch_id, world=world)
    return found


def due(now: datetime) -> list[int]:
    """Return the batches of which mail may be held and was not counted lately. Two queries."""
    counts = BatchCount.objects.filter(state__in=WATCHED, accounts__gt=0, batch__campaign__closed_at=None)
    moving = counts.filter(batch__campaign__hold__isnull=False).values_list("batch_id", flat=True).distinct()
    fresh = now - timedelta(seconds=AGAIN_SECONDS)
    rows = Batch.objects.filter(Q(pk__in=list(moving)) & (Q(held=None) | Q(held__counted_at__lt=fresh)))
    left = Batch.objects.filter(held__messages__gt=0, held__counted_at__lt=fresh)
    return sorted({*rows.values_list("pk", flat=True), *left.values_list("pk", flat=True)})


def count(batch_id: int, *, world: World = WORLD) -> None:
    """Ask the hold of a batch what waits for each of its users for whom a hold was begun and not released."""
    accounts = _held_accounts(batch_id)
    total = _asked(accounts, world) if accounts else _Sum()
    figures = {
        "counted_at": timezone.now(),
        "messages": total.messages,
        "accounts": total.accounts,
        "unknown": total.unknown,
        "oldest_at": total.oldest_at,
        "oldest_account_id": total.oldest_account,
        "error_code": total.error_code,
    }
    BatchHeld.objects.update_or_create(batch_id=batch_id, defaults=figures)


def _held_accounts(batch_id: int) -> list[Account]:
    rows = JournalEntry.objects.filter(
        account__batch=batch_id, account__state__in=WATCHED, cutover=F("account__cutover")
    )
    released = rows.filter(kind=StepKind.RELEASE.value, status=EntryStatus.DONE.value)
    held = rows.filter(kind=StepKind.HOLD.value).exclude(status=EntryStatus.UNDONE.value)
    ids = held.exclude(account__in=released.values("account")).values_list("account_id", flat=True)
    connected = Account.objects.select_related("batch", "source", "target", "campaign__hold")
    return list(connected.filter(pk__in=list(ids)).order_by("pk"))


def _asked(accounts: list[Account], world: World) -> _Sum:
    total, end = _Sum(), time.monotonic() + MOST_SECONDS
    with Approach(accounts[0], world) as approach:
        for number, account in enumerate(accounts):
            try:
                named = approach.hold()
                if named is None or time.monotonic() >= end:
                    total.unknown = len(accounts) - number
                    return total
                found = named.connector.held(account.source_login)
            except MigratorError as error:
                total.error_code = error.code
                total.unknown += 1
                continue
            total.add(account, found.messages, found.oldest)
    return total
