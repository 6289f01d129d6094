"""Dovecot as the one address that clients know: it asks a table which server serves a user, and passes them on.

IMAP, POP3 and LMTP go by one row of an SQLite file: ``users(uid, address, mailhost, status)``. Passwords are checked by
the server behind. A user whose status is not ``active`` is told so and not passed on; their mail still is, by LMTP.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from migrator.entries import Json
from tests.rigs.base import Server, free_port, need
from tests.rigs.governed import DOMAIN, SOURCE_HOST, TARGET_HOST, statements

_CONFIG = """\
protocols = imap pop3 lmtp
instance_name = {dir.name}
base_dir = {dir}/run
state_dir = {dir}/state
listen = 127.0.0.1
log_path = {dir}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
login_trusted_networks = 127.0.0.0/8
default_internal_user = {internal}
default_internal_group = {internal}
default_login_user = {login}
first_valid_uid = 1
mail_uid = mail
mail_gid = mail
default_process_limit = 1500
default_client_limit = 6000
mail_max_userip_connections = 1000
import_environment = TZ
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  chroot =
  service_count = 0
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
auth_failure_delay = 0
service anvil {{
  chroot =
  client_limit = 12000
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
  client_limit = 12000
}}
service auth {{
  client_limit = 12000
}}
service doveadm {{
  unix_listener doveadm-server {{
    mode = 0600
  }}
}}
mail_location = maildir:{dir}/nothing
passdb {{
  driver = sql
  args = {dir}/sql.conf
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/nothing/%Ln
}}
lmtp_proxy = yes
login_proxy_timeout = 5 secs
login_proxy_max_disconnect_delay = 0
protocol lmtp {{
  postmaster_address = postmaster@{domain}
}}
{extra}
"""
# "proxy" wins over "nologin", so it is left out for who is refused; without a host there is no referral either
_SQL = """\
driver = sqlite
connect = {database}
password_query = SELECT NULL AS password, 'Y' AS nopassword, \\
  CASE WHEN refused THEN NULL ELSE '127.0.0.1' END AS host, CASE WHEN refused THEN NULL ELSE 'Y' END AS proxy, \\
  CASE WHEN refused THEN 'Y' END AS nologin, \\
  CASE WHEN refused THEN 'Mailbox is being moved, try again later' END AS reason, \\
  CASE '%s' WHEN 'imap' THEN imap WHEN 'pop3' THEN pop3 ELSE lmtp END AS port \\
  FROM (SELECT *, status <> 'active' AND '%s' <> 'lmtp' AS refused FROM users JOIN backends USING (mailhost)) \\
  WHERE uid = '%Ln'
"""
_TABLES = """\
PRAGMA journal_mode = WAL;
CREATE TABLE backends (mailhost TEXT PRIMARY KEY, imap INT, pop3 INT, lmtp INT);
CREATE TABLE users (uid TEXT PRIMARY KEY, address TEXT UNIQUE NOT NULL, mailhost TEXT, status TEXT);
"""


class Behind(NamedTuple):
    """Ports of a server behind; 0 where it has none."""

    imap: int
    pop3: int = 0
    lmtp: int = 0


class DovecotProxy(Server):
    """``DovecotProxy({"u1": "pw"}, source, target)`` passes everybody on to ``source``; ports: imap, pop3, lmtp."""

    name: ClassVar[str] = "dovecot-proxy"

    def __init__(self, passwords: Mapping[str, str], source: Behind, target: Behind, *, extra: str = "") -> None:
        """``extra``: more lines of configuration."""
        need("/usr/sbin/dovecot", "Dovecot")
        need("/usr/lib/dovecot/modules/auth/libdriver_sqlite.so", "Dovecot's SQLite module")
        super().__init__()
        self.passwords = dict(passwords)
        self.pop3, self.lmtp = free_port(), free_port()
        self.database = self.dir / "routes" / "users.sqlite"
        self._fill(source, target)
        (self.dir / "state").mkdir()
        (self.dir / "sql.conf").write_text(_SQL.format(database=self.database))
        root = os.geteuid() == 0
        (self.dir / "dovecot.conf").write_text(
            _CONFIG.format(
                dir=self.dir,
                imap=self.imap,
                pop3=self.pop3,
                lmtp=self.lmtp,
                domain=DOMAIN,
                internal="dovecot" if root else "mail",
                login="dovenull" if root else "mail",
                extra=extra,
            )
        )

    def start(self) -> None:
        shutil.rmtree(self.dir / "run", ignore_errors=True)
        self.daemon = self.spawn(["/usr/sbin/dovecot", "-F", "-c", self.dir / "dovecot.conf"])
        self.wait_for_greeting(self.imap)
        self.wait_for_greeting(self.pop3, banner=b"+OK")
        self.wait_for_greeting(self.lmtp, banner=b"220")

    def doveadm_words(self) -> list[str]:
        """The words that run doveadm on the proxy."""
        return ["/usr/bin/doveadm", "-c", str(self.dir / "dovecot.conf")]

    def doveadm(self, *words: object) -> str:
        """Run doveadm on the proxy and return what it prints."""
        argv = [*self.doveadm_words(), *map(str, words)]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def send_to(self, user: str, mailhost: str) -> None:
        """Change who serves ``user``, as somebody else would."""
        self._run("UPDATE users SET mailhost = ? WHERE uid = ?", mailhost, user)

    def served_by(self, user: str) -> str:
        """Who serves ``user`` by the table."""
        with contextlib.closing(sqlite3.connect(self.database)) as line:
            (found,) = line.execute("SELECT mailhost FROM users WHERE uid = ?", (user,))
        return str(found[0])

    def route_options(self) -> dict[str, Json]:
        """The options of a route of kind ``dovecot``; it needs no secret."""
        names: dict[str, Json] = {"source": SOURCE_HOST, "target": TARGET_HOST}
        return self._options("mailhost", column="mailhost", **names, **self.sessions_options())

    def directory_options(self) -> dict[str, Json]:
        """The options of a directory of kind ``sql`` that has the proxy refuse and admit."""
        return self._options("status", status="status", open_value="active", closed_value="moving")

    def sessions_options(self) -> dict[str, Json]:
        """The options of sessions of kind ``dovecot_proxy``: those that go through here, to whichever server."""
        return {"doveadm": [*self.doveadm_words()], "known_by": "local"}

    def last_words(self) -> str:
        log = self.dir / "dovecot.log"
        return super().last_words() + (log.read_text(errors="replace")[-3000:] if log.exists() else "")

    def _options(self, governed: str, **more: Json) -> dict[str, Json]:
        found = statements(governed, where=":address IN (uid, address)")
        return {"driver": "sqlite", "path": str(self.database), **found, **more}

    def _fill(self, source: Behind, target: Behind) -> None:
        self.database.parent.mkdir()
        with contextlib.closing(sqlite3.connect(self.database)) as line, line:
            line.executescript(_TABLES)
            line.executemany(
                "INSERT INTO backends VALUES (?, ?, ?, ?)", [(SOURCE_HOST, *source), (TARGET_HOST, *target)]
            )
            rows = [(user, f"{user}@{DOMAIN}", SOURCE_HOST, "active") for user in self.passwords]
            line.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", rows)
        # the proxy's auth process is another user, and readers of a WAL write beside it
        for path in (self.database.parent, *self.database.parent.iterdir()):
            path.chmod(0o777 if path.is_dir() else 0o666)

    def _run(self, statement: str, *values: str) -> None:
        with contextlib.closing(sqlite3.connect(self.database, timeout=20)) as line, line:
            line.execute(statement, values)
