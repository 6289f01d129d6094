"""Room for what must be remembered of many messages and need not have at hand: a temporary file behind a small cache.

SQLite's temporary databases: in memory while they are small, then in a file without a name that ends with them.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import tempfile
import weakref
from collections.abc import Callable, Iterator, MutableMapping
from typing import IO, Any, Final, TypeVar

from migrator.errors import MigratorError

CACHE_KIB: Final = 1024
MOST_HELD: Final = 4000  # that are kept as objects
HASH_BYTES: Final = 32
_NUMBER: Final = struct.Struct("<Q")
_PAGE_ROWS: Final = 500
Kept = TypeVar("Kept")


class ScratchDatabase(sqlite3.Connection):
    """A temporary database; what goes wrong with it is a matter of this machine's disk: ``MigratorError``."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """As in sqlite3."""
        try:
            return super().execute(*arguments)
        except sqlite3.Error as error:
            raise _exhausted(error) from error

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """As in sqlite3."""
        try:
            return super().executemany(*arguments)
        except sqlite3.Error as error:
            raise _exhausted(error) from error


def open_scratch(owner: object, *schema: str) -> ScratchDatabase:
    """Return an empty temporary database with the tables of ``schema``. Nothing of it outlives ``owner``."""
    connection = sqlite3.connect("", isolation_level=None, check_same_thread=False, factory=ScratchDatabase)
    # One transaction that nobody ever ends: nobody wants anything back, and no statement waits for a disk.
    for statement in (f"PRAGMA cache_size = -{CACHE_KIB}", "PRAGMA journal_mode = OFF", "BEGIN", *schema):
        connection.execute(statement)
    weakref.finalize(owner, connection.close)
    return connection


def _exhausted(error: sqlite3.Error | OSError) -> MigratorError:
    return MigratorError("machine.exhausted", reply=f"temporary file: {error}")


class Scratch(MutableMapping[int, Kept]):
    """A dict from numbers to something that can be packed; memory stays flat. Its keys come out ascending.

    Entries may be added and removed while it is walked through.
    """

    def __init__(self, pack: Callable[[Kept], bytes], unpack: Callable[[bytes], Kept]) -> None:
        self._pack, self._unpack = pack, unpack
        self._held: dict[int, Kept] | None = {}  # until there are too many
        self._length = 0
        self._database: ScratchDatabase | None = None

    def __len__(self) -> int:
        return self._length if self._held is None else len(self._held)

    def __contains__(self, key: object) -> bool:
        if self._held is not None:
            return key in self._held
        return isinstance(key, int) and self._row(key) is not None

    def __getitem__(self, key: int) -> Kept:
        if self._held is not None:
            return self._held[key]
        row = self._row(key)
        if row is None:
            raise KeyError(key)
        return self._unpack(row[0])

    def __setitem__(self, key: int, value: Kept) -> None:
        if self._held is not None:
            self._held[key] = value
            if len(self._held) > MOST_HELD:
                self._move_out(self._held)
            return
        self._length += key not in self
        self._ready().execute("INSERT OR REPLACE INTO kept VALUES (?, ?)", (key, self._pack(value)))

    def __delitem__(self, key: int) -> None:
        if self._held is not None:
            del self._held[key]
            return
        if key not in self:
            raise KeyError(key)
        self._length -= 1
        self._ready().execute("DELETE FROM kept WHERE key = ?", (key,))

    def __iter__(self) -> Iterator[int]:
        if self._held is not None:
            yield from sorted(self._held)
            return
        page = "SELECT key FROM kept WHERE key > ? ORDER BY key LIMIT ?"
        last = -1
        while keys := [key for (key,) in self._ready().execute(page, (last, _PAGE_ROWS))]:
            yield from keys
            last = keys[-1]

    def _move_out(self, held: dict[int, Kept]) -> None:
        self._length, self._held = len(held), None
        rows = ((key, self._pack(value)) for key, value in held.items())
        self._ready().executemany("INSERT INTO kept VALUES (?, ?)", rows)

    def _row(self, key: int) -> tuple[bytes] | None:
        row: tuple[bytes] | None = self._ready().execute("SELECT value FROM kept WHERE key = ?", (key,)).fetchone()
        return row

    def _ready(self) -> ScratchDatabase:
        if self._database is None:
            self._database = open_scratch(self, "CREATE TABLE kept (key INTEGER PRIMARY KEY, value BLOB NOT NULL)")
        return self._database


def scratch_of_bytes() -> Scratch[bytes]:
    """Return a dict of octets."""
    return Scratch(bytes, bytes)


def scratch_of_numbers() -> Scratch[int]:
    """Return a dict of numbers."""
    return Scratch(_NUMBER.pack, lambda packed: int(_NUMBER.unpack(packed)[0]))


class Hashes:
    """Hashes by position. Those that are more than ``MOST_HELD`` lie in a temporary file."""

    def __init__(self, width: int = HASH_BYTES) -> None:
        self.width = width
        self._held = bytearray()  # those that are not in the file yet
        self._in_file = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self._in_file + len(self._held) // self.width

    def append(self, digest: bytes) -> None:
        """Add one hash."""
        self._held += digest
        if len(self._held) >= MOST_HELD * self.width:
            self._move_out()

    def __getitem__(self, at: int) -> bytes:
        if not 0 <= at < len(self):
            raise IndexError(at)
        if at < self._in_file:
            return self._read(at, 1)
        start = (at - self._in_file) * self.width
        return bytes(self._held[start : start + self.width])

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts():
            for start in range(0, len(part), self.width):
                yield part[start : start + self.width]

    def parts(self) -> Iterator[bytes]:
        """Yield all hashes, many joined at a time."""
        for at in range(0, self._in_file, MOST_HELD):
            yield self._read(at, min(MOST_HELD, self._in_file - at))
        if self._held:
            yield bytes(self._held)

    def _read(self, at: int, count: int) -> bytes:
        assert self._file is not None
        try:
            return os.pread(self._file.fileno(), count * self.width, at * self.width)
        except OSError as error:
            raise _exhausted(error) from error

    def _move_out(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it ends with this object
                weakref.finalize(self, self._file.close)
            self._file.write(self._held)
            self._file.flush()
        except OSError as error:
            raise _exhausted(error) from error
        self._in_file += len(self._held) // self.width
        self._held = bytearray()
