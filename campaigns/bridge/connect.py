"""From rows to the world: which server, who signs in there, and through which connectors a user is governed.

A side is *governed* when a directory or a route says who may sign in there. From DISABLE on, the user is refused at a
governed source, and at a governed target until ENABLE; so there an administrator opens the mailbox in the user's name
(SASL authorization identity). The user's own password serves where the user is admitted: at the source while they work
there, and on both sides where nobody governs anything.

Nothing is opened that administrators have not allowed: every host of every server and connector is looked up among the
allowed addresses at the moment of use, whoever wrote the row (a request forged by the panel for others ends here).
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self, cast
from urllib.parse import quote, urlsplit

from django.conf import settings

from campaigns.bridge import copying, host_files, places, vault, way_in
from campaigns.bridge.fences import FencedConnector, FencedSource, FencedStore
from campaigns.models import Account, AllowedAddress, Connector, Server
from campaigns.states import AccountState, Owner
from migrator.directories import DIRECTORIES, POPULATIONS, PUBLICATIONS
from migrator.directories.base import Directory, Population, Publication, Service
from migrator.entries import Json, Kind, open_connector
from migrator.errors import MigratorError, Radius, Side
from migrator.holds import HOLDS
from migrator.holds.base import MailHold
from migrator.journal import StepKind
from migrator.limits import Clock, Limits, StopSignal, SystemClock
from migrator.options import Options
from migrator.preflight.base import sign_in
from migrator.preflight.front_door import lands_at
from migrator.recipes import Recipe, recipe_of
from migrator.routes import ROUTES
from migrator.routes.base import Route
from migrator.routes.front import front_door
from migrator.secret import Secret
from migrator.sessions import SESSIONS
from migrator.sessions.base import Sessions
from migrator.steps.copying import Mail
from migrator.steps.kit import Access, Approval, Kit, Named
from migrator.stores.base import SourceStore, TargetStore
from migrator.stores.imap_session import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.verify import VerifyLevel


@dataclass(frozen=True, slots=True)
class World:
    """What rows are connected to. Tests bring another one; nothing else does."""

    source: Callable[[Endpoint, Limits], SourceStore] = ImapSource
    target: Callable[[Endpoint, Limits], TargetStore] = ImapTarget
    directories: Mapping[str, Kind] = field(default_factory=lambda: DIRECTORIES)
    routes: Mapping[str, Kind] = field(default_factory=lambda: ROUTES)
    sessions: Mapping[str, Kind] = field(default_factory=lambda: SESSIONS)
    holds: Mapping[str, Kind] = field(default_factory=lambda: HOLDS)
    populations: Mapping[str, Kind] = field(default_factory=lambda: POPULATIONS)
    publications: Mapping[str, Kind] = field(default_factory=lambda: PUBLICATIONS)
    clock: Clock = field(default_factory=SystemClock)
    limits: Limits = field(default_factory=Limits)


WORLD: Final = World()


# In these a night has begun that may have to be undone.
_OF_A_NIGHT: Final = (
    AccountState.CUTTING_OVER,
    AccountState.HELD,
    AccountState.ROLLING_BACK,
    AccountState.ATTENTION,
    AccountState.DONE,
)


def night_recipe(account: Account) -> Recipe:
    """Return the order of an account's night: as its campaign has it, or, once it has begun, as it was then."""
    if account.night_recipe and account.state in _OF_A_NIGHT:
        return recipe_of(account.night_recipe, account.night_steps)
    return recipe_of(account.campaign.recipe, account.campaign.steps)


