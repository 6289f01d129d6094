"""Routes in a real OpenLDAP, SQLite and PostgreSQL, and two Dovecots that admit only whom they serve."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from migrator.directories import DIRECTORIES
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Side
from migrator.routes import ROUTES
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.route import RouteContract
from tests.rigs.base import HOST, users
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.governed import SOURCE_HOST, TARGET_HOST, Governed, GovernedByLdap, GovernedBySql, statements
from tests.rigs.postgres import Postgres
from tests.rigs.slapd import PEOPLE, Slapd, person, secret

ANNAS = f"uid=anna,{PEOPLE}"
HOSTS: dict[str, Json] = {"source": [SOURCE_HOST, "imap.old.example.test"], "target": TARGET_HOST}

_opened: list[Any] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def opened(registry: Any, kind: str, options: dict[str, Json]) -> Any:
    _opened.append(open_connector(registry, kind, options, secret() if kind == "ldap" else None))
    return _opened[-1]


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


@pytest.fixture(scope="module")
def everybody() -> Iterator[Slapd]:
    with Slapd(map(person, (ANNA, BERT, CLARA))) as server:
        yield server


@pytest.fixture
def slapd(everybody: Slapd) -> Slapd:
    for name in ("anna", "bert", "clara"):
        everybody.change(f"uid={name},{PEOPLE}", mailHost=SOURCE_HOST)
    return everybody


class TestOpenLdap(RouteContract):
    @pytest.fixture
    def place(self, slapd: Slapd) -> Place:
        return Place(
            lambda: opened(ROUTES, "ldap", slapd.options(**HOSTS)),
            lambda address: slapd.change(ANNAS, mailHost="third.example.test"),
        )


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


class TestPostgresql(RouteContract):
    @pytest.fixture
    def place(self, postgres: Postgres) -> Place:
        def run(statement: str, *values: object) -> None:
            with psycopg.connect(postgres.url) as connection:
                connection.execute(statement, values)

        run("DROP TABLE IF EXISTS users")
        run("CREATE TABLE users (address text PRIMARY KEY, mailhost text)")
        for name in (ANNA, BERT, CLARA):
            run("INSERT INTO users VALUES (%s, %s)", name, SOURCE_HOST)
        place: dict[str, Json] = {"driver": "postgresql", "host": HOST, "port": postgres.port, "tls": "disable"}
        options = {**place, "database": "mailferry", "user": "test", **statements("mailhost", "IS NOT DISTINCT FROM")}
        return Place(
            lambda: opened(ROUTES, "sql", {**options, **HOSTS}),
            lambda address: run("UPDATE users SET mailhost = 'third.example.test' WHERE address = %s", address),
        )


@pytest.mark.req("S-102")
@pytest.mark.parametrize("before", [SOURCE_HOST, "IMAP.Old.Example.Test", "third.example.test", []])
def test_everything_about_a_user_is_the_same_but_the_host_and_the_saved_host_comes_back(
    slapd: Slapd, before: str | list[str]
) -> None:
    slapd.change(ANNAS, mailHost=before)
    whole = slapd.read(ANNAS)
    route = opened(ROUTES, "ldap", slapd.options(**HOSTS))
    saved = route.find(ANNA)
    route.replace(ANNA, saved, route.routed(saved, Side.TARGET))
    switched = [line for line in whole if not line.startswith("mailHost:")] + [f"mailHost: {TARGET_HOST}"]
    assert slapd.read(ANNAS) == sorted(switched)
    opened(ROUTES, "ldap", slapd.options(**HOSTS)).replace(ANNA, route.routed(saved, Side.TARGET), saved)
    assert slapd.read(ANNAS) == whole


def test_who_has_no_host_is_served_by_nobody(slapd: Slapd) -> None:
    slapd.change(ANNAS, mailHost=[])
    assert opened(ROUTES, "ldap", slapd.options(**HOSTS)).current(ANNA) is None


def test_another_attribute_may_name_the_server(slapd: Slapd) -> None:
    slapd.change(ANNAS, mailForwardingAddress=TARGET_HOST)
    route = opened(ROUTES, "ldap", slapd.options(attribute="mailForwardingAddress", **HOSTS))
    assert route.current(ANNA) is Side.TARGET
    slapd.change(ANNAS, mailForwardingAddress=[SOURCE_HOST, TARGET_HOST])
    assert route.current(ANNA) is None


# --- servers that obey


@pytest.fixture(scope="module", params=[(GovernedByLdap, "ldap"), (GovernedBySql, "sql")], ids=["ldap", "sql"])
def world(request: pytest.FixtureRequest) -> Iterator[tuple[Governed, str]]:
    made, kind = request.param
    with made(users(4)) as governed:
        yield governed, kind


def admits(governed: Governed, user: str) -> list[str]:
    """The sides on which ``user`` can sign in."""
    sides = []
    for side in ("source", "target"):
        with contextlib.suppress(Refused), Dialogue(governed.account(side, user)):
            sides.append(side)
    return sides


def test_a_user_is_admitted_where_the_route_points_and_the_directory_allows(world: tuple[Governed, str]) -> None:
    governed, kind = world
    people, route = (
        opened(DIRECTORIES, kind, governed.directory_options()),
        opened(ROUTES, kind, governed.route_options()),
    )
    anna = governed.address("u0000")
    status, host = people.find(anna), route.find(anna)
    assert admits(governed, "u0000") == ["source"]
    people.replace(anna, status, people.closed(status))
    assert admits(governed, "u0000") == []
    route.replace(anna, host, route.routed(host, Side.TARGET))
    assert admits(governed, "u0000") == []
    people.replace(anna, people.closed(status), status)
    assert admits(governed, "u0000") == ["target"]
    assert admits(governed, "u0001") == ["source"]
    for server in (governed.source, governed.target):
        with Dialogue(server.admin("u0000")) as administrator:
            administrator.select(b"INBOX")


def test_a_directory_that_was_restarted_is_obeyed_again() -> None:
    with GovernedByLdap(users(2)) as governed:
        route = opened(ROUTES, "ldap", governed.route_options())
        anna = governed.address("u0000")
        host = route.find(anna)
        assert admits(governed, "u0000") == ["source"]
        governed.slapd.restart()
        route.replace(anna, host, route.routed(host, Side.TARGET))
        assert admits(governed, "u0000") == ["target"]
