"""Servers, connectors and a campaign from one description, as operators keep it in a file: all of it or nothing.

What is there already under the same name must be the same: a description describes, it does not alter. Passwords are
not in it; it names files that hold them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from django.db import transaction
from django.db.models import Model

from campaigns.bridge import host_files, places, vault
from campaigns.models import AllowedAddress, Campaign, Connector, Server
from campaigns.models.server import Security
from campaigns.services import campaigns, server_kinds
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.services.servers import MOST_LANES, with_way_in
from migrator.directories import DIRECTORIES, POPULATIONS, PUBLICATIONS
from migrator.entries import Kind, open_connector
from migrator.errors import MigratorError
from migrator.holds import HOLDS
from migrator.recipes import RECIPES
from migrator.routes import ROUTES
from migrator.secret import Secret
from migrator.sessions import SESSIONS
from migrator.stores import STORES
from migrator.transfer.verify import VerifyLevel

Table = Mapping[str, Any]
Row = TypeVar("Row", bound=Model)

ROOMS: Final[dict[str, tuple[Connector.Room, Mapping[str, Kind]]]] = {
    "source_directory": (Connector.Room.DIRECTORY, DIRECTORIES),
    "target_directory": (Connector.Room.DIRECTORY, DIRECTORIES),
    "route": (Connector.Room.ROUTE, ROUTES),
    "source_sessions": (Connector.Room.SESSIONS, SESSIONS),
    "target_sessions": (Connector.Room.SESSIONS, SESSIONS),
    "hold": (Connector.Room.HOLD, HOLDS),
    "population": (Connector.Room.POPULATION, POPULATIONS),
    "publication": (Connector.Room.PUBLICATION, PUBLICATIONS),
}
_SERVER: Final[dict[str, type]] = {
    "name": str,
    "kind": str,
    "path": str,
    "host": str,
    "port": int,
    "security": str,
    "accepts_any_certificate": bool,
    "product": str,
    "admin_login": str,
    "admin_access": str,
    "token_endpoint": str,
    "sieve_place": str,
    "pop3_place": str,
    "max_lanes": int,
}
_CAMPAIGN: Final[dict[str, type]] = {
    "name": str,
    "recipe": str,
    "verify_level": str,
    "copies_deleted": bool,
    "catch_up_minutes": int,
    "catch_up_days": int,
    "refresh_hours": int,
}
_CHOICES: Final[dict[str, list[str]]] = {
    "recipe": [*RECIPES],
    "verify_level": [*VerifyLevel],
    "security": [*Security.values],
}


class BadSetup(ValueError):
    """A description that cannot be meant; the text is the sentence for whoever wrote it."""


def create(described: Table, *, actor: Actor, read_password: Callable[[str], str]) -> Campaign:
    """Create what ``described`` says that is not there yet, and the campaign.

    ``read_password`` returns what is in a file that the description names. Raises ``BadSetup``, ``Refused`` (the
    campaign), ``MigratorError`` (connectors, keys).
    """
    maker = _Maker(actor, read_password)
    with transaction.atomic():
        _refuse_others("the description", described, {"allowed", "servers", "campaign", "source", "target", *ROOMS})
        for host in _taken(described, "allowed", list, []):
            maker.allow(str(host))
        for table in _taken(described, "servers", list, []):
            maker.server(table, "servers")
        options: dict[str, Any] = {
            place: maker.connector(described[place], place) for place in ROOMS if place in described
        }
        source, target = (maker.server(_wanted(described, side), side) for side in ("source", "target"))
        columns = _columns(_wanted(described, "campaign"), _CAMPAIGN, "campaign")
        name = columns.pop("name", "")
        if not name.strip():
            raise BadSetup("campaign: there is no name.")
        return campaigns.create(name, source=source, target=target, actor=actor, **columns, **options)


class _Maker:
    def __init__(self, actor: Actor, read_password: Callable[[str], str]) -> None:
        self._actor = actor
        self._read_password = read_password

    def allow(self, host: str) -> None:
        _, is_fresh = AllowedAddress.objects.get_or_create(host=host)
        if is_fresh:
            record("address.allowed", actor=self._actor, host=host)

    def server(self, described: Table | str, place: str) -> Server:
        """Return the server of a table, or the one that is named."""
        if isinstance(described, str):
            return _named(Server, described, place)
        extra = {"ca_file", "admin_password_file"}
        columns = _columns({key: described[key] for key in described if key not in extra}, _SERVER, place)
        columns = {"kind": places.IMAP, "path": "", **columns}
        if columns["kind"] not in STORES:
            raise BadSetup(f"{place}: kind must be one of {', '.join(STORES)}.")
        for name in ("name", "path" if places.is_files(Server(kind=columns["kind"])) else "host"):
            if not columns.get(name, "").strip():
                raise BadSetup(f"{place}: there is no {name}.")
        columns = _fitted(columns, place)
        if not (0 < columns["port"] < 65536 or columns["path"]) or not 0 < columns.get("max_lanes", 1) <= MOST_LANES:
            raise BadSetup(f"{place}: port must be below 65,536 and max_lanes from 1 to {MOST_LANES:,}.")
        columns |= _way_in(columns, place)
        if "ca_file" in described:
            columns["ca_pem"] = Path(str(described["ca_file"])).read_text(encoding="ascii")
        return self._store(Server(**columns), columns, "admin_secret", described.get("admin_password_file"), place)

    def connector(self, described: Table | str, place: str) -> Connector:
        """Return the connector of a table, or the one that is named."""
        room, registry = ROOMS[place]
        if isinstance(described, str):
            found = _named(Connector, described, place)
            if found.room != room:
                raise BadSetup(f"{place}: {described} is no {room.label.lower()}.")
            return found
        extra = {"options", "password_file"}
        columns = _columns(
            {key: described[key] for key in described if key not in extra}, {"name": str, "kind": str}, place
        )
        columns |= {"room": room.value, "options": dict(_taken(described, "options", dict, {}))}
        if not columns.get("name", "").strip():
            raise BadSetup(f"{place}: there is no name.")
        file = described.get("password_file")
        secret = Secret(self._read_password(str(file))) if file else None
        _try(registry, columns, secret, place)
        return self._store(Connector(**columns), columns, "secret", file, place)

    def _store(self, row: Row, columns: Table, field: str, file: object, place: str) -> Row:
        kind = type(row)
        found = kind._default_manager.filter(name=columns["name"]).first()
        if found is not None:
            _refuse_differences(found, columns, place)
            return found
        row.save()
        if file:
            setattr(row, field, vault.seal(Secret(self._read_password(str(file))), row, field))
            row.save(update_fields=[field])
        record(f"{kind._meta.model_name}.created", actor=self._actor, row=row.pk, called=columns["name"])
        return row


def _named(kind: type[Row], name: str, place: str) -> Row:
    found = kind._default_manager.filter(name=name).first()
    if found is None:
        raise BadSetup(f"{place}: there is no {kind._meta.verbose_name} of the name {name}.")
    return found


def _refuse_differences(found: Model, columns: Table, place: str) -> None:
    differing = [name for name, value in columns.items() if getattr(found, name) != value]
    if differing:
        raise BadSetup(
            f"{place}: {columns['name']} is there already with another {', '.join(differing)}. "
            "Describe it as it is, or choose another name."
        )


def _try(registry: Mapping[str, Kind], columns: Table, secret: Secret | None, place: str) -> None:
    """Let the connector read its options. Nothing connects."""
    try:
        open_connector(registry, str(columns.get("kind", "")), host_files.resolved(columns["options"]), secret).close()
    except MigratorError as error:
        raise BadSetup(f"{place}: {error.reply or error.sentence}") from error


def _columns(table: Table, known: Mapping[str, type], place: str) -> dict[str, Any]:
    """Return the values of a table. A name that nobody knows is misspelt, and refused."""
    if not isinstance(table, Mapping):
        raise BadSetup(f"{place} must be a table.")
    _refuse_others(place, table, set(known))
    for name, value in table.items():
        if type(value) is not known[name]:
            raise BadSetup(f"{place}: {name} must be {_WORDS[known[name]]}.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise BadSetup(f"{place}: {name} must be one of {', '.join(_CHOICES[name])}.")
        if isinstance(value, int) and value < 0:
            raise BadSetup(f"{place}: {name} must not be negative.")
    return dict(table)


_WORDS: Final[dict[type, str]] = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _fitted(columns: Table, place: str) -> dict[str, Any]:
    """Return the columns as a server of its kind has them. Raises ``BadSetup``."""
    usual = {"host": "", "port": None, "security": Security.TLS, "admin_access": "authzid"}
    try:
        return server_kinds.fitted({**usual, **columns})
    except Refused as refused:
        raise BadSetup(f"{place}: {refused.sentence}") from None


def _way_in(columns: Table, place: str) -> dict[str, Any]:
    """Return how the administrator gets in, complete. Raises ``BadSetup``."""
    usual = {"admin_access": "authzid", "token_endpoint": "", "admin_login": "", "product": ""}
    try:
        found = with_way_in({**usual, **columns}, None)
    except Refused as refused:
        raise BadSetup(f"{place}: {refused.sentence}") from None
    return {name: found[name] for name in ("admin_access", "token_endpoint")}


def _refuse_others(place: str, table: Table, known: set[str]) -> None:
    others = sorted(set(table) - known)
    if others:
        raise BadSetup(f"{place}: nothing is called {', '.join(others)}. It may have {', '.join(sorted(known))}.")


def _taken(table: Table, name: str, kind: type, default: Any) -> Any:
    value = table.get(name, default)
    if not isinstance(value, kind):
        raise BadSetup(f"{name} must be {_WORDS[kind]}.")
    return value


def _wanted(described: Table, name: str) -> Any:
    if name not in described:
        raise BadSetup(f"There is no {name}.")
    return described[name]
