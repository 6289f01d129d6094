"""Test connection: a server or connector is tried at once, for somebody who waits for the answer, and it is told.

A trial has a deadline of its own: whatever a server does to keep us, the page comes back. The result is an event with
its actor; pages read the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any, Final

from campaigns.bridge import places, vault
from campaigns.bridge.connect import endpoint_of, open_row, require_allowed
from campaigns.models import Connector, Server, User
from campaigns.services.connectors import REGISTRIES
from campaigns.services.events import record
from migrator.errors import MigratorError, Side
from migrator.preflight import probe, probe_night, probe_others
from migrator.preflight.probe import Finding, Look, Outcome
from migrator.secret import Secret
from migrator.stores.imap_session import Endpoint

SERVER_TESTED: Final = "server.tested"
CONNECTOR_TESTED: Final = "connector.tested"
MOST_SECONDS: Final = 25.0

_TRIES: Final[dict[str, Callable[[Any, str], Iterator[Finding]]]] = {
    Connector.Room.DIRECTORY: probe.try_directory,
    Connector.Room.ROUTE: probe.try_route,
    Connector.Room.SESSIONS: probe.try_sessions,
    Connector.Room.HOLD: probe_night.try_hold,
    Connector.Room.POPULATION: probe_night.try_population,
    Connector.Room.PUBLICATION: probe_night.try_publication,
}


def try_server(
    server: Server, login: str, password: Secret | None, *, actor: User, seconds: float = MOST_SECONDS
) -> list[Finding]:
    """Try a server and return what was found; ``login`` is the account on which access is proved, empty for none.

    With a ``password`` the account signs in itself, too; it is not stored. Changes nothing but our events.
    """
    try:
        looks = _looks(server, login, password)
    except MigratorError as error:
        found = [Finding(Look.REACH, Outcome.BAD, error.code, error.reply)]
    else:
        found = within(seconds, looks)
        found += _unproved(server, login, found)
    record(SERVER_TESTED, actor=actor, row=server.pk, called=server.name, account=login, found=stored(found))
    return found


def try_connector(connector: Connector, address: str, *, actor: User, seconds: float = MOST_SECONDS) -> list[Finding]:
    """Try a connector on the account ``address`` and return what was found. Changes nothing but our events."""
    try:
        opened = open_row(connector, REGISTRIES[connector.room])
    except MigratorError as error:
        found = [Finding(Look.REACH, Outcome.BAD, error.code, error.reply)]
    else:
        found = within(seconds, lambda: _ask(connector.room, opened, address))
    facts: dict[str, Any] = {"row": connector.pk, "called": connector.name, "account": address}
    record(CONNECTOR_TESTED, actor=actor, **facts, found=stored(found))
    return found


def _looks(server: Server, login: str, password: Secret | None) -> Callable[[], Iterator[Finding]]:
    """Return how a server of its kind is tried. Raises ``MigratorError``."""
    if places.is_files(server):
        places.require_readable(server)
        files = partial(places.open_files, server, Side.SOURCE, login, probe.PATIENCE)
        return lambda: chain(_reached(), probe_others.try_files(files) if login else ())
    require_allowed(server.host)
    endpoint = endpoint_of(server, "", Secret(""))
    if not places.signs_in(server):
        return lambda: probe_others.try_delivery(endpoint, login, is_local=server.kind == "lmtp")
    doors = _doors(server, login, password)
    try_kind = probe.try_server if server.kind == places.IMAP else probe_others.try_pop3
    return lambda: try_kind(endpoint, doors)


def _reached() -> Iterator[Finding]:
    yield Finding(Look.REACH, Outcome.GOOD, "folder")


def _doors(server: Server, login: str, password: Secret | None) -> dict[Look, Endpoint]:
    doors = {}
    admin = vault.unseal(server, "admin_secret")
    if login and server.admin_login and admin is not None:
        doors[Look.ADMIN] = endpoint_of(server, server.admin_login, admin, authzid=login)
    if login and password is not None:
        doors[Look.USER] = endpoint_of(server, login, password)
    return doors


def _unproved(server: Server, login: str, found: list[Finding]) -> list[Finding]:
    """Return what there was nothing to look with for, where the server was reached at all."""
    looked_at = {Look.ADMIN, Look.USER, Look.FOUND} & {finding.look for finding in found}
    if looked_at or any(finding.outcome is Outcome.BAD for finding in found):
        return []
    if not places.signs_in(server):
        return [Finding(Look.FOUND, Outcome.NONE, "account")]
    return [Finding(Look.ADMIN if server.admin_login else Look.USER, Outcome.NONE, "password" if login else "account")]


def _ask(room: str, opened: Any, address: str) -> Iterator[Finding]:
    with closing(opened):
        yield from _TRIES[room](opened, address)


def within(seconds: float, looks: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Return what ``looks`` finds until the time is up; then it says so, and the rest ends by its own time limits."""
    found: list[Finding] = []
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(_gather, looks, found).result(seconds)
    except OutOfTime:
        return [*found, Finding(Look.TIME, Outcome.BAD, "line.silent")]
    finally:
        pool.shutdown(wait=False)
    return found


def _gather(looks: Callable[[], Iterator[Finding]], found: list[Finding]) -> None:
    for finding in looks():
        found.append(finding)  # noqa: PERF402  one by one: the time may be up at any moment


def stored(found: list[Finding]) -> list[dict[str, Any]]:
    """Return findings as an event keeps them."""
    return [{name: value for name, value in asdict(finding).items() if value} for finding in found]
