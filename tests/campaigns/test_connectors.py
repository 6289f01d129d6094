"""Directories, routes and session lists as administrators set them up: options, refusals, and trying them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge import vault
from campaigns.bridge.connect import open_row
from campaigns.forms import connector_variants
from campaigns.forms.connectors import ConnectorForm, initial
from campaigns.models import AllowedAddress, Connector, Event
from campaigns.services import trials
from campaigns.services.connectors import REGISTRIES
from migrator.entries import open_connector
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret
from tests.campaigns.factories import make_user

pytestmark = pytest.mark.django_db
SECRET = "seven wet stones"
POSTGRESQL = {
    "name": "Staff",
    "host": "db.example.org",
    "port": "5433",
    "database": "mail",
    "user": "mover",
    "secret": SECRET,
    "status": "active",
    "value_type": "flag",
    "open_value": "true",
    "closed_value": "FALSE",
    "find": "SELECT active FROM users\r\nWHERE address = :address",
    "replace": "UPDATE users SET active = :wanted_active WHERE address = :address AND active = :expected_active",
    "absent_admits": "on",
    "tls": "require",
    "connect_seconds": "10",
    "answer_seconds": "5",
}
LDAP = {
    "name": "People",
    "uris": "ldaps://one.example.org\nldaps://two.example.org:1636\n",
    "bind_dn": "cn=mover",
    "base": "dc=example",
    "secret": SECRET,
    "attribute": "mailHost",
    "source": "old.example.org",
    "target": "new.example.org",
    "starttls": "on",
}
FIELDS: dict[str, dict[str, str]] = {
    "directory-ldap": LDAP | {"status": "inetUserStatus"},
    "directory-postgresql": POSTGRESQL,
    "directory-sqlite": POSTGRESQL | {"path": "/srv/mail.sqlite"},
    "route-ldap": LDAP,
    "route-postgresql": LDAP | POSTGRESQL | {"column": "active"},
    "route-sqlite": LDAP | POSTGRESQL | {"path": "/srv/mail.sqlite", "column": "active"},
    "sessions-dovecot": {"name": "doveadm", "doveadm": "ssh 'mail host' doveadm", "user": "local"},
    "sessions-command": {"name": "programs", "count": "count {address}", "end": "end '{address}'"},
}


@pytest.fixture
def admin() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(make_user(is_administrator=True))
    return client


def make(admin: Client, key: str, **fields: str) -> Connector:
    page = admin.post(f"/connectors/new?kind={key}", FIELDS[key] | fields)
    assert page.status_code == 302, page.text
    return Connector.objects.latest("pk")


def test_every_kind_of_every_room_can_be_set_up() -> None:
    kinds = {(room, kind) for room, registry in REGISTRIES.items() for kind in registry}
    assert {(one.room, one.kind) for one in connector_variants.VARIANTS} == kinds
    assert FIELDS.keys() == {one.key for one in connector_variants.VARIANTS}


@pytest.mark.parametrize("key", FIELDS)
def test_the_form_has_the_options_that_the_kind_reads_and_no_other(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = connector_variants.variant(key)
    assert chosen is not None
    form = ConnectorForm(chosen, FIELDS[key])
    assert form.is_valid(), form.errors
    asked: set[str] = set()
    take = Options._take

    def noted(self: Options, name: str, default: Any) -> Any:
        asked.add(name)
        return take(self, name, default)

    monkeypatch.setattr(Options, "_take", noted)
    open_connector(REGISTRIES[chosen.room], chosen.kind, form.connector_options, Secret(SECRET)).close()
    assert {option.name for option in chosen.options()} | chosen.fixed.keys() == asked


@pytest.mark.parametrize("key", FIELDS)
def test_what_is_saved_comes_back_as_it_was_typed(admin: Client, key: str) -> None:
    row = make(admin, key)
    chosen = connector_variants.variant_of(row.room, row.kind, row.options)
    assert chosen is not None
    assert chosen.key == key
    shown = initial(chosen, row.name, row.options)
    form = ConnectorForm(chosen, {name: value for name, value in shown.items() if value not in (None, False)})
    assert form.is_valid(), form.errors
    assert form.connector_options == row.options
    page = admin.get(f"/connectors/{row.pk}")
    assert page.status_code == 200
    assert SECRET not in page.text + admin.get("/servers").text


def test_options_get_the_types_that_connectors_want_and_the_addresses_are_allowed(admin: Client) -> None:
    row = make(admin, "directory-postgresql")
    assert row.options == {
        "driver": "postgresql",
        "host": "db.example.org",
        "port": 5433,
        "database": "mail",
        "user": "mover",
        "status": "active",
        "open_value": True,
        "closed_value": False,
        "find": "SELECT active FROM users\nWHERE address = :address",
        "replace": POSTGRESQL["replace"],
        "tls": "require",
        "answer_seconds": 5,
    }
    secret = vault.unseal(row, "secret")
    assert secret is not None
    assert secret.reveal() == SECRET
    make(admin, "route-ldap", name="route")
    assert {one.host for one in AllowedAddress.objects.all()} == {
        "db.example.org",
        "one.example.org",
        "two.example.org",
    }
    assert SECRET not in str(list(Event.objects.values()))
    open_row(row, REGISTRIES[row.room]).close()


@pytest.mark.parametrize(
    ("key", "fields", "at", "sentence"),
    [
        ("directory-ldap", {"name": ""}, "name", "This field is required."),
        ("directory-ldap", {"uris": "http://x.example.org"}, "uris", "must be of the form ldap://HOST:PORT"),
        ("directory-ldap", {"filter": "(mail=x)"}, "filter", "must hold {address} or {local}"),
        ("directory-ldap", {"secret": ""}, "secret", "A directory needs a password"),
        ("directory-ldap", {"closed_value": "disabled"}, None, "is returned to its senders"),
        (
            "directory-postgresql",
            {"value_type": "number", "closed_value": "0"},
            "open_value",
            "This is no whole number.",
        ),
        ("directory-postgresql", {"closed_value": "no"}, "closed_value", "Enter true or false."),
        ("directory-postgresql", {"port": "0"}, "port", "greater than or equal to 1"),
        ("directory-postgresql", {"find": "SELECT 1"}, "find", "must use :address"),
        ("directory-sqlite", {"path": "mail.sqlite"}, "path", "must be the full path"),
        ("route-ldap", {"source": "old"}, None, "is not the fully qualified name of a server"),
        ("sessions-command", {"count": "count 'x"}, "count", "A quotation mark is not closed."),
        ("sessions-command", {"end": "end"}, "end", "must hold {address}"),
        ("sessions-dovecot", {"our_addresses": "here"}, None, "does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_what_cannot_be_meant_is_told_where_it_stands_and_kept(
    admin: Client, key: str, fields: dict[str, str], at: str | None, sentence: str
) -> None:
    page = admin.post(f"/connectors/new?kind={key}", FIELDS[key] | {"name": "Kept name"} | fields)
    text = page.text.replace("&#x27;", "'")
    assert page.status_code == 422
    assert text.count(sentence) == (2 if at else 1)
    assert at is None or f'href="#id_{at}"' in text
    assert at == "name" or 'value="Kept name"' in text
    assert SECRET not in text
    assert not Connector.objects.exists()


def test_a_stored_password_never_goes_to_another_address(admin: Client) -> None:
    row = make(admin, "directory-postgresql")
    fields = POSTGRESQL | {"secret": ""}
    assert admin.post(f"/connectors/{row.pk}", fields | {"name": "Other name"}).status_code == 302
    page = admin.post(f"/connectors/{row.pk}", fields | {"host": "evil.example.org"})
    assert (page.status_code, page.text.count("Enter the password again")) == (422, 2)
    row.refresh_from_db()
    assert (row.name, row.options["host"]) == ("Other name", "db.example.org")


def test_a_name_that_is_taken_is_refused(admin: Client) -> None:
    make(admin, "sessions-dovecot")
    page = admin.post("/connectors/new?kind=sessions-command", FIELDS["sessions-command"] | {"name": "doveadm"})
    assert (page.status_code, "There is a connection of this name already." in page.text) == (422, True)


# Trying them


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A directory in SQLite, in which anna may sign in and cleo may not."""
    path = tmp_path / "mail.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (address TEXT, active INTEGER)")
        connection.executemany("INSERT INTO users VALUES (?, ?)", [("anna", 1), ("cleo", 0)])
    connection.close()
    return path


