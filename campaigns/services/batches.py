"""Batches: a list of accounts cut into parts that move together, each with its start, its window and its brakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, F, Max, Sum
from django.utils import timezone

from campaigns.bridge.lease import LOCKED_OUT
from campaigns.models import Account, Batch, BatchCount, Campaign
from campaigns.services.campaigns import require_open
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.states import AccountState

# What administrators of mail servers recommend to disable at a time.
SIZE: Final = 1000
_ROWS_AT_ONCE: Final = 500

# Accounts in these count as failed where a batch brakes by itself.
FAILURES: Final = (AccountState.FAILED, AccountState.HELD, AccountState.ATTENTION)

MODES: Final = ("is_together", "is_stepwise")

# What may be set of a batch, and its range.
LIMITS: Final = {
    "parallel_cutovers": (1, 1000),
    "canary": (0, 1_000_000),
    "stop_at_failed_percent": (1, 100),
    "max_attempts": (1, 100),
    "ready_messages": (0, 1_000_000_000),
    "ready_seconds": (1, 86_400),
    "cutover_seconds": (30, 86_400),
}


@dataclass(frozen=True, slots=True)
class Timetable:
    """When batches begin. Each after the first is ``every`` later, with its window; None: all at once."""

    starts_at: datetime | None = None
    window_begins_at: datetime | None = None
    window_ends_at: datetime | None = None
    every: timedelta | None = None

    def columns(self, place: int) -> dict[str, datetime | None]:
        """Return the times of the batch in this place, from 0."""
        later = (self.every or timedelta()) * place
        times = {
            "starts_at": self.starts_at,
            "window_begins_at": self.window_begins_at,
            "window_ends_at": self.window_ends_at,
        }
        return {name: time + later if time else None for name, time in times.items()}


def cut(
    campaign: Campaign,
    accounts: Sequence[Account],
    *,
    actor: Actor,
    size: int = SIZE,
    timetable: Timetable | None = None,
    is_by_domain: bool = False,
    **limits: int,
) -> list[Batch]:
    """Store ``accounts``, in their order, in as many batches of ``size`` as they need, all or nothing.

    ``is_by_domain``: nobody shares a batch with people of another domain (of the new server), whose name it bears.

    The accounts are not stored yet; campaign and batch are filled in, and their servers where they name none.
    ``limits`` are those of LIMITS. Raises ``Refused``, and ``IntegrityError`` for a mailbox that is there already.
    """
    if size < 1:
        raise Refused("batch.size")
    times = timetable or Timetable()
    _check_window(times.window_begins_at, times.window_ends_at)
    _check_limits(limits)
    with transaction.atomic():
        require_open(campaign.pk)
        number = (Batch.objects.filter(campaign=campaign).aggregate(last=Max("number"))["last"] or 0) + 1
        batches = []
        for place, (title, part) in enumerate(_parts(accounts, size, is_by_domain)):
            columns = {**_columns(times, place), **limits}
            batch = _create(campaign, number + place, title, columns, actor)
            add(batch, part, actor=actor)
            batches.append(batch)
        return batches


def _parts(accounts: Sequence[Account], size: int, is_by_domain: bool) -> Iterator[tuple[str, Sequence[Account]]]:
    """Yield the accounts of each batch, with what it is called beside its number."""
    groups: dict[str, list[Account]] = {}
    for account in accounts:
        domain = account.target_login.rpartition("@")[2].casefold() if "@" in account.target_login else ""
        groups.setdefault(domain if is_by_domain else "", []).append(account)
    for title, group in groups.items():
        for start in range(0, len(group), size):
            yield title[:80], group[start : start + size]


def _columns(times: Timetable, place: int) -> dict[str, datetime | None]:
    try:
        return times.columns(place)
    except OverflowError:  # no calendar goes so far
        raise Refused("batch.too_late") from None


def _create(campaign: Campaign, number: int, title: str, columns: dict[str, Any], actor: Actor) -> Batch:
    batch = Batch.objects.create(campaign=campaign, number=number, name=f"{number} {title}".strip(), **columns)
    BatchCount.objects.bulk_create(BatchCount(batch=batch, state=state) for state in AccountState)
    record("batch.created", actor=actor, campaign_id=campaign.pk, batch_id=batch.pk)
    return batch


def add(batch: Batch, accounts: Sequence[Account], *, actor: Actor) -> None:
    """Store more accounts in a batch, as ``new``. Raises ``IntegrityError`` for a mailbox that is there already."""
    campaign = batch.campaign
    for account in accounts:
        account.campaign, account.batch, account.state = campaign, batch, AccountState.NEW
        if not account.source_id:
            account.source = campaign.source
        if not account.target_id:
            account.target = campaign.target
    with transaction.atomic():
        require_open(campaign.pk)
        Account.objects.bulk_create(accounts, batch_size=_ROWS_AT_ONCE)
        count, _ = BatchCount.objects.get_or_create(batch=batch, state=AccountState.NEW)
        BatchCount.objects.filter(pk=count.pk).update(accounts=F("accounts") + len(accounts))
        Batch.objects.filter(pk=batch.pk).update(ended_at=None)
        record("batch.filled", actor=actor, campaign_id=campaign.pk, batch_id=batch.pk, accounts=len(accounts))


def split(batch: Batch, *, size: int, actor: Actor) -> list[Batch]:
    """Keep the first ``size`` accounts of a batch that is not started; put the others into batches of that size.

    Those come last, with the times and limits of this one. Return them, none when there was nothing to split. Raises
    ``Refused``.
    """
    if size < 1:
        raise Refused("batch.size")
    with transaction.atomic():
        require_open(batch.campaign_id)
        present = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        if present.started_at is not None:
            raise Refused("batch.started")
        keys = list(Account.objects.filter(batch=batch).order_by("pk").values_list("pk", flat=True))
        columns = {name: getattr(present, name) for name in (*Timetable().columns(0), *LIMITS, *MODES)}
        number = Batch.objects.filter(campaign=batch.campaign_id).aggregate(last=Max("number"))["last"]
        made = []
        for place, start in enumerate(range(size, len(keys), size), start=1):
            other = _create(batch.campaign, number + place, "", columns, actor)
            _move(keys[start : start + size], other)
            made.append(other)
        _count_anew(batch)
        if made:
            _tell(batch, "batch.split", actor, size=size, batches=[other.pk for other in made])
    return made


def _move(keys: Sequence[int], batch: Batch) -> None:
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        Account.objects.filter(pk__in=keys[start : start + _ROWS_AT_ONCE]).update(batch=batch)
    _count_anew(batch)


def _count_anew(batch: Batch) -> None:
    there = dict(Account.objects.filter(batch=batch).values_list("state").annotate(Count("pk")))
    for state in AccountState:
        BatchCount.objects.filter(batch=batch, state=state).update(accounts=there.get(state.value, 0))


def plan(
    batch: Batch,
    *,
    actor: Actor,
    timetable: Timetable | None = None,
    name: str = "",
    modes: Mapping[str, bool] | None = None,
    **limits: int,
) -> None:
    """Set start, window, name, modes (MODES) and limits of a batch. What is under way is not touched.

    Raises ``Refused``: also for another mode while people are being moved.
    """
    _check_limits(limits)
    columns: dict[str, Any] = dict(limits)
    if timetable is not None:
        _check_window(timetable.window_begins_at, timetable.window_ends_at)
        columns |= timetable.columns(0)
    if name.strip():
        columns["name"] = name.strip()
    with transaction.atomic():
        require_open(batch.campaign_id)
        if modes is not None:
            columns |= _checked_modes(batch, **modes)
        Batch.objects.filter(pk=batch.pk).update(**columns)
        _tell(batch, "batch.planned", actor, fields=sorted(columns))
    batch.refresh_from_db()


def _checked_modes(batch: Batch, *, is_together: bool, is_stepwise: bool) -> dict[str, Any]:
    if is_stepwise and not is_together:
        raise Refused("batch.modes", "is_stepwise")
    present = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    columns: dict[str, Any] = {"is_together": is_together, "is_stepwise": is_stepwise}
    if present.is_together == is_together:
        return columns
    moving = BatchCount.objects.filter(batch=batch, state__in=LOCKED_OUT).aggregate(accounts=Sum("accounts"))
    if moving["accounts"]:
        raise Refused("batch.mode_under_way", "is_together")
    return {**columns, "step_gate": 0}


def _check_window(begins_at: datetime | None, ends_at: datetime | None) -> None:
    if begins_at and ends_at and begins_at >= ends_at:
        raise Refused("batch.window")


def _check_limits(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        lowest, highest = LIMITS[name]
        if not lowest <= value <= highest:
            raise Refused("batch.limit")


def start(batch: Batch, *, actor: Actor) -> None:
    """Let the accounts of a batch be checked, and copied ahead where the recipe does that. Raises ``Refused``."""
    if not BatchCount.objects.filter(batch=batch).aggregate(accounts=Sum("accounts"))["accounts"]:
        raise Refused("batch.empty")
    require_open(batch.campaign_id)
    _set(batch, "batch.started", actor, "batch.started", {"started_at": None}, {"started_at": timezone.now()})


def start_due(made: Sequence[Batch], *, actor: Actor) -> None:
    """Start, of batches just cut, those that begin with the first one. Raises ``Refused``."""
    for batch in made:
        if batch.starts_at == made[0].starts_at:
            _start_once(batch, actor)


def _start_once(batch: Batch, actor: Actor) -> None:
    try:
        start(batch, actor=actor)
    except Refused as refusal:
        if refusal.code != "batch.started":  # the ticker was faster
            raise


def go(batch: Batch, *, actor: Actor, **facts: str) -> None:
    """Say go: within the window, ready accounts are cut over from now on. ``facts`` are told. Raises ``Refused``."""
    require_open(batch.campaign_id)
    _set(batch, "batch.go", actor, "batch.gone", {"go_at": None}, {"go_at": timezone.now()}, **facts)


def withdraw_go(batch: Batch, *, actor: Actor) -> None:
    """Begin no more cutovers until somebody says go again. Raises ``Refused``."""
    _set(batch, "batch.go_withdrawn", actor, "batch.not_gone", {"go_at__isnull": False}, {"go_at": None})


def pass_canary(batch: Batch, *, actor: Actor) -> None:
    """The first accounts are well: let the others follow. Raises ``Refused``."""
    waits = {"canary__gt": 0, "canary_passed_at": None}
    _set(batch, "batch.canary_passed", actor, "batch.no_canary", waits, {"canary_passed_at": timezone.now()})


def pause(batch: Batch, *, actor: Actor, reason: str = "") -> bool:
    """Begin nothing more; what copies stops soon, who is being cut over is finished. False when it was paused."""
    with transaction.atomic():
        if Batch.objects.filter(pk=batch.pk, is_paused=False).update(is_paused=True) != 1:
            return False
        _tell(batch, "batch.paused", actor, reason=reason)
    batch.refresh_from_db()
    return True


def resume(batch: Batch, *, actor: Actor) -> bool:
    """Go on after a pause, accepting what has failed so far. False when it was not paused."""
    with transaction.atomic():
        failures = BatchCount.objects.filter(batch=batch, state__in=FAILURES)
        accepted = failures.aggregate(accounts=Sum("accounts"))["accounts"] or 0
        rows = Batch.objects.filter(pk=batch.pk, is_paused=True)
        if rows.update(is_paused=False, failures_accepted=accepted) != 1:
            return False
        _tell(batch, "batch.resumed", actor)
    batch.refresh_from_db()
    return True


def _set(
    batch: Batch,
    name: str,
    actor: Actor,
    refusal: str,
    expect: dict[str, Any],
    columns: dict[str, Any],
    **facts: str,
) -> None:
    """Change a batch that is as expected, with its event, or refuse."""
    with transaction.atomic():
        if Batch.objects.filter(pk=batch.pk, **expect).update(**columns) != 1:
            raise Refused(refusal)
        _tell(batch, name, actor, **facts)
    batch.refresh_from_db()


def _tell(batch: Batch, name: str, actor: Actor, **facts: Any) -> None:
    record(name, actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, **facts)
