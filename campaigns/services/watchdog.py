"""Nobody is forgotten between two servers: who is locked out, or whose mail is held, longer than their batch allows.

The ticker looks every few seconds. What it looks at are the accounts in the middle of their move and the steps that
were begun for them, never accounts that wait or are done: an account counts from the moment a step began, so that one
whose worker died right then counts as well. Only where a person has stopped the old server for a whole batch, those
count who wait at it, too: it is closed to them, whatever their own steps say.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from campaigns.models import Account, Alarm, Batch, BatchCount, Confirmation, JournalEntry
from campaigns.services import alarms
from campaigns.states import AccountState, Owner
from migrator.errors import Side
from migrator.journal import EntryStatus, StepKind
from migrator.recipes import RecipeStep, recipe_of

_S = AccountState
log = logging.getLogger(__name__)
_unreadable: Final[dict[int, str]] = {}  # batch -> the method of which it was logged

# Between begin and end of a move; elsewhere nobody is locked out.
BETWEEN: Final = (_S.CUTTING_OVER, _S.ROLLING_BACK, _S.HELD, _S.ATTENTION)
# With those who arrive first: they are closed and held, and opened again, before anything else of them is looked at.
WATCHED: Final = (*BETWEEN, _S.CHECKING)
# When its time is over an account goes back by itself, which takes a moment.
GRACE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Overdue:
    """An account that waits longer than allowed. ``kind``: a key of ``alarms.KINDS``."""

    account_id: int
    batch_id: int
    kind: str
    since: datetime


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Since when an account waits, and until when it may."""

    kind: str
    account_id: int
    batch_id: int
    since: datetime
    until: datetime


def look(now: datetime | None = None) -> list[Overdue]:
    """Raise alarms for what is overdue, and end those of which nothing is left. Returns what is overdue."""
    now = now or timezone.now()
    found = overdue(now)
    together: dict[tuple[str, int], list[Overdue]] = defaultdict(list)
    for one in found:
        together[one.kind, one.batch_id].append(one)
    for (kind, batch_id), some in together.items():
        alarms.raise_alarm(kind, batch_id, accounts=len(some), since=min(one.since for one in some), now=now)
    for alarm in Alarm.objects.filter(ended_at=None, batch__isnull=False).select_related("batch"):
        if (alarm.kind, alarm.batch_id) not in together:
            alarms.end(alarm, now=now)
    return found


def overdue(now: datetime | None = None) -> list[Overdue]:
    """Return the accounts of open campaigns that wait longer than allowed, the longest waiting first."""
    now = now or timezone.now()
    stopped = Confirmation.objects.filter(batch=OuterRef("batch"), check_name=CLOSES, confirmed_at__isnull=False)
    is_watched = Q(state__in=(*WATCHED, _S.FAILED)) | (Exists(stopped) & ~Q(state__in=(_S.DONE, _S.EXCLUDED)))
    counts = BatchCount.objects.filter(is_watched, accounts__gt=0, batch__campaign__closed_at=None)
    checks = {row[0]: _checks(*row) for row in counts.values_list("batch_id", *_RECIPE)}
    if not checks:
        return []
    found = [*_locked(checks), *_begun(checks), *_stopped(checks)]
    first: dict[tuple[int, str], _Waiting] = {}
    for one in found:  # a column and a step may tell of the same
        first.setdefault((one.account_id, one.kind), one)
    late = [Overdue(one.account_id, one.batch_id, one.kind, one.since) for one in first.values() if one.until < now]
    return sorted(late, key=lambda one: (one.since, one.account_id))


_RECIPE: Final = ("batch__campaign__recipe", "batch__campaign__steps")
# What a person does to the servers themselves, and what lets people in again. Keys of preflight.by_hand.CHECKS.
CLOSES: Final = "port_closed"
_OPENS: Final = "ports_open"


