"""Trying a connection: what answers there, and whether it lets us in. For whoever sets up, before any campaign.

Every look is told, the good ones too, and the last ones say why there is nothing more to see. Nothing is changed
anywhere, and a password is sent once.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from migrator.directories.base import Directory
from migrator.entries import Json
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.routes.base import Route
from migrator.sessions.base import Sessions
from migrator.stores import imap_listing, imap_parse, imap_quota, trust
from migrator.stores.base import Quota
from migrator.stores.imap_session import Endpoint, ImapSession

PATIENCE: Final = Limits(connect_seconds=8, io_seconds=8)
_OF_CERTIFICATE: Final = frozenset(("server.certificate", "server.certificate_changed"))
_LITTLE: Final = 0.1  # of what a mailbox may hold: somebody should know that no more is left
_SIDE: Final = Side.SOURCE  # a session wants one; errors leave here without it


class Look(StrEnum):
    """What is looked at."""

    REACH = "reach"
    ENCRYPTION = "encryption"
    PRODUCT = "product"
    ABILITIES = "abilities"
    ADMIN = "admin"  # an administrator opens the mailbox of the account that is named
    USER = "user"  # the account that is named signs in itself
    LIMITS = "limits"
    ROOM = "room"  # for the account that is named, or for any mail at all
    SUBMISSION = "submission"  # the account sends a message to itself
    ARRIVAL = "arrival"  # and it comes
    REMOVAL = "removal"  # and is taken away again
    STORED = "stored"  # what is stored stays where and as it is
    SIGN_IN = "sign_in"  # our own, to a directory or route
    FOUND = "found"  # what a connector says of the account that is named
    TIME = "time"


class Outcome(StrEnum):
    """How a look went."""

    GOOD = "good"
    WARNING = "warning"  # it works, and somebody should know this
    BAD = "bad"
    NONE = "none"  # there was nothing to look with


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. ``code`` is the error's, or which kind of result; ``facts`` survive JSON."""

    look: Look
    outcome: Outcome
    code: str = ""
    reply: str = ""
    facts: Mapping[str, Json] = field(default_factory=dict)


def try_server(endpoint: Endpoint, doors: Mapping[Look, Endpoint], limits: Limits = PATIENCE) -> Iterator[Finding]:
    """Yield what the server at ``endpoint`` is, and whether each of ``doors`` (ADMIN, USER) lets in.

    The user and password of ``endpoint`` itself are not sent.
    """
    try:
        session = ImapSession(endpoint, _SIDE, limits, signs_in=False)
    except MigratorError as error:
        yield from unreached(error, lambda: _shown(endpoint, limits))
        return
    with closing(session):
        yield Finding(Look.REACH, Outcome.GOOD)
        yield encryption(session.wire.sock, endpoint)
        if not doors:
            yield from _described(session)
    is_described = False
    for look, door in doors.items():
        try:
            session = ImapSession(door, _SIDE, limits)
        except MigratorError as error:
            yield bad(look, error)
            continue
        with closing(session):
            opened = _opened(look, session)
            yield opened
            if not is_described:
                yield from _described(session)
                if opened.outcome is Outcome.GOOD:  # last, for some servers count for so long that the line is given up
                    yield _room(session)
                is_described = True


def try_directory(directory: Directory, address: str) -> Iterator[Finding]:
    """Yield whether a directory answers, lets us in, and knows ``address``."""
    try:
        values = directory.find(address)
        refused = directory.is_disabled(address) if values is not None else False
    except MigratorError as error:
        yield from connector_error(error)
        return
    yield from let_in()
    if values is None:
        yield Finding(Look.FOUND, Outcome.BAD, "directory.missing")
    else:
        yield Finding(Look.FOUND, Outcome.GOOD, "closed" if refused else "open", facts={"values": dict(values)})


