"""The command rescue: which key it takes, what it tells, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet

from migrator.directories import DIRECTORIES
from migrator.entries import Kind
from migrator.journal import StepKey, StepKind
from migrator.recipes import RECIPES
from migrator.rescue.folder import Account, Batch, Connection, RescueFolder, Room
from migrator.rescue.journals import FileJournal
from migrator.secret import Secret
from migrator.testing.connectors import REGISTERED, Rows
from tests.migrator.cli.conftest import Ended

ANNA, BERT = "anna@example.test", "bert@example.test"
SAVED = {"before": {"status": "active"}, "after": {"status": "inactive"}}


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rows]:
    """A directory in memory, of a kind that is registered for the test, in which Anna and Bert are closed."""
    monkeypatch.setitem(DIRECTORIES, "memory", Kind("", "migrator.testing.connectors:RegisteredDirectory"))
    rows: Rows = {ANNA: {"status": "inactive"}, BERT: {"status": "inactive"}}
    REGISTERED["rows"] = (rows, None, "of the directory")
    yield rows
    REGISTERED.clear()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(Fernet.generate_key() + b"\n")
    file.chmod(0o600)
    return file


@pytest.fixture
def folder(tmp_path: Path, key: Path) -> Path:
    """A folder in which DISABLE was done for Anna and Bert when all else was lost."""
    folder = RescueFolder(tmp_path / "rescue", MultiFernet([Fernet(key.read_bytes().strip())]))
    connection = Connection(Room.DIRECTORY, "memory", {"rows": "rows"}, Secret("of the directory"))
    folder.write_batch(Batch("first thousand", RECIPES["plain"], {"one": connection}))
    for name, address in (("1", ANNA), ("2", BERT)):
        account = Account(name, "1", address, address, address, source_directory="one", target_directory="one")
        journal = FileJournal(folder, account)
        journal.begin(StepKey(0, StepKind.DISABLE, "one", "source"), SAVED)
        journal.done(StepKey(0, StepKind.DISABLE, "one", "source"))
    return folder.path


Command = Callable[..., Ended]


def test_everybody_is_enabled_again_and_a_second_rescue_finds_nothing_to_do(
    mailferry: Command, folder: Path, key: Path, rows: Rows
) -> None:
    ended = mailferry("rescue", folder, "--key-file", key)
    assert (ended.exit_code, ended.err) == (0, "")
    assert ended.out == "2 accounts back on the source.\n"
    assert {row["status"] for row in rows.values()} == {"active"}
    ended = mailferry("rescue", folder, "--key-file", key)
    assert ended.out == "2 accounts on the source, as nothing was changed or all of it was undone.\n"


def test_who_cannot_be_proved_is_named_and_left(mailferry: Command, folder: Path, key: Path, rows: Rows) -> None:
    rows[BERT]["status"] = "suspended"
    ended = mailferry("rescue", folder, "--key-file", key, "--json", "--verbose")
    assert ended.exit_code == 4
    assert "bert@example.test (2): Somebody else changed this user" in ended.err
    assert [one["way"] for one in ended.answer["accounts"]] == ["back", "unproved"]
    assert ended.answer["accounts"][1]["error"]["code"] == "directory.changed"
    assert rows == {ANNA: {"status": "active"}, BERT: {"status": "suspended"}}


def test_another_key_starts_nothing(mailferry: Command, folder: Path, key: Path, rows: Rows) -> None:
    key.write_bytes(Fernet.generate_key())
    ended = mailferry("rescue", folder, "--key-file", key)
    assert ended.exit_code == 2
    assert "does not open" in ended.err
    assert rows[ANNA] == {"status": "inactive"}


def test_a_key_among_others_opens(mailferry: Command, folder: Path, key: Path, rows: Rows) -> None:
    key.write_bytes(Fernet.generate_key() + b"\n" + key.read_bytes())
    assert mailferry("rescue", folder, "--key-file", key).exit_code == 0


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\xfe", b"x" * 44])
def test_what_is_no_key_is_refused_and_not_shown(mailferry: Command, folder: Path, key: Path, content: bytes) -> None:
    key.write_bytes(content)
    ended = mailferry("rescue", folder, "--key-file", key)
    assert ended.exit_code == 2
    assert "hunter2" not in ended.err


def test_without_a_terminal_the_key_file_must_be_named(folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "migrator.cli", "rescue", folder],
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # without a terminal of its own
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "--key-file" in ended.stderr


def test_what_is_no_rescue_folder_is_refused(mailferry: Command, tmp_path: Path, key: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        ended = mailferry("rescue", place, "--key-file", key, "--json")
        assert ended.exit_code == 2
        assert json.loads(ended.out)["exit_code"] == 2
        assert "not a rescue folder" in ended.err


def test_a_key_that_others_can_read_is_told(mailferry: Command, folder: Path, key: Path, rows: Rows) -> None:
    key.chmod(0o644)
    assert "chmod 600" in mailferry("rescue", folder, "--key-file", key).err
