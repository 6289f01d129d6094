"""The ground of an installation: made once, private, and never with a new key beside an existing database."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def manage(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAILFERRY_", "DJANGO_"))}
    environment = kept | {"MAILFERRY_DATA": str(folder), "DATABASE_URL": "", "REDIS_URL": ""} | variables
    argv = [sys.executable, str(ROOT / "manage.py"), *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


def test_the_first_start_makes_everything_and_the_second_changes_nothing(folder: Path) -> None:
    first = manage(folder, "prepare")
    assert (first.returncode, first.stderr) == (0, "")
    assert "http://localhost:8000/first/" in first.stdout
    assert modes(folder) == {
        "data": "0o700",
        "keys": "0o700",
        "secret_key": "0o600",
        "vault_keys": "0o600",
        "mailferry.sqlite3": "0o600",
    }
    keys = [path.read_text() for path in sorted((folder / "keys").iterdir())]
    second = manage(folder, "prepare")
    assert (second.returncode, second.stderr) == (0, "")
    assert [path.read_text() for path in sorted((folder / "keys").iterdir())] == keys


@pytest.mark.parametrize("name", ["secret_key", "vault_keys"])
def test_a_key_that_is_gone_is_never_made_anew_beside_a_database(folder: Path, name: str) -> None:
    manage(folder, "prepare")
    (folder / "keys" / name).unlink()
    for command in (["prepare"], ["up"], ["web"], ["worker", "stage"], ["ticker"]):
        refused = manage(folder, *command)
        assert refused.returncode == 1
        assert "There is a database, but its key is missing" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not (folder / "keys" / name).exists()
    assert "WRONG  keys: There is a database, but its key is missing" in manage(folder, "doctor", "keys").stdout


def test_programs_refuse_an_installation_that_was_never_prepared(folder: Path) -> None:
    refused = manage(folder, "web")
    assert (refused.returncode, "not prepared" in refused.stderr) == (1, True)


def test_a_wrong_setting_is_one_sentence(folder: Path) -> None:
    refused = manage(folder, "prepare", MAILFERRY_PORT="80 80")
    assert refused.returncode == 1
    assert refused.stderr == "MAILFERRY_PORT is '80 80': it must be a whole number from 1 to 65535.\n"


def test_a_worker_of_a_queue_that_is_none_is_refused(folder: Path) -> None:
    refused = manage(folder, "worker", "stage,nights")
    assert "There is no queue 'nights'" in refused.stderr


def test_a_lost_password_is_chosen_anew_by_link(folder: Path) -> None:
    manage(folder, "prepare")
    assert manage(folder, "link", "admin").stdout.startswith("http://localhost:8000/first/")
    assert "Nobody active signs in as anna." in manage(folder, "link", "anna").stderr
