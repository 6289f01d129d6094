"""What needs an operator now: everything that waits for a person, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q
from django.utils import timezone

from campaigns.models import Account, Alarm, Batch, BatchCount, Campaign, Event, Server
from campaigns.selectors import words
from campaigns.services import calls, capacity, doctor, together, watchdog
from campaigns.services.capacity import Counts
from campaigns.services.doctor import Finding
from campaigns.states import AccountState, Family

MOST: Final = 20  # accounts of one kind on the page
_BY_A_PERSON: Final = (AccountState.ATTENTION, AccountState.HELD)


@dataclass(frozen=True, slots=True)
class Late:
    """Accounts of a batch that wait longer than it allows. ``kind``: locked_out, held; ``alarm``: raised for them."""

    batch: Batch
    kind: str
    accounts: int
    since: datetime
    first: int  # the account that waits longest
    alarm: Alarm | None


@dataclass(frozen=True, slots=True)
class Told:
    """An account that helpdesk asked an operator to look at."""

    account: Account
    by: str
    note: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """An account that needs a decision or is locked, and what brought it there."""

    account: Account
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch that waits for a person. ``waits_for``: resume, canary, go; ``accounts``: how many stand ready."""

    batch: Batch
    waits_for: str
    accounts: int

    @property
    def family(self) -> Family:
        """What sign it carries."""
        return Family.ATTENTION if self.waits_for == "resume" else Family.READY


@dataclass(frozen=True, slots=True)
class Fault:
    """A server that is not given new work for a while, and why."""

    server: Server
    why: str


@dataclass(frozen=True, slots=True)
class Needs:
    """All that waits for a person. ``accounts``: the first of ``undecided`` that need a decision or are locked."""

    late: list[Late]
    accounts: list[Undecided]
    undecided: int
    told: list[Told]
    batches: list[Waiting]
    failed: list[Waiting]  # batches of which accounts did not move; ``accounts``: how many
    paused: list[Campaign]
    servers: list[Fault]
    findings: list[Finding]  # of what must run, and is not well

    @property
    def total(self) -> int:
        """How many things there are to do."""
        parts = (self.late, self.told, self.batches, self.failed, self.paused, self.servers, self.findings)
        return self.undecided + sum(len(part) for part in parts)


def now_needed(now: datetime | None = None) -> Needs:
    """Return what waits for a person in all open campaigns."""
    now = now or timezone.now()
    counts = _counts()
    undecided = {key: sum(states.get(state, 0) for state in _BY_A_PERSON) for key, states in counts.items()}
    paused = list(Campaign.objects.filter(is_paused=True, closed_at=None).order_by("name"))
    overdue = watchdog.overdue(now)
    batches = _open_batches(counts, overdue)
    return Needs(
        late=_late(overdue, batches),
        accounts=_undecided([key for key, accounts in undecided.items() if accounts]),
        undecided=sum(undecided.values()),
        told=_told(),
        batches=_batches(batches.values(), counts, now),
        failed=_failed(batches, counts),
        paused=paused,
        servers=[
            Fault(server, words.cause(server.breaker_code))
            for server in Server.objects.filter(breaker_failures__gt=0).order_by("name")
        ],
        findings=[finding for finding in doctor.health() if not finding.is_well],
    )


def _open_batches(counts: Counts, overdue: list[watchdog.Overdue]) -> dict[int, Batch]:
    """Return every batch that may have something to say, by id, in the order of their windows."""
    failed = [key for key, states in counts.items() if AccountState.FAILED in states]
    told_of = Q(pk__in=[*failed, *{one.batch_id for one in overdue}])
    running = Q(started_at__isnull=False, ended_at=None, campaign__closed_at=None)
    rows = Batch.objects.filter(told_of | running).select_related("campaign")
    return {batch.pk: batch for batch in rows.order_by("window_begins_at", "pk")}


def _late(overdue: list[watchdog.Overdue], batches: Mapping[int, Batch]) -> list[Late]:
    """Return what the watchdog sees, by batch: looked at here, too, lest a ticker that stands hides it."""
    together: dict[tuple[int, str], list[watchdog.Overdue]] = {}
    for one in overdue:
        together.setdefault((one.batch_id, one.kind), []).append(one)
    if not together:
        return []
    raised = Alarm.objects.filter(batch__in={batch_id for batch_id, _ in together}, ended_at=None)
    alarms = {(alarm.batch_id, alarm.kind): alarm for alarm in raised}
    return [
        Late(batches[batch_id], kind, len(some), some[0].since, some[0].account_id, alarms.get((batch_id, kind)))
        for (batch_id, kind), some in together.items()
    ]


def _counts() -> Counts:
    counts: Counts = {}
    states = (*_BY_A_PERSON, AccountState.READY, AccountState.FAILED)
    rows = BatchCount.objects.filter(accounts__gt=0, state__in=states, batch__campaign__closed_at=None)
    for batch_id, state, accounts in rows.values_list("batch_id", "state", "accounts"):
        counts.setdefault(batch_id, {})[AccountState(state)] = accounts
    return counts


def _failed(batches: Mapping[int, Batch], counts: Counts) -> list[Waiting]:
    failed = {key: states[AccountState.FAILED] for key, states in counts.items() if AccountState.FAILED in states}
    return [Waiting(batches[key], "retry", failed[key]) for key in sorted(failed)]


def _undecided(batch_ids: list[int]) -> list[Undecided]:
    if not batch_ids:
        return []
    rows = Account.objects.filter(batch__in=batch_ids, state__in=_BY_A_PERSON).select_related("batch__campaign")
    found = rows.defer("source_secret", "target_secret").order_by("state_since", "pk")[:MOST]
    return [Undecided(one, words.cause(one.error_code, one.error_side) if one.error_code else "") for one in found]


def _told() -> list[Told]:
    rows = Account.objects.filter(told_at__isnull=False, campaign__closed_at=None).select_related("batch__campaign")
    found = list(rows.defer("source_secret", "target_secret").order_by("told_at")[:MOST])
    if not found:
        return []
    events = Event.objects.filter(account__in=found, name__in=(calls.TOLD, calls.NOTED)).order_by("pk")
    notes: dict[int | None, Event] = {}
    for event in events.select_related("actor"):
        notes[event.account_id] = event
    return [_told_of(account, notes.get(account.pk)) for account in found]


def _told_of(account: Account, event: Event | None) -> Told:
    if event is None:
        return Told(account, "", "")
    name = event.actor.get_full_name() if event.actor else ""
    return Told(account, name or event.actor_name, str(event.data.get("note", "")))


def _batches(batches: Iterable[Batch], counts: Counts, now: datetime) -> list[Waiting]:
    waiting = []
    for batch in batches:
        if batch.started_at is None or batch.ended_at is not None or batch.campaign.is_paused:
            continue
        ready = counts.get(batch.pk, {}).get(AccountState.READY, 0)
        waits_for = capacity.waits_for(batch, now)
        if not waits_for and capacity.is_canary(batch) and batch.cutovers_begun >= batch.canary:
            waits_for = "canary"
        if not waits_for and together.waits_for_step(batch, now) is not None:
            waits_for = "step"
        if waits_for in ("resume", "step") or (ready and waits_for in ("go", "canary")):
            waiting.append(Waiting(batch, waits_for, ready))
    return waiting
