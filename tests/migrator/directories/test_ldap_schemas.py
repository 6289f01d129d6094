"""The presets: each finds people by its own addresses, and is beaten by what an administrator says."""

from __future__ import annotations

import pytest

from migrator.directories import DIRECTORIES
from migrator.directories.ldap_line import checked_filter
from migrator.directories.ldap_schemas import GROUP_FILTER, SCHEMAS
from migrator.directories.status import PRESETS
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.secret import Secret

LINE: dict[str, Json] = {"uris": ["ldap://one.example.test"], "bind_dn": "cn=migrator", "base": "o=example"}


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_has_filters_that_can_be_read(name: str) -> None:
    schema = SCHEMAS[name]
    assert checked_filter(schema.filter) == schema.filter
    assert checked_filter(f"(&(mail={{address}}){GROUP_FILTER})")
    assert all(f"({address}={{address}})" in schema.filter for address in schema.addresses)
    assert not schema.status or schema.status.lower() in PRESETS


@pytest.mark.parametrize("name", [name for name, schema in SCHEMAS.items() if schema.status])
def test_a_known_product_needs_nothing_more(name: str) -> None:
    open_connector(DIRECTORIES, "ldap", {**LINE, "schema": name}, Secret("x")).close()


@pytest.mark.parametrize("more", [{"schema": "custom"}, {"schema": "laser"}, {"schema": "exchange"}])
def test_where_no_status_is_known_one_must_be_named(more: dict[str, Json]) -> None:
    with pytest.raises(MigratorError) as caught:
        open_connector(DIRECTORIES, "ldap", {**LINE, **more}, Secret("x"))
    assert caught.value.code == "connector.invalid"


def test_what_is_said_beats_the_preset() -> None:
    own: dict[str, Json] = {"status": "accountStatus", "open_value": "active", "closed_value": "noaccess"}
    users = open_connector(DIRECTORIES, "ldap", {**LINE, "schema": "sims", **own}, Secret("x"))
    assert users.closed({"accountStatus": ["active"]}) == {"accountStatus": ["noaccess"]}
