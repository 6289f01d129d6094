"""Who still uses the old server, from its logs: lines of Dovecot, Cyrus, Courier, UW-imapd and Postfix.

Pure. A line that is no sign-in is passed over, one that is too long as well; nothing of a line is kept but who, by
what, from where and when. Memory grows with the people, not with the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

LONGEST_LINE: Final = 4096
KEPT_DAYS: Final = 400  # of which it is known whether a log has sign-ins
MOST_CLIENTS: Final = 200_000  # people by ways by addresses; a log that holds more is no log of sign-ins


class Sign(NamedTuple):
    """One sign-in of a line."""

    login: str
    service: str  # imap, pop3, smtp, sieve
    address: str
    program: str  # as it calls itself, where the log says so
    at: datetime | None


@dataclass(slots=True)
class Client:
    """What one person uses at one service from one address."""

    login: str
    service: str
    address: str
    program: str
    times: int
    last_at: datetime | None


Span = tuple[datetime, datetime]  # from one sign-in to another, with none missing for long between them


class Days:
    """When a log has sign-ins: the first and the last of each day, until ``now``. A line of later is none of then."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._since = now - timedelta(days=KEPT_DAYS)
        self._days: dict[date, Span] = {}

    def note(self, at: datetime) -> None:
        """Take a sign-in into account; they may come in any order."""
        if self._since <= at <= self._now:
            day = at.astimezone(UTC).date()
            first, last = self._days.get(day, (at, at))
            self._days[day] = min(first, at), max(last, at)

    def spans(self, gap: timedelta) -> list[Span]:
        """Return the times over which sign-ins follow one another within ``gap``, the first first."""
        found: list[Span] = []
        for _, (first, last) in sorted(self._days.items()):
            if found and first - found[-1][1] <= gap:
                found[-1] = found[-1][0], last
            else:
                found.append((first, last))
        return found


_USER: Final = r"(?P<user>[^>\]\s,\"]{1,320})"
_FROM: Final = r"(?P<ip>[0-9a-fA-F.:]{2,45})"
_LOGIN: Final = r"(?P<service>imap|pop3|managesieve|submission)"
_LINES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # Dovecot: imap-login: Info: Login: user=<anna>, method=PLAIN, rip=192.0.2.7, lip=...
        rf"\b{_LOGIN}-login: (?:Info: )?(?:Logged in|Login): user=<{_USER}>.*?\brip=(?:::ffff:)?{_FROM}",
        # Cyrus: imaps[123]: login: host.example.org [192.0.2.7] anna plaintext+TLS User logged in
        rf"\b(?P<service>imap|pop3|sieve|timsieved)s?(?:d)?\[\d+\]: login: \S* ?\[{_FROM}\] {_USER} .*User logged in",
        # Courier: imapd: LOGIN, user=anna, ip=[::ffff:192.0.2.7], port=[40000], protocol=IMAP
        rf"\b(?P<service>imap|pop3)d?(?:-ssl)?: (?:Info: )?LOGIN, user={_USER}, ip=\[(?:::ffff:)?{_FROM}\]",
        # UW: imapd[123]: Login user=anna host=pc7.example.org [192.0.2.7]
        rf"\b(?:ip|i)?(?P<service>imap|pop3)s?d\[\d+\]: (?:Login|Authenticated) user={_USER} host=\S* ?\[{_FROM}\]",
        # Postfix: submission/smtpd[1]: 4F: client=pc7[192.0.2.7], sasl_method=PLAIN, sasl_username=anna
        rf"\b(?P<service>smtp)d\[\d+\]: \S+: client=\S*\[{_FROM}\],.*\bsasl_username={_USER}",
    )
)
_SERVICES: Final = {"managesieve": "sieve", "timsieved": "sieve", "submission": "smtp"}
_PROGRAM: Final = re.compile(r'"?name"?[ =]+"?(?P<name>[^",()]{1,60})"?', re.IGNORECASE)
_ISO: Final = re.compile(r"\A(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2})(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?")
_SYSLOG: Final = re.compile(r"\A(?:<\d+>)?([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}):(\d{2}):(\d{2})")
_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def sign_in_of(line: str, now: datetime) -> Sign | None:
    """Return the sign-in that ``line`` tells of, None for any other line. A date without a year is of the last one."""
    if len(line) > LONGEST_LINE:
        return None
    for pattern in _LINES:
        if found := pattern.search(line):
            service = found["service"].lower()
            program = _PROGRAM.search(line, found.end())
            return Sign(
                found["user"],
                _SERVICES.get(service, service),
                found["ip"],
                program["name"].strip() if program else "",
                _time_of(line, now),
            )
    return None


def _time_of(line: str, now: datetime) -> datetime | None:
    try:
        if iso := _ISO.match(line):
            at = datetime.fromisoformat(iso[1].replace(" ", "T") + (iso[2] or ""))
            return at if at.tzinfo else at.replace(tzinfo=now.tzinfo)
        if syslog := _SYSLOG.match(line):
            day, hour, minute, second = map(int, syslog.groups()[1:])
            at = datetime(now.year, _MONTHS.index(syslog[1]) + 1, day, hour, minute, second, tzinfo=now.tzinfo)
            return at if at.timestamp() <= now.timestamp() + 86_400 else at.replace(year=now.year - 1)
    except ValueError:
        pass
    return None


class TooMany(ValueError):
    """More people and addresses than any log of sign-ins holds."""


def clients(lines: Iterable[str], now: datetime, days: Days | None = None) -> list[Client]:
    """Return who used which service, how often and when last, the latest first; ``days`` notes when anybody did.

    Raises ``TooMany``.
    """
    found: dict[tuple[str, str, str], Client] = {}
    for sign in _signs(lines, now):
        if days is not None and sign.at is not None:
            days.note(sign.at)
        key = (sign.login.casefold(), sign.service, sign.address)
        client = found.get(key)
        if client is None:
            if len(found) >= MOST_CLIENTS:
                raise TooMany
            found[key] = Client(sign.login, sign.service, sign.address, sign.program, 1, sign.at)
            continue
        client.times += 1
        client.program = sign.program or client.program
        if sign.at and (client.last_at is None or sign.at > client.last_at):
            client.last_at = sign.at
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(found.values(), key=lambda one: (one.last_at or never, one.login), reverse=True)


def _signs(lines: Iterable[str], now: datetime) -> Iterator[Sign]:
    for line in lines:
        sign = sign_in_of(line, now)
        if sign is not None:
            yield sign
