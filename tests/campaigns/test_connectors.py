"""Directories, routes and session lists as administrators set them up: options, refusals, and trying them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from campaigns.bridge import host_files, vault
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
REPLACE = "UPDATE users SET active = :wanted_active WHERE address = :address AND active = :expected_active"
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
    "find": "find.sql",
    "replace": "replace.sql",
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
    "directory-communigate": {"name": "Old accounts", "host": "cg.example.org", "secret": SECRET, "sign_in": "plain"},
    "population-communigate": {"name": "New accounts", "host": "cg.example.org", "secret": SECRET, "os_password": "on"},
    "population-dovecot": {
        "name": "New lines",
        "users": "users.list",
        "user": "local",
        "os_password": "on",
        "os_accounts": "anna@example.org\r\nbert@example.org",
        "external_inbox": "spool.folder",
        "external_accounts": "anna@example.org",
    },
    "directory-dovecot": {"name": "Users", "users": "users.list", "deny": "denied.list", "user": "local"},
    "directory-cyrus": {"name": "Denied", "cyr_deny": "count", "services": "imap,pop3"},
    "directory-command": {
        "name": "Ours",
        "find": "count",
        "replace": "end",
        "open_value": "open",
        "closed_value": "closed",
    },
    "directory-ldap": LDAP | {"status": "inetUserStatus"},
    "directory-postgresql": POSTGRESQL,
    "directory-sqlite": POSTGRESQL | {"path": "mail.sqlite"},
    "route-ldap": LDAP | {"schema": "iplanet"},
    "hold-ldap": LDAP | {"program": "end", "attribute": "mailDeliveryOption", "value": "keep"},
    "hold-ldap-postfix": LDAP | {"schema": "sims", "attribute": "mailUserStatus", "value": "hold"},
    "population-ldap": LDAP
    | {"schema": "sims", "dn": "uid={local},dc=example", "entry": "objectClass: inetOrgPerson\r\nuid: {local}"},
    "publication-ldap": LDAP | {"hosts": "ldaps://copy.example.org\nsmtp://mx.example.org:2525", "program": "end"},
    "route-postgresql": LDAP | POSTGRESQL | {"column": "active"},
    "route-sqlite": LDAP | POSTGRESQL | {"path": "mail.sqlite", "column": "active"},
    "route-dovecot-postgresql": LDAP | POSTGRESQL | {"column": "active", "doveadm": "far-doveadm", "known_by": "local"},
    "route-dovecot-sqlite": LDAP | POSTGRESQL | {"path": "mail.sqlite", "column": "active", "known_by": "local"},
    "route-nginx": {
        **LDAP,
        "gate": "webmail",
        "uri": "imaps://mail.example.org",
        "domains": "example.org\nexample.net",
        "source_doors": "imap 192.0.2.1:143\npop3 192.0.2.1:110",
        "target_doors": "imap [2001:db8::1]:143",
        "target_nexthop": "lmtp:inet:192.0.2.7:24",
    },
    "directory-gate": {"name": "gate", "domains": "example.org"},
    "route-command": LDAP | {"find": "count", "replace": "end"},
    "hold-postfix-hash": {"name": "mx", "through": "far-doveadm", "hold_file": "users.list", "manner": "choked"},
    "hold-postfix-postgresql": POSTGRESQL | {"manner": "parked", "relation": "mail.held"},
    "hold-forward-file": {"name": "forwards", "homes": "homes.folder", "held": "held.folder"},
    "hold-forward-file-postfix": {
        "name": "forwards",
        "homes": "homes.folder",
        "held": "held.folder",
        "mailboxes": "spool.folder",
        "through": "far-doveadm",
    },
    "hold-command": {"name": "program", "program": "count"},
    "route-postfix-hash": {
        "name": "mx",
        "route_file": "users.list",
        "hold_file": "denied.list",
        "target": "smtp:[new.example.org]:25",
        "source": "smtp:[old.example.org]:25",
    },
    "route-postfix-postgresql": POSTGRESQL | {"target": "lmtp:inet:new.example.org:24"},
    "sessions-dovecot-proxy": {"name": "proxy", "known_by": "local"},
    "sessions-dovecot": {"name": "doveadm", "doveadm": "far-doveadm", "user": "local"},
    "sessions-cyrus": {"name": "cyr_info", "cyr_info": "count", "kill": "end"},
    "sessions-command": {"name": "programs", "count": "count", "end": "end"},
}


@pytest.fixture(autouse=True)
def host(tmp_path: Path, settings: Any) -> Path:
    """The folder of programs, statements and databases, as the host's administrator has laid it out."""
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o755)
    settings.PROGRAMS = folder
    lay(folder, "find.sql", "SELECT active FROM users\nWHERE address = :address\n")
    lay(folder, "replace.sql", REPLACE)
    lay(folder, "bad.sql", "SELECT 1")
    for name in ("count", "end", "far-doveadm"):
        lay(folder, name, "#!/bin/sh\nexit 0\n")
    (folder / "mail.sqlite").symlink_to(tmp_path / "users.db")
    (tmp_path / "users.db").touch()
    for name in ("users", "denied"):
        (folder / f"{name}.list").symlink_to(tmp_path / name)
        (tmp_path / name).touch()
    for name in ("homes", "held", "spool"):
        (folder / f"{name}.folder").symlink_to(tmp_path / f"of-{name}")
        (tmp_path / f"of-{name}").mkdir(mode=0o711)
    return folder