def closes_by_hand(steps: Iterable[RecipeStep]) -> bool:
    """True when a person closes the old server to everybody in a night of these steps."""
    return any(step.check == CLOSES for step in steps)


def _checks(batch_id: int, recipe: str, steps: list[list[str]]) -> dict[int, str]:
    """Return what proves the steps that a person does, by their place in the recipe.

    Of steps that nobody can read it is nothing, which is logged: all others are watched as ever.
    """
    try:
        return {at: step.check for at, step in enumerate(recipe_of(recipe, steps).steps) if step.check}
    except (KeyError, TypeError, ValueError) as error:
        _log_once(batch_id, f"{recipe} {steps}", error)
        return {}


def _log_once(batch_id: int, method: str, error: Exception) -> None:
    if _unreadable.get(batch_id) != method:
        _unreadable[batch_id] = method
        log.error("the method of batch %d cannot be read, its steps by hand are not watched: %r", batch_id, error)


def is_watched(account: Account) -> bool:
    """True when ``account`` may be locked out, or its mail held, by its own steps."""
    return account.state in WATCHED or (account.state == _S.FAILED and account.arrives_first)


def _watched(prefix: str = "") -> Q:
    """Return who may be locked out, as a condition; ``prefix`` leads to the account."""
    stranded = Q(**{f"{prefix}state": _S.FAILED, f"{prefix}arrives_first": True})
    return Q(**{f"{prefix}state__in": WATCHED}) | stranded


def _locked(batch_ids: Iterable[int]) -> list[_Waiting]:
    """Return who is locked out for certain."""
    rows = Account.objects.filter(_watched(), batch__in=batch_ids, locked_at__isnull=False)
    columns = rows.values_list("pk", "batch_id", "locked_at", "batch__cutover_seconds")
    return [_waiting(alarms.LOCKED_OUT, *row[:2], row[2], row[3]) for row in columns if row[2] is not None]


# Who is at the old server, as a condition: if it is stopped, these are locked out.
AT_OLD_SERVER: Final = Q(owner=Owner.SOURCE) & ~Q(state=_S.EXCLUDED)


def stopped_since(batch: Batch) -> datetime | None:
    """Return since when a person has stopped the old server of a batch, which comes with its campaign.

    None where nobody has, or was seen to have let people in at the new one since.
    """
    checks = {batch.pk: _checks(batch.pk, batch.campaign.recipe, batch.campaign.steps)}
    return _stopped_since(checks).get(batch.pk)


def _stopped_since(checks: Mapping[int, Mapping[int, str]]) -> dict[int, datetime]:
    closing = [batch for batch, steps in checks.items() if CLOSES in steps.values()]
    if not closing:
        return {}
    rows = Confirmation.objects.filter(
        batch__in=closing, check_name__in=(CLOSES, _OPENS), confirmed_at__isnull=False
    ).order_by("position")
    found: dict[int, dict[str, datetime]] = defaultdict(dict)
    for batch, at, check, since in rows.values_list("batch", "position", "check_name", "confirmed_at"):
        if since is not None and checks[batch].get(at) == check:  # else it was of another method
            found[batch].setdefault(check, since)
    return {batch: one[CLOSES] for batch, one in found.items() if CLOSES in one and _OPENS not in one}


def _stopped(checks: Mapping[int, Mapping[int, str]]) -> list[_Waiting]:
    """Return everybody at an old server that a person has stopped: also who went back, or has not begun."""
    since = _stopped_since(checks)
    if not since:
        return []
    rows = Account.objects.filter(AT_OLD_SERVER, batch__in=since)
    columns = rows.values_list("pk", "batch_id", "batch__cutover_seconds")
    return [_waiting(alarms.LOCKED_OUT, key, batch, since[batch], allowed) for key, batch, allowed in columns]


