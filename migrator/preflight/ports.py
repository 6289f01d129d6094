"""The doors of a mail server as mail programs know them: what greets there, and whether it lets somebody in.

A door is knocked at to see who answers; a password is sent once, and never over a line that is not as protected as
the server's own row says. Nothing is changed anywhere.
"""

from __future__ import annotations

import re
import smtplib
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.preflight.probe import PATIENCE
from migrator.replies import classify_exception, clean
from migrator.stores.endpoint import Endpoint, Security
from migrator.stores.imap_session import ImapSession
from migrator.stores.lines import TextLine
from migrator.stores.pop3_session import Pop3Session
from migrator.stores.sieve_session import SieveSession

_SIDE: Final = Side.SOURCE  # a session wants one; errors leave here without it
# What is another one each time: marks, numbers, days of a date.
_DAYS: Final = "Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_PASSING: Final = re.compile(rf"<[^>]*>|\d+|\b(?:{_DAYS})\b|[+-](?=\d{{4}})")


class Service(StrEnum):
    """What is spoken at a port."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    SIEVE = "sieve"


USUAL_PORTS: Final = {
    Service.SMTP: 25,
    Service.SUBMISSION: 587,
    Service.SUBMISSIONS: 465,
    Service.IMAP: 143,
    Service.IMAPS: 993,
    Service.POP3: 110,
    Service.POP3S: 995,
    Service.SIEVE: 4190,
}
_UNREACHED: Final = frozenset(("server.unreachable", "server.no_address"))
_TLS_FIRST: Final = frozenset((Service.SUBMISSIONS, Service.IMAPS, Service.POP3S))


@dataclass(frozen=True, slots=True)
class Port:
    """One door. ``endpoint`` says where it is, whom we take for its server, and who signs in: nobody without a name."""

    service: Service
    endpoint: Endpoint

    @property
    def place(self) -> str:
        """Where it is, as people write it."""
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        return f"{host}:{self.endpoint.port}"

    @property
    def key(self) -> str:
        """What it is called where its greeting is kept."""
        return f"{self.service} {self.place}"

    @property
    def signs_in(self) -> bool:
        """True when somebody can be let in here whose name and password are known."""
        return self.service is not Service.SMTP and bool(self.endpoint.username)


def port_at(service: Service, endpoint: Endpoint, host: str, number: int) -> Port:
    """Return the door of ``service`` at ``host``, for whom and with whose certificate ``endpoint`` says."""
    security: Security = endpoint.security
    if service in _TLS_FIRST:
        security = "tls"
    elif security == "tls":
        security = "starttls"
    return Port(service, replace(endpoint, host=host, port=number, security=security))


class Greeting(NamedTuple):
    """What answers at a door. ``error`` says why there are no words; a door can be open and say nothing."""

    is_open: bool
    words: str = ""
    error: MigratorError | None = None


def greeting(port: Port, limits: Limits = PATIENCE) -> Greeting:
    """Return with which words ``port`` greets; nothing is sent there."""
    endpoint = port.endpoint
    if endpoint.security == "starttls":
        endpoint = replace(endpoint, security="plain")
    try:
        line = TextLine(endpoint, _SIDE, limits)
    except MigratorError as error:
        return Greeting(error.code not in _UNREACHED, "", _without_side(error))
    try:
        return Greeting(True, clean(line.line().decode("latin-1"))[:200])
    except MigratorError as error:
        return Greeting(True, "", _without_side(error))
    finally:
        line.close()


def lasting(words: str) -> str:
    """Return what of a greeting is the same from one minute to the next."""
    return " ".join(_PASSING.sub(" ", words).split()).casefold()


def sign_in(port: Port, limits: Limits = PATIENCE) -> MigratorError | None:
    """Sign in at ``port`` and leave again; return what went wrong. One try: passwords are not guessed."""
    try:
        _KNOCKS[port.service](port.endpoint, limits)
    except MigratorError as error:
        return _without_side(error)
    return None


def _imap(endpoint: Endpoint, limits: Limits) -> None:
    with closing(ImapSession(endpoint, _SIDE, limits)):
        pass


def _pop3(endpoint: Endpoint, limits: Limits) -> None:
    Pop3Session(endpoint, limits).drop()


def _sieve(endpoint: Endpoint, limits: Limits) -> None:
    SieveSession(endpoint, limits, _SIDE).line.close()


def _submission(endpoint: Endpoint, limits: Limits) -> None:
    with submission(endpoint, limits):
        pass


@contextmanager
def submission(endpoint: Endpoint, limits: Limits = PATIENCE) -> Iterator[smtplib.SMTP]:
    """Sign in as a mail program does that sends, and yield the session; without a name nobody signs in.

    By one method, so that the password is sent once. Raises ``MigratorError``, whatever goes wrong inside, too.
    """
    make: Callable[..., smtplib.SMTP] = smtplib.SMTP
    more = {}
    try:
        if endpoint.security == "tls":
            make, more = smtplib.SMTP_SSL, {"context": endpoint.context()}
        with make(endpoint.host, endpoint.port, timeout=limits.io_seconds, **more) as session:
            if endpoint.security == "starttls":
                session.starttls(context=endpoint.context())
            session.ehlo_or_helo_if_needed()
            if endpoint.username:
                _authenticate(session, endpoint)
            yield session
    except smtplib.SMTPAuthenticationError as error:
        words = clean(_text(error.smtp_error))
        code = "sign_in.refused" if 500 <= error.smtp_code < 600 else "sign_in.temporarily_unavailable"
        raise MigratorError(code, reply=f"{error.smtp_code} {words}") from None
    except smtplib.SMTPException as error:
        raise MigratorError("line.lost", reply=clean(str(error))[:200]) from None
    except OSError as error:
        raise classify_exception(error, side=_SIDE, phase="connect") from None


def _authenticate(session: smtplib.SMTP, endpoint: Endpoint) -> None:
    """Send name and password once, in UTF-8 (RFC 4616); smtplib's own way takes ASCII alone."""
    offered = session.esmtp_features.get("auth", "")
    if "PLAIN" not in offered.upper().split():
        raise MigratorError("sign_in.no_method", reply=offered)
    words = b64encode(f"\0{endpoint.login}\0{endpoint.password.reveal()}".encode()).decode("ascii")
    code, told = session.docmd("AUTH", f"PLAIN {words}")
    if code == 334:  # it wants them on a line of their own
        code, told = session.docmd(words)
    if code not in (235, 503):  # 503: signed in already
        raise smtplib.SMTPAuthenticationError(code, told)


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


_KNOCKS: Final[dict[Service, Callable[[Endpoint, Limits], None]]] = {
    Service.IMAP: _imap,
    Service.IMAPS: _imap,
    Service.POP3: _pop3,
    Service.POP3S: _pop3,
    Service.SUBMISSION: _submission,
    Service.SUBMISSIONS: _submission,
    Service.SIEVE: _sieve,
}


def _without_side(error: MigratorError) -> MigratorError:
    """Return the error as one of no side: a door is named by its place."""
    error.side = None
    return error
