"""Throw-away real servers on loopback: configuration in a folder of their own, started, awaited, stopped by process id.

Folders live in memory (``/dev/shm``) when the machine has it: servers that flush to disk are ten times slower there.
Nothing is ever ended by name. A server that is not on the machine is a failure with one sentence, never a skip.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

HOST = "127.0.0.1"
_USUAL_BOX = "/var/cache/mailferry-test/box"  # as ./test has it
_ports = random.Random()  # deliberately not seeded: several test runs share one machine


class MissingServer(RuntimeError):
    """A program that the tests need is not on this machine."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not on this machine: run ./test once as root, it installs what the tests need.")


@dataclass(frozen=True, slots=True)
class Account:
    """One mailbox on one server, and how to sign in."""

    port: int
    user: str
    password: str
    host: str = HOST

    @property
    def url(self) -> str:
        """The account as the command line names it."""
        return f"imap://{self.user}@{self.host}:{self.port}"

    def through(self, port: int) -> Account:
        """The same account behind another port: a relay's."""
        return Account(port, self.user, self.password, self.host)


def users(count: int, password: str = "pw") -> dict[str, str]:
    """Names u0000, u0001 ... with one password."""
    return {f"u{number:04d}": password for number in range(count)}


def temporary_root() -> Path:
    """Memory when there is some, else the usual folder; ``MAILFERRY_TEST_FOLDER`` names another one."""
    if chosen := os.environ.get("MAILFERRY_TEST_FOLDER"):
        return Path(chosen)
    return Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir())


def private_box(name: str) -> Path:
    """Where ``tests/rigs/install`` unpacked a server that cannot be installed beside another one."""
    box = Path(os.environ.get("MAILFERRY_TEST_BOX") or _USUAL_BOX) / name
    if not box.is_dir():
        raise MissingServer(name.capitalize())
    return box


def cache_folder() -> Path:
    """What the tests of one person keep between runs: compiled rigs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mailferry-test"


def need(path: str | Path, what: str) -> Path:
    """Return the program at ``path``, or say which server is missing."""
    if not Path(path).exists():
        raise MissingServer(what)
    return Path(path)


def free_port() -> int:
    """A free loopback port below the kernel's own range, so that it is still free when its server is started again."""
    while True:
        port = _ports.randrange(12000, 32000)
        with socket.socket() as trial:
            try:
                trial.bind((HOST, port))
            except OSError:
                continue
            return port


def wait_until_closed(port: int, seconds: float = 5.0) -> None:
    """Wait until nobody listens on ``port``: the children of a daemon that was killed die a moment later."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                trial.bind((HOST, port))
                return
        time.sleep(0.005)
    raise RuntimeError(f"somebody still listens on port {port}")


class Server:
    """A daemon in the foreground, in its own process group and its own temporary folder."""

    name: ClassVar[str] = "server"

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix=f"mailferry-{self.name}-", dir=temporary_root()))
        self.dir.chmod(0o755)
        self.log = self.dir / "stdout.log"
        self.daemon: subprocess.Popen[bytes] | None = None
        self.imap = free_port()
        self.passwords: dict[str, str] = {}

    def account(self, user: str) -> Account:
        """How to sign in as ``user``."""
        return Account(self.imap, user, self.passwords[user])

    def start(self) -> None:
        """Start the daemon and wait until it greets."""
        raise NotImplementedError

    def spawn(
        self, argv: Sequence[str | Path], *, env: dict[str, str] | None = None, user: str | None = None
    ) -> subprocess.Popen[bytes]:
        """Run ``argv`` in the foreground, its output into the log; ``user`` drops root's rights first."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                cwd=self.dir,
                start_new_session=True,
                user=user,
                group=pwd.getpwnam(user).pw_gid if user else None,
                # user= alone keeps root's groups; Dovecot then dies in fchown()
                extra_groups=[] if user else None,
            )

    def stop(self) -> None:
        """End the daemon as an operator does, and wait for it."""
        _end(self.daemon, signal.SIGTERM)
        self.kill()  # what ignored it, and children that outlive their parent

    def kill(self) -> None:
        """End the daemon and its children at once, as a power cut does."""
        if self.daemon is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.daemon.pid, signal.SIGKILL)
            self.daemon.wait(10)
            self.daemon = None
            wait_until_closed(self.imap)

    def restart(self) -> None:
        """Kill and start again on the same port with the same mail."""
        self.kill()
        self.start()

    def cleanup(self) -> None:
        """End everything and remove the folder."""
        self.kill()
        shutil.rmtree(self.dir, ignore_errors=True)

    def wait_for_greeting(self, port: int, *, banner: bytes = b"* OK", seconds: float = 20.0) -> None:
        """Wait for the greeting: several daemons listen before they can answer."""
        seen: object = b""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.daemon is not None and self.daemon.poll() is not None:
                break
            try:
                with socket.create_connection((HOST, port), timeout=2.0) as line:
                    seen = greeting = line.recv(512)
                    if greeting.startswith(banner):
                        return
            except OSError as error:
                seen = error
            time.sleep(0.02)
        raise RuntimeError(f"{self.name} on port {port} does not greet: {seen!r}\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of the daemon's own output."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # a fixture that fails to start leaves nothing behind
            self.cleanup()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.cleanup()


def _end(daemon: subprocess.Popen[bytes] | None, sign: signal.Signals, seconds: float = 5.0) -> None:
    if daemon is None or daemon.poll() is not None:
        return
    daemon.send_signal(sign)
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.wait(seconds)


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for localhost and 127.0.0.1; return it and its key."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            str(key),
            "-out",
            str(certificate),
            "-days",
            "30",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key
