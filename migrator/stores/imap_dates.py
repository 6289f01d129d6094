"""INTERNALDATE to instant and zone, and back (RFC 3501 §9, date-time). Kept per day, since mail comes by the million.

A date is kept as the instant it means and the zone its server wrote, so that it can be written back as it was.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS: Final = {name.casefold().encode(): number for number, name in enumerate(_MONTHS, 1)}
_DAY: Final = re.compile(rb" *(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_TIME: Final = re.compile(rb" +(\d{1,2}):(\d{2}):(\d{2})(?: +(?:([-+])(\d{2})(\d{2})|[A-Za-z]+))?\s*")
_MINUTES: Final = {b"%02d:%02d" % divmod(minute, 60): minute * 60 for minute in range(1440)}
_SECONDS: Final = {b":%02d" % second: second for second in range(60)}
_LONGEST_ZONE_MINUTES: Final = 24 * 60
_KEPT_DAYS: Final = 50_000
_KEPT_ZONES: Final = 500
Instant = tuple[int | None, int]
"""Seconds since the epoch, None when the date made no sense, and the zone in minutes."""

NO_INSTANT: Final[Instant] = (None, 0)


class DateReader:
    """Reads INTERNALDATE. Lenient: one-digit days, missing zones; what is no date at all becomes ``NO_INSTANT``."""

    def __init__(self) -> None:
        self._days: dict[bytes, int] = {}  # midnight, as if it were UTC
        self._zones: dict[bytes, int] = {}  # minutes

    def read(self, written: bytes) -> Instant:
        """Return the instant of ``17-Jul-1996 02:44:25 -0700``."""
        if len(written) != 26:
            return _instant(written)
        day, zone = self._days.get(written[:12]), self._zones.get(written[20:])
        minute, second = _MINUTES.get(written[12:17]), _SECONDS.get(written[17:20])
        if day is not None and zone is not None and minute is not None and second is not None:
            return day + minute + second - zone * 60, zone
        instant, zone = _instant(written)
        if instant is not None and minute is not None and second is not None:
            self._keep(written, instant - minute - second + zone * 60, zone)
        return instant, zone

    def _keep(self, written: bytes, midnight: int, zone: int) -> None:
        if len(self._days) >= _KEPT_DAYS:
            self._days.clear()
        if len(self._zones) >= _KEPT_ZONES:
            self._zones.clear()
        self._days[written[:12]] = midnight
        self._zones[written[20:]] = zone


def _instant(written: bytes) -> Instant:
    day = _DAY.match(written)
    time = _TIME.fullmatch(written, day.end()) if day else None
    if day is None or time is None:
        return NO_INSTANT
    hours, minutes, seconds = int(time[1]), int(time[2]), int(time[3])
    zone = int(time[5]) * 60 + int(time[6]) if time[4] else 0
    if hours > 23 or minutes > 59 or seconds > 60 or zone > _LONGEST_ZONE_MINUTES:
        return NO_INSTANT
    try:
        days = date(int(day[3]), _MONTH_NUMBERS[day[2].lower()], int(day[1])).toordinal() - _EPOCH_DAY
    except (KeyError, ValueError):
        return NO_INSTANT
    if time[4] == b"-":
        zone = -zone
    return days * 86400 + hours * 3600 + minutes * 60 + seconds - zone * 60, zone


class DateWriter:
    """Writes instants as the date-time of APPEND, with its quotes."""

    def __init__(self) -> None:
        self._days: dict[int, bytes] = {}
        self._zones: dict[int, bytes] = {}

    def write(self, instant: int, zone_minutes: int) -> bytes | None:
        """Return ``"17-Jul-1996 02:44:25 -0700"``; None for an instant outside the years 1 to 9999."""
        day, second = divmod(instant + zone_minutes * 60, 86400)
        begin = self._days.get(day)
        if begin is None:
            begin = self._day(day)
            if begin is None:
                return None
        end = self._zones.get(zone_minutes) or self._zone(zone_minutes)
        return b"%s%02d:%02d:%02d%s" % (begin, second // 3600, second // 60 % 60, second % 60, end)

    def _day(self, day: int) -> bytes | None:
        try:
            when = date.fromordinal(day + _EPOCH_DAY)
        except (ValueError, OverflowError):
            return None
        if len(self._days) >= _KEPT_DAYS:
            self._days.clear()
        begin = f'"{when.day:2d}-{_MONTHS[when.month - 1]}-{when.year:04d} '.encode()
        return self._days.setdefault(day, begin)

    def _zone(self, minutes: int) -> bytes:
        sign = "-" if minutes < 0 else "+"
        end = f' {sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"'.encode()
        return self._zones.setdefault(minutes, end)
