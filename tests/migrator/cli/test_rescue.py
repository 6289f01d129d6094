"""The command rescue: which key it takes, what it tells, and how it ends."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
        journal.begin(StepKey(1, StepKind.DISABLE, "one", "source"), SAVED)
        journal.done(StepKey(1, StepKind.DISABLE, "one", "source"))
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


# a batch in a real directory: one database that two servers read


STAGES = ("untouched", "disabled", "switching", "switched", "enabled", "suspended")


@dataclass
class Town:
    """A directory and a route in one database, and the rescue folder of a batch that was under way there."""

    database: Path
    folder: RescueFolder

    def users(self) -> dict[str, tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(self.database)) as line:
            found = line.execute("SELECT address, status, mailhost FROM users")
            return {address: (status, host) for address, status, host in found}

    def settle(self, accounts: int) -> None:
        """Let accounts be at every stage of a night when all else is lost."""
        with contextlib.closing(sqlite3.connect(self.database)) as line:
            line.execute("CREATE TABLE users (address TEXT PRIMARY KEY, status TEXT, mailhost TEXT)")
            for number in range(accounts):
                self._settle(line, f"u{number}@example.test", number, STAGES[number % len(STAGES)])
            line.commit()

    def _settle(self, line: sqlite3.Connection, address: str, number: int, stage: str) -> None:
        status, host = ("suspended" if stage == "suspended" else "active"), "OLD.example.test"
        names = {"source_directory": "who", "target_directory": "who", "route": "where"}
        journal = FileJournal(self.folder, Account(f"{number}", "1", address, address, address, **names))
        disable = StepKey(1, StepKind.DISABLE, "who", "source")
        switch = StepKey(4, StepKind.SWITCH, "where")
        enable = StepKey(5, StepKind.ENABLE, "who", "target")
        closed = "inactive" if status == "active" else status
        if stage != "untouched":
            journal.begin(disable, {"before": {"status": status}, "after": {"status": closed}})
            journal.done(disable)
            status = closed
        if stage in ("switching", "switched", "enabled"):
            journal.begin(switch, {"before": {"mailhost": host}, "after": {"mailhost": "new.example.test"}})
            host = "new.example.test" if number % 12 >= 6 or stage != "switching" else host
        if stage in ("switched", "enabled"):
            journal.done(switch)
        if stage == "enabled":
            journal.begin(enable, {"before": {"status": "inactive"}, "after": {"status": "active"}})
            status = "active"
        line.execute("INSERT INTO users VALUES (?, ?, ?)", (address, status, host))


@pytest.fixture
def town(tmp_path: Path, key: Path) -> Town:
    folder = RescueFolder(tmp_path / "rescue", MultiFernet([Fernet(key.read_bytes().strip())]))
    database = tmp_path / "users.sqlite"

    def options(column: str, **more: str) -> dict[str, str]:
        return {
            "driver": "sqlite",
            "path": str(database),
            "find": f"SELECT {column} FROM users WHERE address = :address",
            "replace": f"UPDATE users SET {column} = :wanted_{column} "
            f"WHERE address = :address AND {column} IS :expected_{column}",
            **more,
        }

    status = options("status", status="status", open_value="active", closed_value="inactive")
    where = options("mailhost", source="old.example.test", target="new.example.test")
    connections = {
        "who": Connection(Room.DIRECTORY, "sql", status),
        "where": Connection(Room.ROUTE, "sql", where),
    }
    folder.write_batch(Batch("first", RECIPES["classic"], connections))
    return Town(database, folder)


def sides(town: Town) -> dict[str, str]:
    """Return on which side each user is admitted."""
    return {
        address: f"{status} on {'source' if host == 'OLD.example.test' else 'target'}"
        for address, (status, host) in town.users().items()
    }


def expected(number: int) -> str:
    stage = STAGES[number % len(STAGES)]
    is_moved = stage in ("switched", "enabled") or (stage == "switching" and number % 12 >= 6)
    return f"{'suspended' if stage == 'suspended' else 'active'} on {'target' if is_moved else 'source'}"


@pytest.mark.req("S-120")
def test_a_batch_at_all_stages_comes_to_the_sides_that_the_directory_proves(
    mailferry: Command, town: Town, key: Path
) -> None:
    town.settle(48)
    ended = mailferry("rescue", town.folder.path, "--key-file", key, "--json")
    assert ended.exit_code == 0
    assert sides(town) == {f"u{number}@example.test": expected(number) for number in range(48)}
    told = {one["address"]: one["side"] for one in ended.answer["accounts"]}
    assert all(side == sides(town)[address].rpartition(" ")[2] for address, side in told.items())
    before = town.users()
    assert mailferry("rescue", town.folder.path, "--key-file", key).exit_code == 0
    assert town.users() == before


@pytest.mark.long
def test_a_rescue_that_is_killed_goes_on(town: Town, key: Path) -> None:
    town.settle(120)
    command = [sys.executable, "-m", "migrator.cli", "rescue", town.folder.path, "--key-file", key, "--verbose"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
        for _ in range(30):
            assert running.stderr.readline()
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert sides(town) != {f"u{number}@example.test": expected(number) for number in range(120)}
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    assert sides(town) == {f"u{number}@example.test": expected(number) for number in range(120)}
