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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, Self, cast
from urllib.parse import quote, urlsplit

from django.conf import settings

from campaigns.bridge import vault, way_in
from campaigns.models import Account, AllowedAddress, Connector, Server
from migrator.directories import DIRECTORIES
from migrator.directories.base import Directory
from migrator.entries import Json, Kind, Values, open_connector
from migrator.errors import MigratorError, Radius, Side
from migrator.limits import Clock, Limits, StopSignal, SystemClock
from migrator.mail import Flags, Folder, FolderPath, Message, NewFolder
from migrator.preflight.base import sign_in
from migrator.routes import ROUTES
from migrator.routes.base import Route
from migrator.secret import Secret
from migrator.sessions import SESSIONS
from migrator.sessions.base import Sessions
from migrator.steps.copying import Mail
from migrator.steps.kit import Access, Kit, Named
from migrator.stores.base import Receipt, SourceStore, TargetStore, Trouble
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
    clock: Clock = field(default_factory=SystemClock)
    limits: Limits = field(default_factory=Limits)


WORLD: Final = World()


class Approach:
    """How one account is reached on both sides: ``with Approach(account, world) as approach``.

    Nothing connects before it is used. Connectors are opened once and closed with the block; stores close themselves.
    ``check`` is called before anything is changed through a connector: whoever lost the right raises there.
    """

    def __init__(self, account: Account, world: World = WORLD, check: Callable[[], None] = lambda: None) -> None:
        self.account = account
        self.world = world
        self._check = check
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
        return self.world.source(self.endpoint(Side.SOURCE, is_admitted=is_admitted), self.world.limits)

    def target(self, *, is_admitted: bool = False) -> TargetStore:
        """Return the mailbox at the target, as ``source`` does."""
        store = self.world.target(self.endpoint(Side.TARGET, is_admitted=is_admitted), self.world.limits)
        return cast(TargetStore, _FencedStore(store, self._check))

    def endpoint(self, side: Side, *, is_admitted: bool = False, as_admin: bool | None = None) -> Endpoint:
        """Return where a mailbox is and who opens it. ``as_admin`` decides who, whatever the state of things.

        Raises ``MigratorError``: preflight.no_admin, preflight.no_password, address.not_allowed, secret.*.
        """
        server = self.server(side)
        require_allowed(server.host)
        if as_admin is None:
            as_admin = self.is_opened_by_admin(side, is_admitted=is_admitted)
        if as_admin:
            return endpoint_of(server, server.admin_login, self._admin_password(side), authzid=self.login(side))
        password = self.password(side)
        if password is None:
            raise MigratorError("preflight.no_password", side=side)
        return endpoint_of(server, self.login(side), password)

    def is_opened_by_admin(self, side: Side, *, is_admitted: bool) -> bool:
        """True when an administrator opens the mailbox: its user is refused, or their password is not known."""
        if self.is_governed(side) and not is_admitted:
            return True
        return self.password(side) is None and bool(self.server(side).admin_login)

    def is_refused(self, side: Side) -> bool:
        """True when the server of ``side`` has refused the very password that is stored."""
        sealed = self.account.source_secret if side is Side.SOURCE else self.account.target_secret
        return sealed is not None and vault.fingerprint(sealed) == self.account.refused_secret

    def is_governed(self, side: Side) -> bool:
        """True when a directory or a route says who may sign in at ``side``."""
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
        return f"imap://{quote(self.login(side), safe='')}@{self.server(side).host.casefold()}"

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

    def sessions(self) -> Sessions | None:
        """Return who is signed in at the source. Raises ``MigratorError``."""
        row = self.account.campaign.source_sessions
        return cast(Sessions, self._connector(row, self.world.sessions)) if row else None

    def admits(self, side: Side) -> bool:
        """Try to sign in with the user's own password, once. Raises ``MigratorError`` when the server cannot tell."""
        opener = self.source if side is Side.SOURCE else self.target
        error = sign_in(lambda: opener(is_admitted=True), side)
        if error is None:
            return True
        if error.code.startswith("sign_in.") and error.radius is Radius.ACCOUNT:
            return False
        raise error

    # The night

    def kit(self, mail: Mail, *, stop: StopSignal, deadline: float | None) -> Kit:
        """Return what the account's night works with. Raises ``MigratorError``.

        Where nobody locks the user out of the source there is no step VERIFY: it would find what they do meanwhile.
        """
        source, target = self._access(Side.SOURCE, self.sessions()), self._access(Side.TARGET, None)
        level = VerifyLevel(self.account.campaign.verify_level) if source.directory else None
        return Kit(
            address=self.account.source_login,
            source=source,
            target=target,
            mail=mail,
            verify_level=level,
            route=self.route(),
            clock=self.world.clock,
            stop=stop,
            deadline=deadline,
        )

    def _access(self, side: Side, sessions: Sessions | None) -> Access:
        probe = partial(self.admits, side) if self._is_password_proved(side) else None
        return Access(self.address(side), self.directory(side), sessions, probe)

    def _is_password_proved(self, side: Side) -> bool:
        """True when the user's password is known to be right: a wrong one proves nothing, and may lock them out.

        It was tried at the source before anything was copied. At the target nobody could try it; but in one directory
        for both sides it is the same.
        """
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
            self._opened[row.pk] = _FencedConnector(connector, self._check, self.late)
        return self._opened[row.pk]


class _Fenced:
    """Asks for leave before each change: a lane that lay still too long must not wake up changing things."""

    def __init__(self, fenced: Any, check: Callable[[], None]) -> None:
        self._fenced = fenced
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fenced, name)


class _FencedConnector(_Fenced):
    def __init__(self, fenced: Any, check: Callable[[], None], late: list[str]) -> None:
        super().__init__(fenced, check)
        self._late = late

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        self._check()
        self._late.append(address)
        try:
            self._fenced.replace(address, expected, wanted)
        finally:
            self._check()  # no directory knows of leases: what lay on the way for too long can only be told
            self._late.remove(address)

    def end(self, address: str) -> None:
        self._check()
        self._fenced.end(address)


class _FencedStore(_Fenced):
    def __enter__(self) -> Self:
        self._fenced.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._fenced.__exit__(*exception)

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        self._check()
        answers: list[Folder | Trouble] = self._fenced.ensure_folders(folders)
        return answers

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        return cast(Iterator[Receipt], self._fenced.append(self._checked(messages), bundle_messages=bundle_messages))

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        self._check()
        troubles: list[Trouble] = self._fenced.set_flags(changes)
        return troubles

    def _checked(self, messages: Iterable[Message]) -> Iterator[Message]:
        """Pass messages on. At the end, too, leave is asked: it is then that an open bundle is closed and stored."""
        for message in messages:
            self._check()
            yield message
        self._check()


def open_row(row: Connector, registry: Mapping[str, Kind]) -> Any:
    """Return the connector of a row, not yet connected. Raises ``MigratorError``."""
    for host in hosts_of(row.options):
        require_allowed(host)
    return open_connector(registry, row.kind, row.options, vault.unseal(row, "secret"))


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
