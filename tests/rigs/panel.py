"""The whole panel as an operator starts it, in a folder and on a port of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.rigs.base import HOST, free_port, temporary_root

ROOT = Path(__file__).parents[2]


def eventually(is_so: Callable[[], object], what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until ``is_so``; else fail, and say ``what``."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(what())
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """True unless the process ended or waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def descendants(pid: int) -> dict[int, str]:
    """Return all processes below ``pid``, by id, with their command lines."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found: dict[int, str] = {}
    for child in [child for child, parent in parents.items() if parent == pid and is_alive(child)]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[child] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ").strip()
            found |= descendants(child)
    return found


class Panel:
    """``manage.py up``, or what ``command`` says instead. Its variables are ``variables`` and no others."""

    def __init__(self, command: list[str] | None = None, *, patience_seconds: float = 60.0, **variables: str) -> None:
        self.patience_seconds = patience_seconds  # of the first start
        self.dir = Path(tempfile.mkdtemp(prefix="mailferry-panel-", dir=temporary_root()))
        self.log = self.dir / "log"
        self.port = free_port()
        self.folder = self.dir / "data"
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(self.dir), "MAILFERRY_DATA": str(self.folder), "MAILFERRY_PORT": str(self.port)}
        self.environment = kept | own | variables
        self.scheme, self.tls = "http", ssl.create_default_context()
        self.command = command or self.manage("up")
        self.supervisor: subprocess.Popen[bytes] | None = None

    def manage(self, *words: str) -> list[str]:
        """Return the command line of another of the panel's commands."""
        return [sys.executable, str(ROOT / "manage.py"), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run another command on the same installation, to its end."""
        return subprocess.run(
            self.manage(*words), env=self.environment, cwd=self.dir, capture_output=True, text=True, timeout=120
        )

    def start(self, seconds: float | None = None) -> None:
        """Start, and wait until everything is well."""
        with self.log.open("ab") as log:
            self.supervisor = subprocess.Popen(
                self.command, env=self.environment, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait_until_well(seconds or self.patience_seconds)

    def wait_until_well(self, seconds: float = 60.0) -> None:
        """Wait for a good answer of /healthz."""
        eventually(lambda: self.health().get("ok"), lambda: f"{self.health()}\n{self.words()}", seconds)

    def health(self) -> dict[str, object]:
        """Return the answer of /healthz, empty while there is none."""
        address = f"{self.scheme}://{HOST}:{self.port}/healthz"
        try:
            with urllib.request.urlopen(address, timeout=10, context=self.tls) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except OSError:
            return {}

    def words(self) -> str:
        """Return what it has said so far."""
        return self.log.read_text(errors="replace")

    def programs(self) -> dict[str, int]:
        """Return the process ids of its programs, by name: web, worker stage, worker control,cutover, ticker."""
        assert self.supervisor is not None
        found = {}
        for pid, line in descendants(self.supervisor.pid).items():
            if "gunicorn" in line:
                found.setdefault("web", pid)  # the first is the parent of the others
            elif "manage.py" in line:
                found[line.partition("manage.py ")[2].partition(" --")[0]] = pid
        return found

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = 40.0) -> int:
        """End it as an operator does, and return its exit code."""
        assert self.supervisor is not None
        self.supervisor.send_signal(number)
        code = self.supervisor.wait(seconds)
        self.supervisor = None
        return code

    def kill(self) -> None:
        """End all its programs at once, as a power cut does."""
        if self.supervisor is not None:
            below = descendants(self.supervisor.pid)
            for pid in [self.supervisor.pid, *below]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.supervisor.wait(10)
            eventually(lambda: not any(map(is_alive, below)), self.words)
            self.supervisor = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
