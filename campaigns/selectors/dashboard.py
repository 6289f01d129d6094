"""Everything a manager asks on Monday, of one campaign, from figures that are kept: no account is counted here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db.models import Count, Max, Sum
from django.utils import timezone

from campaigns.models import Account, Batch, BatchCount, BatchMail, Campaign, MovedHour
from campaigns.selectors import balance, burnup, causes, forecast, nights
from campaigns.selectors.balance import Balance
from campaigns.selectors.burnup import Chart
from campaigns.selectors.causes import Cause
from campaigns.selectors.csv_cells import Cell
from campaigns.selectors.figures import Figures
from campaigns.selectors.forecast import Forecast, Hour, Plan
from campaigns.selectors.nights import Calendar, Part
from campaigns.services import mail_counts
from campaigns.services.accounts import UNFINISHED
from campaigns.states import AccountState, Family

_RATE_IS_FRESH: Final = timedelta(minutes=2)

HEADER: Final = (
    "batch", "name", "window begins", "window ends", "accounts", *AccountState, "counted at",
    *(f"messages {box}" for box in mail_counts.BOXES), "bytes", "bytes moved",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lockout:
    """How long people could not sign in, in seconds; None when nobody was locked out."""

    median: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class Size:
    """Octets: of accounts that have moved, and of all whose mail is counted."""

    moved: int
    total: int

    @property
    def percent(self) -> int:
        """How many of a hundred, never rounded up."""
        return self.moved * 100 // self.total if self.total else 0


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A campaign at one moment."""

    campaign: Campaign
    figures: Figures
    parts: list[Part]
    calendar: Calendar
    causes: list[Cause]
    balance: Balance
    size: Size
    per_hour: float  # accounts
    bytes_per_second: float
    forecast: Forecast
    left: timedelta | None  # until the end that is expected
    soonest: timedelta | None
    longest: timedelta | None
    lockout: Lockout
    chart: Chart | None

    @property
    def done(self) -> int:
        """Accounts on the new server."""
        return self.figures.states[AccountState.DONE]

    @property
    def percent(self) -> int:
        """Of a hundred accounts, so many are on the new server; never rounded up."""
        return self.done * 100 // self.figures.accounts if self.figures.accounts else 0

    @property
    def unfinished(self) -> int:
        """Accounts that move, or will, without a person."""
        return sum(self.figures.states[state] for state in UNFINISHED)

    @property
    def undecided(self) -> int:
        """Accounts that need a decision, or are locked."""
        return self.figures.families[Family.ATTENTION]

    @property
    def failed(self) -> int:
        """Accounts that were not moved."""
        return self.figures.families[Family.FAILED]

    @property
    def uncounted(self) -> int:
        """Accounts of which no message is counted yet."""
        return max(0, self.figures.accounts - self.balance.accounts)


def view(campaign: Campaign, now: datetime | None = None) -> Dashboard:
    """Return how far ``campaign`` is."""
    now = now or timezone.now()
    parts, hours = _parts(campaign), _hours(campaign)
    plans = [_plan(part) for part in parts]
    figures = Figures.of((state, count) for part in parts for state, count in part.figures.states.items())
    begun_at = min((part.batch.started_at for part in parts if part.batch.started_at), default=None)
    expected = forecast.forecast(plans, hours, now, begun_at)
    mails = [part.mail for part in parts if part.mail]
    trouble = figures.families[Family.FAILED] + figures.families[Family.ATTENTION]
    return Dashboard(
        campaign=campaign,
        figures=figures,
        parts=parts,
        calendar=nights.calendar(parts, _night(now)),
        causes=causes.of_campaign(campaign) if trouble else [],
        balance=balance.balance(mails),
        size=Size(sum(mail.bytes_moved for mail in mails), sum(mail.bytes_total for mail in mails)),
        per_hour=forecast.per_hour(hours, now, begun_at),
        bytes_per_second=_bytes_per_second(mails, now),
        forecast=expected,
        left=_until(expected.ends_at, now),
        soonest=_until(expected.earliest, now),
        longest=_until(expected.latest, now),
        lockout=_lockout(campaign) if figures.states[AccountState.DONE] else Lockout(None, None),
        chart=burnup.chart(plans, hours, expected, figures.states[AccountState.DONE], now),
    )


def _parts(campaign: Campaign) -> list[Part]:
    states: dict[int, list[tuple[str, int]]] = defaultdict(list)
    rows = BatchCount.objects.filter(batch__campaign=campaign, accounts__gt=0)
    for batch_id, state, accounts in rows.values_list("batch_id", "state", "accounts"):
        states[batch_id].append((state, accounts))
    found = Batch.objects.filter(campaign=campaign).select_related("mail").order_by("window_begins_at", "number")
    return [Part(batch, Figures.of(states[batch.pk]), getattr(batch, "mail", None)) for batch in found]


def _hours(campaign: Campaign) -> list[Hour]:
    rows = MovedHour.objects.filter(batch__campaign=campaign).values("hour").order_by("hour")
    return [Hour(row["hour"], row["moved"]) for row in rows.annotate(moved=Sum("accounts"))]


def _plan(part: Part) -> Plan:
    states = part.figures.states
    return Plan(
        accounts=part.figures.accounts - states[AccountState.EXCLUDED],
        left=sum(states[state] for state in UNFINISHED),
        begins_at=part.batch.window_begins_at,
        ends_at=part.batch.window_ends_at,
    )


def _night(now: datetime) -> date:
    """Return the day on which the night began that is going on."""
    return (timezone.localtime(now) - timedelta(hours=9)).date()


def _bytes_per_second(mails: list[BatchMail], now: datetime) -> float:
    return sum(mail.bytes_per_second for mail in mails if now - mail.counted_at < _RATE_IS_FRESH)


def _until(at: datetime | None, now: datetime) -> timedelta | None:
    return max(at - now, timedelta()) if at else None


def _lockout(campaign: Campaign) -> Lockout:
    rows = Account.objects.filter(campaign=campaign, lockout_seconds__isnull=False)
    known = rows.aggregate(accounts=Count("pk"), longest=Max("lockout_seconds"))
    if not known["accounts"]:
        return Lockout(None, None)
    middle = (known["accounts"] - 1) // 2
    median = rows.order_by("lockout_seconds").values_list("lockout_seconds", flat=True)[middle : middle + 1]
    return Lockout(median=next(iter(median), None), longest=known["longest"])


def table(campaign: Campaign) -> Iterator[tuple[Cell, ...]]:
    """Return one row a batch, under HEADER."""
    for part in _parts(campaign):
        batch, mail, states = part.batch, part.mail, part.figures.states
        boxes = [getattr(mail, box) for box in mail_counts.BOXES] if mail else [None] * len(mail_counts.BOXES)
        yield (
            batch.number,
            batch.name,
            batch.window_begins_at and timezone.localtime(batch.window_begins_at),
            batch.window_ends_at and timezone.localtime(batch.window_ends_at),
            part.figures.accounts,
            *(states[state] for state in AccountState),
            mail.counted_at if mail else None,
            *boxes,
            mail.bytes_total if mail else None,
            mail.bytes_moved if mail else None,
        )