def try_route(route: Route, address: str) -> Iterator[Finding]:
    """Yield whether a route answers, lets us in, and says which server serves ``address``."""
    try:
        values, side = route.find(address), None
        side = route.current(address) if values is not None else None
    except MigratorError as error:
        yield from connector_error(error)
        return
    yield from let_in()
    if values is None:
        yield Finding(Look.FOUND, Outcome.BAD, "directory.missing")
    elif side is None:
        yield Finding(Look.FOUND, Outcome.WARNING, "route.elsewhere", facts={"values": dict(values)})
    else:
        yield Finding(Look.FOUND, Outcome.GOOD, f"served_by_{side}", facts={"values": dict(values)})


def try_sessions(sessions: Sessions, address: str) -> Iterator[Finding]:
    """Yield whether sessions are told, and how many ``address`` has open. None is ended."""
    try:
        count = sessions.open(address)
    except MigratorError as error:
        yield bad(Look.REACH if error.code == "command.missing" else Look.FOUND, error)
        return
    yield Finding(Look.REACH, Outcome.GOOD)
    yield Finding(Look.FOUND, Outcome.GOOD, "sessions", facts={"count": count})


def unreached(error: MigratorError, show: Callable[[], Mapping[str, Json]]) -> Iterator[Finding]:
    """Yield what an error before any sign-in means: encryption comes after reaching.

    A certificate that is not taken is looked at once more, by ``show``, for whoever may vouch for it.
    """
    if error.code in _OF_CERTIFICATE:
        yield Finding(Look.REACH, Outcome.GOOD)
        yield replace(bad(Look.ENCRYPTION, error), facts={**show(), **error.params})
    elif error.code.startswith("tls."):
        yield Finding(Look.REACH, Outcome.GOOD)
        yield bad(Look.ENCRYPTION, error)
    else:
        yield bad(Look.REACH, error)


def _shown(endpoint: Endpoint, limits: Limits) -> dict[str, Json]:
    """Return what the certificate says that the server shows; nothing where it cannot be had."""
    try:
        session = ImapSession(for_anyone(endpoint), _SIDE, limits, signs_in=False)
    except MigratorError:
        return {}
    with closing(session):
        return certificate_facts(session.wire.sock)


def for_anyone(endpoint: Endpoint) -> Endpoint:
    """Return the endpoint as it would be for whoever looks at a certificate: nothing is to be sent there."""
    return replace(endpoint, verify=False, fingerprint=None)


def certificate_facts(line: socket.socket) -> dict[str, Json]:
    """Return what the certificate of a line says; nothing where it is not encrypted."""
    der = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
    if der is None:
        return {}
    found = trust.describe(der)
    return {
        "fingerprint": found.fingerprint,
        "names": list(found.names),
        "issuer": found.issuer,
        "begins_at": found.begins_at,
        "ends_at": found.ends_at,
    }


def encryption(line: socket.socket, endpoint: Endpoint) -> Finding:
    """Return what protects a line."""
    if not isinstance(line, ssl.SSLSocket):
        return Finding(Look.ENCRYPTION, Outcome.WARNING, "plain")
    facts: dict[str, Json] = {"version": line.version() or ""}
    if endpoint.fingerprint is not None:
        return Finding(Look.ENCRYPTION, Outcome.GOOD, "accepted", facts=facts | certificate_facts(line))
    if not endpoint.verify:
        return Finding(Look.ENCRYPTION, Outcome.WARNING, "unchecked", facts=facts)
    certificate = line.getpeercert() or {}
    facts["issuer"] = _issuer(certificate)
    facts["ends_at"] = ssl.cert_time_to_seconds(str(certificate["notAfter"])) if "notAfter" in certificate else None
    return Finding(Look.ENCRYPTION, Outcome.GOOD, "checked", facts=facts)


def _issuer(certificate: Mapping[str, Any]) -> str:
    names = {name: value for part in certificate.get("issuer", ()) for name, value in part}
    return str(names.get("organizationName") or names.get("commonName") or "")


