"""One process at a time per account: advisory locks that die with their holder, whatever it died of.

Each account is one octet of a lock file beside the ledger, locked with fcntl. The ledger itself cannot carry them:
closing any descriptor of a file drops all the locks its process holds on it, SQLite's own included (POSIX fcntl). For
the same reason a process keeps one descriptor per lock file, counted here, and refuses its own second lock itself.
"""

from __future__ import annotations

import fcntl
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, eq=False)
class _LockFile:
    """The one descriptor this process has of a lock file, and the accounts it holds through it."""

    descriptor: int
    held: set[int] = field(default_factory=set)


_guard = threading.Lock()
_lock_files: dict[tuple[int, int], _LockFile] = {}  # device and inode: two paths may name one file


class AccountLock:
    """A lock on account number ``account`` of the ledger with lock file ``path``."""

    def __init__(self, path: Path, account: int) -> None:
        self._path = path
        self._account = account
        self._key: tuple[int, int] | None = None

    def take(self) -> bool:
        """Take the lock; False when it is held, even by this process. Raises ``OSError`` where there are no locks."""
        with _guard:
            key, lock_file = _open(self._path)
            if self._account not in lock_file.held and _lock(lock_file.descriptor, self._account):
                lock_file.held.add(self._account)
                self._key = key
            _close_unused(key)
            return self._key is not None

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        with _guard:
            if self._key is None:
                return
            lock_file = _lock_files[self._key]
            fcntl.lockf(lock_file.descriptor, fcntl.LOCK_UN, 1, self._account)
            lock_file.held.discard(self._account)
            _close_unused(self._key)
            self._key = None


def _open(path: Path) -> tuple[tuple[int, int], _LockFile]:
    if path.exists():
        status = path.stat()
        known = _lock_files.get((status.st_dev, status.st_ino))
        if known is not None:  # opening and closing it once more would drop every lock held
            return (status.st_dev, status.st_ino), known
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    status = os.fstat(descriptor)
    key = status.st_dev, status.st_ino
    _lock_files[key] = _LockFile(descriptor)
    return key, _lock_files[key]


def _lock(descriptor: int, account: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, account)
    except (BlockingIOError, PermissionError):  # POSIX lets a system answer either
        return False
    return True


def _close_unused(key: tuple[int, int]) -> None:
    if not _lock_files[key].held:
        os.close(_lock_files.pop(key).descriptor)
