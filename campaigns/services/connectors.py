"""Directories, routes, holds and the like, as administrators set them up. The connector itself reads its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction

from campaigns.bridge import host_files, vault
from campaigns.bridge.connect import hosts_of
from campaigns.models import Connector, User
from campaigns.services import addresses, secrets, void_goes
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from migrator.directories import DIRECTORIES, POPULATIONS, PUBLICATIONS
from migrator.entries import Json, Kind, open_connector
from migrator.errors import MigratorError
from migrator.holds import HOLDS
from migrator.routes import ROUTES
from migrator.secret import Secret
from migrator.sessions import SESSIONS

REGISTRIES: Final[Mapping[str, Mapping[str, Kind]]] = {
    Connector.Room.DIRECTORY: DIRECTORIES,
    Connector.Room.ROUTE: ROUTES,
    Connector.Room.SESSIONS: SESSIONS,
    Connector.Room.HOLD: HOLDS,
    Connector.Room.POPULATION: POPULATIONS,
    Connector.Room.PUBLICATION: PUBLICATIONS,
}
_OPTION: Final = re.compile(r"\b(?:option|statement) (?P<option>\w+)|\b(?P<other>filter|uris|closed_value|password)\b")
# What says where a password goes: with another value it must be entered again.
_WHERE: Final = ("uris", "host", "hosts", "port", "bind_dn", "user")


class BadOptions(ValueError):
    """Options that cannot be meant; the text is the connector's own sentence. ``option`` is the one it names."""

    def __init__(self, sentence: str, option: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.option = option


@dataclass(frozen=True, slots=True)
class Saved:
    """A connector that was saved, and the addresses that are allowed since."""

    connector: Connector
    allowed: list[str]


def save(
    connector: Connector | None,
    *,
    room: str,
    kind: str,
    name: str,
    options: Mapping[str, Json],
    secret: Secret | None,
    actor: User,
) -> Saved:
    """Store a connector, a new one where ``connector`` is None. ``secret`` None keeps the stored password.

    Room and kind of a stored one stay. The addresses in its options are allowed with it. Nothing connects. Whoever said
    go for a night that goes by it says it anew when its options have changed.
    Raises ``Refused`` with the field, ``BadOptions``, ``MigratorError`` (keys).
    """
    row = connector or Connector(room=room, kind=kind)
    if connector is not None and secret is None and connector.secret is not None and _is_elsewhere(row, options):
        raise Refused("connector.password_again", "secret")
    stored = vault.unseal(row, "secret") if connector is not None else None
    _try(row, options, secret or stored)
    changed = [
        label for label, is_other in (("name", row.name != name), ("options", row.options != options)) if is_other
    ]
    row.name, row.options = name, dict(options)
    try:
        with transaction.atomic():
            row.save(update_fields=("name", "options") if connector else None)
            if connector is None:
                record("connector.created", actor=actor, row=row.pk, called=name)
            elif changed:
                record("connector.changed", actor=actor, row=row.pk, called=name, fields=changed)
            if "options" in changed:
                void_goes.take_back(void_goes.through(row), actor=actor)
            if secret is not None:
                secrets.set_connector_password(row, secret, actor=actor)
            return Saved(row, addresses.allow_all(hosts_of(options), actor=actor))
    except IntegrityError as error:
        raise Refused("connector.name_taken", "name") from error


def _is_elsewhere(row: Connector, options: Mapping[str, Json]) -> bool:
    return any(row.options.get(name) != options.get(name) for name in _WHERE)


def _try(row: Connector, options: Mapping[str, Json], secret: Secret | None) -> None:
    """Let the connector read its options. Raises ``BadOptions``."""
    try:
        open_connector(REGISTRIES[row.room], row.kind, host_files.resolved(options), secret).close()
    except MigratorError as error:
        raise BadOptions(error.reply or error.sentence, _named(error.reply)) from None


def _named(sentence: str) -> str:
    """Return the option that a sentence speaks of, empty when it names none."""
    found = _OPTION.search(sentence)
    if found is None:
        return ""
    name = found["option"] or found["other"]
    return "secret" if name == "password" else name