def tried(admin: Client, row: Connector, login: str) -> str:
    return admin.post(f"/connectors/{row.pk}/test", {"login": login}, follow=True).text.replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("login", "sentence"),
    [
        ("anna", "Found, and may sign in (active 1)."),
        ("cleo", "Found, and is refused at sign-in (active 0)."),
        ("nobody", "The directory knows nobody with this address."),
    ],
)
def test_a_directory_tells_how_an_account_stands(admin: Client, database: Path, login: str, sentence: str) -> None:
    values = {"value_type": "number", "open_value": "1", "closed_value": "0", "path": str(database)}
    row = make(admin, "directory-sqlite", **values)
    page = tried(admin, row, login)
    assert sentence in page
    (event,) = Event.objects.filter(name=trials.CONNECTOR_TESTED)
    assert (event.actor is not None, event.data["account"]) == (True, login)


def test_a_route_tells_which_server_serves_an_account(admin: Client, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE users SET active = 'OLD.example.org' WHERE address = 'anna'")
        connection.execute("UPDATE users SET active = 'third.example.org' WHERE address = 'cleo'")
    connection.close()
    row = make(admin, "route-sqlite", path=str(database))
    assert "Found, and served by the old server (active OLD.example.org)." in tried(admin, row, "anna")
    assert "sent to neither of the two servers (active third.example.org)" in tried(admin, row, "cleo")


def test_programs_of_the_operators_own_are_tried_too(admin: Client) -> None:
    row = make(admin, "sessions-command", count="echo 3 {address}", end="true {address}")
    assert "cannot be read" in tried(admin, row, "anna")
    row = make(admin, "sessions-command", name="second", count="expr length {address}", end="true {address}")
    assert "4 sessions are open." in tried(admin, row, "anna")
    row = make(admin, "sessions-command", name="third", count="/nowhere/count {address}", end="true {address}")
    assert "cannot be started" in tried(admin, row, "anna")


def test_a_directory_that_is_away_is_told_without_a_sign_in(admin: Client, tmp_path: Path) -> None:
    row = make(admin, "directory-sqlite", path=str(tmp_path / "gone.sqlite"))
    page = tried(admin, row, "anna")
    assert "The directory cannot be reached." in page
    assert "Our own sign-in" not in page


def test_no_account_no_test(admin: Client, database: Path) -> None:
    row = make(admin, "directory-sqlite", path=str(database))
    page = admin.post(f"/connectors/{row.pk}/test", {"login": " "})
    assert (page.status_code, page.text.count("This field is required.")) == (422, 2)
    assert not Event.objects.filter(name=trials.CONNECTOR_TESTED).exists()


def test_a_key_that_is_gone_is_a_finding_and_no_fault(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make(admin, "directory-postgresql")

    def gone(*_: object) -> None:
        raise MigratorError("secret.unreadable")

    monkeypatch.setattr("campaigns.bridge.connect.vault.unseal", gone)
    assert "A stored password cannot be opened" in tried(admin, row, "anna")
