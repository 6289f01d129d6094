"""Directories on a real OpenLDAP and a real PostgreSQL, and two Dovecots that obey one."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from migrator.directories import DIRECTORIES
from migrator.directories.ldap import LdapDirectory
from migrator.directories.ldap_entries import LdapEntries
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, OutcomeUnknown
from migrator.options import Options
from migrator.passwords import Verdict, recognise
from migrator.secret import Secret
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.rigs.base import HOST, free_port, users
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.dovecot import Dovecot
from tests.rigs.governed import Governed, GovernedByLdap, GovernedBySql, statements
from tests.rigs.postgres import Postgres
from tests.rigs.relay import Relay
from tests.rigs.slapd import MIGRATOR_PASSWORD, PEOPLE, READER, READER_PASSWORD, Hidden, Slapd, person, secret

ANNAS, CLARAS = f"uid=anna,{PEOPLE}", f"uid=clara,{PEOPLE}"


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def opened(kind: str, options: dict[str, Json], password: Secret | None) -> Any:
    _opened.append(open_connector(DIRECTORIES, kind, options, password))
    return _opened[-1]


def directory(options: dict[str, Json], password: Secret | None = None) -> LdapDirectory:
    return opened("ldap", {"status": "emailPersonStatus", **options}, password or secret())


def entries_of(options: dict[str, Json], *attributes: str) -> LdapEntries:
    _opened.append(LdapEntries(Options(options), secret(), attributes))
    return _opened[-1]


@pytest.fixture(scope="module")
def everybody() -> Iterator[Slapd]:
    with Slapd(map(person, (ANNA, BERT, CLARA))) as server:
        yield server


@pytest.fixture
def slapd(everybody: Slapd) -> Slapd:
    """Anna and Bert are active, in whatever spelling or by saying nothing; Clara is not."""
    for name, status in (("anna", "Active"), ("bert", []), ("clara", "Suspended")):
        statuses = dict.fromkeys(("emailPersonStatus", "mailUserStatus"), status)
        everybody.change(f"uid={name},{PEOPLE}", **statuses, inetUserStatus=[], mailDeliveryOption=[])
    return everybody


class OpenLdap(DirectoryContract):
    attribute: str

    @pytest.fixture
    def place(self, slapd: Slapd) -> Place:
        options = slapd.options(status=self.attribute)
        return Place(
            lambda: directory(options),
            lambda address: slapd.change(f"uid={address.partition('@')[0]},{PEOPLE}", **{self.attribute: "theirs"}),
        )


class TestSims(OpenLdap):
    attribute = "emailPersonStatus"


class TestMailUserStatus(OpenLdap):
    attribute = "mailUserStatus"


class TestInetUserStatus(OpenLdap):
    attribute = "inetUserStatus"

    @pytest.fixture
    def place(self, slapd: Slapd) -> Place:
        slapd.change(CLARAS, inetUserStatus="deleted")
        return super().place.__wrapped__(self, slapd)


class OpenLdapThatHides(DirectoryContract):
    hides: Hidden

    @pytest.fixture
    def place(self) -> Iterator[Place]:
        people = [person(name, emailPersonStatus="active") for name in (ANNA, BERT)]
        with Slapd([*people, person(CLARA, emailPersonStatus="deleted")], hides=self.hides) as server:
            yield Place(
                lambda: directory(server.options()),
                lambda address: server.change(ANNAS, emailPersonStatus="theirs"),
            )


class TestOpenLdapThatDoesNotTellWhatItCan(OpenLdapThatHides):
    hides = "abilities"


class TestOpenLdapThatDoesNotTellVersions(OpenLdapThatHides):
    hides = "versions"


class TestPostgresql(DirectoryContract):
    @pytest.fixture
    def place(self, table: Table) -> Place:
        return Place(
            table.directory, lambda address: table.run("UPDATE users SET status = 'theirs' WHERE address = %s", address)
        )


# --- LDAP: exactness


@pytest.mark.parametrize("name", ["anna", "bert", "clara"])
def test_a_person_is_the_same_after_closing_and_going_back(slapd: Slapd, name: str) -> None:
    dn, address = f"uid={name},{PEOPLE}", f"{name}@example.test"
    before, whole = directory(slapd.options()).find(address), slapd.read(dn)
    users = directory(slapd.options())
    users.replace(address, before, users.closed(before))
    assert users.is_disabled(address)
    directory(slapd.options()).replace(address, users.closed(before), before)
    assert slapd.read(dn) == whole


@pytest.mark.parametrize("hides", ["", "abilities", "versions"])
def test_several_values_are_saved_and_come_back_and_none_that_others_add_is_lost(hides: Hidden) -> None:
    first = {"mailDeliveryOption": ["autoreply", "forward", "mailbox"], "emailPersonStatus": []}
    wanted: dict[str, Json] = {"mailDeliveryOption": ["hold"], "emailPersonStatus": ["inactive"]}
    with Slapd([person(ANNA, mailDeliveryOption=["mailbox", "forward", "autoreply"])], hides=hides) as server:
        entries = entries_of(server.options(), "mailDeliveryOption", "emailPersonStatus")
        assert entries.find(ANNA) == first
        entries.replace(ANNA, first, wanted)
        assert server.read(ANNAS, "mailDeliveryOption") == ["mailDeliveryOption: hold"]
        entries.replace(ANNA, wanted, first)
        assert entries.find(ANNA) == first
        server.change(ANNAS, mailDeliveryOption=["mailbox", "forward", "autoreply", "program"])
        assert refusal(lambda: entries.replace(ANNA, first, wanted)).code == "directory.changed"
        assert "mailDeliveryOption: program" in server.read(ANNAS, "mailDeliveryOption")


@pytest.mark.parametrize("hides", ["", "abilities", "versions"])
def test_a_value_that_somebody_adds_between_the_look_and_the_change_is_not_overlooked(hides: Hidden) -> None:
    first: dict[str, Json] = {"mailDeliveryOption": ["mailbox"], "emailPersonStatus": []}
    wanted: dict[str, Json] = {"mailDeliveryOption": ["hold"], "emailPersonStatus": []}
    with Slapd([person(ANNA, mailDeliveryOption="mailbox")], hides=hides) as server:
        entries = entries_of(server.options(), "mailDeliveryOption", "emailPersonStatus")
        entries.find(ANNA)
        right_before_the_change(entries, lambda: server.change(ANNAS, mailDeliveryOption=["mailbox", "program"]))
        assert refusal(lambda: entries.replace(ANNA, first, wanted)).code == "directory.changed"
        assert "mailDeliveryOption: program" in server.read(ANNAS, "mailDeliveryOption")
        # where no version can be asserted (RFC 4528) ours is there beside theirs; else nothing was changed at all
        assert ("mailDeliveryOption: hold" in server.read(ANNAS, "mailDeliveryOption")) is bool(hides)


@pytest.mark.parametrize("hides", ["", "versions"])
def test_a_value_that_somebody_gives_where_none_was_keeps_ours_out(hides: Hidden) -> None:
    none: dict[str, Json] = {"mailDeliveryOption": [], "emailPersonStatus": []}
    with Slapd([person(ANNA)], hides=hides) as server:
        entries = entries_of(server.options(), *none)
        right_before_the_change(entries, lambda: server.change(ANNAS, mailDeliveryOption="program"))
        wanted = {**none, "mailDeliveryOption": ["hold"]}
        assert refusal(lambda: entries.replace(ANNA, none, wanted)).code == "directory.changed"
        assert server.read(ANNAS, "mailDeliveryOption") == ["mailDeliveryOption: program"]


def right_before_the_change(entries: LdapEntries, act: Callable[[], object]) -> None:
    """Let ``act`` happen once, when the entry was looked at and its change is about to be sent."""
    line = entries._line
    modify, acts = line.modify, [act]

    def later(*words: Any) -> str:
        if acts:
            acts.pop()()
        return modify(*words)

    line.modify = later  # type: ignore[method-assign]


def test_a_change_of_something_else_meanwhile_does_not_stop_ours(slapd: Slapd) -> None:
    users = directory(slapd.options())
    right_before_the_change(users, lambda: slapd.change(ANNAS, mailDeliveryOption="mailbox"))
    before = users.find(ANNA)
    users.replace(ANNA, before, users.closed(before))
    assert slapd.read(ANNAS, "emailPersonStatus", "mailDeliveryOption") == [
        "emailPersonStatus: inactive",
        "mailDeliveryOption: mailbox",
    ]


def test_an_entry_that_vanishes_right_before_the_change_is_missing() -> None:
    with Slapd([person(ANNA, emailPersonStatus="active")]) as server:
        users = directory(server.options())
        right_before_the_change(users, lambda: server.remove(ANNAS))
        before = users.find(ANNA)
        assert refusal(lambda: users.replace(ANNA, before, users.closed(before))).code == "directory.missing"


def test_of_many_that_change_one_entry_at_once_one_wins(slapd: Slapd) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def change(name: str) -> None:
        users = directory(slapd.options())
        users.find(ANNA)
        start.wait()
        try:
            users.replace(ANNA, {"emailPersonStatus": ["Active"]}, {"emailPersonStatus": [name]})
            outcomes.append(name)
        except MigratorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=change, args=[f"by {number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["directory.changed"] * 7
    assert slapd.read(ANNAS, "emailPersonStatus") == [f"emailPersonStatus: {min(outcomes)}"]


def test_another_attribute_that_refuses_the_user_counts(slapd: Slapd) -> None:
    users = directory(slapd.options(status="mailUserStatus"))
    assert not users.is_disabled(ANNA)
    slapd.change(ANNAS, inetUserStatus="inactive")
    assert users.is_disabled(ANNA)


# --- LDAP: names


ODD = ["a,b", 'a"b', "a\\b", "a+b", "a#b", "#a", " a", "a<b>;c=d", "a/b", "ä ö", "日本", "a\\2Cb", "a'b"]


def test_people_with_odd_names_are_found_and_changed_one_by_one() -> None:
    people = []
    for number, name in enumerate(ODD):
        escaped = "".join(f"\\{octet:02x}" for octet in name.encode())
        people.append(
            person(f"p{number}@example.test", dn=f"cn={escaped},{PEOPLE}", cn=name, emailPersonStatus="active")
        )
    with Slapd(people) as server:
        users = directory(server.options())
        for number in range(len(ODD)):
            address = f"p{number}@example.test"
            users.replace(address, {"emailPersonStatus": ["active"]}, {"emailPersonStatus": ["inactive"]})
            states = [users.is_disabled(f"p{other}@example.test") for other in range(len(ODD))]
            assert states == [other <= number for other in range(len(ODD))]


@pytest.mark.parametrize("local", ["a*b", "a(b)c", "a\\b", "a\\2ab", "o'neil", "a&b", "a|b", "!a", "a=b", "a,b"])
def test_an_address_with_letters_that_filters_use_is_found_as_it_is(local: str) -> None:
    address = f"{local}@example.test"
    people = [person(address, dn=f"cn=it,{PEOPLE}", cn="it", emailPersonStatus="it"), person("axb@example.test")]
    with Slapd(people) as server:
        assert directory(server.options()).find(address) == {"emailPersonStatus": ["it"]}


def test_two_people_with_one_address_are_changed_in_neither(slapd: Slapd) -> None:
    users = directory(slapd.options(filter="(|(mail={address})(uid=bert))"))
    assert refusal(lambda: users.find(ANNA)).code == "directory.ambiguous"
    assert refusal(lambda: users.replace(ANNA, {"emailPersonStatus": ["Active"]}, {})).code == "directory.ambiguous"


# --- LDAP: many


def test_a_list_longer_than_the_servers_limit_comes_whole() -> None:
    addresses = [f"u{number:04d}@example.test" for number in range(1200)]
    with Slapd(map(person, addresses)) as server:
        assert sorted(directory(server.options()).addresses()) == addresses


def test_a_list_that_the_server_cuts_short_is_no_list() -> None:
    with Slapd(map(person, (f"u{number:04d}@example.test" for number in range(700))), most="600") as server:
        assert refusal(lambda: list(directory(server.options()).addresses())).code == "directory.limit"


CLOSE_ALL = """
import json, sys
from migrator.directories.ldap import LdapDirectory
from migrator.secret import Secret
users = LdapDirectory.of(json.loads(sys.argv[1]), Secret("migpw"))
for number in range(1000):
    address = f"u{number:04d}@example.test"
    users.replace(address, {"emailPersonStatus": ["active"]}, {"emailPersonStatus": ["inactive"]})
    print(number, flush=True)
