"""Trying a place that is not spoken to by IMAP: POP3, SMTP and LMTP servers, files of mail. As probe.py does.

Nothing is changed anywhere: no message is marked as read, none is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, Final

from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.events import Event, FileSkipped, StoreExposed
from migrator.limits import Limits
from migrator.preflight.probe import (
    PATIENCE,
    Finding,
    Look,
    Outcome,
    bad,
    certificate_facts,
    encryption,
    for_anyone,
    unreached,
)
from migrator.stores.endpoint import Endpoint
from migrator.stores.pop3_session import Pop3Session
from migrator.stores.smtp_session import SmtpSession

_BIG_MESSAGE: Final = 100_000_000
_RECIPIENT: Final = re.compile(r"[^\s<>\x00-\x20\x7f]{1,320}")


def try_pop3(endpoint: Endpoint, doors: Mapping[Look, Endpoint], limits: Limits = PATIENCE) -> Iterator[Finding]:
    """Yield what the server at ``endpoint`` is, and whether each of ``doors`` (ADMIN, USER) lets in."""
    look_at = partial(Pop3Session, limits=limits, signs_in=False)
    try:
        session = look_at(endpoint)
    except MigratorError as error:
        yield from unreached(error, lambda: _shown(look_at, endpoint))
        return
    try:
        yield Finding(Look.REACH, Outcome.GOOD)
        yield encryption(session.line.sock, endpoint)
        yield _greeting(session.product)
    finally:
        session.drop()
    for look, door in doors.items():
        yield from _try_postbox(look, door, limits)


def _try_postbox(look: Look, door: Endpoint, limits: Limits) -> Iterator[Finding]:
    try:
        session = Pop3Session(door, limits)
    except MigratorError as error:
        yield bad(look, error)
        return
    try:
        sizes, names = session.listing()
        yield Finding(look, Outcome.GOOD, "messages", facts={"messages": len(sizes)})
        lacks: list[Json] = [] if names is not None or not sizes else ["names"]
        yield Finding(Look.ABILITIES, Outcome.WARNING if lacks else Outcome.GOOD, "pop3", facts={"lacks": lacks})
    except MigratorError as error:
        yield bad(look, error)
    finally:
        session.drop()


def try_delivery(endpoint: Endpoint, recipient: str, *, is_local: bool, limits: Limits = PATIENCE) -> Iterator[Finding]:
    """Yield what answers at ``endpoint`` by SMTP (LMTP: ``is_local``), and whether it takes mail for ``recipient``."""
    look_at = partial(SmtpSession, limits=limits, is_local=is_local)
    try:
        session = look_at(endpoint)
    except MigratorError as error:
        yield from unreached(error, lambda: _shown(look_at, endpoint))
        return
    with closing(session):
        yield Finding(Look.REACH, Outcome.GOOD)
        yield encryption(session.line.sock, endpoint)
        yield _greeting(session.greeting)
        yield Finding(Look.LIMITS, Outcome.GOOD, facts={"message_bytes": session.size_limit})
        yield room_of(session)
        if recipient:
            yield _taken(session, recipient)


def room_of(session: SmtpSession) -> Finding:
    """Return whether a server has room for a message: it tells when it has not, and never how much there is."""
    if "SIZE" not in session.extensions:
        return Finding(Look.ROOM, Outcome.NONE, "untold")
    octets = min(session.size_limit or _BIG_MESSAGE, _BIG_MESSAGE)
    try:
        error = session.try_size(octets)
    except MigratorError as lost:
        error = lost
    if error is not None:
        return bad(Look.ROOM, error)
    return Finding(Look.ROOM, Outcome.GOOD, "message", facts={"message_bytes": octets})


def _taken(session: SmtpSession, recipient: str) -> Finding:
    if not _RECIPIENT.fullmatch(recipient):
        return bad(Look.FOUND, MigratorError("address.bad"))
    try:
        error = session.try_recipient(recipient)
    except MigratorError as lost:
        error = lost
    return bad(Look.FOUND, error) if error else Finding(Look.FOUND, Outcome.GOOD, "recipient")


def try_files(opener: Callable[[], Any]) -> Iterator[Finding]:
    """Yield whether the mail of one person can be read, and what of it is there."""
    try:
        with opener() as store:
            folders = store.folders()
            news = _News()
            store.tell_news(news)
    except MigratorError as error:
        yield bad(Look.FOUND, error)
        return
    messages = sum(folder.messages or 0 for folder in folders)
    yield Finding(Look.FOUND, Outcome.GOOD, "files", facts={"folders": len(folders), "messages": messages})
    for event in news.told:
        if isinstance(event, StoreExposed):
            code = "exposed_to_writing" if event.is_writable else "exposed"
            yield Finding(Look.FOUND, Outcome.WARNING, code, event.path)
        elif isinstance(event, FileSkipped):
            yield Finding(Look.FOUND, Outcome.WARNING, "file_skipped", event.path)


class _News:
    def __init__(self) -> None:
        self.told: list[Event] = []

    def emit(self, event: Event) -> None:
        self.told.append(event)


def _shown(look_at: Callable[[Endpoint], Pop3Session | SmtpSession], endpoint: Endpoint) -> dict[str, Json]:
    try:
        session = look_at(for_anyone(endpoint))
    except MigratorError:
        return {}
    try:
        return certificate_facts(session.line.sock)
    finally:
        session.drop()


def _greeting(words: str) -> Finding:
    return Finding(Look.PRODUCT, Outcome.GOOD, "unknown", facts={"words": words[:200]})