def lay(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


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
    options = host_files.resolved(form.connector_options)
    open_connector(REGISTRIES[chosen.room], chosen.kind, options, Secret(SECRET)).close()
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
        "find": {"statement": "find.sql"},
        "replace": {"statement": "replace.sql"},
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
        ("directory-postgresql", {"find": "bad.sql"}, "find", "must use :address"),
        ("directory-postgresql", {"find": "SELECT 1 -- :address"}, "find", "is not one of the available choices"),
        ("directory-sqlite", {"path": "/etc/passwd"}, "path", "is not one of the available choices"),
        ("directory-ldap", {"status": ""}, "status", "must be a text that is not empty"),
        ("population-ldap", {"dn": "uid=all,dc=example"}, "dn", "must hold {address} or {local}"),
        ("population-ldap", {"entry": "uid: {local}"}, "entry", "needs lines objectClass"),
        ("publication-ldap", {"hosts": "mx.example.org"}, None, "must be of the form ldap://HOST:PORT"),
        ("route-ldap", {"source": "old"}, None, "is not the fully qualified name of a server"),
        ("sessions-command", {"count": "count {address}"}, "count", "is not one of the available choices"),
        ("sessions-command", {"end": "../end"}, "end", "is not one of the available choices"),
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


def test_a_stored_password_never_goes_to_another_replica(admin: Client) -> None:
    row = make(admin, "publication-ldap")
    fields = FIELDS["publication-ldap"] | {"secret": ""}
    assert admin.post(f"/connectors/{row.pk}", fields).status_code == 302
    page = admin.post(f"/connectors/{row.pk}", fields | {"hosts": "ldaps://evil.example.org"})
    assert (page.status_code, page.text.count("Enter the password again")) == (422, 2)


def test_a_name_that_is_taken_is_refused(admin: Client) -> None:
    make(admin, "sessions-dovecot")
    page = admin.post("/connectors/new?kind=sessions-command", FIELDS["sessions-command"] | {"name": "doveadm"})
    assert (page.status_code, "There is a connection of this name already." in page.text) == (422, True)


# Trying them


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A directory in SQLite, in which anna may sign in and cleo may not."""
    path = tmp_path / "users.db"
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
    row = make(admin, "directory-sqlite", value_type="number", open_value="1", closed_value="0")
    page = tried(admin, row, login)
    assert sentence in page
    (event,) = Event.objects.filter(name=trials.CONNECTOR_TESTED)
    assert (event.actor is not None, event.data["account"]) == (True, login)


def test_a_route_tells_which_server_serves_an_account(admin: Client, database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE users SET active = 'OLD.example.org' WHERE address = 'anna'")
        connection.execute("UPDATE users SET active = 'third.example.org' WHERE address = 'cleo'")
    connection.close()
    row = make(admin, "route-sqlite")
    assert "Found, and served by the old server (active OLD.example.org)." in tried(admin, row, "anna")
    assert "sent to neither of the two servers (active third.example.org)" in tried(admin, row, "cleo")


def test_programs_of_the_operators_own_are_tried_too(admin: Client, host: Path) -> None:
    row = make(admin, "sessions-command")
    lay(host, "count", '#!/bin/sh\necho 3 "$1"\n')
    assert "cannot be read" in tried(admin, row, "anna")
    lay(host, "count", '#!/bin/sh\nexpr length "$1"\n')
    assert "4 sessions are open." in tried(admin, row, "anna")
    lay(host, "count", "#!/nowhere/sh\n")
    assert "cannot be started" in tried(admin, row, "anna")


def test_a_program_that_others_can_write_is_neither_offered_nor_run(admin: Client, host: Path) -> None:
    row = make(admin, "sessions-command")
    (host / "count").chmod(0o757)
    assert "count can be written by others than its owner" in tried(admin, row, "anna")
    page = admin.get("/connectors/new?kind=sessions-command").text
    assert ('value="end"' in page, 'value="count"' in page) == (True, False)


def test_pages_say_how_programs_come_there(admin: Client, settings: Any) -> None:
    settings.PROGRAMS = None
    assert "folder of MAILFERRY_PROGRAMS" in admin.get("/connectors/new?kind=sessions-command").text


def test_what_was_typed_before_still_works_until_it_is_changed(admin: Client) -> None:
    row = make(admin, "directory-postgresql")
    row.options |= {"find": "SELECT active FROM users WHERE address = :address"}
    row.save()
    open_row(row, REGISTRIES[row.room]).close()
    page = admin.post(f"/connectors/{row.pk}", POSTGRESQL | {"secret": "", "find": ""})
    assert (page.status_code, "This field is required." in page.text) == (422, True)


def test_a_directory_that_is_away_is_told_without_a_sign_in(admin: Client, tmp_path: Path) -> None:
    row = make(admin, "directory-sqlite")
    (tmp_path / "users.db").unlink()
    page = tried(admin, row, "anna")
    assert "users.db cannot be read" in page
    assert "Our own sign-in" not in page


def test_no_account_no_test(admin: Client, database: Path) -> None:
    row = make(admin, "directory-sqlite")
    page = admin.post(f"/connectors/{row.pk}/test", {"login": " "})
    assert (page.status_code, page.text.count("This field is required.")) == (422, 2)
    assert not Event.objects.filter(name=trials.CONNECTOR_TESTED).exists()


def test_a_key_that_is_gone_is_a_finding_and_no_fault(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    row = make(admin, "directory-postgresql")

    def gone(*_: object) -> None:
        raise MigratorError("secret.unreadable")

    monkeypatch.setattr("campaigns.bridge.connect.vault.unseal", gone)
    assert "A stored password cannot be opened" in tried(admin, row, "anna")
