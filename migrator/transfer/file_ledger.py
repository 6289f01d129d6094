"""The ledger on disk: one SQLite file for many accounts, one transaction per call, safe from many threads.

A killed process loses nothing it committed. A power failure may lose the last commits (``synchronous=NORMAL`` spares a
disk flush per bundle), and that is enough: the intent was written before, or the whole folder is unknown, so the next
pass looks at the target and finds the messages again. What is never accepted is a file that says less than it did: a
ledger is created beside its place and moved there whole, so an empty or foreign file is refused, not filled; and the
chain of every folder is checked whenever it is read.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
import tempfile
import threading
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.stores.base import MessageName
from migrator.transfer.account_lock import AccountLock
from migrator.transfer.chain import NO_LEAF, Tip, advance
from migrator.transfer.ledger import FolderState, Leaf, LeftBehind, Removal, ScriptState, Sending

APPLICATION_ID: Final = 0x4D46_4C47  # "MFLG"
FORMAT_VERSION: Final = 1
_BUSY_SECONDS: Final = 60.0
_CHECKPOINT_PAGES: Final = 4000  # 16 MB of log between two flushes of the disk

_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    UNIQUE (source, target)
);
CREATE TABLE state (
    account INTEGER NOT NULL REFERENCES account,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    source_uidvalidity INTEGER NOT NULL,
    target_uidvalidity INTEGER NOT NULL,
    watermark INTEGER NOT NULL,
    target_uidnext INTEGER NOT NULL,
    intent_uidnext INTEGER,
    ours_from INTEGER,
    source_uidnext INTEGER,
    source_messages INTEGER,
    source_modseq INTEGER,
    is_complete INTEGER NOT NULL,
    totals TEXT NOT NULL,
    removed INTEGER NOT NULL,
    leaves INTEGER NOT NULL,
    tip BLOB NOT NULL,
    PRIMARY KEY (account, source)
) WITHOUT ROWID;
CREATE TABLE leaf (
    account INTEGER NOT NULL REFERENCES account,
    folder BLOB NOT NULL,
    number INTEGER NOT NULL,
    source_uidvalidity INTEGER NOT NULL,
    target_uidvalidity INTEGER NOT NULL,
    packed BLOB NOT NULL,
    previous BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (account, folder, number)
);
CREATE TABLE left_behind (
    account INTEGER NOT NULL REFERENCES account,
    folder BLOB NOT NULL,
    source_uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    code TEXT NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY (account, folder, source_uidvalidity, uid)
) WITHOUT ROWID;
"""
# Beside the format: an older program does not miss it, for it knows no store that needs it.
_BESIDE: Final = """
CREATE TABLE IF NOT EXISTS message_name (
    account INTEGER NOT NULL REFERENCES account,
    folder BLOB NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    name BLOB NOT NULL,
    PRIMARY KEY (account, folder, uidvalidity, uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sending (
    account INTEGER NOT NULL REFERENCES account,
    folder BLOB NOT NULL,
    source_uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    canonical BLOB NOT NULL,
    PRIMARY KEY (account, folder, source_uidvalidity, uid)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS script (
    account INTEGER NOT NULL REFERENCES account,
    name BLOB NOT NULL,
    target BLOB NOT NULL,
    source_digest BLOB NOT NULL,
    target_digest BLOB NOT NULL,
    intent BLOB NOT NULL,
    activation INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removal (
    account INTEGER NOT NULL REFERENCES account,
    folder BLOB NOT NULL,
    source_uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    removed_at INTEGER,
    PRIMARY KEY (account, folder, source_uidvalidity, uid)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS removal_intended ON removal (account, folder, source_uidvalidity, uid)
    WHERE removed_at IS NULL;
"""
_STATE: Final = tuple(column.name for column in fields(FolderState))
_LEAF: Final = ("folder", "source_uidvalidity", "target_uidvalidity", "number", "packed", "previous", "digest")
_CODES: Final = {
    sqlite3.SQLITE_FULL: "ledger.full",
    sqlite3.SQLITE_CORRUPT: "ledger.damaged",
    sqlite3.SQLITE_NOTADB: "ledger.not_a_ledger",
}


