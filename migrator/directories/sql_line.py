"""One line to an SQL database, SQLite or PostgreSQL, and the statements that go over it.

Statements come from configuration, values never become part of them: they travel as named parameters. Both databases
take ``:name`` here; for PostgreSQL it is rewritten where it stands outside of strings, comments and casts.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import psycopg

from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

Row = Mapping[str, Any]

_TOKENS: Final = re.compile(
    r"""
      '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<quote>\w*)\$.*?\$(?P=quote)\$  # left as they are
    | ::                                                                                            # a cast
    | (?<![\w:]):(?P<name>[A-Za-z_]\w*)
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with named parameters, as it was written."""

    text: str

    def names(self) -> frozenset[str]:
        """Return the names of its parameters."""
        return frozenset(token["name"] for token in _TOKENS.finditer(self.text) if token["name"])

    def for_psycopg(self) -> str:
        """Return the text with parameters and percent signs as psycopg wants them."""
        return _TOKENS.sub(_rewritten, self.text)

    def check(self, option: str, needed: Collection[str], allowed: Collection[str]) -> None:
        """Raise ``ValueError`` with a sentence when parameters are missing or unknown."""
        missing, unknown = sorted(set(needed) - self.names()), sorted(self.names() - {*needed, *allowed})
        if missing:
            raise ValueError(f"The statement {option} must use {', '.join(f':{name}' for name in missing)}.")
        if unknown:
            raise ValueError(f"The statement {option} uses :{unknown[0]}, which nothing fills in.")


def _rewritten(token: re.Match[str]) -> str:
    if token["name"]:
        return f"%({token['name']})s"
    return token[0].replace("%", "%%")


class Database(Protocol):
    """How one kind of database is reached. Connections are in autocommit mode."""

    @property
    def begin(self) -> str:
        """How a transaction that will write begins."""
        ...

    def connect(self) -> Any: ...

    def execute(self, connection: Any, statement: Statement, values: Row) -> Any:
        """Return the cursor after ``statement``."""
        ...

    def error(self, raised: Exception) -> MigratorError:
        """Return what ``raised`` is. ``directory.lost`` says that the line is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Sqlite:
    """A database in a file that is already there."""

    path: Path
    answer_seconds: float
    begin: str = "BEGIN IMMEDIATE"

    def connect(self) -> sqlite3.Connection:
        # mode=rw: a misspelt path is an error and no empty database
        uri = f"file:{urllib.parse.quote(str(self.path))}?mode=rw"
        return sqlite3.connect(
            uri, uri=True, timeout=self.answer_seconds, isolation_level=None, check_same_thread=False
        )

    def execute(self, connection: sqlite3.Connection, statement: Statement, values: Row) -> sqlite3.Cursor:
        return connection.execute(statement.text, {name: values[name] for name in statement.names()})

    def error(self, raised: Exception) -> MigratorError:
        words = str(raised)
        for code, pattern in (
            ("directory.busy", "locked|busy"),
            ("directory.unreachable", "unable to open|disk I/O"),
            ("directory.no_permission", "readonly|read-only"),
        ):
            if re.search(pattern, words):
                return MigratorError(code, reply=words)
        return MigratorError("directory.invalid", reply=words)


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A database on a PostgreSQL server."""

    words: Mapping[str, str | int]
    password: Secret | None
    begin: str = "BEGIN"

    def connect(self) -> psycopg.Connection[Any]:
        secret = {"password": self.password.reveal()} if self.password else {}
        # no prepared statements: a pooler between us and the server may give the next one another line
        return psycopg.connect(autocommit=True, prepare_threshold=None, **self.words, **secret)  # type: ignore[arg-type]

    def execute(self, connection: psycopg.Connection[Any], statement: Statement, values: Row) -> psycopg.Cursor[Any]:
        text = statement.for_psycopg().encode()
        return connection.execute(text, {name: values[name] for name in statement.names()})

    def error(self, raised: Exception) -> MigratorError:
        words = str(raised).strip()[:500]
        return MigratorError(_postgresql_code(getattr(raised, "sqlstate", None), raised, words), reply=words)


_STATES: Final[Sequence[tuple[str, str]]] = (  # PostgreSQL's appendix A, by the beginning of the code
    ("28", "directory.refused"),
    ("42501", "directory.no_permission"),
    ("25006", "directory.no_permission"),  # a server that only reads: a replica
    ("40", "directory.busy"),
    ("53", "directory.busy"),
    ("55P03", "directory.busy"),
    ("57014", "directory.busy"),  # statement_timeout
    ("57P", "directory.lost"),  # shut down, crashed, starting
    ("08", "directory.lost"),
)


def _postgresql_code(state: str | None, raised: Exception, words: str) -> str:
    for beginning, code in _STATES:
        if state and state.startswith(beginning):
            return code
    if state or not isinstance(raised, psycopg.OperationalError):
        return "directory.invalid"
    # libpq keeps the code of a refused connection to itself
    if re.search(r"password authentication|no password supplied|pg_hba\.conf|role .* does not exist", words):
        return "directory.refused"
    if "database" in words and "does not exist" in words:
        return "directory.invalid"
    return "server.certificate" if "certificate verify failed" in words else "directory.lost"


def database_of(options: Options, secret: Secret | None, driver: str | None = None) -> Database:
    """Read driver (sqlite, postgresql; unless it is given) and what it needs. Raises ``ValueError``.

    sqlite: path. postgresql: host, port, database, user, tls (libpq's sslmode, verify-full unless said otherwise),
    ca_file. Both: answer_seconds; postgresql: connect_seconds.
    """
    seconds = options.seconds("answer_seconds", 30)
    if (driver or options.choice("driver", ("sqlite", "postgresql"))) == "sqlite":
        path = Path(options.text("path"))
        if not path.is_absolute():
            raise ValueError("The option path must be the full path of the database file.")
        return Sqlite(path, seconds)
    words: dict[str, str | int] = {
        "host": options.text("host"),
        "port": options.port("port", 5432),
        "dbname": options.text("database"),
        "user": options.text("user"),
        "sslmode": options.choice("tls", ("disable", "require", "verify-ca", "verify-full"), "verify-full"),
        "connect_timeout": max(2, round(options.seconds("connect_seconds", 10))),
        "tcp_user_timeout": round(seconds * 1000),
        "options": f"-c statement_timeout={round(seconds * 1000)}",
        "application_name": "mailferry",
    }
    ca_file = options.text("ca_file", "system" if str(words["sslmode"]).startswith("verify") else "")
    return Postgresql(words | ({"sslrootcert": ca_file} if ca_file else {}), secret)


class SqlLine:
    """A connection that is made at the first call and taken up again when it was lost. Not thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None

    def rows(self, statement: Statement, values: Row, most: int | None = None) -> list[dict[str, Json]]:
        """Return up to ``most`` rows by column name. A line that died while it was idle is made anew, once."""
        was_idle = self._connection is not None
        try:
            return self._execute(statement, values, most).rows
        except MigratorError as error:
            if error.code != "directory.lost":
                raise
            if was_idle:
                return self.rows(statement, values, most)
            raise MigratorError("directory.unreachable", reply=error.reply) from None

    def change_one(self, statement: Statement, values: Row) -> int:
        """Carry out ``statement`` and keep it only when it changed one row; return how many it changed.

        Raises ``directory.lost`` when the line drops: then it may have happened.
        """
        try:
            self._execute(Statement(self._database.begin))
            count = self._execute(statement, values).changed
            self._execute(Statement("COMMIT" if count == 1 else "ROLLBACK"))
        except MigratorError:
            if self._connection is not None:
                self.close()  # whatever was begun is rolled back with the line
            raise
        return count

    def close(self) -> None:
        """Hang up. Never raises."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error, psycopg.Error):
                connection.close()

    def _execute(self, statement: Statement, values: Row | None = None, most: int | None = 0) -> _Result:
        if self._connection is None:
            self._connection = self._connect()
        try:
            with contextlib.closing(self._database.execute(self._connection, statement, values or {})) as cursor:
                return _Result(cursor.rowcount, _rows(cursor, most))
        except (sqlite3.Error, psycopg.Error, UnicodeError) as raised:
            error = self._database.error(raised)
        if error.code == "directory.lost":
            self.close()
        raise error

    def _connect(self) -> Any:
        try:
            return self._database.connect()
        except (sqlite3.Error, psycopg.Error) as raised:
            error = self._database.error(raised)
        if error.code == "directory.lost":
            raise MigratorError("directory.unreachable", reply=error.reply)
        raise error


class _Result(NamedTuple):
    changed: int
    rows: list[dict[str, Json]]


def _rows(cursor: Any, most: int | None) -> list[dict[str, Json]]:
    names = [column[0] for column in cursor.description or ()]
    found = [] if not names or most == 0 else cursor.fetchall() if most is None else cursor.fetchmany(most)
    return [dict(zip(names, map(_json, row), strict=True)) for row in found]


def _json(value: object) -> Json:
    """Return a value of a column if it can be saved and compared exactly."""
    if value is None or isinstance(value, str | bool | int):
        return value
    raise MigratorError("directory.invalid", reply=f"a column of type {type(value).__name__}, neither text nor number")
