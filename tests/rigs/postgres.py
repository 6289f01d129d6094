"""A throw-away PostgreSQL. It refuses to run as root, so root runs it as another user, in a folder of that user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import HOST, MissingServer, Server

_USER = "postgres"
# Nothing here must outlive the machine, and several tests connect with many threads.
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB")


def programs() -> Path:
    """The newest version's folder of programs: Debian keeps each version in its own, off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    usual = shutil.which("postgres")
    if usual is None:
        raise MissingServer("PostgreSQL")
    return Path(usual).parent


class Postgres(Server):
    """One cluster with one empty database, ``mailferry``."""

    name: ClassVar[str] = "postgres"

    def __init__(self) -> None:
        super().__init__()
        self.port = self.imap
        self._bin = programs()
        self._user = _USER if os.geteuid() == 0 else None
        if self._user:
            os.chown(self.dir, pwd.getpwnam(self._user).pw_uid, -1)

    @property
    def url(self) -> str:
        """Where it is, as DATABASE_URL names it."""
        return f"postgresql://test@{HOST}:{self.port}/mailferry"

    def start(self) -> None:
        """Start, or start again with the same rows."""
        if not (self.dir / "cluster").exists():
            self._make_cluster()
        options = [word for option in (*_QUICK, f"listen_addresses={HOST}") for word in ("-c", option)]
        self.daemon = self.spawn(
            [self._bin / "postgres", "-D", self.dir / "cluster", "-p", str(self.port), "-k", self.dir, *options],
            user=self._user,
        )
        self._wait()

    def stop(self) -> None:
        """End it now: asked with SIGTERM it waits until all clients have left."""
        if self.daemon is not None:
            self.daemon.send_signal(signal.SIGINT)
            self.daemon.wait(10)
        self.kill()

    def run(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of its programs, as the user that owns it."""
        user = pwd.getpwnam(self._user) if self._user else None
        return subprocess.run(
            [str(self._bin / program), *map(str, words)],
            cwd=self.dir,
            check=True,
            capture_output=True,
            text=True,
            user=user and user.pw_uid,
            group=user and user.pw_gid,
            extra_groups=[] if user else None,
        )

    def _make_cluster(self) -> None:
        text = ("-E", "UTF8", "--locale=C.UTF-8")
        self.run("initdb", "-D", self.dir / "cluster", "-U", "test", "-A", "trust", *text, "--no-sync")

    def _wait(self, seconds: float = 20.0) -> None:
        place = ("-h", HOST, "-p", str(self.port), "-U", "test")
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.daemon is not None and self.daemon.poll() is None:
            try:
                self.run("pg_isready", "-q", *place, "-d", "postgres")
                if "mailferry" not in self.run("psql", "-Atlq", *place, "postgres").stdout:
                    self.run("createdb", *place, "mailferry")
                return
            except subprocess.CalledProcessError:
                time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL on port {self.port} does not answer\n{self.last_words()}")
