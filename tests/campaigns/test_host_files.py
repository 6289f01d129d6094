"""What connectors take from the host: only what the panel cannot write, and only by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from campaigns.bridge import host_files
from campaigns.bridge.host_files import DATABASE, FOLDER, PROGRAM, STATEMENT, names, resolved, trouble
from migrator.errors import MigratorError


@pytest.fixture
def host(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir(mode=0o755)
    settings.PROGRAMS = folder
    for name, mode in (
        ("count", 0o755),
        ("find.sql", 0o644),
        ("notes", 0o644),
        ("-rf", 0o755),
        ("users.sqlite", 0o600),
    ):
        (folder / name).write_text("SELECT 1\n")
        (folder / name).chmod(mode)
    (folder / "folder").mkdir()
    return folder


def refusal(kind: str, name: str) -> str:
    with pytest.raises(MigratorError) as caught:
        resolved({"count": {kind: name}})
    assert caught.value.code == "connector.invalid"
    assert caught.value.reply.startswith("The option count: ")
    return caught.value.reply


def test_each_kind_has_its_names(host: Path) -> None:
    assert [names(kind) for kind in (PROGRAM, STATEMENT, DATABASE)] == [["count"], ["find.sql"], ["users.sqlite"]]
    assert trouble() == ""


def test_a_name_becomes_what_it_stands_for_and_all_else_stays(host: Path) -> None:
    given = {"count": {PROGRAM: "count"}, "find": {STATEMENT: "find.sql"}, "path": {DATABASE: "users.sqlite"}, "n": 3}
    assert resolved(given) == {
        "count": [str(host / "count")],
        "find": "SELECT 1",
        "path": str(host / "users.sqlite"),
        "n": 3,
    }


def test_links_lead_to_programs_and_databases_that_are_there(host: Path, tmp_path: Path) -> None:
    (tmp_path / "users.db").touch(mode=0o666)
    (host / "mail.sqlite").symlink_to(tmp_path / "users.db")
    (host / "shell").symlink_to("/bin/sh")
    assert resolved({"path": {DATABASE: "mail.sqlite"}}) == {"path": str(tmp_path / "users.db")}
    assert resolved({"count": {PROGRAM: "shell"}}) == {"count": [os.path.realpath("/bin/sh")]}
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "mine").chmod(0o777)
    (host / "mine").symlink_to(tmp_path / "mine")
    assert "mine can be written by others" in refusal(PROGRAM, "mine")


def test_a_folder_is_a_link_to_one_that_is_there(host: Path, tmp_path: Path) -> None:
    (tmp_path / "homes").mkdir()
    (host / "homes.folder").symlink_to(tmp_path / "homes")
    (host / "notes.folder").symlink_to(host / "notes")
    assert names(FOLDER) == ["homes.folder"]
    assert resolved({"homes": {FOLDER: "homes.folder"}}) == {"homes": str(tmp_path / "homes")}
    assert "is no folder" in refusal(FOLDER, "notes.folder")


@pytest.mark.parametrize(
    "name",
    ["../count", "/bin/sh", "", ".", "-rf", "count\0", "count\n", "count -v", "find.sql", "notes", "folder", "x"],
)
def test_what_is_no_program_of_the_folder_is_never_run(host: Path, name: str) -> None:
    if name:
        refusal(PROGRAM, name)
    else:
        assert resolved({"count": {PROGRAM: name}}) == {"count": {PROGRAM: ""}}


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_folder_that_others_can_write_offers_nothing(host: Path, mode: int) -> None:
    host.chmod(mode)
    assert names(PROGRAM) == []
    assert "chmod go-w" in trouble()
    assert "chmod go-w" in refusal(PROGRAM, "count")


def test_a_folder_below_one_that_others_can_write_offers_nothing(host: Path) -> None:
    host.parent.chmod(0o777)
    assert names(STATEMENT) == []
    assert "chmod go-w" in refusal(STATEMENT, "find.sql")


@pytest.mark.parametrize("name", ["count", ""])
def test_what_belongs_to_an_ordinary_user_or_to_us_is_refused(
    host: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(host / name, 65534, 65534)
    assert "chown root" in refusal(PROGRAM, "count")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert "chown root" in refusal(PROGRAM, "count")


def test_a_statement_has_a_bound_and_is_text(host: Path) -> None:
    (host / "find.sql").write_bytes(b"x" * (64 * 1024 + 1))
    assert "longer than" in refusal(STATEMENT, "find.sql")
    (host / "find.sql").write_bytes(b"\xff")
    assert "UTF-8" in refusal(STATEMENT, "find.sql")


def test_without_a_folder_nothing_can_be_chosen(settings: Any) -> None:
    settings.PROGRAMS = None
    assert host_files.names(PROGRAM) == []
    assert "MAILFERRY_PROGRAMS" in trouble()
    assert "MAILFERRY_PROGRAMS" in refusal(PROGRAM, "count")
