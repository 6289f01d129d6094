"""Courier IMAP 5, unpacked beside Dovecot: ``INBOX.`` prefix, no LITERAL+, no administrator's sign-in. Needs root.

The path of its password service is compiled in, so each instance runs in a mount namespace of its own.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import Server, free_port, private_box

_COMPILED_IN = Path("/run/courier/authdaemon")
_OPTIONS = "-address=127.0.0.1 -maxprocs=400 -maxperip=400 -nodnslookup -noidentlookup"


class Authdaemond(threading.Thread):
    """Courier's password service, as much as sign-in needs.

    ``AUTH n`` and n bytes ``service, "login", user, password`` (one per line): attributes and ``.``, or ``FAIL``.
    """

    def __init__(self, path: Path, passwords: Mapping[str, str], attributes: Callable[[str], dict[str, str]]) -> None:
        super().__init__(daemon=True)
        self._passwords, self._attributes = passwords, attributes
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        path.chmod(0o777)
        self._listener.listen(512)
        self._listener.settimeout(0.1)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError):
                line, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()
        self._listener.close()

    def end(self) -> None:
        """Answer no more."""
        self._ended.set()
        self.join(5)

    def _serve(self, line: socket.socket) -> None:
        line.settimeout(30)
        with contextlib.suppress(OSError), line, line.makefile("rb") as stream:
            for request in stream:
                words = request.decode().split()
                if words[:1] == ["AUTH"]:  # "TCPREMOTEIP=..." may come before it and wants no answer
                    line.sendall(self._verdict(stream.read(int(words[1])).decode().split("\n")))

    def _verdict(self, fields: list[str]) -> bytes:
        _, kind, user, password = (fields + [""] * 4)[:4]
        if kind != "login" or self._passwords.get(user) != password:
            return b"FAIL\n"
        return "".join(f"{key}={value}\n" for key, value in self._attributes(user).items()).encode() + b".\n"


class Courier(Server):
    """Maildirs under ``mail/USER/Maildir``, owned by the user ``mail``."""

    name: ClassVar[str] = "courier"

    def __init__(self, passwords: Mapping[str, str], *, pop3: bool = False) -> None:
        """``pop3``: mail is read by POP3, too, at port ``pop3``."""
        self._box = private_box("courier")
        super().__init__()
        self.pop3 = free_port() if pop3 else 0
        self._pop_daemon: subprocess.Popen[bytes] | None = None
        self.passwords = dict(passwords)
        self._owner = pwd.getpwnam("mail")
        (self.dir / "auth").mkdir()
        for user in self.passwords:
            for part in ("cur", "new", "tmp"):
                (self.dir / "mail" / user / "Maildir" / part).mkdir(parents=True)
        self.give(self.dir / "mail")
        self._auth: Authdaemond | None = None

    def start(self) -> None:
        if self._auth is None:
            self._auth = Authdaemond(self.dir / "auth/socket", self.passwords, self._attributes)
            self._auth.start()
        _COMPILED_IN.mkdir(parents=True, exist_ok=True)  # only a place to mount on
        self.daemon = self._listen(self.imap, "imaplogin", "usr/bin/imapd")
        self.wait_for_greeting(self.imap)
        if self.pop3:
            self._pop_daemon = self._listen(self.pop3, "courierpop3login", "usr/lib/courier/courier/courierpop3d")
            self.wait_for_greeting(self.pop3, banner=b"+OK")

    def _listen(self, port: int, login: str, program: str) -> subprocess.Popen[bytes]:
        inside = f'mount --bind {self.dir}/auth {_COMPILED_IN} && exec "$@"'
        listener = [str(self._box / "usr/sbin/couriertcpd"), *_OPTIONS.split(), str(port)]
        programs = [str(self._box / path) for path in (f"usr/lib/courier/courier/{login}", program)]
        namespace = ["unshare", "-m", "--propagation", "private", "/bin/sh", "-c", inside, "sh"]
        return self.spawn([*namespace, *listener, *programs, "Maildir"], env=self._environment())

    def kill(self) -> None:
        """End it and its children: couriertcpd leaves the group it was started in, its children stay in its own."""
        for daemon in filter(None, (self.daemon, self._pop_daemon)):
            for pid in (*_children(daemon.pid), daemon.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._pop_daemon is not None:
            self._pop_daemon.wait(10)
            self._pop_daemon = None
        super().kill()

    def cleanup(self) -> None:
        if self._auth is not None:
            self._auth.end()
        super().cleanup()

    def maildir(self, user: str) -> Path:
        """Where the Maildir of ``user`` is. Files in it need :meth:`give`."""
        return self.dir / "mail" / user / "Maildir"

    def give(self, path: Path) -> None:
        """Make everything below ``path`` the mail user's: Courier wants its user and its group."""
        subprocess.run(["chown", "-R", f"{self._owner.pw_uid}:{self._owner.pw_gid}", str(path)], check=True)

    def _attributes(self, user: str) -> dict[str, str]:
        # no USERNAME: that asks for a system account of this name
        home = self.dir / "mail" / user
        return {
            "UID": str(self._owner.pw_uid), "GID": str(self._owner.pw_gid), "ADDRESS": user,
            "HOME": str(home), "MAILDIR": str(home / "Maildir"), "OPTIONS": "",
        }  # fmt: skip

    def _environment(self) -> dict[str, str]:
        config = "".join((self._box / "etc/courier" / name).read_text() for name in ("imapd", "pop3d"))
        values = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', config, re.MULTILINE))
        machine = f"{os.uname().machine}-linux-gnu"
        libraries = (f"usr/lib/{machine}", f"lib/{machine}", "usr/lib", f"usr/lib/{machine}/courier-authlib")
        return {key: value for key, value in values.items() if "$" not in value} | {
            "IMAP_SHAREDINDEXFILE": str(self.dir / "shared-index"), "IMAP_EMPTYTRASH": "", "MAILDIRPATH": "Maildir",
            "IMAP_USELOCKS": "1", "IMAP_STARTTLS": "NO", "IMAP_ENHANCEDIDLE": "0",
            "POP3_STARTTLS": "NO", "POP3AUTH": "PLAIN LOGIN",
            # without it every sign-in and APPEND waits a second
            "GAMIN_DEBUG_SERVER": str(self._box / "usr/libexec/gam_server"),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": ":".join(str(self._box / part) for part in libraries),
        }  # fmt: skip


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [*_children(int(child)), int(child)]
    return found
