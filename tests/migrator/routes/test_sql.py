"""Routes in SQL keep the contract on SQLite, and their options are looked at."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Side
from migrator.routes import ROUTES
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.route import RouteContract

SOURCE, TARGET = "old.example.test", "new.example.test"
STATEMENTS: dict[str, Json] = {
    "find": "SELECT host FROM users WHERE local = :local AND domain = :domain AND :address = :address",
    "replace": "UPDATE users SET host = :wanted_host "
    "WHERE local = :local AND domain = :domain AND host IS :expected_host",
}


def options(path: Path, **more: Json) -> dict[str, Json]:
    return {
        "driver": "sqlite",
        "path": str(path),
        "column": "host",
        "source": SOURCE,
        "target": TARGET,
        **STATEMENTS,
        **more,
    }


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "users.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE users (local TEXT, domain TEXT, host TEXT)")
        rows = [(*name.split("@"), SOURCE) for name in (ANNA, BERT, CLARA)]
        connection.executemany("INSERT INTO users VALUES (?, ?, ?)", rows)
    return path


def set_host(path: Path, host: str | None) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE users SET host = ? WHERE local = 'anna'", [host])


@pytest.fixture
def route(database: Path) -> Iterator[Any]:
    route = open_connector(ROUTES, "sql", options(database))
    yield route
    route.close()


class TestContract(RouteContract):
    @pytest.fixture
    def place(self, database: Path) -> Place:
        return Place(
            lambda: open_connector(ROUTES, "sql", options(database)),
            lambda _address: set_host(database, "third.example.test"),
        )


def test_a_user_without_a_host_is_served_by_nobody_and_gets_that_back(database: Path, route: Any) -> None:
    set_host(database, None)
    before = route.find(ANNA)
    assert (before, route.current(ANNA)) == ({"host": None}, None)
    route.replace(ANNA, before, route.routed(before, Side.TARGET))
    assert route.current(ANNA) is Side.TARGET
    route.replace(ANNA, route.routed(before, Side.TARGET), before)
    assert route.find(ANNA) == {"host": None}


def test_a_host_in_another_spelling_is_the_same_host(database: Path, route: Any) -> None:
    set_host(database, "OLD.example.TEST.")
    before = route.find(ANNA)
    assert route.current(ANNA) is Side.SOURCE
    assert route.routed(before, Side.SOURCE) == before


@pytest.mark.parametrize(
    "wrong", [{"target": SOURCE}, {"source": "old"}, {"column": "mail host"}, {"target": None}, {"status": "x"}]
)
def test_options_that_cannot_be_meant_are_refused(tmp_path: Path, wrong: dict[str, Json]) -> None:
    with pytest.raises(MigratorError) as caught:
        open_connector(ROUTES, "sql", options(tmp_path / "users.db") | wrong)
    assert caught.value.code == "connector.invalid"
