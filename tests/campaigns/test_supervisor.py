"""The supervisor heals, gives up nothing, and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from campaigns.supervisor import Program, Supervisor

# Notes its own id and its child's, then lives until it is told to end.
SLEEPER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1], "a") as notes:
    notes.write(f"{os.getpid()} {child.pid}\\n")
time.sleep(600)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
FRAIL = "import sys; open(sys.argv[1], 'a').write('x\\n'); sys.exit(3)"


def eventually(is_so: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


class Stage:
    """A supervisor in a thread, with programs that note who they are."""

    def __init__(self, folder: Path) -> None:
        self.notes = folder / "notes"
        self.beats: dict[str, datetime] | None = {}
        self.supervisor: Supervisor | None = None
        self.thread: threading.Thread | None = None

    def run(self, *scripts: str, patience: float = 10.0, stale: float = 3600.0, beat: str = "") -> None:
        programs = [
            Program(f"p{number}", (sys.executable, "-c", script, str(self.notes)), beat)
            for number, script in enumerate(scripts)
        ]
        self.supervisor = Supervisor(programs, beats=lambda: self.beats, stale_seconds=stale)
        self.thread = threading.Thread(target=self.supervisor.run, kwargs={"patience_seconds": patience})
        self.thread.start()

    def lines(self) -> list[list[int]]:
        text = self.notes.read_text() if self.notes.exists() else ""
        return [[int(word) for word in line.split()] for line in text.splitlines()]

    def end(self) -> None:
        if self.supervisor is not None and self.thread is not None:
            self.supervisor.stop()
            self.thread.join(30)
            assert not self.thread.is_alive()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.end()


def test_what_dies_starts_again_and_its_children_go_with_it(stage: Stage) -> None:
    stage.run(SLEEPER)
    eventually(lambda: len(stage.lines()) == 1)
    first, child = stage.lines()[0]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(stage.lines()) == 2)
    eventually(lambda: not is_alive(child))
    assert is_alive(stage.lines()[1][0])


def test_the_end_leaves_nobody_behind(stage: Stage) -> None:
    stage.run(SLEEPER, SLEEPER)
    eventually(lambda: len(stage.lines()) == 2)
    stage.end()
    eventually(lambda: not any(is_alive(pid) for line in stage.lines() for pid in line), seconds=2.0)


def test_who_does_not_end_when_asked_is_ended(stage: Stage) -> None:
    stage.run(STUBBORN, patience=0.3)
    eventually(lambda: stage.lines())
    stage.end()
    assert not is_alive(stage.lines()[0][0])


def test_asked_twice_it_hurries(stage: Stage) -> None:
    stage.run(STUBBORN, patience=600.0)
    eventually(lambda: stage.lines())
    assert stage.supervisor
    stage.supervisor.stop()
    stage.end()
    assert not is_alive(stage.lines()[0][0])


def test_what_cannot_live_is_tried_less_and_less_often(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.run(FRAIL)
    eventually(lambda: "in 2.0 s" in caplog.text)
    stage.end()
    pauses = [float(record.getMessage().split()[-2]) for record in caplog.records]
    assert pauses == [0.5, 1.0, 2.0]
    assert "p0 ended (exit code 3)" in caplog.text


def test_a_silent_program_starts_again(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.supervisor._BEATS_EVERY_SECONDS", 0.05)
    stage.run(SLEEPER, stale=2.0, beat="p0@here")
    eventually(lambda: len(stage.lines()) == 1)
    for second in range(60):  # as long as its beats move, whatever their clock says
        stage.beats = {"p0@here": datetime(2001, 1, 1, 0, 0, second, tzinfo=UTC)}
        time.sleep(0.05)
    assert len(stage.lines()) == 1
    eventually(lambda: len(stage.lines()) == 2)
    assert "p0 has been silent for 2 s and is started again" in caplog.text


def test_nobody_is_late_while_the_database_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.supervisor._BEATS_EVERY_SECONDS", 0.05)
    asked: list[int] = []
    stage.run(SLEEPER, stale=0.2, beat="p0@here")
    assert stage.supervisor
    monkeypatch.setattr(stage.supervisor, "_beats", lambda: asked.append(1))
    eventually(lambda: len(asked) > 20)
    assert len(stage.lines()) <= 1


def test_a_listening_socket_is_handed_on(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as line:
        script = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.accept()[0].sendall(b'hello')"
        program = Program("p", (sys.executable, "-c", script, str(line.fileno())))
        supervisor = Supervisor([program], beats=dict, stale_seconds=60, fds=(line.fileno(),))
        thread = threading.Thread(target=supervisor.run, kwargs={"patience_seconds": 5})
        thread.start()
        with socket.create_connection(line.getsockname(), timeout=20) as caller:
            assert caller.recv(5) == b"hello"
        supervisor.stop()
        thread.join(20)
    assert not thread.is_alive()
