"""The log: every event, the newest first, page by page, and all of it as a table.

Pages go by key, not by number: the thousandth costs what the first does. A time is turned into a place among the keys,
so that no filter sorts; what happens without an account, and what people do, have small indexes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy

from campaigns.models import Event
from campaigns.selectors import stories
from campaigns.selectors.csv_cells import Cell

PAGE: Final = 100
_CHUNK: Final = 1000
# Events of one moment are written side by side: their times may lie a little against the order of their keys.
_CROSSED: Final = 1000

MAILFERRY: Final = "mailferry"
PEOPLE: Final = "people"

KINDS: Final = {
    "states": gettext_lazy("Accounts: where they are"),
    "steps": gettext_lazy("Accounts: steps of the move"),
    "copy": gettext_lazy("Accounts: copying"),
    "calls": gettext_lazy("Calls of users"),
    "batches": gettext_lazy("Batches"),
    "campaigns": gettext_lazy("Campaigns and lists"),
    "alarms": gettext_lazy("Alarms"),
    "servers": gettext_lazy("Servers and connections"),
    "staff": gettext_lazy("Staff logins and this installation"),
}
_BEGINNINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "states": ("account.state.", "account.owner."),
    "steps": ("account.cutover.",),
    "copy": ("account.pass.", "account.folder.", "account.message.", "account.flags."),
    "calls": ("account.call.", "account.operator."),
    "batches": ("batch.",),
    "campaigns": ("campaign.",),
    "alarms": ("batch.alarm.", "alarm."),
    "servers": ("server.", "connector.", "address."),
    "staff": ("staff.", "user.", "installation."),
}
_WITHOUT_ACCOUNT: Final = frozenset({"alarms", "batches", "campaigns", "servers", "staff"})
_BY_PEOPLE: Final = frozenset({"calls"})

_COLUMNS: Final = (
    "at", "name", "data", "actor_name", "actor__username", "actor__first_name", "actor__last_name",
    "account__source_login", "account__display_name", "batch__name", "batch__number", "campaign__name",
)  # fmt: skip
HEADER: Final = ("number", "time", "event", "what happened", "who", "campaign", "batch", "account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events are asked for; None and "" ask for all. ``since`` and ``until`` are whole days of the reader."""

    person: str = ""  # the key of a staff login, PEOPLE or MAILFERRY
    account: int | None = None
    batch: int | None = None
    campaign: int | None = None
    kind: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """An event as it is read."""

    event: Event
    story: str
    who: str


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines. ``older``: the key below which the next page begins; None at the end of the log."""

    lines: list[Line]
    older: int | None


def page(wanted: Wanted, before: int | None = None) -> Page:
    """Return the newest events that are wanted, of keys below ``before``."""
    found = list(_older(_rows(wanted), before)[: PAGE + 1])
    lines = [_line(event) for event in found[:PAGE]]
    return Page(lines, found[PAGE - 1].pk if len(found) > PAGE else None)


def table(wanted: Wanted) -> Iterator[tuple[Cell, ...]]:
    """Return all events that are wanted, as rows under HEADER; never more than a thousand in memory."""
    before: int | None = None
    rows = _rows(wanted)
    while found := list(_older(rows, before)[:_CHUNK]):
        yield from (_cells(_line(event)) for event in found)
        before = found[-1].pk


def _older(rows: QuerySet[Event], before: int | None) -> QuerySet[Event]:
    return rows if before is None else rows.filter(pk__lt=before)


def _rows(wanted: Wanted) -> QuerySet[Event]:
    columns: dict[str, Any] = {"account": wanted.account, "batch": wanted.batch, "campaign": wanted.campaign}
    rows = Event.objects.filter(**{name: key for name, key in columns.items() if key is not None})
    rows = rows.filter(_person(wanted.person), _kind(wanted.kind), _time(wanted.since, wanted.until))
    return rows.select_related("actor", "account", "batch", "campaign").only(*_COLUMNS).order_by("-pk")


def _person(person: str) -> Q:
    if person == MAILFERRY:
        return Q(actor=None)
    if person == PEOPLE:
        return Q(actor__isnull=False)
    return Q(actor=int(person)) if person else Q()


def _kind(kind: str) -> Q:
    if not kind:
        return Q()
    names = Q()
    for beginning in _BEGINNINGS[kind]:
        names |= Q(name__startswith=beginning)
    if kind in _WITHOUT_ACCOUNT:
        return names & Q(account=None)
    return names & Q(actor__isnull=False) if kind in _BY_PEOPLE else names


def _time(since: date | None, until: date | None) -> Q:
    begin = _midnight(since) if since else None
    end = _midnight(until + timedelta(days=1)) if until else None
    asked = Q()
    if begin:
        first = _first_key(begin)
        asked &= Q(at__gte=begin) & (Q(pk__gte=first - _CROSSED) if first else Q(pk=None))
    if end:
        later = _first_key(end)
        asked &= Q(at__lt=end) & (Q(pk__lt=later + _CROSSED) if later else Q())
    return asked


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _first_key(at: datetime) -> int | None:
    return Event.objects.filter(at__gte=at).order_by("at").values_list("pk", flat=True).first()


def _line(event: Event) -> Line:
    return Line(event, stories.story(event), stories.actor(event))


def _cells(line: Line) -> tuple[Cell, ...]:
    event = line.event
    return (
        event.pk,
        timezone.localtime(event.at),
        event.name,
        line.story,
        line.who,
        event.campaign.name if event.campaign else None,
        event.batch.name if event.batch else None,
        event.account.source_login if event.account else None,
    )
