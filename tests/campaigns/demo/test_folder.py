"""The demo empties its own folder and ends its own servers, and touches nothing else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaigns.demo import folder
from campaigns.services.installation import Unfit


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(folder, "_memory", lambda: str(tmp_path / "temporary"))
    return tmp_path / "demo"


def waits(*words: str) -> subprocess.Popen[bytes]:
    """A process that has begun to wait, with ``words`` on its command line."""
    code = "import sys; print('waits', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen([sys.executable, "-c", code, *words], **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == b"waits\n"
    return process


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with waits("somebody else's") as process:
        yield process
        process.kill()


def test_a_folder_that_is_not_the_demos_is_never_emptied(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")
    with pytest.raises(Unfit, match="is not the demo's"):
        folder.begin_anew(place)
    assert (place / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("names", [None, [], ["running"]])
def test_a_folder_that_is_not_there_or_empty_becomes_the_demos(place: Path, names: list[str] | None) -> None:
    for name in names or []:
        place.mkdir()
        (place / name).touch()
    folder.begin_anew(place)
    assert place.stat().st_mode & 0o777 == 0o700
    folder.require_ours(place)


def test_beginning_anew_leaves_nothing_but_the_lock_and_the_keys(place: Path) -> None:
    folder.begin_anew(place)
    (place / "running").touch()
    for name in ("queue", "keys"):
        (place / name).mkdir()
    (place / "queue" / "message").touch()
    (place / "mailferry.sqlite3").touch()
    folder.begin_anew(place)
    assert {path.name for path in place.iterdir()} == {"running", "keys", "DEMO"}


def test_servers_that_a_killed_demo_left_are_ended_with_their_folder(
    place: Path, stranger: subprocess.Popen[bytes]
) -> None:
    folder.begin_anew(place)
    servers = folder.make_servers_folder(place)
    (servers / "mail").mkdir()
    with waits(f"-c {servers}/dovecot.conf") as ours:
        folder.record(place, servers, [ours.pid, stranger.pid])
        folder.begin_anew(place)
        assert ours.poll() is not None
    assert not servers.exists()
    assert stranger.poll() is None


def test_a_recorded_folder_without_the_marker_is_left_alone(place: Path, tmp_path: Path) -> None:
    folder.begin_anew(place)
    (tmp_path / "other").mkdir()
    folder.record(place, tmp_path / "other", [])
    folder.begin_anew(place)
    assert (tmp_path / "other").is_dir()


def test_a_damaged_record_keeps_nobody_from_starting(place: Path) -> None:
    folder.begin_anew(place)
    (place / "servers.json").write_text("{")
    folder.begin_anew(place)
    assert folder.servers_folder(place) is None
