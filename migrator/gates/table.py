"""The table of a gate: who is served by which server, and what they are refused, in an SQLite file of its own.

It is apart from the panel's database, so that sign-ins depend on nothing but a file: the one who answers reads it, and
a rescue can write it. Whoever has no row is served as everybody was. A change is on the disk when it is confirmed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from migrator.errors import MigratorError

_TABLE: Final = """\
CREATE TABLE IF NOT EXISTS routes (
  gate TEXT NOT NULL, address TEXT NOT NULL, backend TEXT, refused TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (gate, address)
) WITHOUT ROWID"""
_READ: Final = "SELECT backend, refused FROM routes WHERE gate = ? AND address = ?"
_WRITE: Final = "INSERT OR REPLACE INTO routes (gate, address, backend, refused) VALUES (?, ?, ?, ?)"

T = TypeVar("T")


class Row(NamedTuple):
    """One user: the server's name, None where nobody ever changed it, and the services that are refused, in order."""

    backend: str | None = None
    refused: tuple[str, ...] = ()


class Table:
    """The rows of all gates. Not thread-safe; opens at first use, and again after :meth:`close`."""

    def __init__(self, path: Path, answer_seconds: float = 10.0) -> None:
        self._path = path
        self._answer_seconds = answer_seconds
        self._line: sqlite3.Connection | None = None

    def read(self, gate: str, address: str) -> Row:
        """Return the row of ``address``. Raises ``MigratorError``."""
        return self._asked(lambda line: _row(line, gate, address))

    def change(self, gate: str, address: str, change: Callable[[Row], Row | None]) -> Row:
        """Replace the row by what ``change`` makes of it, in one step, and return it; None leaves it as it is."""

        def replace(line: sqlite3.Connection) -> Row:
            with _transaction(line):
                found = _row(line, gate, address)
                wanted = change(found)
                if wanted is not None and wanted != found:
                    line.execute(_WRITE, (gate, address, wanted.backend, " ".join(wanted.refused)))
            return wanted or found

        return self._asked(replace)

    def rows(self, gate: str) -> list[tuple[str, Row]]:
        """Return all rows of a gate, by address."""
        ask = "SELECT address, backend, refused FROM routes WHERE gate = ? ORDER BY address"
        return self._asked(
            lambda line: [(address, _made(*values)) for address, *values in line.execute(ask, (gate,)).fetchall()]
        )

    def close(self) -> None:
        """Let go of the file. Never raises."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(sqlite3.Error):
                line.close()

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._line is None:
                self._line = self._opened()
            return ask(self._line)
        except (sqlite3.Error, OSError) as error:
            self.close()
            code = "directory.busy" if "locked" in str(error) else "directory.unreachable"
            raise MigratorError(code, reply=f"{self._path}: {error}") from None

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = sqlite3.connect(self._path, timeout=self._answer_seconds, isolation_level=None, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            line.execute("PRAGMA journal_mode = WAL")
            line.execute("PRAGMA synchronous = FULL")
            line.execute(_TABLE)
        except BaseException:
            line.close()
            raise
        return line


@contextlib.contextmanager
def _transaction(line: sqlite3.Connection) -> Iterator[None]:
    line.execute("BEGIN IMMEDIATE")
    try:
        yield
        line.execute("COMMIT")
    except BaseException:
        if line.in_transaction:
            line.execute("ROLLBACK")
        raise


def _row(line: sqlite3.Connection, gate: str, address: str) -> Row:
    found = line.execute(_READ, (gate, address)).fetchone()
    return _made(*found) if found else Row()


def _made(backend: str | None, refused: str) -> Row:
    return Row(backend, tuple(refused.split()))
