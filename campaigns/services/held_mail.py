"""How much new mail waits for the users of a batch, and since when: asked of the hold itself, while anybody is moved.

A thread of the ticker asks, never a page: a hold may take its time. What could not be asked is told as not known, and
what nobody can count (mail that waits at its senders) is told as that. After a release the hold is asked once more for
each user, and again until nothing of what it held is left: so zero is a count, and never a guess.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db.models import F, Q
from django.utils import timezone

from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.models import Account, AccountHeld, Batch, BatchCount, BatchHeld, JournalEntry
from campaigns.services.watchdog import WATCHED
from migrator.entries import Trait, has_trait
from migrator.errors import MigratorError
from migrator.holds.base import HeldMail, MailHold
from migrator.journal import EntryStatus, StepKind
from migrator.stores.base import offers

AGAIN_SECONDS: Final = 10.0
PROVE_AGAIN_SECONDS: Final = 60.0  # nobody moves any more, and something is not proved
PROVE_HOURS: Final = 24.0  # after that the page goes on saying what is not proved, and nobody is asked
MOST_SECONDS: Final = 20.0  # for one batch; who was not asked by then is asked first the next time
STALE_SECONDS: Final = 120.0  # a count from before that is not known any more


@dataclass(frozen=True, slots=True)
class _Asked:
    """A user whose hold was begun, and since when it is released, where it is."""

    account: Account
    released_at: datetime | None = None


def count_due(now: datetime | None = None, *, world: World = WORLD) -> list[int]:
    """Count the held mail of every batch whose figures are not fresh. Returns the batches."""
    found = due(now or timezone.now())
    for batch_id in found:
        count(batch_id, world=world)
    return found


def due(now: datetime) -> list[int]:
    """Return the batches of which mail may be held, or is not proved to be gone, and was not counted lately."""
    counts = BatchCount.objects.filter(state__in=WATCHED, accounts__gt=0, batch__campaign__closed_at=None)
    moving = counts.filter(batch__campaign__hold__isnull=False).values_list("batch_id", flat=True).distinct()
    fresh = now - timedelta(seconds=AGAIN_SECONDS)
    rows = Batch.objects.filter(Q(pk__in=list(moving)) & (Q(held=None) | Q(held__counted_at__lt=fresh)))
    left = Batch.objects.filter(held__messages__gt=0, held__counted_at__lt=fresh)
    rested = now - timedelta(seconds=PROVE_AGAIN_SECONDS)
    proving = Batch.objects.filter(campaign__closed_at=None, campaign__hold__isnull=False)
    proving = proving.filter(Q(ended_at=None) | Q(ended_at__gte=now - timedelta(hours=PROVE_HOURS)))
    not_proved = Q(held__to_prove__gt=0, held__counted_at__lt=rested) | Q(held__counted_at__lt=F("ended_at"))
    ids = (query.values_list("pk", flat=True) for query in (rows, left, proving.filter(not_proved)))
    return sorted({pk for found in ids for pk in found})


def count(batch_id: int, *, world: World = WORLD) -> None:
    """Ask the hold of a batch what waits for each of its users for whom a hold was begun and not seen to be empty."""
    asked = _to_ask(batch_id)
    if asked:
        _ask(asked, world)
    BatchHeld.objects.update_or_create(batch_id=batch_id, defaults=_summed(asked))


def _to_ask(batch_id: int) -> list[_Asked]:
    """Return whose mail is held, and whose release is not proved; first who was asked the longest ago.

    The last step counts that is not undone: in some methods mail is held and released twice.
    """
    kinds = (StepKind.HOLD.value, StepKind.RELEASE.value)
    rows = JournalEntry.objects.filter(account__batch=batch_id, cutover=F("account__cutover"), kind__in=kinds)
    rows = rows.exclude(status=EntryStatus.UNDONE.value)
    rows = rows.exclude(kind=StepKind.RELEASE.value, status=EntryStatus.BEGUN.value)
    last: dict[int, tuple[str, datetime | None]] = {}
    for pk, kind, ended_at in rows.order_by("position", "pk").values_list("account_id", "kind", "ended_at"):
        last[pk] = kind, ended_at
    connected = Account.objects.select_related("batch", "source", "target", "campaign__hold", "held_mail")
    found = connected.filter(pk__in=list(last)).order_by(F("held_mail__counted_at").asc(nulls_first=True), "pk")
    asked = []
    for account in found:
        kind, ended_at = last[account.pk]
        if kind == StepKind.HOLD.value:
            asked += [_Asked(account)] if account.state in WATCHED else []
        elif not is_proved(getattr(account, "held_mail", None), account):
            asked.append(_Asked(account, ended_at))
    return asked


def is_proved(row: AccountHeld | None, account: Account) -> bool:
    """True when nothing was left of the mail that was held for ``account`` in its last move."""
    if row is None or row.cutover != account.cutover:
        return False
    return row.is_released and not row.messages and not row.error_code


def _ask(asked: Sequence[_Asked], world: World) -> None:
    """Ask for as many as there is time for, and store what was said."""
    end = time.monotonic() + MOST_SECONDS
    rows: list[AccountHeld] = []
    hold = asked[0].account.campaign.hold
    keeps = hold is not None and has_trait(world.holds, hold.kind, Trait.KEEPS)
    with Approach(asked[0].account, world) as approach:
        together = _together(approach, [one.account.source_login for one in asked])
        for one in asked:
            if time.monotonic() >= end:
                break
            try:
                found = together.get(one.account.source_login) or _of_one(approach, one.account)
                rows.append(_row(one, found, keeps=keeps))
            except MigratorError as error:
                rows.append(_unknown(one, error.code))
    fields = [field.name for field in AccountHeld._meta.concrete_fields if not field.primary_key]
    AccountHeld.objects.bulk_create(rows, update_conflicts=True, unique_fields=["account"], update_fields=fields)


def _together(approach: Approach, addresses: Sequence[str]) -> Mapping[str, HeldMail]:
    """Return what one question tells of all, where the hold takes it; whoever is not in it is asked about alone."""
    try:
        named = approach.hold()
        if named is None or not offers(named.connector, "held_of"):
            return {}
        found: dict[str, HeldMail] = named.connector.held_of(addresses)  # type: ignore[attr-defined]
    except MigratorError:
        return {}
    return found


def _of_one(approach: Approach, account: Account) -> HeldMail:
    named = approach.hold()
    if named is None:
        raise MigratorError("connector.invalid", reply="no hold")
    hold: MailHold = named.connector
    return hold.held(account.source_login)


def _row(one: _Asked, found: HeldMail, *, keeps: bool) -> AccountHeld:
    """Return what was said of a user. After a release only that counts of which the oldest had come before it.

    Where the hold ``keeps`` mail, as in a file, all counts: nothing sends what came to it late.
    """
    oldest = datetime.fromtimestamp(found.oldest, UTC) if found.oldest is not None and found.messages else None
    messages = found.messages
    if not keeps and one.released_at is not None and oldest is not None and oldest > one.released_at:
        messages, oldest = 0, None
    return AccountHeld(
        account=one.account,
        cutover=one.account.cutover,
        counted_at=timezone.now(),
        is_released=one.released_at is not None,
        messages=messages,
        oldest_at=oldest,
        aside=found.aside,
        is_at_senders=found.is_at_senders,
    )


def _unknown(one: _Asked, code: str) -> AccountHeld:
    return AccountHeld(
        account=one.account,
        cutover=one.account.cutover,
        counted_at=timezone.now(),
        is_released=one.released_at is not None,
        error_code=code,
    )


def _summed(asked: Sequence[_Asked]) -> dict[str, object]:
    """Return what the counts of these users come to."""
    rows = AccountHeld.objects.in_bulk([one.account.pk for one in asked])
    now = timezone.now()
    held: list[AccountHeld] = []
    left: list[AccountHeld] = []
    unknown, code = 0, ""
    for one in asked:
        row = rows.get(one.account.pk)
        is_this = row is not None and row.cutover == one.account.cutover
        is_this = is_this and row is not None and row.is_released == (one.released_at is not None)
        if row is None or not is_this or row.error_code or row.counted_at < now - timedelta(seconds=STALE_SECONDS):
            unknown += one.released_at is None
            code = row.error_code if row is not None and row.error_code else code
        else:
            (left if row.is_released else held).append(row)
    waiting = [row for row in held if row.messages]
    oldest = min((row for row in waiting if row.oldest_at), key=lambda row: row.oldest_at or now, default=None)
    proved = sum(not row.messages for row in left)
    return {
        "counted_at": now,
        "messages": sum(row.messages for row in waiting),
        "accounts": len(waiting),
        "unknown": unknown,
        "oldest_at": oldest.oldest_at if oldest else None,
        "oldest_account_id": oldest.account_id if oldest else None,
        "error_code": code,
        "aside": sum(row.aside for row in (*held, *left)),
        "at_senders": sum(row.is_at_senders for row in held),
        "left": sum(row.messages for row in left),
        "to_prove": len(asked) - proved,
    }
