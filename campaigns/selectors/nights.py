"""Batches on a calendar: one row a week, one column a weekday on which a window begins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils import timezone
from django.utils.dates import WEEKDAYS

from campaigns.models import Batch, BatchMail
from campaigns.selectors import words
from campaigns.selectors.figures import Figures
from campaigns.states import AccountState, Family


@dataclass(frozen=True, slots=True)
class Part:
    """A batch and how far it is; ``family`` and ``accounts`` are what its line says first."""

    batch: Batch
    figures: Figures
    mail: BatchMail | None = None

    @property
    def family(self) -> Family:
        """The family that tells how far it is: done as soon as anybody is, else where most are."""
        families = self.figures.families
        if families[Family.DONE] or not families:
            return Family.DONE if families else Family.WAITING
        return max(families, key=lambda family: families[family])

    @property
    def accounts(self) -> int:
        """How many are of that family."""
        return self.figures.families[self.family]

    @property
    def words(self) -> str:
        """What stands after that number."""
        return words.family_counted(self.family, self.accounts)

    @property
    def done(self) -> int:
        """Accounts on the new server."""
        return self.figures.states[AccountState.DONE]

    @property
    def key(self) -> str:
        """Something unique on the page."""
        return f"batch-{self.batch.pk}"


@dataclass(frozen=True, slots=True)
class Night:
    """A cell of the calendar."""

    parts: tuple[Part, ...]
    is_tonight: bool


@dataclass(frozen=True, slots=True)
class Week:
    """A row of the calendar, by the day on which it begins."""

    begins_on: date
    nights: tuple[Night, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Weeks of nights, under the names of weekdays. ``others`` have no window. ``is_empty``: nobody has one."""

    weekdays: tuple[str, ...]
    weeks: tuple[Week, ...]
    others: tuple[Part, ...]

    @property
    def is_empty(self) -> bool:
        """True when no batch has a window."""
        return not self.weeks


def calendar(parts: Sequence[Part], today: date) -> Calendar:
    """Return the nights of ``parts`` as the reader's zone has them."""
    placed: dict[date, list[Part]] = {}
    for part in parts:
        begins_at = part.batch.window_begins_at
        if begins_at is not None:
            placed.setdefault(timezone.localtime(begins_at).date(), []).append(part)
    columns = sorted({day.weekday() for day in placed})
    mondays = sorted({day - timedelta(days=day.weekday()) for day in placed})
    weeks = [
        Week(monday, tuple(_night(placed, monday + timedelta(days=column), today) for column in columns))
        for monday in mondays
    ]
    others = tuple(part for part in parts if part.batch.window_begins_at is None)
    return Calendar(tuple(str(WEEKDAYS[column]) for column in columns), tuple(weeks), others)


def _night(placed: dict[date, list[Part]], day: date, today: date) -> Night:
    return Night(tuple(placed.get(day, ())), day == today)
