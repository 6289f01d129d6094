"""The demo's directory: one SQLite file that says who may sign in where, and how much room they have.

Both servers ask it at every sign-in: a server lets in whose ``mailhost`` is its own name and whose ``status`` is
active. The panel's connectors change these two columns and nothing else.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from migrator.entries import Json

OLD_HOST: Final = "old.kestrel-harbour.example"
NEW_HOST: Final = "new.kestrel-harbour.example"
_TABLE: Final = """\
CREATE TABLE people (
  login TEXT PRIMARY KEY,
  password TEXT NOT NULL,
  status TEXT NOT NULL,
  mailhost TEXT NOT NULL,
  new_room_bytes INTEGER NOT NULL  -- of the mailbox on the new server; 0: as much as there is
)"""
_WAIT_SECONDS: Final = 10.0


class Entry(NamedTuple):
    """One person of the directory."""

    login: str
    password: str
    status: str = "active"
    mailhost: str = OLD_HOST
    new_room_bytes: int = 0


def create(file: Path, entries: Iterable[Entry]) -> None:
    """Make the directory, for nobody else to read; the file must not be there yet."""
    file.touch(0o600, exist_ok=False)
    with _open(file) as line:
        line.execute(_TABLE)
        line.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?)", entries)


def find(file: Path, login: str) -> Entry | None:
    """Return the entry of ``login``, None when there is none."""
    with _open(file) as line:
        row = line.execute("SELECT * FROM people WHERE login = ?", (login.casefold(),)).fetchone()
    return Entry(*row) if row else None


def rooms(file: Path) -> dict[str, int]:
    """Return how much room everybody has on the new server, in bytes, 0 for as much as there is."""
    with _open(file) as line:
        return dict(line.execute("SELECT login, new_room_bytes FROM people ORDER BY login").fetchall())


def set_room(file: Path, login: str, room_bytes: int) -> None:
    """Give ``login`` more or less room on the new server."""
    with _open(file) as line:
        line.execute("UPDATE people SET new_room_bytes = ? WHERE login = ?", (room_bytes, login))


def directory_options(file: Path) -> dict[str, Json]:
    """Return the options of a directory of kind ``sql`` that governs sign-in."""
    return _options(file, "status", status="status", open_value="active", closed_value="inactive")


def route_options(file: Path) -> dict[str, Json]:
    """Return the options of a route of kind ``sql`` that says which server serves somebody."""
    return _options(file, "mailhost", column="mailhost", source=OLD_HOST, target=NEW_HOST)


def _options(file: Path, governed: str, **more: Json) -> dict[str, Json]:
    return {
        "driver": "sqlite",
        "path": str(file),
        "find": f"SELECT {governed} FROM people WHERE login = :address",
        "replace": f"UPDATE people SET {governed} = :wanted_{governed} "
        f"WHERE login = :address AND {governed} IS :expected_{governed}",
        "list": "SELECT login FROM people ORDER BY login",
        **more,
    }


@contextlib.contextmanager
def _open(file: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(file, timeout=_WAIT_SECONDS)) as line, line:
        yield line
