"""Two Dovecots, the source and the target, whose users sign in where one directory lets them.

A server admits a user whose host in the directory is its own name and whose status is active, and nobody else. The
administrator signs in for everybody on both (``admin()``), whatever the directory says. The directory is OpenLDAP, or
a table in an SQLite file.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from migrator.entries import Json
from tests.rigs.base import Account, need, temporary_root
from tests.rigs.dovecot import Dovecot
from tests.rigs.slapd import PEOPLE, READER, READER_PASSWORD, Slapd, person

SOURCE_HOST, TARGET_HOST = "old.example.test", "new.example.test"
DOMAIN = "example.test"

# users are found by their address and by the name they sign in with
_FILTER = "(|(mail={address})(uid={address}))"
_LDAP = """\
uris = {uri}
dn = {reader}
dnpass = {reader_password}
base = {people}
auth_bind = no
pass_attrs = uid=user,userPassword=password
pass_filter = (&(uid=%Ln)(mailHost={host})(emailPersonStatus=active))
user_attrs = mailQuota=quota_rule=*:storage=%$
user_filter = (uid=%Ln)
default_pass_scheme = PLAIN
"""
_SQL = """\
driver = sqlite
connect = {path}
default_pass_scheme = PLAIN
password_query = SELECT uid AS user, password FROM users \\
  WHERE uid = '%Ln' AND mailhost = '{host}' AND status = 'active'
user_query = SELECT uid AS user FROM users WHERE uid = '%Ln'
"""
# Users who sign in all the time would otherwise wait for a new process each time, and the program with them.
_REUSED = "service imap {\n  service_count = 0\n}\n"
_TABLE = """\
CREATE TABLE users (
  uid TEXT PRIMARY KEY, address TEXT UNIQUE NOT NULL, password TEXT NOT NULL, status TEXT, mailhost TEXT
)"""


class GovernedDovecot(Dovecot):
    """A Dovecot that asks ``driver`` (ldap, sql) who may sign in; its own file of users has only mailboxes' names."""

    def __init__(
        self, passwords: Mapping[str, str], driver: str, directory: str, *, extra: str = "", **more: Any
    ) -> None:
        self._driver = driver
        self._directory = directory
        super().__init__(passwords, extra=_REUSED + extra, **more)
        (self.dir / "directory.conf").write_text(directory)

    def _config(self) -> str:
        ours = f"driver = {self._driver}\n  args = {self.dir}/directory.conf\n"
        config, count = re.subn(
            r"driver = passwd-file\n  args = (scheme=PLAIN )?username_format=%Ln \S+/users\n", ours, super()._config()
        )
        assert count == 2, "the rig's passdb and userdb are not where they were"
        return config


class Governed:
    """``with GovernedByLdap(users(20)) as world:`` starts the directory and both servers; all users at the source."""

    source: GovernedDovecot
    target: GovernedDovecot

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self.passwords = dict(passwords)
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            for server in (self.source, self.target):
                stack.enter_context(server)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def address(self, user: str) -> str:
        """The address of ``user``."""
        return f"{user}@{DOMAIN}"

    def account(self, side: str, user: str) -> Account:
        """How ``user`` signs in at ``source`` or ``target``."""
        return (self.source if side == "source" else self.target).account(user)

    def sessions_options(self, side: str) -> dict[str, Json]:
        """The options of sessions of kind ``dovecot`` on one of the servers; they need no secret."""
        server = self.source if side == "source" else self.target
        return {"doveadm": ["doveadm", "-c", str(server.dir / "dovecot.conf")], "user": "local"}

    def directory_options(self) -> dict[str, Json]:
        """The options of a directory that decides who is admitted."""
        raise NotImplementedError

    def route_options(self) -> dict[str, Json]:
        """The options of a route that decides which of the two admits."""
        raise NotImplementedError

    def _start(self, stack: contextlib.ExitStack) -> None:
        raise NotImplementedError


class GovernedByLdap(Governed):
    """Governed by :attr:`slapd`: emailPersonStatus and mailHost."""

    slapd: Slapd

    def _start(self, stack: contextlib.ExitStack) -> None:
        need("/usr/lib/dovecot/modules/auth/libauthdb_ldap.so", "Dovecot's LDAP module")
        people = [
            person(self.address(user), userPassword=password, mailHost=SOURCE_HOST, emailPersonStatus="active")
            for user, password in self.passwords.items()
        ]
        self.slapd = stack.enter_context(Slapd(people))
        self.source, self.target = (
            GovernedDovecot(self.passwords, "ldap", self._config(host)) for host in (SOURCE_HOST, TARGET_HOST)
        )

    def directory_options(self) -> dict[str, Json]:
        """The options of a directory of kind ``ldap``; its secret is :func:`tests.rigs.slapd.secret`."""
        return self.slapd.options(status="emailPersonStatus", filter=_FILTER)

    def route_options(self) -> dict[str, Json]:
        """The options of a route of kind ``ldap``."""
        return self.slapd.options(source=SOURCE_HOST, target=TARGET_HOST, filter=_FILTER)

    def _config(self, host: str) -> str:
        return _LDAP.format(
            uri=self.slapd.uri, reader=READER, reader_password=READER_PASSWORD, people=PEOPLE, host=host
        )


class GovernedBySql(Governed):
    """Governed by the table ``users`` in the SQLite file :attr:`database`."""

    database: Path

    def _start(self, stack: contextlib.ExitStack) -> None:
        need("/usr/lib/dovecot/modules/auth/libdriver_sqlite.so", "Dovecot's SQLite module")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mailferry-sql-", dir=temporary_root()))
        Path(folder).chmod(0o755)
        self.database = Path(folder) / "users.db"
        rows = [
            (user, self.address(user), password, "active", SOURCE_HOST) for user, password in self.passwords.items()
        ]
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute(_TABLE)
            connection.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", rows)
        self.source, self.target = (
            GovernedDovecot(self.passwords, "sql", _SQL.format(path=self.database, host=host))
            for host in (SOURCE_HOST, TARGET_HOST)
        )

    def directory_options(self) -> dict[str, Json]:
        """The options of a directory of kind ``sql``; it needs no secret."""
        return self._options("status", status="status", open_value="active", closed_value="inactive")

    def route_options(self) -> dict[str, Json]:
        """The options of a route of kind ``sql``."""
        return self._options("mailhost", column="mailhost", source=SOURCE_HOST, target=TARGET_HOST)

    def _options(self, governed: str, **more: Json) -> dict[str, Json]:
        found = statements(governed, where=":address IN (uid, address)")
        return {"driver": "sqlite", "path": str(self.database), **found, **more}


def statements(column: str, equals: str = "IS", where: str = "address = :address") -> dict[str, Json]:
    """The statements of a connector that governs ``column`` of the table ``users``."""
    return {
        "find": f"SELECT {column} FROM users WHERE {where}",
        "replace": f"UPDATE users SET {column} = :wanted_{column} "
        f"WHERE {where} AND {column} {equals} :expected_{column}",
        "list": "SELECT address FROM users ORDER BY address",
    }
