"""The curve of a campaign: planned, real and expected accounts on the new server, as paths of a drawing. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format

from campaigns.selectors.forecast import Forecast, Hour, Plan

WIDTH: Final = 690.0
HEIGHT: Final = 284.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 676.0, 22.0, 256.0
_TICKS: Final = 6
_DAY: Final = timedelta(days=1)
_STEPS_OF_TIME: Final = tuple(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12, 24, 48, 72, 168, 336, 672, 2016))

Points = list[tuple[datetime, float]]


@dataclass(frozen=True, slots=True)
class Label:
    """A text of an axis and its place."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Band:
    """A window, from x on so wide."""

    x: str
    width: str
    is_now: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """The drawing: paths are the ``d`` of SVG, "" where there is nothing to draw."""

    rows: tuple[Label, ...]
    days: tuple[Label, ...]
    bands: tuple[Band, ...]
    planned: str
    real: str
    expected: str
    spread: str
    now_x: str
    now_y: str
    is_now_left: bool  # so far left that its label stands on the right


@dataclass(frozen=True, slots=True)
class _Frame:
    begins_at: datetime
    ends_at: datetime
    total: int

    def x(self, at: datetime) -> float:
        share = (at - self.begins_at) / (self.ends_at - self.begins_at)
        return _LEFT + min(1.0, max(0.0, share)) * (_RIGHT - _LEFT)

    def y(self, accounts: float) -> float:
        return _BOTTOM - min(1.0, max(0.0, accounts / self.total)) * (_BOTTOM - _TOP)

    def path(self, points: Points) -> str:
        return "M" + "L".join(f"{self.x(at):.1f} {self.y(accounts):.1f}" for at, accounts in points) if points else ""


def chart(plans: Sequence[Plan], hours: Sequence[Hour], expected: Forecast, done: int, now: datetime) -> Chart | None:
    """Return the drawing; None while there is nothing to draw: no account, or neither a window nor a move."""
    total = sum(plan.accounts for plan in plans)
    windows = sorted((plan for plan in plans if plan.begins_at and plan.ends_at), key=_begin)
    if not total or not (windows or hours):
        return None
    frame = _frame(windows, hours, expected, total, now)
    real = _real(hours, done, frame, now)
    ahead = [plan for plan in windows if plan.left and plan.ends_at is not None and plan.ends_at > now]
    low, high = (_ahead(ahead, done, now, ratio) for ratio in (expected.lowest, 1.0))
    if ahead:
        fore = _ahead(ahead, done, now, expected.ratio)
    else:
        fore = [(now, float(done)), (expected.ends_at, float(total))] if expected.ends_at else []
    is_wide = bool(ahead) and expected.lowest < 1.0
    return Chart(
        rows=_rows(frame),
        days=_days(frame),
        bands=_bands(windows, frame, now),
        planned=frame.path(_planned(windows)),
        real=frame.path(real),
        expected=frame.path(fore),
        spread=f"{frame.path([*low, *reversed(high)])}z" if is_wide else "",
        now_x=f"{frame.x(now):.1f}",
        now_y=f"{frame.y(done):.1f}",
        is_now_left=frame.x(now) < (_LEFT + _RIGHT) / 2,
    )


def _begin(plan: Plan) -> datetime:
    assert plan.begins_at is not None
    return plan.begins_at


def _frame(windows: Sequence[Plan], hours: Sequence[Hour], expected: Forecast, total: int, now: datetime) -> _Frame:
    times = [now, *(hour.begins_at for hour in hours), *(_begin(plan) for plan in windows)]
    times += [plan.ends_at for plan in windows if plan.ends_at is not None]
    if expected.ends_at is not None:
        times.append(min(expected.ends_at, now + 4 * max(_DAY, now - min(times))))
    begins_at, ends_at = min(times), max(times)
    margin = max((ends_at - begins_at) / 40, timedelta(minutes=15))
    return _Frame(begins_at - margin, ends_at + margin, total)


def _planned(windows: Sequence[Plan]) -> Points:
    points: Points = []
    moved = 0.0
    for plan in windows:
        points.append((_begin(plan), moved))
        moved += plan.accounts
        points.append((plan.ends_at or _begin(plan), moved))
    return points


def _real(hours: Sequence[Hour], done: int, frame: _Frame, now: datetime) -> Points:
    """Return what really happened. What the hours do not know (before they were kept) was there from the start."""
    moved = float(done - sum(hour.accounts for hour in hours))
    points: Points = [(frame.begins_at, max(0.0, moved))]
    for hour in sorted(hours, key=lambda one: one.begins_at):
        points.append((hour.begins_at, max(0.0, moved)))
        moved += hour.accounts
        points.append((min(hour.begins_at + timedelta(hours=1), now), max(0.0, moved)))
    return [*points, (now, float(done))]


def _ahead(windows: Sequence[Plan], done: int, now: datetime, ratio: float) -> Points:
    points: Points = [(now, float(done))]
    moved = float(done)
    for plan in windows:
        points.append((max(now, _begin(plan)), moved))
        moved += plan.left * ratio
        points.append((plan.ends_at or now, moved))
    return points if windows else []


def _rows(frame: _Frame) -> tuple[Label, ...]:
    step = _round(frame.total / 3)
    marks = [mark for mark in range(0, frame.total, step) if mark == 0 or frame.total - mark > step / 2]
    return tuple(Label(f"{frame.y(mark):.1f}", f"{mark:,}") for mark in [*marks, frame.total])


def _round(number: float) -> int:
    power: int = 10 ** (len(str(int(number))) - 1)
    return max(1, next(factor * power for factor in (1, 2, 5, 10) if factor * power >= number))


def _bands(windows: Sequence[Plan], frame: _Frame, now: datetime) -> tuple[Band, ...]:
    bands = []
    for begins_at, ends_at in dict.fromkeys((_begin(plan), plan.ends_at or _begin(plan)) for plan in windows):
        left, right = frame.x(begins_at), frame.x(ends_at)
        bands.append(Band(f"{left:.1f}", f"{max(1.0, right - left):.1f}", begins_at <= now < ends_at))
    return tuple(bands)


def _days(frame: _Frame) -> tuple[Label, ...]:
    span = frame.ends_at - frame.begins_at
    step = next((step for step in _STEPS_OF_TIME if span / step <= _TICKS), _STEPS_OF_TIME[-1])
    local = timezone.localtime(frame.begins_at)
    at = local.replace(hour=0, minute=0, second=0, microsecond=0)
    labels = []
    while at <= frame.ends_at:
        if at >= frame.begins_at and frame.x(at) < _RIGHT - 24:
            labels.append(Label(f"{frame.x(at):.1f}", date_format(at, "H:i" if at.hour else "M j")))
        at += step
    return tuple(labels)
