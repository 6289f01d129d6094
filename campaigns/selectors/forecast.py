"""When a campaign will be over, from its plan and from how its nights went. Pure.

With windows: the batches that are left move in theirs, as fully as past nights did. Without: at the pace of the last
hours in which anybody moved. A range is only told when there is something to take it from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_PACE_HOURS: Final = 12
_LEAST: Final = timedelta(minutes=2)  # of a pace: what came in the first seconds says nothing yet
_FULLY: Final = 0.98  # of a night's accounts: stragglers are mended one by one, not by another night


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch as the forecast sees it: ``accounts`` to move, ``left`` that have not and still may; its window."""

    accounts: int
    left: int
    begins_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hour:
    """So many accounts came to the new server in the hour from ``begins_at`` on."""

    begins_at: datetime
    accounts: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the last account moves. ``nights``: windows that are left, 0 without windows. None: it cannot be told."""

    nights: int
    ends_at: datetime | None
    earliest: datetime | None
    latest: datetime | None
    planned_end: datetime | None
    ratio: float = 1.0  # of a night's accounts that move in it
    lowest: float = 1.0

    @property
    def is_as_planned(self) -> bool:
        """True when the last night is the planned one."""
        return self.planned_end is not None and self.ends_at is not None and self.ends_at <= self.planned_end

    @property
    def has_range(self) -> bool:
        """True when the range is wider than a point."""
        return self.earliest is not None and self.latest is not None and self.earliest < self.latest


def forecast(plans: Sequence[Plan], hours: Sequence[Hour], now: datetime, begun_at: datetime | None = None) -> Forecast:
    """Return when the last of ``plans`` is expected to have moved; ``begun_at``: when the first of them was started."""
    ends = [plan.ends_at for plan in plans if plan.ends_at is not None]
    planned_end = max(ends, default=None)
    if not sum(plan.left for plan in plans):
        return Forecast(0, None, None, None, planned_end)
    ahead = [plan for plan in plans if plan.left and plan.ends_at is not None and plan.ends_at > now]
    if ahead:
        return _by_windows(plans, ahead, planned_end, now)
    after_the_start = [hour for hour in hours if begun_at is None or begun_at <= hour.begins_at]
    current = per_hour(hours, now, begun_at)
    return _by_pace(sum(plan.left for plan in plans), after_the_start, current, planned_end, now)


def _by_windows(plans: Sequence[Plan], ahead: Sequence[Plan], planned_end: datetime | None, now: datetime) -> Forecast:
    nights = {plan.ends_at for plan in ahead if plan.ends_at is not None}
    last = max(nights)
    late = sum(plan.left for plan in plans if plan not in ahead and plan.begins_at is not None)
    per_night = sum(plan.left for plan in ahead) / len(nights)
    ratios = _ratios(plans, now)
    mean = sum(ratios) / len(ratios) if ratios else 1.0

    def end(ratio: float) -> datetime:
        behind = sum(plan.left for plan in ahead) * (0.0 if ratio >= _FULLY else 1 - ratio)
        behind += late if late > per_night * (1 - _FULLY) else 0
        return last + timedelta(days=math.ceil(behind / per_night)) if behind else last

    low, high = (min(ratios), max(ratios)) if len(ratios) > 1 else (mean, mean)
    return Forecast(len(nights), end(mean), end(high), end(low), planned_end, mean, low)


def _ratios(plans: Sequence[Plan], now: datetime) -> list[float]:
    """Return how fully each night that is over moved its accounts."""
    past = [plan for plan in plans if plan.accounts and plan.ends_at is not None and plan.ends_at <= now]
    return [(plan.accounts - plan.left) / plan.accounts for plan in past]


def _by_pace(left: int, hours: Sequence[Hour], current: float, planned_end: datetime | None, now: datetime) -> Forecast:
    whole = [hour.accounts for hour in _latest(hours, now) if hour.begins_at + timedelta(hours=1) <= now]
    if current <= 0:
        return Forecast(0, None, None, None, planned_end)
    paces = sorted(pace for pace in [*whole, current] if pace > 0)
    at = [now + timedelta(hours=left / pace) for pace in (current, paces[-1], paces[0])]
    return Forecast(0, at[0], at[1], at[2], planned_end)


def _latest(hours: Sequence[Hour], now: datetime) -> list[Hour]:
    return [hour for hour in hours if now - timedelta(hours=_PACE_HOURS) <= hour.begins_at <= now]


def per_hour(hours: Sequence[Hour], now: datetime, begun_at: datetime | None = None) -> float:
    """Return how many accounts came in the last sixty minutes: this hour's, and the rest of the one before.

    Where nothing was started more than an hour ago (``begun_at``), the pace since then.
    """
    this = now.replace(minute=0, second=0, microsecond=0)
    moved = {hour.begins_at: hour.accounts for hour in hours}
    if begun_at is not None and now - begun_at < timedelta(hours=1):
        came = moved.get(this, 0) + moved.get(this - timedelta(hours=1), 0)
        return came / (max(now - begun_at, _LEAST) / timedelta(hours=1))
    rest = 1 - (now - this).total_seconds() / 3600
    return max(0.0, moved.get(this, 0) + moved.get(this - timedelta(hours=1), 0) * rest)
