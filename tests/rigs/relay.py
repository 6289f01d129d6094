"""A long or slow line on loopback: an exact delay and rate each way, counts of bytes and round trips, cuts on command.

The work is done by ``delayrelay.c``, compiled at first use: Python would be the bottleneck it is meant to show.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal, NamedTuple, Self

from tests.rigs.base import MissingServer, cache_folder

Way = Literal["up", "down"]  # up: from the client to the server

_SOURCE = Path(__file__).with_name("delayrelay.c")


class Counts(NamedTuple):
    """What passed a relay since it was started or cleared."""

    connections: int
    open: int
    up_bytes: int
    down_bytes: int
    turns: int  # how often a client sent after it had been given something
    cuts: int

    @property
    def round_trips(self) -> int:
        """Waits for the server: the handshake and the greeting of each connection, and every turn."""
        return 2 * self.connections + self.turns


class Relay:
    """Listens on ``port`` and passes everything on to ``target_port``.

    ``rtt_ms`` is the whole round trip: half of it each way, and a handshake before the first byte. ``rate``: bytes a
    second each way, 0 for no limit. A context manager.
    """

    def __init__(self, target_port: int, rtt_ms: float = 0.0, rate: int = 0) -> None:
        self._running = subprocess.Popen(
            [str(compiled()), str(target_port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self._answer())
        self.set_rtt(rtt_ms)
        self._ask(f"rate {rate}")

    def set_rtt(self, milliseconds: float) -> None:
        """Delay what is sent from now on by ``milliseconds`` there and back."""
        self._ask(f"rtt {round(milliseconds * 1000)}")

    def counts(self) -> Counts:
        """What passed so far."""
        return Counts(*map(int, self._ask("counts").split()))

    def clear(self) -> None:
        """Start counting at 0."""
        self._ask("clear")

    def cut(self, *, reset: bool = True) -> None:
        """Cut every open connection at once: both ends see a reset, or the end of the stream."""
        self._ask(f"cut {'rst' if reset else 'fin'}")

    def cut_after(self, size_bytes: int, way: Way = "up", *, reset: bool = True) -> None:
        """Cut all of them when exactly ``size_bytes`` more were delivered ``way``; once. 0 forgets it."""
        self._ask(f"cutat {way} {size_bytes} {'rst' if reset else 'fin'}")

    def freeze(self, frozen: bool = True) -> None:
        """Deliver nothing more, and keep the connections: a server that hangs."""
        self._ask(f"freeze {int(frozen)}")

    def close(self) -> None:
        """End the relay and everything that goes through it."""
        for pipe in (self._running.stdin, self._running.stdout):
            if pipe is not None:
                pipe.close()
        self._running.kill()
        self._running.wait(10)

    def _ask(self, command: str) -> str:
        assert self._running.stdin is not None
        self._running.stdin.write(command + "\n")
        return self._answer()

    def _answer(self) -> str:
        assert self._running.stdout is not None
        line = self._running.stdout.readline()
        if not line:
            raise RuntimeError(f"the relay ended with {self._running.wait(10)}")
        return line.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def compiled() -> Path:
    """Compile the relay once per version of its source, and return the program."""
    program = cache_folder() / f"delayrelay-{hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:16]}"
    if program.exists():
        return program
    if shutil.which("gcc") is None:
        raise MissingServer("gcc, which compiles the delay relay,")
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(f".{os.getpid()}")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(fresh), str(_SOURCE)], check=True)
    fresh.rename(program)
    return program