def _opened(look: Look, session: ImapSession) -> Finding:
    """Return whether a mailbox whose door let us in can be read: some servers open it and then show nothing."""
    try:
        folders = len(imap_listing.list_account(session).folders())
    except MigratorError as error:
        return bad(look, error)
    return Finding(look, Outcome.GOOD, "opened", facts={"folders": folders})


def _room(session: ImapSession) -> Finding:
    """Return how much more the mailbox takes. What the server's disks take no mail server tells."""
    try:
        quotas = imap_quota.read(session) if session.has("QUOTA") else []
    except MigratorError as error:
        return bad(Look.ROOM, error)
    held_bytes = None
    with suppress(MigratorError):  # without it the limits are worth telling, too
        held_bytes = imap_quota.held_bytes(session)
    return room_of(quotas, held_bytes)


def room_of(quotas: Sequence[Quota], held_bytes: int | None) -> Finding:
    """Return what limits mean: the tightest of each resource; ``held_bytes`` where the server counts what it holds."""
    facts: dict[str, Json] = {} if held_bytes is None else {"held_bytes": held_bytes}
    if not quotas:
        return Finding(Look.ROOM, Outcome.NONE, "untold", facts=facts)
    for quota in quotas:
        facts |= {f"{quota.resource.lower()}_free": quota.free, f"{quota.resource.lower()}_limit": quota.limit}
    if any(quota.free <= 0 for quota in quotas):
        return Finding(Look.ROOM, Outcome.BAD, "target.full", facts=facts)
    is_tight = any(quota.free < quota.limit * _LITTLE for quota in quotas)
    return Finding(Look.ROOM, Outcome.WARNING if is_tight else Outcome.GOOD, "room", facts=facts)


def _described(session: ImapSession) -> Iterator[Finding]:
    """Yield what the server is and can do, as it tells in this session."""
    try:
        yield from _told(session)
    except MigratorError as error:
        yield bad(Look.PRODUCT, error)


def _told(session: ImapSession) -> Iterator[Finding]:
    if session.has("ID"):
        fields = next(filter(None, map(imap_parse.identity, session.ask((b"ID NIL\r\n",)).untagged)), {})
        session.introduce(fields)
    profile = session.profile
    is_known = profile.name != "generic"
    told: dict[str, Json] = {"profile": profile.name if is_known else "", "words": session.product[:200]}
    yield Finding(Look.PRODUCT, Outcome.GOOD, "known" if is_known else "unknown", facts=told)
    lacks: list[Json] = [
        name for name, has in (("changes", session.has_condstore), ("places", session.has("UIDPLUS"))) if not has
    ]
    yield Finding(Look.ABILITIES, Outcome.WARNING if lacks else Outcome.GOOD, facts={"lacks": lacks})
    limits: dict[str, Json] = {"message_bytes": session.append_limit, "errors": profile.max_errors}
    yield Finding(Look.LIMITS, Outcome.GOOD, facts=limits)


_BEFORE_SIGN_IN: Final = frozenset({"directory.unreachable", "server.certificate", "tls.failed", "connector.invalid"})


def connector_error(error: MigratorError) -> Iterator[Finding]:
    """Yield what an error of a directory means for each look before it."""
    if error.code in _BEFORE_SIGN_IN:
        yield bad(Look.REACH, error)
        return
    yield Finding(Look.REACH, Outcome.GOOD)
    if error.code == "directory.refused":
        yield bad(Look.SIGN_IN, error)
        return
    yield Finding(Look.SIGN_IN, Outcome.GOOD)
    yield bad(Look.FOUND, error)


def let_in() -> Iterator[Finding]:
    """Yield what it shows that a server has answered and taken our name."""
    yield Finding(Look.REACH, Outcome.GOOD)
    yield Finding(Look.SIGN_IN, Outcome.GOOD)


def bad(look: Look, error: MigratorError) -> Finding:
    """Return an error as a finding."""
    return Finding(look, Outcome.BAD, error.code, error.reply[:500])
