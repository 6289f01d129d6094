"""A throw-away Redis."""

from __future__ import annotations

import shutil
import socket
import time
from typing import ClassVar

from tests.rigs.base import HOST, MissingServer, Server


class Redis(Server):
    """One server; with ``password`` it asks for it. What it holds outlives a restart, as in production."""

    name: ClassVar[str] = "redis"

    def __init__(self, password: str = "") -> None:
        super().__init__()
        self.port = self.imap
        self._password = password
        if shutil.which("redis-server") is None:
            raise MissingServer("Redis")

    @property
    def url(self) -> str:
        """Where it is, as REDIS_URL names it."""
        return f"redis://{f':{self._password}@' if self._password else ''}{HOST}:{self.port}/0"

    def start(self) -> None:
        """Start, or start again with what it held."""
        options = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.dir), "--daemonize", "no"]
        options += ["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        if self._password:
            options += ["--requirepass", self._password]
        self.daemon = self.spawn(["redis-server", *options])
        self._wait()

    def _wait(self, seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.daemon is not None and self.daemon.poll() is None:
            try:
                with socket.create_connection((HOST, self.port), timeout=1.0) as line:
                    line.sendall(b"PING\r\n")
                    if line.recv(64).startswith((b"+PONG", b"-NOAUTH")):
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise RuntimeError(f"Redis on port {self.port} does not answer\n{self.last_words()}")
