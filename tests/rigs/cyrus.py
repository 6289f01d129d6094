"""Cyrus IMAP 3.6, unpacked beside Dovecot: strict about what it stores, ``INBOX.`` prefix, folders for administrators.

The administrator ``cyrus`` / ``cyruspw`` signs in for anyone by SASL PLAIN with an authorization identity.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import struct
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.rigs.base import Server, free_port, private_box

ADMIN, ADMIN_PASSWORD = "cyrus", "cyruspw"

_IMAPD = """\
configdirectory: {dir}/conf
defaultpartition: default
partition-default: {dir}/spool
sievedir: {dir}/sieve
cyrus_user: {user}
servername: localhost
admins: cyrus
altnamespace: {alternative}
unixhierarchysep: {alternative}
virtdomains: off
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {dir}/mux
autocreate_quota: 10485760
autocreate_inbox_folders: Sent | Drafts | Trash
autocreate_subscribe_folders: Sent | Drafts | Trash
lmtpsocket: {dir}/conf/socket/lmtp
idlesocket: {dir}/conf/socket/idle
notifysocket: {dir}/conf/socket/notify
proc_path: {dir}/conf/proc
mboxname_lockpath: {dir}/conf/lock
duplicatesuppression: no
popminpoll: 0
conversations: no
anyoneuseracl: no
maxlogins_per_user: 0
{extra}
"""

_CONF = """\
START {{
  recover cmd="{programs}/ctl_cyrusdb -C {dir}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{programs}/imapd -C {dir}/imapd.conf -U 200" listen="127.0.0.1:{port}" prefork=1 maxchild=500
  moving cmd="{programs}/imapd -C {dir}/imapd.conf -U 200" listen="127.0.0.1:{moving}" prefork=0 maxchild=500
  pop3 cmd="{programs}/pop3d -C {dir}/imapd.conf -U 200" listen="127.0.0.1:{pop3}" prefork=0 maxchild=500
  sieve cmd="{programs}/timsieved -C {dir}/imapd.conf" listen="127.0.0.1:{sieve}" prefork=0 maxchild=500
}}
EVENTS {{
}}
"""

_FOLDERS = ("socket", "db", "log", "msg", "proc", "lock", "ptclient", "user", "quota")


class Saslauthd(threading.Thread):
    """The password service Cyrus asks: four counted strings in (name, password, service, realm), OK or NO out."""

    def __init__(self, path: Path, passwords: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self._passwords = passwords
        self._listener = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self._listener.bind(str(path))
        path.chmod(0o666)
        self._listener.listen(512)
        self._listener.settimeout(0.1)
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError, struct.error):
                line, _ = self._listener.accept()
                line.settimeout(5)
                self._answer(line)
        self._listener.close()

    def end(self) -> None:
        """Answer no more."""
        self._ended.set()
        self.join(5)

    def _answer(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as stream:
            name, password, _, _ = (stream.read(*struct.unpack("!H", stream.read(2))).decode() for _ in range(4))
            verdict = b"OK" if self._passwords.get(name) == password else b"NO"
            line.sendall(struct.pack("!H", 2) + verdict)


class Cyrus(Server):
    """``alternative=True``: no ``INBOX.`` prefix, separator ``/``. POP3 at port ``pop3``, scripts at ``sieve``.

    ``moving`` is a second IMAP service, of that name, for whoever moves the mail.
    """

    name: ClassVar[str] = "cyrus"

    def __init__(self, passwords: Mapping[str, str], *, alternative: bool = False, extra: str = "") -> None:
        box = private_box("cyrus")
        super().__init__()
        self.passwords = {ADMIN: ADMIN_PASSWORD, **passwords}
        self.user = "mail" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.pop3, self.sieve, self.moving = free_port(), free_port(), free_port()
        programs = box / "usr/lib/cyrus/bin"
        self._master = programs / "master"
        values = {"dir": self.dir, "programs": programs, "port": self.imap, "user": self.user, "extra": extra}
        values |= {"pop3": self.pop3, "sieve": self.sieve, "moving": self.moving}
        (self.dir / "imapd.conf").write_text(_IMAPD.format(**values, alternative="yes" if alternative else "no"))
        (self.dir / "cyrus.conf").write_text(_CONF.format(**values))
        for folder in (*(f"conf/{name}" for name in _FOLDERS), "spool", "sieve"):
            (self.dir / folder).mkdir(parents=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", self.user, str(self.dir)], check=True)
        self._env = dict(os.environ, LD_LIBRARY_PATH=_libraries(box))
        self._passwords_at: Saslauthd | None = None

    def start(self) -> None:
        if self._passwords_at is None:
            self._passwords_at = Saslauthd(self.dir / "mux", self.passwords)
            self._passwords_at.start()
        config, services, pid = (self.dir / name for name in ("imapd.conf", "cyrus.conf", "master.pid"))
        argv: list[str | Path] = [self._master, "-C", config, "-M", services, "-p", pid, "-D"]
        self.daemon = self.spawn(argv, env=self._env, user=self.user if os.geteuid() == 0 else None)
        self.wait_for_greeting(self.imap)

    def cleanup(self) -> None:
        if self._passwords_at is not None:
            self._passwords_at.end()
        super().cleanup()


def _libraries(box: Path) -> str:
    machine = f"{os.uname().machine}-linux-gnu"
    parts = (f"usr/lib/{machine}", f"lib/{machine}", "usr/lib/cyrus/lib", "usr/lib")
    return ":".join(str(box / part) for part in parts)
