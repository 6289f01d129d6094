"""Directories in SQL: statements with named parameters, compare-and-set by row counts, and the contract on SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.directories import DIRECTORIES
from migrator.directories.sql import SqlDirectory
from migrator.directories.sql_line import Statement
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place

FIND = "SELECT status FROM users WHERE address = :address"
REPLACE = "UPDATE users SET status = :wanted_status WHERE address = :address AND status IS :expected_status"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "us?er%20s#.db"  # a path is a path, even where it is part of a URI
    write(path, "CREATE TABLE users (address TEXT, status)")
    for row in ((ANNA, "active"), (BERT, None), (CLARA, "gone")):
        write(path, "INSERT INTO users VALUES (?, ?)", *row)
    return path


def write(path: Path, statement: str, *values: object) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def options(path: Path, **more: Json) -> dict[str, Json]:
    base: dict[str, Json] = {"driver": "sqlite", "path": str(path), "find": FIND, "replace": REPLACE}
    return {**base, "status": "status", "open_value": "active", "closed_value": "inactive", **more}


def directory(path: Path, **more: Json) -> SqlDirectory:
    return open_connector(DIRECTORIES, "sql", options(path, **more))


class TestContract(DirectoryContract):
    @pytest.fixture
    def place(self, database: Path) -> Place:
        return Place(
            lambda: directory(database),
            lambda address: write(database, "UPDATE users SET status = 'theirs' WHERE address = ?", address),
        )


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def test_a_row_without_a_status_comes_back_without_one(database: Path) -> None:
    users = directory(database)
    before = users.find(BERT)
    assert before == {"status": None}
    users.replace(BERT, before, users.closed(before))
    assert users.is_disabled(BERT)
    users.replace(BERT, users.closed(before), before)
    assert users.find(BERT) == {"status": None}


def test_a_row_that_is_there_twice_is_changed_in_neither(database: Path) -> None:
    write(database, "INSERT INTO users VALUES (?, 'active')", ANNA)
    users = directory(database)
    assert refusal(lambda: users.find(ANNA)).code == "directory.ambiguous"
    assert refusal(lambda: users.replace(ANNA, {"status": "active"}, {"status": "x"})).code == "directory.ambiguous"


def test_a_statement_that_would_change_others_changes_nobody(database: Path) -> None:
    wide = "UPDATE users SET status = :wanted_status WHERE :address = :address AND :expected_status IS NOT NULL"
    users = directory(database, replace=wide)
    assert refusal(lambda: users.replace(ANNA, {"status": "active"}, {"status": "x"})).code == "directory.ambiguous"
    assert (users.find(ANNA), users.find(CLARA)) == ({"status": "active"}, {"status": "gone"})


def test_a_statement_that_changes_nobody_is_told(database: Path) -> None:
    narrow = REPLACE + " AND 1 = 2"
    users = directory(database, replace=narrow)
    assert refusal(lambda: users.replace(ANNA, {"status": "active"}, {"status": "x"})).code == "directory.invalid"


def test_addresses_are_listed_where_a_statement_says_how(database: Path) -> None:
    listed = directory(database, list="SELECT address FROM users ORDER BY address")
    assert list(listed.addresses()) == [ANNA, BERT, CLARA]
    assert refusal(lambda: list(directory(database).addresses())).code == "directory.invalid"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "users.db"
    assert refusal(lambda: directory(missing).find(ANNA)).code == "directory.unreachable"
    assert not missing.exists()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "users.db"
    path.write_text("no database " * 100)
    assert refusal(lambda: directory(path).find(ANNA)).code == "directory.invalid"


@pytest.mark.parametrize(
    "find",
    [
        "SELECT status FROM nothing WHERE address = :address",
        "SELECT status, address FROM users WHERE address = :address",
        "SELECT CAST(status AS BLOB) AS status FROM users WHERE address = :address",
        "SELECT 1.5 AS status FROM users WHERE address = :address",
        "SELECT status FROM users WHERE address = :address AND 1 = ?",
        "SELECT :address; DELETE FROM users",
        "",
    ],
)
def test_a_statement_that_does_not_find_what_it_must_is_told_and_does_no_harm(database: Path, find: str) -> None:
    assert refusal(lambda: directory(database, find=find).find(ANNA)).code in ("directory.invalid", "connector.invalid")
    assert directory(database).find(ANNA) == {"status": "active"}


def test_a_database_that_somebody_else_is_writing_is_busy(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        users = directory(database, answer_seconds=0.1)
        assert refusal(lambda: users.find(ANNA)).code == "directory.busy"
        other.execute("ROLLBACK")
        assert users.find(ANNA) == {"status": "active"}


def test_of_many_that_change_one_row_at_once_one_wins(database: Path) -> None:
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def change(name: str) -> None:
        users = directory(database)
        start.wait()
        try:
            users.replace(ANNA, {"status": "active"}, {"status": name})
            outcomes.append(name)
        except MigratorError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=change, args=[f"by {number}"]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[1:] == ["directory.changed"] * 7
    assert directory(database).find(ANNA) == {"status": min(outcomes)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"driver": "oracle"},
        {"path": "users.db"},
        {"path": None},
        {"find": "SELECT status FROM users"},
        {"find": "SELECT status FROM users WHERE address = ':address'"},
        {"find": FIND + " AND host = :host"},
        {"replace": "UPDATE users SET status = :wanted_status WHERE address = :address"},
        {"replace": "UPDATE users SET status = 'x' WHERE address = :address AND status IS :expected_status"},
        {"list": "SELECT address FROM users WHERE address = :address"},
        {"status": "a b"},
        {"status": None},
        {"open_value": None},
        {"serial": 5},
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_a_sentence(tmp_path: Path, wrong: dict[str, Json]) -> None:
    given = options(tmp_path / "users.db") | wrong
    error = refusal(lambda: open_connector(DIRECTORIES, "sql", given))
    assert error.code == "connector.invalid"
    assert error.reply.endswith(".")


@pytest.mark.parametrize(
    ("text", "rewritten", "names"),
    [
        ("a = :a AND b = :b_2", "a = %(a)s AND b = %(b_2)s", {"a", "b_2"}),
        ("a = ':no' AND \":no\" = :a", "a = ':no' AND \":no\" = %(a)s", {"a"}),
        ("a = 'it''s :no' AND b = :a", "a = 'it''s :no' AND b = %(a)s", {"a"}),
        ("a = :a::text -- :no\n AND /* :no */ b", "a = %(a)s::text -- :no\n AND /* :no */ b", {"a"}),
        ("a = $$ :no $$ AND b = $x$ :no $$ $x$ AND :a", "a = $$ :no $$ AND b = $x$ :no $$ $x$ AND %(a)s", {"a"}),
        ("a LIKE '%b%' AND c % 2 = :a", "a LIKE '%%b%%' AND c %% 2 = %(a)s", {"a"}),
        ("a::timestamp", "a::timestamp", set()),
        ("x[1:2]", "x[1:2]", set()),
    ],
)
def test_parameters_are_found_only_where_they_are_parameters(text: str, rewritten: str, names: set[str]) -> None:
    assert Statement(text).for_psycopg() == rewritten
    assert Statement(text).names() == names
