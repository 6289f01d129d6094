"""The lines of an mbox that are not mail: separators (From_ lines) and the header fields that carry a message's state.

Nobody ever wrote down one form of the separator. Taken is what UW IMAP, Dovecot and the delivery agents write:
``From SENDER WEEKDAY MONTH DAY TIME [ZONE] YEAR [ZONE]``, the sender empty, quoted or with blanks, seconds or none, and
anything after a valid date. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, tzinfo
from email.utils import parsedate_tz
from functools import lru_cache
from typing import Final, NamedTuple

from migrator.mail import Flags
from migrator.stores.maildir_names import is_keyword

LONGEST_SEPARATOR: Final = 1024
HEADER_LIMIT: Final = 256 * 1024  # state is looked for in so much of a message, however long its header is
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"), 1
    )
}
_ZONE: Final = rb"[-+]\d{4}|[A-Z]{1,5}(?: [A-Z]{3,4})?"
_FROM: Final = re.compile(
    rb"From (?:(?P<sender>.*) )?(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(?P<month>[A-Z][a-z][a-z]) +(?P<day>\d{1,2}) +"
    rb"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?: +(?P<zone>" + _ZONE + rb"))? +"
    rb"(?P<year>\d{4}|\d\d)(?![\d:])(?: +(?P<later_zone>" + _ZONE + rb")(?![^ \t]))?(?P<rest>[ \t].*)?"
)
_NAMED_ZONES: Final = {
    b"UT": 0, b"UTC": 0, b"GMT": 0, b"Z": 0, b"EST": -300, b"EDT": -240, b"CST": -360, b"CDT": -300, b"MST": -420,
    b"MDT": -360, b"PST": -480, b"PDT": -420, b"WET": 0, b"WEST": 60, b"MET": 60, b"CET": 60, b"MEST": 120,
    b"CEST": 120, b"EET": 120, b"EEST": 180, b"MET DST": 120, b"CET DST": 120,
}  # fmt: skip
_STATE: Final = re.compile(
    rb"^(status|x-status|x-uid|x-keywords|x-imapbase|x-imap|content-length)[ \t]*:(.*\n(?:[ \t].*\n)*)",
    re.IGNORECASE | re.MULTILINE,
)
_MOST_QUOTED: Final = 256  # longer rows of > are no quoting, but somebody's drawing
_QUOTED: Final = re.compile(rb"\n>(>{0,%d}From )" % (_MOST_QUOTED - 1))
_MAY_BE_QUOTED: Final = re.compile(rb"\n(?:>{1,%d}(?:F(?:r(?:om?)?)?)?)?\Z" % _MOST_QUOTED)
_BLANK: Final = re.compile(rb"^\r?\n", re.MULTILINE)
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
_BASE: Final = re.compile(rb"\s*(\d{1,10})\s+(\d{1,10})((?:\s.*)?)", re.DOTALL)
_SUBJECT_OF_PSEUDO: Final = re.compile(
    rb"^subject:[ \t]*DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", re.IGNORECASE | re.MULTILINE
)
_SYSTEM_WRITER: Final = b"MAILER-DAEMON"
_DATED: Final = re.compile(rb"^(received|date):((?:.*\n)(?:[ \t].*\n)*)", re.IGNORECASE | re.MULTILINE)
_LATEST: Final = 0xFFFFFFFE  # seconds: what no server stores is no date
_LETTERS: Final = {"A": "\\Answered", "F": "\\Flagged", "T": "\\Draft", "D": "\\Deleted"}


class Separator(NamedTuple):
    """What a From_ line says."""

    sender: bytes
    date: int | None  # seconds since the epoch; None when there is no such day
    zone_minutes: int
    has_fields: bool  # something stands behind the date that a server wrote there for itself


class Base(NamedTuple):
    """``X-IMAP`` or ``X-IMAPbase`` of the first message: the numbering of the file, and its keywords."""

    uidvalidity: int
    last_uid: int
    keywords: frozenset[str]


class State(NamedTuple):
    """What the header of a message says of its state, the fields themselves taken out."""

    flags: Flags
    uid: int  # 0: none
    content_length: int | None
    base: Base | None
    is_told: bool  # a field says whether it was read
    is_pseudo: bool  # no mail, but where a server keeps the state of the file


Zone = int | tzinfo
"""A zone: minutes east of Greenwich all year round, or one that knows summer and winter."""


class Variant(NamedTuple):
    """How an mbox was written, which no file says of itself. The defaults are what Dovecot takes for granted."""

    zone: Zone = 0  # of dates without a zone
    has_true_lengths: bool = True  # Content-Length is believed where it ends before a separator; else never
    is_quoted: bool = False  # mboxrd: every line of ``>``, if any, and ``From`` got one ``>`` more


AS_DOVECOT: Final = Variant()


def unquoted(body: bytes) -> bytes:
    """Return ``body``, which begins with a line, with one ``>`` less before each ``From`` that has one (mboxrd)."""
    return _QUOTED.sub(rb"\n\1", b"\n" + body)[1:] if b">From " in body else body


def unquoted_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Do the same piece by piece, to all but the first piece, which is the header: a line there that begins with
    ``>From`` is a trace of UUCP and was quoted by nobody.
    """
    pieces = iter(parts)
    header = next(pieces, b"")
    held = b"\n" if header.endswith(b"\n") else b""  # with what may be the begin of a quoted line behind it
    yield header.removesuffix(held)
    for piece in pieces:
        whole = held + piece
        tail = _MAY_BE_QUOTED.search(whole)
        held = whole[tail.start() :] if tail else b""
        yield _QUOTED.sub(rb"\n\1", whole.removesuffix(held))
    yield held


