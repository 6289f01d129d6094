"""What the table of a gate says of routes and refusals keeps the contracts of both, and one file serves many."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrator.directories import DIRECTORIES
from migrator.directories.base import Service
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Side
from migrator.gates.table import Row, Table
from migrator.routes import ROUTES
from migrator.secret import Secret
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.route import RouteContract

SECRET = Secret("seven wet stones")
DOORS: dict[str, Json] = {
    "source": "old.example.test",
    "target": "new.example.test",
    "source_doors": "imap 192.0.2.1:143",
    "target_doors": "imap 192.0.2.2:143",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gates" / "routes.sqlite"


def route(file: Path, **more: Json) -> Any:
    options = {"table": str(file), "domains": "example.test", **DOORS, **more}
    return open_connector(ROUTES, "nginx", options, SECRET)


def directory(file: Path, **more: Json) -> Any:
    return open_connector(DIRECTORIES, "gate", {"table": str(file), "domains": "example.test", **more})


def put(file: Path, address: str, **values: Any) -> None:
    Table(file).change("front", address, lambda row: row._replace(**values))


class _Everybody:
    """Everybody in the domains of a gate has an entry."""

    nobody = "nobody@elsewhere.test"

    @pytest.mark.parametrize("address", ["*", "anna@example.test)(uid=*", "' OR '1'='1", "%", "_nna@example.test"])
    def test_an_address_means_nothing_but_itself(self, place: Place, address: str) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        try:
            found = connector.find(address)
            if found is not None:
                connector.replace(address, found, self.changed(connector, found))  # type: ignore[attr-defined]
        except MigratorError as refusal:
            assert refusal.code == "address.bad"  # noqa: PT017  either answer is right, nothing else
        assert connector.find(ANNA) == before


class TestRoute(_Everybody, RouteContract):
    @pytest.fixture
    def place(self, file: Path) -> Place:
        return Place(lambda: route(file), lambda address: put(file, address, backend="third.example.test"))


class TestDirectory(_Everybody, DirectoryContract):
    @pytest.fixture
    def place(self, file: Path) -> Place:
        put(file, CLARA, refused=("reading", "sending"))
        return Place(lambda: directory(file), lambda address: put(file, address, refused=("sending",)))


def test_a_route_and_a_directory_of_one_gate_share_the_row_and_not_each_others_values(file: Path) -> None:
    switching, closing = route(file), directory(file)
    host, status = switching.find(ANNA), closing.find(ANNA)
    closing.replace(ANNA, status, closing.closed(status, {Service.READING}))
    switching.replace(ANNA, host, switching.routed(host, Side.TARGET))
    assert Table(file).rows("front") == [(ANNA, Row("new.example.test", ("reading",)))]
    closing.replace(ANNA, closing.find(ANNA), status)
    assert Table(file).read("front", ANNA) == Row("new.example.test")


def test_two_gates_are_two(file: Path) -> None:
    other = route(file, gate="webmail")
    before = other.find(ANNA)
    other.replace(ANNA, before, other.routed(before, Side.TARGET))
    assert (other.current(ANNA), route(file).current(ANNA)) == (Side.TARGET, Side.SOURCE)


def test_names_are_one_however_they_are_written(file: Path) -> None:
    switching = route(file)
    before = switching.find("Anna")
    switching.replace("Anna", before, switching.routed(before, Side.TARGET))
    assert switching.current("ANNA@example.TEST") is Side.TARGET
    assert switching.current(BERT) is Side.SOURCE


def test_the_file_is_private_and_a_change_in_another_process_is_seen_at_once(file: Path) -> None:
    reader, writer = Table(file), Table(file)
    for number in range(3):
        writer.change("front", ANNA, lambda row, name=f"{number}.example.test": row._replace(backend=name))
        assert reader.read("front", ANNA).backend == f"{number}.example.test"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_of_two_changes_at_once_one_is_made(file: Path) -> None:
    before = route(file).find(ANNA)
    outcomes: list[str] = []

    def race(host: str) -> None:
        switching = route(file, target=host)
        try:
            switching.replace(ANNA, before, switching.routed(before, Side.TARGET))
            outcomes.append("made")
        except MigratorError as error:
            outcomes.append(error.code)

    racers = [threading.Thread(target=race, args=(f"{name}.example.test",)) for name in ("one", "two", "three")]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(outcomes) == ["directory.changed", "directory.changed", "made"]


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def test_a_table_that_cannot_be_read_has_said_nothing(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database" * 100)
    assert refusal(lambda: route(file).find(ANNA)).code == "directory.unreachable"
    with sqlite3.connect(file.with_name("other.sqlite")) as line:
        line.execute("CREATE TABLE routes (x)")
    line.close()
    assert refusal(lambda: route(file.with_name("other.sqlite")).find(ANNA)).code == "directory.unreachable"


@pytest.mark.parametrize("secret", [None, Secret(""), Secret("fifteen letters")])
def test_a_gate_needs_a_password_that_nobody_guesses(file: Path, secret: Secret | None) -> None:
    options = {"table": str(file), "domains": "example.test", **DOORS}
    assert "16 characters" in refusal(lambda: open_connector(ROUTES, "nginx", options, secret)).reply
