"""The two mail servers of a demo: which kind this machine has, and their life between start and stop.

They run in the foreground as children of whoever starts them, in sessions of their own: Ctrl-C does not reach them, and
on Linux the kernel ends them with their parent. All they have lies in one temporary folder, because a server that root
starts hands its mailboxes to another user, who may not enter root's home.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from campaigns.processes import die_with_parent

HOST: Final = "127.0.0.1"
ADMIN: Final = "postmaster"
_GREETING_SECONDS: Final = 30.0
_PATIENCE_SECONDS: Final = 5.0


class CannotStart(RuntimeError):
    """A server did not come up; the text says which, and its last words."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a server needs to know: where it may write, on which port it listens, and whom it obeys."""

    folder: Path
    port: int
    directory: Path
    host: str  # its own name in the directory
    is_new: bool
    admin_password: str


@dataclass(slots=True)
class Running:
    """A server that runs."""

    name: str
    argv: Sequence[str]
    folder: Path
    port: int
    variables: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "output.log"

    def start(self) -> None:
        """Start it and wait for its greeting. Raises ``CannotStart``."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **self.variables},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._wait_for_greeting()

    def stop(self) -> None:
        """End it, by force after a few seconds, and whatever it left in its session. Safe to repeat."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_PATIENCE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _wait_for_greeting(self) -> None:
        assert self.process is not None
        end = time.monotonic() + _GREETING_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=2.0) as line:
                if line.recv(512).startswith(b"* OK"):
                    return
            time.sleep(0.05)
        raise CannotStart(f"The demo's {self.name} does not answer.\n{self._last_words()}")

    def _last_words(self) -> str:
        texts = [path.read_text(errors="replace")[-1500:] for path in sorted(self.folder.glob("*.log"))]
        return "\n".join(text.strip() for text in texts if text.strip())


def free_port() -> int:
    """Return a port of this machine that nobody has just now."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return int(trial.getsockname()[1])