"""


@pytest.mark.req("S-116")
def test_a_thousand_are_closed_though_the_closing_is_killed_midway_and_all_come_back_as_they_were() -> None:
    addresses = [f"u{number:04d}@example.test" for number in range(1000)]
    with Slapd([person(address, emailPersonStatus="active") for address in addresses]) as server:
        before = [server.read(PEOPLE.replace("ou=people", f"uid=u{number:04d},ou=people")) for number in (0, 500, 999)]
        users = directory(server.options())
        kill_at(500, server)
        closed = sum(map(users.is_disabled, addresses))
        assert 500 <= closed < 1000
        for address in addresses:
            users.replace(address, {"emailPersonStatus": ["active"]}, {"emailPersonStatus": ["inactive"]})
        assert all(map(users.is_disabled, addresses))
        for address in addresses:
            users.replace(address, {"emailPersonStatus": ["inactive"]}, {"emailPersonStatus": ["active"]})
        after = [server.read(PEOPLE.replace("ou=people", f"uid=u{number:04d},ou=people")) for number in (0, 500, 999)]
        assert after == before


def kill_at(number: int, server: Slapd) -> None:
    argv = [sys.executable, "-W", "ignore", "-c", CLOSE_ALL, json.dumps(server.options(status="emailPersonStatus"))]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as closing:
        assert closing.stdout is not None
        for line in closing.stdout:
            if int(line) == number:
                break
        closing.kill()
    assert closing.returncode == -signal.SIGKILL


# --- LDAP: lines


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("reset", [True, False])
def test_wherever_the_line_is_cut_the_change_is_made_once(slapd: Slapd, way: Any, reset: bool) -> None:
    before: dict[str, Json] = {"emailPersonStatus": ["Active"]}
    wanted: dict[str, Json] = {"emailPersonStatus": ["inactive"]}
    with Relay(slapd.port) as relay:
        users = directory({**slapd.options(), "uris": [f"ldap://{HOST}:{relay.port}"]})
        users.replace(ANNA, before, wanted)
        users.replace(ANNA, wanted, before)
        relay.clear()
        users.replace(ANNA, before, wanted)
        size = getattr(relay.counts(), f"{way}_bytes")
        for at in range(1, size + 1, 5):
            slapd.change(ANNAS, emailPersonStatus="Active")
            assert users.find(ANNA) == before
            cuts = relay.counts().cuts
            relay.cut_after(at, way, reset=reset)
            users.replace(ANNA, before, wanted)
            relay.cut_after(0, way)
            assert relay.counts().cuts == cuts + 1, at
            assert users.find(ANNA) == wanted


def test_a_directory_that_falls_silent_during_a_change_leaves_the_outcome_unknown(slapd: Slapd) -> None:
    with Relay(slapd.port) as relay:
        users = directory({**slapd.options(), "uris": [f"ldap://{HOST}:{relay.port}"], "answer_seconds": 1})
        before = users.find(ANNA)
        users.replace(ANNA, before, users.closed(before))
        users.replace(ANNA, users.closed(before), before)
        right_before_the_change(users, relay.freeze)
        with pytest.raises(OutcomeUnknown) as caught:
            users.replace(ANNA, before, users.closed(before))
        assert caught.value.code == "directory.lost"
        relay.freeze(False)
        users.replace(ANNA, before, users.closed(before))
        assert slapd.read(ANNAS, "emailPersonStatus") == ["emailPersonStatus: inactive"]


def test_a_restarted_directory_is_connected_to_again() -> None:
    with Slapd([person(ANNA, emailPersonStatus="active")]) as server:
        users = directory(server.options())
        before = users.find(ANNA)
        server.restart()
        users.replace(ANNA, before, users.closed(before))
        server.restart()
        assert users.is_disabled(ANNA)
        server.kill()
        assert refusal(lambda: users.find(ANNA)).code == "directory.unreachable"
        assert refusal(lambda: users.replace(ANNA, before, before)).code == "directory.unreachable"
        server.start()
        assert users.is_disabled(ANNA)


def test_the_first_directory_that_answers_is_taken(slapd: Slapd) -> None:
    users = directory({**slapd.options(), "uris": [f"ldap://{HOST}:{free_port()}", slapd.uri]})
    assert users.find(ANNA) == {"emailPersonStatus": ["Active"]}


def test_a_wrong_password_is_tried_once(slapd: Slapd) -> None:
    with Relay(slapd.port) as relay:
        uri = f"ldap://{HOST}:{relay.port}"
        users = directory({**slapd.options(), "uris": [uri, uri]}, Secret("wrong"))
        assert refusal(lambda: users.find(ANNA)).code == "directory.refused"
        assert relay.counts().connections == 1


def test_who_may_only_read_changes_nothing(slapd: Slapd) -> None:
    users = directory(slapd.options(bind_dn=READER), Secret(READER_PASSWORD))
    before = users.find(ANNA)
    assert refusal(lambda: users.replace(ANNA, before, users.closed(before))).code == "directory.no_permission"
    assert slapd.read(ANNAS, "emailPersonStatus") == ["emailPersonStatus: Active"]


def test_a_wrong_base_is_not_a_missing_user(slapd: Slapd) -> None:
    users = directory(slapd.options(base="ou=nowhere,dc=example,dc=test"))
    assert refusal(lambda: users.find(ANNA)).code == "directory.invalid"


def test_a_value_that_the_directory_never_takes_is_told(slapd: Slapd) -> None:
    route = entries_of(slapd.options(), "mailHost")
    before = route.find(ANNA)
    assert refusal(lambda: route.replace(ANNA, before, {"mailHost": ["höst"]})).code == "directory.invalid"


def test_a_server_that_speaks_something_else_is_no_directory() -> None:
    with Dovecot(users(1)) as server:
        uri: dict[str, Json] = {"uris": [f"ldap://{HOST}:{server.imap}"], "answer_seconds": 2}
        users_of = directory({"bind_dn": "x", "base": "x", "starttls": False, **uri})
        assert refusal(lambda: users_of.find(ANNA)).code == "directory.unreachable"


# --- LDAP: encryption


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Slapd]:
    with Slapd([person(ANNA, emailPersonStatus="active")], tls=True) as server:
        yield server


@pytest.mark.parametrize("host", [HOST, "localhost"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_line_is_encrypted_when_the_certificate_is_good(encrypted: Slapd, host: str, at_once: bool) -> None:
    uri = (encrypted.secure_uri if at_once else encrypted.uri).replace(HOST, host)
    users = directory({**encrypted.options(ca_file=str(encrypted.certificate)), "uris": [uri], "starttls": True})
    assert users.find(ANNA) == {"emailPersonStatus": ["active"]}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_certificate_that_nobody_vouches_for_ends_it(encrypted: Slapd, at_once: bool) -> None:
    uri = encrypted.secure_uri if at_once else encrypted.uri
    users = directory({**encrypted.options(), "uris": [uri], "starttls": True})
    assert refusal(lambda: users.find(ANNA)).code == "server.certificate"


def test_a_certificate_of_somebody_else_ends_it(encrypted: Slapd) -> None:
    with Relay(encrypted.port) as relay:
        # the same address in other words, which the certificate does not name
        uri = f"ldap://127.1:{relay.port}"
        users = directory({**encrypted.options(ca_file=str(encrypted.certificate)), "uris": [uri], "starttls": True})
        assert refusal(lambda: users.find(ANNA)).code == "server.certificate"


def test_where_encryption_is_refused_no_password_is_sent(slapd: Slapd) -> None:
    users = directory({**slapd.options(), "starttls": True})
    assert refusal(lambda: users.find(ANNA)).code == "tls.failed"
    # an answer that is not even an answer: StartTLS refused with protocolError (RFC 4511 §4.14.2)
    with socket.create_server((HOST, 0)) as listener:
        heard: list[bytes] = []
        thread = threading.Thread(target=answer_once, args=[listener, heard])
        thread.start()
        users = directory({**slapd.options(), "uris": [f"ldap://{HOST}:{listener.getsockname()[1]}"], "starttls": True})
        assert refusal(lambda: users.find(ANNA)).code == "tls.failed"
        thread.join()
    assert heard
    assert MIGRATOR_PASSWORD.encode() not in b"".join(heard)


def answer_once(listener: socket.socket, heard: list[bytes]) -> None:
    line, _ = listener.accept()
    with line:
        heard.append(line.recv(4096))
        number = heard[0][2 : 4 + heard[0][3]]  # the message's, with tag and length
        refused = bytes.fromhex("78070a010204000400")
        line.sendall(bytes([0x30, len(number) + len(refused)]) + number + refused)
        while piece := line.recv(4096):
            heard.append(piece)


# --- PostgreSQL


class Table:
    """The table ``users`` on a PostgreSQL, with Anna, Bert and Clara."""

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.run("DROP TABLE IF EXISTS users")
        self.run("CREATE TABLE users (address text PRIMARY KEY, status text, may_sign_in boolean, kind smallint)")
        for row in ((ANNA, "active", True, 1), (BERT, None, None, None), (CLARA, "gone", False, 0)):
            self.run("INSERT INTO users VALUES (%s, %s, %s, %s)", *row)

    def run(self, statement: str, *values: object) -> list[Any]:
        with psycopg.connect(self.server.url) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def options(self, column: str = "status", **more: Json) -> dict[str, Json]:
        place: dict[str, Json] = {"driver": "postgresql", "host": HOST, "port": self.server.port, "tls": "disable"}
        given = {**place, "database": "mailferry", "user": "test", "status": column}
        return {
            **given,
            "open_value": "active",
            "closed_value": "inactive",
            **statements(column, "IS NOT DISTINCT FROM"),
            **more,
        }

    def directory(self, column: str = "status", **more: Json) -> Any:
        return opened("sql", self.options(column, **more), Secret("not asked for"))


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def table(postgres: Postgres) -> Table:
    return Table(postgres)


@pytest.mark.parametrize(
    ("column", "admits", "refuses"), [("status", "active", "inactive"), ("may_sign_in", True, False), ("kind", 1, 0)]
)
def test_columns_of_several_types_are_changed_and_come_back(
    table: Table, column: str, admits: Json, refuses: Json
) -> None:
    people = table.directory(column, open_value=admits, closed_value=refuses)
    before = {name: people.find(name) for name in (ANNA, BERT, CLARA)}
    assert before == {ANNA: {column: admits}, BERT: {column: None}, CLARA: before[CLARA]}
    for name in before:
        people.replace(name, before[name], people.closed(before[name]))
        assert people.is_disabled(name)
    for name in before:
        people.replace(name, people.closed(before[name]), before[name])
    assert {name: people.find(name) for name in before} == before


def test_addresses_are_listed_from_postgresql(table: Table) -> None:
    assert list(table.directory().addresses()) == [ANNA, BERT, CLARA]


def test_a_line_that_the_database_ended_is_made_anew(table: Table) -> None:
    people = table.directory()
    before = people.find(ANNA)
    table.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mailferry'")
    people.replace(ANNA, before, people.closed(before))
    assert table.run("SELECT status FROM users WHERE address = %s", ANNA) == [("inactive",)]


def test_a_row_that_somebody_holds_is_busy_and_a_line_ended_while_waiting_is_looked_behind(table: Table) -> None:
    people = table.directory(answer_seconds=1)
    before = people.find(ANNA)
    with psycopg.connect(table.server.url) as other:
        other.execute("SELECT 1 FROM users WHERE address = %s FOR UPDATE", [ANNA])
        assert refusal(lambda: people.replace(ANNA, before, people.closed(before))).code == "directory.busy"
        ender = threading.Thread(target=end_who_waits, args=[table])
        ender.start()
        assert refusal(lambda: people.replace(ANNA, before, people.closed(before))).code == "directory.busy"
        ender.join()
    people.replace(ANNA, before, people.closed(before))
    assert people.is_disabled(ANNA)


def end_who_waits(table: Table) -> None:
    ended: list[Any] = []
    while not ended:
        ended = table.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'mailferry' AND wait_event_type = 'Lock'"
        )


def test_a_database_that_is_down_refuses_or_is_not_there_is_told_apart(table: Table) -> None:
    table.run("DROP ROLE IF EXISTS reader")
    table.run("CREATE ROLE reader LOGIN")
    table.run("GRANT SELECT ON users TO reader")
    before = table.directory().find(ANNA)
    reader = table.directory(user="reader")
    assert refusal(lambda: reader.replace(ANNA, before, {"status": "x"})).code == "directory.no_permission"
    assert refusal(lambda: table.directory(user="nobody").find(ANNA)).code == "directory.refused"
    assert refusal(lambda: table.directory(database="nothing").find(ANNA)).code == "directory.invalid"
    assert refusal(lambda: table.directory(port=free_port()).find(ANNA)).code == "directory.unreachable"
    assert refusal(lambda: table.directory(tls="require").find(ANNA)).code == "directory.unreachable"
    bad = "SELECT status FROM nothing WHERE address = :address"
    assert refusal(lambda: table.directory(find=bad).find(ANNA)).code == "directory.invalid"


def test_of_many_that_change_one_row_at_once_one_wins(table: Table) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def change(name: str) -> None:
        people = table.directory()
        people.find(ANNA)
        start.wait()
        try:
            people.replace(ANNA, {"status": "active"}, {"status": name})
            outcomes.append(name)
        except MigratorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=change, args=[f"by {number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["directory.changed"] * 7


# --- servers that obey


@pytest.fixture(scope="module", params=[(GovernedByLdap, "ldap"), (GovernedBySql, "sql")], ids=["ldap", "sql"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[Governed, str]]:
    made, kind = request.param
    with made(users(6)) as governed:
        yield governed, kind


def is_admitted(governed: Governed, side: str, user: str) -> bool:
    with contextlib.suppress(Refused), Dialogue(governed.account(side, user)):
        return True
    return False


@pytest.mark.req("S-108", "S-117")
def test_who_is_closed_can_neither_read_nor_send_and_nobody_else_notices(world: tuple[Governed, str]) -> None:
    governed, kind = world
    people = opened(kind, governed.directory_options(), secret() if kind == "ldap" else None)
    batch, others = ["u0000", "u0001"], ["u0002", "u0003"]
    for user in batch:
        before = people.find(governed.address(user))
        people.replace(governed.address(user), before, people.closed(before))
    for service in ("imap", "pop3", "submission"):
        assert [lets_in(governed, user, service) for user in batch + others] == [False, False, True, True]
    assert [is_admitted(governed, "source", user) for user in batch + others] == [False, False, True, True]
    with Dialogue(governed.source.admin("u0000")) as administrator:
        administrator.select(b"INBOX")


def lets_in(governed: Governed, user: str, service: str) -> bool:
    argv = ["/usr/bin/doveadm", "-c", str(governed.source.dir / "dovecot.conf"), "auth", "test"]
    return subprocess.run([*argv, "-x", f"service={service}", user, "pw"], capture_output=True).returncode == 0


# --- hashes, as servers make them


@pytest.mark.parametrize(
    "scheme",
    "CRYPT DES-CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT ARGON2I ARGON2ID SHA SHA.hex SHA256 SHA512 "
    "SSHA SSHA256 SSHA512.b64 MD5 LDAP-MD5 PLAIN-MD5 SMD5 PLAIN CLEARTEXT".split(),
)  # fmt: skip
def test_a_hash_that_dovecot_made_is_verified(scheme: str) -> None:
    text = subprocess.run(
        ["/usr/bin/doveadm", "pw", "-s", scheme, "-p", "Secret9"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = recognise(text)
    assert found, text
    assert found.is_certain
    assert found.verify(Secret("Secret9")) is Verdict.RIGHT
    assert found.verify(Secret("secret9")) is Verdict.WRONG


@pytest.mark.parametrize("scheme", ["{SSHA}", "{SHA}", "{SMD5}", "{MD5}", "{CRYPT}"])
def test_a_hash_that_openldap_made_is_verified(scheme: str) -> None:
    text = subprocess.run(
        ["/usr/sbin/slappasswd", "-h", scheme, "-s", "Secret9"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = recognise(text)
    assert found, text
    assert found.verify(Secret("Secret9")) is Verdict.RIGHT
