"""Services of a mailbox beside its mail: Sieve scripts (ManageSieve), the names that POP3 programs know mail by, and
CommuniGate's command line, which knows the classes of folders.

Where they are is an administrator's word, in the row of the server: HOST:PORT, HOST or :PORT; empty, the server's own
host at the usual port. Whoever opens the mailbox signs in there, too, so the stored password belongs to these places
as much as to the server's own. The command line is where the campaign's connection to the accounts of that CommuniGate
says, and asked by whom it signs in; without one it is looked for on the server's own host, at its usual port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, cast

from campaigns.bridge import host_files, places, vault
from campaigns.bridge.connect import Approach, hosts_of, require_allowed
from campaigns.models import Connector, Server
from migrator.directories.communigate_classes import CommuniGateClasses, server_beside
from migrator.directories.communigate_line import CommuniGateServer
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.options import Options
from migrator.stores.base import PopNamed, offers
from migrator.stores.beside import Place, place_of
from migrator.stores.endpoint import Endpoint
from migrator.stores.pop3_listing import listing_beside, pop_listing
from migrator.stores.sieve import PORT as SIEVE_PORT
from migrator.stores.sieve import SieveScripts, endpoint_beside
from migrator.transfer.pop_names import PopNamer, namer

COLUMNS: Final = ("sieve_place", "pop3_place")  # of a server's row
COMMUNIGATE: Final = "communigate"  # the kind of connections to its accounts


def place(server: Server, column: str) -> Place:
    """Return where a service is, by the column of the row."""
    text = getattr(server, column)
    return place_of(text) if text else Place()


def hosts(server: Server) -> Iterator[str]:
    """Yield the hosts beside the server's own that its row names."""
    yield from filter(None, (place(server, column).host for column in COLUMNS))


def scripts(approach: Approach, side: Side, limits: Limits, *, is_admitted: bool) -> SieveScripts:
    """Return the Sieve scripts of ``side``; nothing is opened yet. Raises ``MigratorError``, as ``endpoint`` does."""
    found = place(approach.server(side), "sieve_place")
    own = _endpoint(approach, side, found, is_admitted=is_admitted)
    return SieveScripts(endpoint_beside(own, found.host, found.port or SIEVE_PORT), limits, side)


def pop_namer(approach: Approach, *, is_admitted: bool) -> Callable[[object], PopNamer]:
    """Return what tells, of an open source, by which names POP3 programs know its messages.

    Where mail is read by IMAP the server's own list is asked for by POP3 at that moment; this raises ``MigratorError``.
    """

    def of(source: object) -> PopNamer:
        if offers(source, "pop_name_of"):
            return cast(PopNamed, source).pop_name_of
        found = place(approach.server(Side.SOURCE), "pop3_place")
        own = _endpoint(approach, Side.SOURCE, found, is_admitted=is_admitted)
        return namer(pop_listing(listing_beside(own, found.host, found.port), approach.limits, Side.SOURCE))

    return of


def classes(approach: Approach, side: Side, limits: Limits, *, is_admitted: bool) -> CommuniGateClasses:
    """Return the classes of folders of ``side``; nothing is opened yet. Raises ``MigratorError``, as ``endpoint``."""
    row = command_line(approach, side)
    if row is not None:
        return CommuniGateClasses(_connected(row, limits), side, approach.login(side))
    endpoint = _endpoint(approach, side, Place(), is_admitted=is_admitted)
    return CommuniGateClasses(server_beside(endpoint, "", None, limits, side), side, endpoint.authzid)


def command_line(approach: Approach, side: Side) -> Connector | None:
    """Return the campaign's connection to the accounts of the CommuniGate of ``side``, if it has one."""
    campaign = approach.account.campaign
    target = (campaign.target_directory, campaign.population)
    rows = (campaign.source_directory,) if side is Side.SOURCE else target
    return next((row for row in rows if row is not None and row.kind == COMMUNIGATE), None)


def _connected(row: Connector, limits: Limits) -> CommuniGateServer:
    for host in hosts_of(row.options):
        require_allowed(host)
    try:
        found = CommuniGateServer.of(Options(host_files.resolved(row.options)), vault.unseal(row, "secret"))
    except ValueError as error:
        raise MigratorError("connector.invalid", reply=str(error)) from None
    return replace(
        found,
        connect_seconds=min(found.connect_seconds, limits.connect_seconds),
        answer_seconds=min(found.answer_seconds, limits.io_seconds),
    )


def _endpoint(approach: Approach, side: Side, found: Place, *, is_admitted: bool) -> Endpoint:
    if not places.signs_in(approach.server(side)):
        raise MigratorError("sign_in.no_method", side=side)
    if found.host:
        require_allowed(found.host)
    return approach.endpoint(side, is_admitted=is_admitted)


class FencedScripts:
    """A ``ScriptStore`` that asks for leave before each change, as all that is changed on the target is."""

    def __init__(self, store: SieveScripts, check: Callable[[], None]) -> None:
        self._store, self._check = store, check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, name: str, script: bytes) -> MigratorError | None:
        """See ScriptStore. Raises ``LeaseLost``."""
        self._check()
        return self._store.put(name, script)

    def activate(self, name: str) -> MigratorError | None:
        """See ScriptStore. Raises ``LeaseLost``."""
        self._check()
        return self._store.activate(name)


def in_a_hurry(limits: Limits, seconds: float) -> Limits:
    """Return ``limits`` for a time in which somebody is locked out: no server is waited for longer."""
    return replace(
        limits,
        connect_seconds=min(limits.connect_seconds, seconds),
        io_seconds=min(limits.io_seconds, seconds),
    )
