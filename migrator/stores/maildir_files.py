"""The files of one Maildir folder by name and number. Their names would fill the memory: a temporary file has them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from migrator.packed import Column
from migrator.scratch import open_scratch, scratch_of_bytes
from migrator.stores import maildir_names as names
from migrator.stores.file_numbering import Keys, Numbering, ServerNumbers, key_of

_LARGEST: Final = 2**63 - 1
_FOUND: Final = (
    "CREATE TABLE found (key BLOB NOT NULL, arrival INTEGER NOT NULL, base BLOB NOT NULL, name BLOB NOT NULL)",
    "CREATE TABLE listed (key BLOB PRIMARY KEY, uid INTEGER NOT NULL)",
    "CREATE TABLE numbered (key BLOB PRIMARY KEY, uid INTEGER NOT NULL)",
)
_TWICE: Final = "SELECT key FROM found GROUP BY key HAVING COUNT(*) > 1"
_EARLIER: Final = "DELETE FROM found WHERE key = ?1 AND rowid < (SELECT MAX(rowid) FROM found WHERE key = ?1)"
# as the server has them, then as they came
_ADDED: Final = f"""
    SELECT found.key, COALESCE(listed.uid, 0) FROM found
    LEFT JOIN listed USING (key) LEFT JOIN numbered ON numbered.key = found.key
    WHERE numbered.key IS NULL ORDER BY COALESCE(listed.uid, {_LARGEST}), arrival, base
"""
_NUMBERED: Final = "SELECT uid, name FROM found JOIN numbered USING (key) ORDER BY uid"


class NumberedFiles:
    """The files of a folder ascending by UID: names with ``new/`` or ``cur/`` in front."""

    def __init__(self, rows: Iterable[tuple[int, bytes]]) -> None:
        self.uids = Column()
        self._names = scratch_of_bytes()
        for uid, name in rows:
            self.uids.append(uid)
            self._names[uid] = name

    def name(self, uid: int) -> bytes | None:
        """Return the name of the file with ``uid``, None when there is none."""
        return self._names.get(uid)

    def after(self, uid: int) -> Iterator[tuple[int, bytes]]:
        """Yield UIDs above ``uid`` and names."""
        uids = self.uids.packed
        return ((uids[at], self._names[uids[at]]) for at in range(bisect_right(uids, uid), len(uids)))


class FoundFiles:
    """What a listing found, while it is numbered. One is enough for all folders, one after the other."""

    def __init__(self) -> None:
        self._kept = open_scratch(self, *_FOUND)
        self._server: tuple[int, int] | None = None

    def replace(self, files: Iterable[tuple[bytes, bytes]]) -> None:
        """Take base names and names, all there are; of two with one base name the later."""
        self._server = None
        self._kept.execute("DROP INDEX IF EXISTS found_by_key")
        for table in ("found", "listed", "numbered"):  # what another folder held is nothing to this one
            self._kept.execute(f"DELETE FROM {table}")
        rows = ((key_of(base), min(names.arrival(base)[0], _LARGEST), base, name) for base, name in files)
        self._kept.executemany("INSERT INTO found VALUES (?, ?, ?, ?)", rows)

    def settle(self) -> None:
        """Be told that the listing is over."""
        self._kept.execute("CREATE INDEX found_by_key ON found (key)")
        for twice in self._kept.execute(_TWICE).fetchall():
            self._kept.execute(_EARLIER, twice)

    def take_server(self, head: names.UidListHead, rows: Iterable[tuple[bytes, int]]) -> None:
        """Take the numbers that a server gave, by base name."""
        self._server = head.uidvalidity, head.uidnext
        listed = ((key_of(base), uid) for base, uid in rows if uid <= _LARGEST)
        self._kept.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?)", listed)

    def in_order(self) -> tuple[Keys, ServerNumbers | None]:
        """Return the keys of all files in the order in which they are numbered for the first time."""
        keys, uids = Keys(), Column()
        for key, uid in self._kept.execute(_ADDED):
            keys.append(key)
            uids.append(uid)
        return keys, ServerNumbers(*self._server, uids) if self._server else None

    def added_to(self, numbering: Numbering) -> Iterator[bytes]:
        """Yield the keys of files that have no number in ``numbering``, in the order in which they get theirs."""
        self._number(numbering)
        return (key for key, _ in self._kept.execute(_ADDED))

    def numbered(self, numbering: Numbering) -> NumberedFiles:
        """Return the files that are there, by their numbers."""
        self._number(numbering)
        return NumberedFiles(self._kept.execute(_NUMBERED))

    def _number(self, numbering: Numbering) -> None:
        self._kept.execute("DELETE FROM numbered")
        rows = zip(numbering.keys, numbering.uids, strict=True)
        self._kept.executemany("INSERT OR REPLACE INTO numbered VALUES (?, ?)", rows)