# A step that makes somebody wait, the side that it is about, and the steps that end that.
_MAKES_WAIT: Final = {
    StepKind.DISABLE: (alarms.LOCKED_OUT, Side.SOURCE.value, {(StepKind.ENABLE.value, Side.TARGET.value)}),
    StepKind.HOLD: (alarms.HELD, "", {(StepKind.RELEASE.value, "")}),
    StepKind.PERSON: (alarms.LOCKED_OUT, "", {(StepKind.ENABLE.value, Side.TARGET.value), (_OPENS, "")}),
    StepKind.SWITCH: (alarms.LOCKED_OUT, "", set[tuple[str, str]]()),
}
# What was begun may have its effect. A person's step has it once it is seen; a switch of which nobody knows how it
# ended leaves somebody between two servers, and one that ended does not.
_HAS_EFFECT: Final = (
    Q(kind__in=(StepKind.DISABLE.value, StepKind.HOLD.value))
    | Q(kind=StepKind.PERSON.value, status=EntryStatus.DONE.value)
    | (Q(kind=StepKind.SWITCH.value, status=EntryStatus.BEGUN.value) & ~Q(connector=""))
)


@dataclass(frozen=True, slots=True)
class _Step:
    """A step that was begun for an account. ``check`` proves it, where a person does it."""

    account_id: int
    batch_id: int
    allowed_seconds: int
    kind: StepKind
    side: str
    check: str
    since: datetime

    @property
    def makes_wait(self) -> bool:
        """True when users wait from it on."""
        is_persons = self.kind is StepKind.PERSON
        return self.side == _MAKES_WAIT[self.kind][1] and (not is_persons or self.check == CLOSES)


def _begun(checks: Mapping[int, Mapping[int, str]]) -> list[_Waiting]:
    """Return whom a step makes wait that was begun, whether it is proved or not, and neither undone nor ended.

    ``checks``: of each batch, what proves the steps of its recipe that a person does.
    """
    rows = JournalEntry.objects.filter(_watched("account__"), account__batch__in=checks, cutover=F("account__cutover"))
    steps = _steps(rows, checks)
    makers = [step for step in steps if step.makes_wait]
    if not makers:
        return []
    ended = {(step.account_id, step.check, "") for step in steps} | _ended(rows)
    return [
        _waiting(wait, step.account_id, step.batch_id, step.since, step.allowed_seconds)
        for step in makers
        for wait, _, ends in [_MAKES_WAIT[step.kind]]
        if not any((step.account_id, *end) in ended for end in ends)
    ]


def _steps(rows: QuerySet[JournalEntry], checks: Mapping[int, Mapping[int, str]]) -> list[_Step]:
    """Return the steps that may make somebody wait, or end that, the first first."""
    whose = ("account_id", "account__batch_id", "account__batch__cutover_seconds")
    columns = (*whose, "kind", "side", "position", "begun_at", "ended_at")
    begun = rows.filter(_HAS_EFFECT).exclude(status=EntryStatus.UNDONE.value)
    found = []
    for account, batch, allowed, kind, side, at, begun_at, ended_at in begun.values_list(*columns):
        is_persons = kind == StepKind.PERSON.value
        check = checks[batch].get(at, "") if is_persons else ""
        since = ended_at if is_persons and ended_at else begun_at
        found.append(_Step(account, batch, allowed, StepKind(kind), side, check, since))
    return sorted(found, key=lambda step: step.since)


def _ended(rows: QuerySet[JournalEntry]) -> set[tuple[int, str, str]]:
    ends = (StepKind.ENABLE.value, StepKind.RELEASE.value)
    done = rows.filter(kind__in=ends, status=EntryStatus.DONE.value)
    return set(done.values_list("account_id", "kind", "side"))


def _waiting(kind: str, account_id: int, batch_id: int, since: datetime, allowed_seconds: int) -> _Waiting:
    until = since + timedelta(seconds=allowed_seconds + GRACE_SECONDS)
    return _Waiting(kind, account_id, batch_id, since, until)
