"""GNU Mailutils imap4d, unpacked beside Dovecot: a poor server. No UIDPLUS, no keywords, mbox files that it rewrites.

A user signs in as ``u0001@example.test``.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from passlib.hash import md5_crypt

from tests.rigs.base import Account, Server, private_box

DOMAIN = "example.test"

_CONFIG = """\
auth {{ authentication generic:virtdomain; authorization virtdomain; }}
virtdomain {{ passwd-dir "{dir}/domains"; }}
mailbox {{ mail-spool "{dir}/spool"; mailbox-type mbox; }}
logging {{ syslog no; }}
mode daemon;
foreground yes;
max-children 200;
pidfile {dir}/imap4d.pid;
home-dir-mode 700;
create-home-dir yes;
login-disabled no;
server "127.0.0.1:{port}" {{ }}
"""


class Mailutils(Server):
    """Mail is in ``home/USER``: INBOX and every folder a file there. Files put there need :meth:`give`."""

    name: ClassVar[str] = "mailutils"

    def __init__(self, passwords: Mapping[str, str]) -> None:
        box = private_box("mailutils")
        super().__init__()
        self.passwords = dict(passwords)
        self._owner = pwd.getpwnam("mail")
        self._program = box / "usr/sbin/imap4d"
        machine = f"{os.uname().machine}-linux-gnu"
        parts = (f"usr/lib/{machine}", f"lib/{machine}", "usr/lib")
        self._env = dict(os.environ, LD_LIBRARY_PATH=":".join(str(box / part) for part in parts))
        for folder in ("domains", "spool", "home"):
            (self.dir / folder).mkdir()
        (self.dir / "imap4d.conf").write_text(_CONFIG.format(dir=self.dir, port=self.imap))
        (self.dir / "domains" / DOMAIN).write_text("".join(map(self._row, self.passwords)))
        for user in self.passwords:
            self.home(user).mkdir()
            (self.home(user) / "INBOX").touch()
        self.give(self.dir / "home")
        self.give(self.dir / "spool")

    def start(self) -> None:
        self.daemon = self.spawn([self._program, "--config-file", self.dir / "imap4d.conf"], env=self._env)
        self.wait_for_greeting(self.imap)

    def account(self, user: str) -> Account:
        return Account(self.imap, f"{user}@{DOMAIN}", self.passwords[user])

    def home(self, user: str) -> Path:
        """Where the mail of ``user`` is."""
        return self.dir / "home" / user

    def give(self, path: Path) -> None:
        """Make everything below ``path`` the mail user's."""
        subprocess.run(["chown", "-R", f"{self._owner.pw_uid}:{self._owner.pw_gid}", str(path)], check=True)

    def _row(self, user: str) -> str:
        hashed = md5_crypt.hash(self.passwords[user])
        return f"{user}:{hashed}:{self._owner.pw_uid}:{self._owner.pw_gid}::{self.home(user)}:/bin/false\n"