class LedgerFile:
    """A ledger file; created, with its folder, when there is none. Use from any thread; close it when done.

    Raises ``MigratorError`` with a code ``ledger.*`` wherever the file cannot be what it must be.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._locks: list[AccountLock] = []
        with _plain_errors(self.path):
            if not self.path.exists():
                _create(self.path)
            self._connection = _connect(self.path)

    def account(self, source: str, target: str) -> FileLedger:
        """Return the ledger of a pair of mailboxes, new or begun; nobody else has it until it is closed.

        Raises ``MigratorError("ledger.busy")`` while this or another process works on that pair.
        """
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO account (source, target) VALUES (?, ?)", (source, target))
            query = "SELECT id FROM account WHERE source = ? AND target = ?"
            (number,) = connection.execute(query, (source, target)).fetchone()
            lock = AccountLock(self.path.with_name(self.path.name + ".lock"), number)
            if not lock.take():
                raise MigratorError("ledger.busy")
            self._locks.append(lock)
        return FileLedger(self, number, (source, target), lock)

    def pairs(self) -> list[tuple[str, str]]:
        """Return source and target of every account of this file, in the order they came."""
        return [(source, target) for source, target in self.query("SELECT source, target FROM account ORDER BY id")]

    @contextmanager
    def transaction(self, *, outlives_power: bool = False) -> Iterator[sqlite3.Connection]:
        """Write in one transaction: all of it, or nothing when anything is raised.

        ``outlives_power``: it is on the disk at the end, with all that was written before.
        """
        with self._lock, _plain_errors(self.path), self._flushing(outlives_power):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite rolls back by itself when the disk is full
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _flushing(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        (usual,) = self._connection.execute("PRAGMA synchronous").fetchone()
        self._connection.execute("PRAGMA synchronous = FULL")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA synchronous = {usual}")

    def query(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query; ask for few at a time."""
        with self._lock, _plain_errors(self.path):
            return self._connection.execute(statement, parameters).fetchall()

    def close(self) -> None:
        """Close the file and give back all accounts. Idempotent."""
        with self._lock:
            self._connection.close()
            for lock in self._locks:
                lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FileLedger:
    """One account of a :class:`LedgerFile`. Implements :class:`migrator.transfer.ledger.Ledger`."""

    def __init__(self, file: LedgerFile, account: int, pair: tuple[str, str], lock: AccountLock) -> None:
        self._file = file
        self._account = account
        self._pair = pair
        self._lock = lock

    def bind(self, source: str, target: str) -> None:
        """See Ledger."""
        if self._pair != (source, target):
            raise MigratorError("ledger.other_pair")

    def states(self) -> list[FolderState]:
        """See Ledger."""
        query = f"SELECT {', '.join(_STATE)} FROM state WHERE account = ? ORDER BY source"
        return [_state_of_row(row) for row in self._file.query(query, (self._account,))]

    def begin(self, states: Sequence[FolderState]) -> None:
        """See Ledger."""
        self.commit(states=states)

    def commit(
        self,
        *,
        leaves: Sequence[Leaf] = (),
        states: Sequence[FolderState] = (),
        left_behind: Sequence[LeftBehind] = (),
        resolved: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        """See Ledger."""
        gone = "DELETE FROM left_behind WHERE account = ? AND folder = ? AND source_uidvalidity = ? AND uid = ?"
        with self._file.transaction() as connection:
            advance(self._tip, leaves, states)
            connection.executemany(_insertion("leaf", _LEAF), self._owned(map(_row_of_leaf, leaves)))
            connection.executemany(gone, self._owned(resolved))
            rows = map(_row_of_left_behind, left_behind)
            connection.executemany(_insertion("left_behind", LeftBehind._fields), self._owned(rows))
            connection.executemany(_insertion("state", _STATE), self._owned(map(_row_of_state, states)))

    def message_names(self) -> Iterator[MessageName]:
        """See Ledger."""
        after: tuple[object, ...] = (b"", -1, -1)
        query = (
            "SELECT folder, uidvalidity, uid, name FROM message_name "
            "WHERE account = ? AND (folder, uidvalidity, uid) > (?, ?, ?) ORDER BY folder, uidvalidity, uid LIMIT 5000"
        )
        while rows := self._file.query(query, (self._account, *after)):
            yield from map(MessageName._make, rows)
            after = rows[-1][:3]

    def note_names(self, names: Sequence[MessageName]) -> None:
        """See Ledger."""
        latest = {name.folder: name.uidvalidity for name in names}
        with self._file.transaction() as connection:
            connection.executemany(
                "DELETE FROM message_name WHERE account = ? AND folder = ? AND uidvalidity < ?",
                self._owned(latest.items()),
            )
            connection.executemany(_insertion("message_name", MessageName._fields), self._owned(names))

    def sending(self) -> list[Sending]:
        """See Ledger."""
        query = f"SELECT {', '.join(Sending._fields)} FROM sending WHERE account = ? ORDER BY folder, uid"
        return [Sending(*row) for row in self._file.query(query, (self._account,))]

    def note_sending(self, sending: Sending) -> None:
        """See Ledger."""
        with self._file.transaction(outlives_power=True) as connection:
            connection.executemany(_insertion("sending", Sending._fields), self._owned([sending]))

    def clear_sending(self, sending: Sending) -> None:
        """See Ledger."""
        gone = "DELETE FROM sending WHERE account = ? AND folder = ? AND source_uidvalidity = ? AND uid = ?"
        with self._file.transaction() as connection:
            connection.executemany(gone, self._owned([sending[:3]]))

    def script_states(self) -> list[ScriptState]:
        """See Ledger."""
        query = f"SELECT {', '.join(ScriptState._fields)} FROM script WHERE account = ? ORDER BY name"
        return [ScriptState(*row) for row in self._file.query(query, (self._account,))]

    def note_scripts(self, states: Sequence[ScriptState]) -> None:
        """See Ledger."""
        with self._file.transaction(outlives_power=True) as connection:
            connection.executemany(_insertion("script", ScriptState._fields), self._owned(states))

    def intend_removal(self, folder: bytes, source_uidvalidity: int, uids: Sequence[int]) -> None:
        """See RemovingLedger."""
        with self._file.transaction(outlives_power=True) as connection:
            rows = (Removal(folder, source_uidvalidity, uid, None) for uid in uids)
            connection.executemany(_insertion("removal", Removal._fields), self._owned(rows))

    def removals(self) -> Iterator[Removal]:
        """See RemovingLedger."""
        after: tuple[object, ...] = (b"", -1, -1)
        query = (
            f"SELECT {', '.join(Removal._fields)} FROM removal WHERE account = ? "
            "AND (folder, source_uidvalidity, uid) > (?, ?, ?) ORDER BY folder, source_uidvalidity, uid LIMIT 5000"
        )
        while rows := self._file.query(query, (self._account, *after)):
            yield from map(Removal._make, rows)
            after = rows[-1][:3]

    def intended_removals(self) -> Mapping[tuple[bytes, int], Sequence[int]]:
        """See RemovingLedger."""
        query = (
            "SELECT folder, source_uidvalidity, uid FROM removal WHERE account = ? AND removed_at IS NULL "
            "ORDER BY folder, source_uidvalidity, uid"
        )
        found: dict[tuple[bytes, int], array[int]] = {}
        for folder, source_uidvalidity, uid in self._file.query(query, (self._account,)):
            found.setdefault((folder, source_uidvalidity), array("Q")).append(uid)
        return found

    def settle_removals(
        self,
        folder: bytes,
        source_uidvalidity: int,
        *,
        gone: Sequence[int],
        kept: Sequence[int],
        removed_at: int,
        states: Sequence[FolderState] = (),
    ) -> None:
        """See RemovingLedger."""
        forgotten = "DELETE FROM removal WHERE account = ? AND folder = ? AND source_uidvalidity = ? AND uid = ?"
        with self._file.transaction() as connection:
            advance(self._tip, (), states)
            rows = (Removal(folder, source_uidvalidity, uid, removed_at) for uid in gone)
            connection.executemany(_insertion("removal", Removal._fields), self._owned(rows))
            connection.executemany(forgotten, self._owned((folder, source_uidvalidity, uid) for uid in kept))
            connection.executemany(_insertion("state", _STATE), self._owned(map(_row_of_state, states)))

    def _owned(self, rows: Iterable[Sequence[object]]) -> Iterator[tuple[object, ...]]:
        return ((self._account, *row) for row in rows)

    def _tip(self, folder: bytes) -> Tip:
        query = "SELECT number + 1, digest FROM leaf WHERE account = ? AND folder = ? ORDER BY number DESC LIMIT 1"
        rows = self._file.query(query, (self._account, folder))
        return Tip(*rows[0]) if rows else NO_LEAF

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger. Raises ``MigratorError("ledger.damaged")`` where the chain does not hold."""
        query = f"SELECT {', '.join(_LEAF)} FROM leaf WHERE account = ? AND folder = ? AND number = ?"
        end, tip = self._end(folder), NO_LEAF
        while tip.leaves < end.leaves:
            rows = self._file.query(query, (self._account, folder, tip.leaves))
            leaf = Leaf(*rows[0]) if rows else None
            if leaf is None or leaf.previous != tip.digest or not leaf.is_intact():
                raise MigratorError("ledger.damaged", reply=str(self._file.path))
            yield leaf
            tip = Tip(leaf.number + 1, leaf.digest)
        if tip != end:
            raise MigratorError("ledger.damaged", reply=str(self._file.path))

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger."""
        query = (
            f"SELECT {', '.join(_LEAF)} FROM leaf WHERE account = ? AND folder = ? AND number > ? "
            "ORDER BY number LIMIT 1"
        )
        number = -1
        while rows := self._file.query(query, (self._account, folder, number)):
            leaf = Leaf(*rows[0])
            yield leaf
            number = leaf.number

    def _end(self, folder: bytes) -> Tip:
        """Where the chain ends by its state, which knows of leaves that got lost."""
        query = "SELECT leaves, tip FROM state WHERE account = ? AND source = ?"
        rows = self._file.query(query, (self._account, folder))
        return Tip(*rows[0]) if rows else self._tip(folder)

    def left_behind(self) -> Iterator[LeftBehind]:
        """See Ledger."""
        columns = ", ".join(LeftBehind._fields)
        after: tuple[object, ...] = (b"", -1, -1)
        query = (
            f"SELECT {columns} FROM left_behind WHERE account = ? AND (folder, source_uidvalidity, uid) > (?, ?, ?) "
            "ORDER BY folder, source_uidvalidity, uid LIMIT 500"
        )
        while rows := self._file.query(query, (self._account, *after)):
            for folder, source_uidvalidity, uid, outcome, code, reply in rows:
                yield LeftBehind(folder, source_uidvalidity, uid, Outcome(outcome), code, reply)
            after = rows[-1][:3]

    def close(self) -> None:
        """Give the account back, so that others may work on it. Idempotent."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _insertion(table: str, columns: Sequence[str]) -> str:
    return f"INSERT OR REPLACE INTO {table} (account, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})"


def _row_of_leaf(leaf: Leaf) -> list[object]:
    return [getattr(leaf, column) for column in _LEAF]


def _row_of_left_behind(row: LeftBehind) -> LeftBehind:
    # SQLite takes no lone surrogates, which stand for undecodable octets in what servers say
    return row._replace(reply=row.reply.encode("utf-8", "replace").decode("utf-8"))


def _row_of_state(state: FolderState) -> list[object]:
    totals = json.dumps({int(outcome): count for outcome, count in state.totals.items()})
    return [totals if column == "totals" else getattr(state, column) for column in _STATE]


def _state_of_row(row: Sequence[Any]) -> FolderState:
    columns = dict(zip(_STATE, row, strict=True))
    totals = {Outcome(int(outcome)): count for outcome, count in json.loads(columns["totals"]).items()}
    return FolderState(**{**columns, "totals": totals, "is_complete": bool(columns["is_complete"])})


def _create(path: Path) -> None:
    """Make a whole ledger beside ``path`` and put it there, unless another process was faster."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    os.close(descriptor)
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename it never replaces what is there
    finally:
        Path(draft).unlink()


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing ledger. A file of another kind or a newer format is refused before anything is written."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise MigratorError("ledger.not_a_ledger", reply=str(path))
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _check_kind(connection, path)
        _configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_kind(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise MigratorError("ledger.not_a_ledger", reply=str(path))
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > FORMAT_VERSION:
        raise MigratorError("ledger.newer", reply=str(path))


def _configure(connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    # Some network file systems refuse WAL; a rollback journal is safe only with every flush.
    connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode == 'wal' else 'FULL'}")
    connection.executescript(_BESIDE)
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into plain sentences."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code of an extended one
        raise MigratorError(_CODES.get(code, "ledger.unwritable"), reply=f"{path}: {error}") from error
    except OSError as error:
        code_name = "ledger.full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "ledger.unwritable"
        raise MigratorError(code_name, reply=f"{path}: {error.strerror}") from error
