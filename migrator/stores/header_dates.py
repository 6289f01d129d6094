"""The date at which a message arrived, as its own header tells, for stores whose server keeps none."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from typing import Final, NamedTuple

from migrator.mail import DateOrigin

_FIELD: Final = re.compile(rb"^(Received|Date):((?:[^\r\n]|\r?\n[ \t])*)", re.MULTILINE | re.IGNORECASE)
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_COMMENT: Final = re.compile(r"\([^()]*\)")
HEADER_OCTETS: Final = 256 * 1024
EARLIEST: Final = 0  # before 1970 nobody received mail by these protocols: a broken clock


class HeaderDate(NamedTuple):
    """Seconds since the epoch with the zone they were written in, and where they are from."""

    seconds: int | None
    zone_minutes: int
    origin: DateOrigin


NO_DATE: Final = HeaderDate(None, 0, DateOrigin.NOW)


def arrival(beginning: bytes, now: float) -> HeaderDate:
    """Return the date of the topmost Received of a message, else that of its Date, else none.

    ``beginning`` are its first octets, all of the header if it fits; a date more than a day after ``now`` or before
    1970 is not believed.
    """
    end = _HEADER_END.search(beginning, 0, HEADER_OCTETS)
    header = beginning[: end.start() if end else HEADER_OCTETS]
    sent: bytes | None = None
    seen_received = False
    for field in _FIELD.finditer(header):
        is_received = field[1].lower() == b"received"
        if is_received and not seen_received:
            seen_received = True
            found = _parsed(field[2].rpartition(b";")[2], now, DateOrigin.RECEIVED)
            if found is not None:
                return found
        elif not is_received and sent is None:
            sent = field[2]
    return (_parsed(sent, now, DateOrigin.DATE) if sent is not None else None) or NO_DATE


def _parsed(words: bytes, now: float, origin: DateOrigin) -> HeaderDate | None:
    text = _COMMENT.sub(" ", " ".join(words.decode("ascii", "replace").split()))
    try:
        parts = parsedate_tz(text)
        seconds = mktime_tz(parts) if parts is not None else None
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    if parts is None or seconds is None or not EARLIEST <= seconds <= now + 86_400:
        return None
    zone = (parts[9] or 0) // 60
    return HeaderDate(seconds, zone if abs(zone) < 24 * 60 else 0, origin)
