"""The demo's directory is one that the engine's own connectors govern."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaigns.demo import directory, sign_in
from campaigns.demo.directory import NEW_HOST, OLD_HOST, Entry
from migrator.directories.sql import SqlDirectory
from migrator.errors import Side
from migrator.routes.sql import SqlRoute

ANNA = "anna@kestrel-harbour.example"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    directory.create(tmp_path / "directory.sqlite3", [Entry(ANNA, "right")])
    return tmp_path / "directory.sqlite3"


def test_the_connectors_disable_and_move_people(file: Path) -> None:
    people = SqlDirectory.of(directory.directory_options(file), None)
    routes = SqlRoute.of(directory.route_options(file), None)
    found, way = people.find(ANNA), routes.find(ANNA)
    assert found is not None
    assert way is not None
    people.replace(ANNA, found, people.closed(found))
    routes.replace(ANNA, way, routes.routed(way, Side.TARGET))
    assert directory.find(file, ANNA) == Entry(ANNA, "right", "inactive", NEW_HOST)
    people.close()
    routes.close()


@pytest.mark.parametrize(
    ("question", "host", "status", "code"),
    [
        (f"{ANNA}\0right\0", OLD_HOST, "active", 0),
        (f"{ANNA.upper()}\0right\0", OLD_HOST, "active", 0),
        (f"{ANNA}\0wrong\0", OLD_HOST, "active", 1),
        ("nobody\0right\0", OLD_HOST, "active", 1),
        (f"{ANNA}\0right\0", NEW_HOST, "active", 1),
        (f"{ANNA}\0right\0", OLD_HOST, "inactive", 1),
        ("' OR 1=1 --\0right\0", OLD_HOST, "active", 1),
        ("", OLD_HOST, "active", 1),
    ],
)
def test_dovecot_is_told_who_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, host: str, status: str, code: int
) -> None:
    file = tmp_path / "directory.sqlite3"
    directory.create(file, [Entry(ANNA, "right", status)])
    monkeypatch.setattr(sign_in, "_question", question.encode)
    assert sign_in.answer(str(file), host) == code


def test_a_directory_that_is_away_is_no_wrong_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "_question", lambda: b"anna\0right\0")
    assert sign_in.answer(str(tmp_path / "nowhere"), OLD_HOST) == 111


def test_room_is_granted_one_by_one(file: Path) -> None:
    directory.set_room(file, ANNA, 1000)
    assert directory.rooms(file) == {ANNA: 1000}
