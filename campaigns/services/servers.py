"""Mail servers, as administrators set them up.

A stored password belongs to the address it was entered for: it never goes with the row to another one, or whoever may
change the address would have the panel hand it out.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q

from campaigns.bridge import beside, places, way_in
from campaigns.models import Account, Server, User
from campaigns.services import addresses, certificates, secrets, server_kinds, void_goes
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from migrator.secret import Secret
from migrator.stores import token_endpoint
from migrator.stores.imap_access import BadAccess
from migrator.stores.oauth import GOOGLE_ENDPOINT, BadKey, private_key
from migrator.stores.profiles import named
from migrator.stores.token_endpoint import BadEndpoint

MOST_LANES: Final = 1000
_CALLED: Final = ("kind", "path", "host")  # what the ledgers of accounts know a server by
COLUMNS: Final = (
    "name",
    "kind",
    "path",
    "host",
    "port",
    "security",
    "ca_pem",
    "accepts_any_certificate",
    "product",
    "admin_login",
    "admin_access",
    "token_endpoint",
    "sieve_place",
    "pop3_place",
    "max_lanes",
)
# Of these, what a proved method rests on: services.preflights.
_OF_THE_NIGHT: Final = frozenset(("kind", "path", "host", "port", "admin_login", "admin_access"))


@dataclass(frozen=True, slots=True)
class Saved:
    """A server that was saved, and the addresses that are allowed since."""

    server: Server
    allowed: list[str]


def save(server: Server | None, columns: dict[str, Any], secret: Secret | None, *, actor: User) -> Saved:
    """Store a server, a new one where ``server`` is None; ``columns`` are all of COLUMNS,
    the port perhaps None: the usual one.

    ``secret`` is the administrator's password; None keeps the stored one, and without an administrator it goes.
    Its address is allowed with it. Raises ``Refused``, with the field.
    """
    columns = server_kinds.fitted(columns)
    if columns["path"]:
        secret = None
    else:
        columns["host"] = addresses.host_checked(columns["host"])
    columns = with_way_in(columns, secret)
    _check(server, columns, secret)
    row = server or Server()
    before = {name: getattr(row, name) for name in COLUMNS}
    for name in COLUMNS:
        setattr(row, name, columns[name])
    changed = [name for name in COLUMNS if getattr(row, name) != before[name]]
    try:
        with transaction.atomic():
            row.save(update_fields=COLUMNS if server else None)
            _tell(row, is_new=server is None, changed=changed, before=before, actor=actor)
            if server and {*changed} & _OF_THE_NIGHT:
                void_goes.take_back(void_goes.between(row), actor=actor)
            if row.pinned_sha256 and {"host", "port"} & set(changed):
                certificates.drop(row, actor=actor)  # it was accepted for another address
            if secret is not None or (not row.admin_login and row.admin_secret is not None):
                secrets.set_admin_password(row, secret, actor=actor)
            return Saved(row, addresses.allow_all([row.host, way_in.token_host(row), *beside.hosts(row)], actor=actor))
    except IntegrityError as error:
        raise Refused("server.name_taken", "name") from error


def _check(server: Server | None, columns: dict[str, Any], secret: Secret | None) -> None:
    has_secret = server is not None and server.admin_secret is not None
    if secret is not None and not columns["admin_login"]:
        raise Refused("server.login_missing", "admin_login")
    if columns["admin_login"] and secret is None and not has_secret:
        raise Refused("server.password_missing", "admin_secret")
    if server is not None:
        is_elsewhere = _goes_to(columns) != _goes_to({name: getattr(server, name) for name in COLUMNS})
        if is_elsewhere and has_secret and secret is None and columns["admin_login"]:
            raise Refused("server.password_again", "admin_secret")
        if _called(server) != _called(Server(**{name: columns[name] for name in _CALLED})) and _is_known(server):
            raise Refused("server.host_known", "below" if columns["path"] else "host")
    _check_authorities(columns["ca_pem"])


def _goes_to(columns: dict[str, Any]) -> tuple[Any, ...]:
    """Return where the administrator's password is sent."""
    if columns["admin_access"] in way_in.BY_TOKEN:
        return (columns["admin_access"], columns["token_endpoint"])
    return (columns["host"].casefold(), columns["port"], *(columns[name].casefold() for name in beside.COLUMNS))


def _endpoint_of(columns: dict[str, Any]) -> str:
    """Return the token endpoint as it is stored: the usual one for Google, none without tokens."""
    if columns["admin_access"] not in way_in.BY_TOKEN:
        return ""
    usual = GOOGLE_ENDPOINT if columns["admin_access"] == way_in.GOOGLE else ""
    return str(columns["token_endpoint"]).strip() or usual


def with_way_in(columns: dict[str, Any], secret: Secret | None) -> dict[str, Any]:
    """Return ``columns`` with the token endpoint as it is stored. Raises ``Refused``: a way in that is none."""
    columns = {**columns, "token_endpoint": _endpoint_of(columns)}
    _check_access(columns, secret)
    if columns["product"] and named(columns["product"]) is None:
        raise Refused("server.product", "product")
    return columns


def _check_access(columns: dict[str, Any], secret: Secret | None) -> None:
    if columns["admin_access"] not in way_in.BY_TOKEN:
        try:
            way_in.parse(columns["admin_access"])
        except BadAccess:
            raise Refused("server.access", "admin_template") from None
        return
    if not columns["admin_login"]:
        raise Refused("server.application_missing", "admin_login")
    try:
        token_endpoint.check(columns["token_endpoint"])
    except BadEndpoint:
        raise Refused("server.token_endpoint", "token_endpoint") from None
    if columns["admin_access"] == way_in.GOOGLE and secret is not None:
        try:
            private_key(secret)
        except BadKey:
            raise Refused("server.key", "admin_secret") from None


def _called(server: Server) -> tuple[str, ...]:
    return (server.kind, server.path, server.host.casefold())


def _is_known(server: Server) -> bool:
    """True when the ledger of an account names the server: it would take another name for another server."""
    accounts = Account.objects.filter(Q(source=server) | Q(target=server))
    return accounts.exclude(ledger_source="").exists()


def _check_authorities(pem: str) -> None:
    if not pem:
        return
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        raise Refused("server.authorities", "ca_pem") from None


def _tell(row: Server, *, is_new: bool, changed: list[str], before: dict[str, Any], actor: User) -> None:
    if is_new:
        record("server.created", actor=actor, row=row.pk, called=row.name)
    elif changed:
        was, now = (places.shown(Server(**before)), places.shown(row))
        record("server.changed", actor=actor, row=row.pk, called=row.name, fields=changed, was=was, now=now)