def separator(line: bytes, zone: Zone = 0) -> Separator | None:
    """Read a line (without its end) as a separator; None when it is none.

    ``zone`` holds for dates without a zone, or with one of unknown name: the zone of the machine that wrote it.
    """
    found = _FROM.fullmatch(line) if line.startswith(b"From ") else None
    month = _MONTHS.get(found["month"]) if found else None
    if found is None or month is None:
        return None
    clock = int(found["hour"]) * 3600 + int(found["minute"]) * 60 + int(found["second"] or 0)
    rest = (found["rest"] or b"").strip()
    midnight = _midnight(int(found["year"]), month, int(found["day"]))
    written = _zone_minutes(found["zone"] or found["later_zone"])
    zone_minutes = _minutes_in(zone, (midnight or 0) + clock) if written is None else written
    instant = None if midnight is None or clock > 86_400 else midnight + clock - zone_minutes * 60
    has_fields = bool(rest) and not rest.startswith(b"remote from ")
    return Separator(found["sender"] or b"", sensible(instant), zone_minutes, has_fields)


def begins_like_header(line: bytes) -> bool:
    """True when ``line`` may be the first one of a header."""
    return bool(_FIELD.match(line))


def header_length(start: bytes) -> int:
    """Return how much of the first octets of a message is header, the blank line not counted.

    ``start`` is all of a message up to HEADER_LIMIT; of a longer header, that many whole lines.
    """
    found = _BLANK.search(start)
    if found:
        return found.start()
    return start.rfind(b"\n") + 1 if len(start) >= HEADER_LIMIT else len(start)


def without_state(header: bytes) -> bytes:
    """Return ``header`` without the fields that carry state in an mbox; what else it holds stays as it is."""
    return _STATE.sub(b"", _closed(header))[: None if header.endswith(b"\n") or not header else -1]


def state(header: bytes, keywords: frozenset[str], *, is_first: bool, sender: bytes = b"") -> State:
    """Read the state of a message out of its header; ``keywords`` are those that the file knows.

    Fields that a stranger wrote count for no more than these: letters of flags, and a number that the caller checks.
    """
    values: dict[bytes, bytes] = {}
    for found in _STATE.finditer(_closed(header)):
        values.setdefault(found[1].lower(), found[2].strip())
    base = _base(values.get(b"x-imapbase") or values.get(b"x-imap")) if is_first else None
    is_pseudo = is_first and (
        bool(_SUBJECT_OF_PSEUDO.search(header)) or (b"x-imap" in values and sender.upper() == _SYSTEM_WRITER)
    )
    if base is not None:
        keywords = base.keywords
    status, x_status = values.get(b"status"), values.get(b"x-status", b"")
    flags = {flag for letter, flag in _LETTERS.items() if letter.encode() in x_status}
    if status is not None and b"R" in status:
        flags.add("\\Seen")
    flags.update(keywords.intersection(values.get(b"x-keywords", b"").decode("utf-8", "replace").split()))
    is_told = status is not None or b"x-status" in values
    length = _number(values.get(b"content-length"), 18)
    return State(frozenset(flags), _number(values.get(b"x-uid"), 10) or 0, length, base, is_told, is_pseudo)


def date_of(header: bytes) -> tuple[int | None, int]:
    """Return date and zone of a message whose separator has none: of the topmost Received, else of Date."""
    found = {match[1].lower(): match[2] for match in reversed(list(_DATED.finditer(_closed(header))))}
    for text in (found.get(b"received", b"").rpartition(b";")[2], found.get(b"date", b"")):
        parts = parsedate_tz(text.decode("latin-1").strip())
        if parts:
            midnight = _midnight(parts[0], parts[1], parts[2])
            zone = parts[9] or 0
            if midnight is not None:
                instant = sensible(midnight + parts[3] * 3600 + parts[4] * 60 + parts[5] - zone)
                if instant is not None and abs(zone) < 86_400:
                    return instant, zone // 60
    return None, 0


def sensible(instant: int | None) -> int | None:
    """Return ``instant`` when a server can store it, else None."""
    return instant if instant is not None and 0 <= instant <= _LATEST else None


def _closed(header: bytes) -> bytes:
    return header if header.endswith(b"\n") or not header else header + b"\n"


def _base(written: bytes | None) -> Base | None:
    found = _BASE.fullmatch(written) if written else None
    if found is None:
        return None
    names = found.group(3).decode("utf-8", "replace").split()
    return Base(int(found[1]), int(found[2]), frozenset(filter(is_keyword, names)))


def _number(written: bytes | None, digits: int) -> int | None:
    return int(written) if written and written.isdigit() and len(written) <= digits else None


def _zone_minutes(written: bytes | None) -> int | None:
    if not written:
        return None
    if written[:1] in b"+-":
        minutes = int(written[1:3]) * 60 + int(written[3:5])
        return -minutes if written[:1] == b"-" else minutes
    return _NAMED_ZONES.get(written)


def _minutes_in(zone: Zone, clock: int) -> int:
    """Return how many minutes east of Greenwich ``zone`` was when its clocks showed ``clock``, as seconds in UTC."""
    if isinstance(zone, int):
        return zone
    offset = datetime.fromtimestamp(clock, UTC).replace(tzinfo=zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() // 60)


@lru_cache(4096)
def _midnight(year: int, month: int, day: int) -> int | None:
    if year < 100:
        year += 1900 if year >= 70 else 2000
    try:
        return int(datetime.combine(date(year, month, day), datetime.min.time(), UTC).timestamp())
    except ValueError:
        return None