class Approach:
    """How one account is reached on both sides: ``with Approach(account, world) as approach``.

    Nothing connects before it is used. Connectors are opened once and closed with the block; stores close themselves.
    ``check`` is called before anything is changed through a connector: whoever lost the right raises there.
    """

    def __init__(self, account: Account, world: World = WORLD, check: Callable[[], None] = lambda: None) -> None:
        self.account = account
        self.world = world
        self._check = check
        self.options = copying.of_account(account)  # of this run: who changes them means the next
        self.limits = copying.limits(world.limits, self.options)
        self.late: list[str] = []  # addresses that may have been changed after the right to it was lost
        self._open = ExitStack()
        self._opened: dict[int, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    # Mailboxes

    def source(self, *, is_admitted: bool = False) -> SourceStore:
        """Return the mailbox at the source, not yet connected.

        ``is_admitted``: its user may sign in now, so their own password opens it. Raises ``MigratorError``.
        """
        return cast(SourceStore, self._mailbox(Side.SOURCE, is_admitted))

    def shrinking_source(self) -> SourceStore:
        """Return the mailbox at the source as one that proved mail is removed from, not yet connected."""
        return cast(SourceStore, FencedSource(self._mailbox(Side.SOURCE, is_admitted=False), self._check))

    def target(self, *, is_admitted: bool = False) -> TargetStore:
        """Return the mailbox at the target, as ``source`` does."""
        return cast(TargetStore, FencedStore(self._mailbox(Side.TARGET, is_admitted), self._check, self._is_live))

    def _is_live(self) -> bool:
        """True from the moment on that the user may work on the target: nothing may ever be removed there then."""
        return self.account.owner != Owner.SOURCE

    def turned_source(self) -> SourceStore:
        """Return the mailbox at the target to read from, for the way back; not yet connected. Raises as ``source``."""
        return self.world.source(self.endpoint(Side.TARGET), self.limits)

    def turned_target(self) -> TargetStore:
        """Return the mailbox at the source to write to, for the way back."""
        return cast(TargetStore, FencedStore(self.world.target(self.endpoint(Side.SOURCE), self.limits), self._check))

    def _mailbox(self, side: Side, is_admitted: bool) -> Any:
        server, limits = self.server(side), self.limits
        if places.is_files(server):
            return places.open_files(server, side, self.login(side), limits)
        endpoint = self.endpoint(side, is_admitted=is_admitted)
        if server.kind != places.IMAP:
            return places.open_line(server, side, endpoint, self.login(side), limits)
        return (self.world.source if side is Side.SOURCE else self.world.target)(endpoint, limits)

    def endpoint(self, side: Side, *, is_admitted: bool = False, as_admin: bool | None = None) -> Endpoint:
        """Return where a mailbox is and who opens it. ``as_admin`` decides who, whatever the state of things.

        Raises ``MigratorError``: preflight.no_admin, preflight.no_password, address.not_allowed, secret.*.
        """
        server = self.server(side)
        require_allowed(server.host)
        if not places.signs_in(server):
            return endpoint_of(server, "", Secret(""))
        if as_admin is None:
            as_admin = self.is_opened_by_admin(side, is_admitted=is_admitted)
        if as_admin:
            found = endpoint_of(server, server.admin_login, self._admin_password(side), authzid=self.login(side))
            return self._asked(found, side)
        password = self.password(side)
        if password is None:
            raise MigratorError("preflight.no_password", side=side)
        return self._asked(endpoint_of(server, self.login(side), password), side)

    def _asked(self, endpoint: Endpoint, side: Side) -> Endpoint:
        is_source = side is Side.SOURCE
        return replace(endpoint, manners=copying.manners(self.account, self.options)) if is_source else endpoint

    def is_opened_by_admin(self, side: Side, *, is_admitted: bool) -> bool:
        """True when an administrator opens the mailbox: its user is refused, or their password is not known."""
        if not places.signs_in(self.server(side)):
            return False
        if self.is_governed(side) and not is_admitted:
            return True
        return self.password(side) is None and bool(self.server(side).admin_login)

    def is_refused(self, side: Side) -> bool:
        """True when the server of ``side`` has refused the very password that is stored."""
        sealed = self.account.source_secret if side is Side.SOURCE else self.account.target_secret
        return sealed is not None and vault.fingerprint(sealed) == self.account.refused_secret

    def is_governed(self, side: Side) -> bool:
        """True when a directory or a route says who may sign in at ``side``, where somebody does."""
        if not places.signs_in(self.server(side)):
            return False
        return self._directory_row(side) is not None or self.account.campaign.route is not None

    def server(self, side: Side) -> Server:
        """Return the mail server of ``side``."""
        return self.account.source if side is Side.SOURCE else self.account.target

    def login(self, side: Side) -> str:
        """Return the user's name at the mail server of ``side``."""
        return self.account.source_login if side is Side.SOURCE else self.account.target_login

    def password(self, side: Side) -> Secret | None:
        """Return the user's own password for ``side``, None when it is not known."""
        return vault.unseal(self.account, f"{side}_secret")

    def identity(self, side: Side) -> str:
        """Return how the ledger calls the mailbox at ``side``: the same through whichever door it is entered."""
        found = places.identity(self.server(side), quote(self.login(side), safe=""))
        prefix = copying.target_prefix(self.account, self.options) if side is Side.TARGET else ""
        return f"{found}/{prefix}" if prefix else found

    def _admin_password(self, side: Side) -> Secret:
        server = self.server(side)
        password = vault.unseal(server, "admin_secret")
        if not server.admin_login or password is None:
            raise MigratorError("preflight.no_admin", side=side)
        return password

    # Who governs

    def address(self, side: Side) -> str:
        """Return the user's name in the directory of ``side``. Two sides in one directory are one entry."""
        campaign = self.account.campaign
        is_shared = campaign.source_directory_id is not None and (
            campaign.source_directory_id == campaign.target_directory_id
        )
        return self.account.source_login if side is Side.SOURCE or is_shared else self.account.target_login

    def directory(self, side: Side) -> Named[Directory] | None:
        """Return the directory of ``side``, with its name in the journal. Raises ``MigratorError``."""
        row = self._directory_row(side)
        return Named(journal_name(row), cast(Directory, self._connector(row, self.world.directories))) if row else None

    def route(self) -> Named[Route] | None:
        """Return the route, with its name in the journal. Raises ``MigratorError``."""
        row = self.account.campaign.route
        return Named(journal_name(row), cast(Route, self._connector(row, self.world.routes))) if row else None

    def hold(self) -> Named[MailHold] | None:
        """Return what keeps new mail waiting, with its name in the journal. Raises ``MigratorError``."""
        row = self.account.campaign.hold
        return Named(journal_name(row), cast(MailHold, self._connector(row, self.world.holds))) if row else None

    def population(self) -> Named[Population] | None:
        """Return what makes accounts on the target, with its name in the journal. Raises ``MigratorError``."""
        row = self.account.campaign.population
        return Named(journal_name(row), cast(Population, self._connector(row, self.world.populations))) if row else None

    def publication(self) -> Named[Publication] | None:
        """Return what publishes changes of a directory, with its name in the journal. Raises ``MigratorError``."""
        row = self.account.campaign.publication
        found = self._connector(row, self.world.publications) if row else None
        return Named(journal_name(row), cast(Publication, found)) if row else None

    def sessions(self, side: Side = Side.SOURCE) -> Sessions | None:
        """Return who is signed in at ``side``. Raises ``MigratorError``."""
        campaign = self.account.campaign
        row = campaign.source_sessions if side is Side.SOURCE else campaign.target_sessions
        return cast(Sessions, self._connector(row, self.world.sessions)) if row else None

    def admits(self, side: Side) -> bool:
        """Try to sign in with the user's own password, once. Raises ``MigratorError`` when the server cannot tell."""
        front = self.front(side)
        if not _opens(front or self._own_door(side), side):
            return False
        return front is None or side is Side.SOURCE or self._lands(front) is not Side.SOURCE

    def lets_into_source(self) -> bool | None:
        """Try whether the user's own password opens the source still: by the door that people use, and by its own.

        None where that password is not known to be right: not stored, refused before, or, where one directory serves
        both sides, refused at the target now, too. Raises ``MigratorError`` when a server cannot tell.
        """
        if not self._is_password_proved(Side.SOURCE):
            return None
        front = self.front(Side.SOURCE)
        if front and _opens(front, Side.SOURCE) and self._lands(front) is not Side.TARGET:
            return True
        if _opens(self._own_door(Side.SOURCE), Side.SOURCE):
            return True
        is_changed = self._is_password_proved(Side.TARGET) and not _opens(self._own_door(Side.TARGET), Side.TARGET)
        return None if is_changed else False

    def _own_door(self, side: Side) -> Callable[[], SourceStore | TargetStore]:
        """Return how the user comes in at the server of ``side`` itself, with their own password."""
        return partial(self.source if side is Side.SOURCE else self.target, is_admitted=True)

    def front(self, side: Side) -> Callable[[], SourceStore] | None:
        """Return how the user comes in by the address that their programs know; None where no route names one.

        They sign in as at ``side``. Raises ``MigratorError``.
        """
        row = self.account.campaign.route
        uri = str(row.options.get("uri", "")) if row else ""
        door = front_door(Options({"uri": uri}))
        if door is None:
            return None
        require_allowed(door.host)
        password = self.password(side)
        if password is None:
            raise MigratorError("preflight.no_password", side=side)
        server = self.server(side)
        endpoint = replace(
            endpoint_of(server, self.login(side), password),
            host=door.host,
            port=door.port,
            security=door.security,
            fingerprint=None,
            product="",
        )
        return lambda: self.world.source(endpoint, self.limits)

    def _lands(self, front: Callable[[], SourceStore]) -> Side | None:
        return lands_at(front, self.source, self.target)

    # The night

    @property
    def recipe(self) -> Recipe:
        """The order of the account's night: as it began, before one as its campaign has it."""
        return night_recipe(self.account)

    @property
    def services(self) -> Collection[Service]:
        """What users are refused in the night, as their campaign has it."""
        return frozenset(map(Service, self.account.campaign.services)) or self.recipe.refuses

    def kit(self, mail: Mail, *, stop: StopSignal, deadline: float | None, is_approved: Approval | None = None) -> Kit:
        """Return what the account's night works with. Raises ``MigratorError``.

        Without ``is_approved`` no step waits for a person.

        Where nobody locks the user out of the source there is no step VERIFY: it would find what they do meanwhile.
        Nor is there one where mail is only delivered: nothing can be looked at there.
        """
        source, target = self._access(Side.SOURCE), self._access(Side.TARGET)
        is_compared = self._is_shut(source, target) and places.is_read(self.server(Side.TARGET))
        level = VerifyLevel(self.account.campaign.verify_level) if is_compared else None
        return Kit(
            address=self.account.source_login,
            source=source,
            target=target,
            mail=mail,
            verify_level=level,
            route=self.route(),
            hold=self.hold(),
            population=self.population(),
            publication=self.publication(),
            is_approved=is_approved,
            services=self.services,
            clock=self.world.clock,
            stop=stop,
            deadline=deadline,
        )

    def _is_shut(self, source: Access, target: Access) -> bool:
        """True when nobody changes the old mailbox during the night: a directory or a person sees to that."""
        asks_person = any(step.kind is StepKind.PERSON for step in self.recipe.steps)
        return source.directory is not None or asks_person or (self.account.arrives_first and bool(target.directory))

    def _access(self, side: Side) -> Access:
        probe = partial(self.admits, side) if self._is_password_proved(side) else None
        return Access(self.address(side), self.directory(side), self.sessions(side), probe)

    def _is_password_proved(self, side: Side) -> bool:
        """True when the user's password is known to be right: a wrong one proves nothing, and may lock them out.

        It was tried at the source before anything was copied. At the target nobody could try it; but in one directory
        for both sides it is the same.
        """
        if not places.signs_in(self.server(side)):
            return False
        proved = None if self.is_refused(Side.SOURCE) else self.password(Side.SOURCE)
        if side is Side.SOURCE or proved is None:
            return proved is not None
        password = self.password(Side.TARGET)
        is_one_directory = self.account.campaign.source_directory_id == self.account.campaign.target_directory_id
        return is_one_directory and password is not None and password.reveal() == proved.reveal()

    # Rows

    def _directory_row(self, side: Side) -> Connector | None:
        campaign = self.account.campaign
        return campaign.source_directory if side is Side.SOURCE else campaign.target_directory

    def _connector(self, row: Connector, registry: Mapping[str, Kind]) -> Any:
        if row.pk not in self._opened:
            connector = self._open.enter_context(closing(open_row(row, registry)))
            self._opened[row.pk] = FencedConnector(connector, self._check, self.late)
        return self._opened[row.pk]


def _opens(door: Callable[[], SourceStore | TargetStore], side: Side) -> bool:
    """Sign in, once. Raises ``MigratorError`` when the server cannot tell."""
    error = sign_in(door, side)
    if error is not None and not (error.code.startswith("sign_in.") and error.radius is Radius.ACCOUNT):
        raise error
    return error is None


def open_row(row: Connector, registry: Mapping[str, Kind]) -> Any:
    """Return the connector of a row, not yet connected. Raises ``MigratorError``."""
    for host in hosts_of(row.options):
        require_allowed(host)
    return open_connector(registry, row.kind, host_files.resolved(row.options), vault.unseal(row, "secret"))


def journal_name(row: Connector) -> str:
    """Return how the journal calls a connector: the same for good, whatever people call it."""
    return f"{row.room}-{row.pk}"


def hosts_of(options: Mapping[str, Json]) -> Iterator[str]:
    """Yield the hosts that the options of a connector name, under ``host``, ``hosts``, ``uri`` and ``uris``."""
    for name in ("host", "hosts", "uri", "uris"):
        given = options.get(name) or []
        for text in map(str, given if isinstance(given, list) else [given]):
            yield (urlsplit(text).hostname or "") if "://" in text else text


def require_allowed(host: str) -> None:
    """Raise ``MigratorError("address.not_allowed")`` unless an administrator has allowed ``host``.

    A name must be allowed as that name; a number also by its network.
    """
    if AllowedAddress.objects.filter(host__iexact=host).exists():
        return
    networks = AllowedAddress.objects.filter(host__contains="/").values_list("host", flat=True)
    if not any(covers(network, host) for network in networks):
        raise MigratorError("address.not_allowed", reply=host)


def covers(allowed: str, host: str) -> bool:
    """True when the allowed address ``allowed`` (a name, a number or a network) lets ``host`` be reached."""
    if allowed.casefold() == host.casefold():
        return True
    try:
        return "/" in allowed and ipaddress.ip_address(host) in ipaddress.ip_network(allowed, strict=False)
    except ValueError:
        return False  # a name is no number, and a name with a slash in it allows nothing


def endpoint_of(server: Server, username: str, password: Secret, authzid: str | None = None) -> Endpoint:
    """Return where a server is and who signs in there; ``authzid`` is whose mailbox an administrator opens.

    Raises ``MigratorError`` where tokens would be asked for at an address that is not allowed, or is none.
    """
    is_by_token = authzid is not None and way_in.takes_tokens(server)
    if is_by_token:
        require_allowed(way_in.token_host(server))
    return Endpoint(
        host=server.host,
        port=server.port,
        security=cast(Literal["plain", "starttls", "tls"], server.security),
        username=username,
        password=password,
        authzid=authzid,
        verify=not server.accepts_any_certificate,
        ca_file=_authorities_file(server.ca_pem) if server.ca_pem else None,
        fingerprint=server.pinned_sha256 or None,
        access=way_in.access(server),
        tokens=way_in.tokens(server, password) if is_by_token else None,
        product=server.product,
    )


def _authorities_file(pem: str) -> str:
    """Return a file that holds ``pem``. Its name is its content's, so it is written once and never altered."""
    folder = settings.DATA / "authorities"
    path: Path = folder / f"{hashlib.sha256(pem.encode()).hexdigest()}.pem"
    if not path.is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(pem)
        Path(draft).replace(path)
    return str(path)
