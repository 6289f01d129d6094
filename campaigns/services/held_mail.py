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
from campaigns.services.watchdog import WATCHED, is_watched
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
    not_proved = Q(held__to_prove__gt=0) | Q(held__aside__gt=0)
    not_proved = Q(not_proved, held__counted_at__lt=rested) | Q(held__counted_at__lt=F("ended_at"))
    not_proved |= Q(held=None, ended_at__isnull=False)  # over before anybody came to count
    ids = (query.values_list("pk", flat=True) for query in (rows, left, proving.filter(not_proved)))
    return sorted({pk for found in ids for pk in found})


def count(batch_id: int, *, world: World = WORLD) -> None:
    """Ask the hold of a batch what waits for each of its users for whom a hold was begun and not seen to be empty."""
    asked = _to_ask(batch_id)
    if asked:
        _ask(asked, world)
    BatchHeld.objects.update_or_create(batch_id=batch_id, defaults=_summed(asked))


def _to_ask(batch_id: int) -> list[_Asked]:
    """Return whose mail is held, and whose release is not proved, or leaves mail aside; first who was asked the longest
    ago.
    """
    last = _last_steps(batch_id)
    connected = Account.objects.select_related("batch", "source", "target", "campaign__hold", "held_mail")
    found = connected.filter(pk__in=list(last)).order_by(F("held_mail__counted_at").asc(nulls_first=True), "pk")
    asked = []
    for account in found:
        released_at = last[account.pk]
        row: AccountHeld | None = getattr(account, "held_mail", None)
        if released_at is None:
            asked += [_Asked(account)] if is_watched(account) else []
        elif row is None or row.aside or not is_proved(row, account, released_at):
            asked.append(_Asked(account, released_at))
    return asked


def _last_steps(batch_id: int) -> dict[int, datetime | None]:
    """Return for whom a hold was begun in the last move, and since when mail flows again; None while it is held.

    The last step counts that is not undone: in some methods mail is held and released twice. A hold that is undone has
    let mail flow, too, to the old server.
    """
    kinds = (StepKind.HOLD.value, StepKind.RELEASE.value)
    rows = JournalEntry.objects.filter(account__batch=batch_id, cutover=F("account__cutover"), kind__in=kinds)
    steps = rows.order_by("position", "pk").values_list("account_id", "kind", "status", "ended_at")
    is_held: dict[int, bool] = {}
    flows_since: dict[int, datetime] = {}
    for pk, kind, status, ended_at in steps:
        is_undone, is_hold = status == EntryStatus.UNDONE.value, kind == StepKind.HOLD.value
        is_held.setdefault(pk, False)
        if is_hold and not is_undone:
            is_held[pk] = True
        elif ended_at is not None and (is_hold if is_undone else status == EntryStatus.DONE.value):
            is_held[pk] = is_held[pk] and is_hold  # a hold that is undone ends no other
            flows_since[pk] = max(flows_since.get(pk, ended_at), ended_at)
    return {pk: None if held else flows_since[pk] for pk, held in is_held.items() if held or pk in flows_since}


def is_proved(row: AccountHeld | None, account: Account, released_at: datetime | None = None) -> bool:
    """True when nothing was left of the mail that was held for ``account`` in its last move.

    ``released_at``: when it was released, for the last time; what was said before that proves nothing.
    """
    if row is None or row.cutover != account.cutover or (released_at is not None and row.counted_at < released_at):
        return False
    return row.is_released and not row.messages and not row.error_code


def _ask(asked: Sequence[_Asked], world: World) -> None:
    """Ask for as many as there is time for, and store what was said."""
    end = time.monotonic() + MOST_SECONDS
    rows: list[AccountHeld] = []
    hold = asked[0].account.campaign.hold
    keeps = hold is not None and has_trait(world.holds, hold.kind, Trait.KEEPS)
    with Approach(asked[0].account, world) as approach:
        asked_at = timezone.now()
        together = _together(approach, [one.account.source_login for one in asked])
        for one in asked:
            if time.monotonic() >= end:
                break
            found = together.get(one.account.source_login)
            at = asked_at if found else timezone.now()  # before the question: a release meanwhile is not in the answer
            try:
                rows.append(_row(one, found or _of_one(approach, one.account), at, keeps=keeps))
            except MigratorError as error:
                rows.append(_unknown(one, error.code, at))
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


def _row(one: _Asked, found: HeldMail, at: datetime, *, keeps: bool) -> AccountHeld:
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
        counted_at=at,
        is_released=one.released_at is not None,
        messages=messages,
        oldest_at=oldest,
        aside=found.aside,
        is_at_senders=found.is_at_senders,
    )


def _unknown(one: _Asked, code: str, at: datetime) -> AccountHeld:
    return AccountHeld(
        account=one.account,
        cutover=one.account.cutover,
        counted_at=at,
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
        is_this = is_this and row is not None and (one.released_at is None or row.counted_at >= one.released_at)
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
