"""The locks of a mailbox file, as the delivery agents take them: ``FILE.lock`` first, then fcntl.

All or nothing: what cannot be had at once is not waited for while something else is held, so that two programs with
another order never wait for each other. Where no file may be made beside the mailbox, fcntl alone is taken.
"""

from __future__ import annotations

import errno
import fcntl
import os
import random
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Clock
from migrator.stores.file_access import refusal, shown

STALE_SECONDS: Final = 600  # a lock of another that is older was left by a program that died
REFRESH_SECONDS: Final = 30
_NO_DOT_LOCK: Final = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG)
# struct flock of Linux: type, whence, start, length, pid
_READ_LOCK: Final = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
_WRITE_LOCK: Final = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
_UNLOCK: Final = struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 0, 0, 0)


class Lock:
    """A lock that is held."""

    def __init__(self, dot_lock: Path | None) -> None:
        self._dot_lock = dot_lock
        self._refreshed = time.monotonic()

    def refresh(self) -> None:
        """Show that the holder lives; call it every now and then."""
        if self._dot_lock is not None and time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            with suppress(OSError):
                os.utime(self._dot_lock)


@contextmanager
def locked(path: Path, descriptor: int, *, seconds: float, clock: Clock, to_write: bool = False) -> Iterator[Lock]:
    """Hold the locks of the mailbox ``path`` (resolved), open as ``descriptor``, for writing when it is to be changed.

    Waits up to ``seconds`` for another holder, then raises ``MigratorError`` (``server.mailbox_locked``).
    """
    end = clock.monotonic() + seconds
    while (held := _try(path, descriptor, _WRITE_LOCK if to_write else _READ_LOCK)) is None:
        if clock.monotonic() >= end:
            words = f"{shown(path)} has been locked for {seconds:.0f} seconds"
            raise MigratorError("server.mailbox_locked", side=Side.SOURCE, reply=words)
        clock.wait(random.uniform(0.02, 0.1))
    try:
        yield held[0]
    finally:
        _release(held[1], descriptor)


def _try(path: Path, descriptor: int, lock: bytes) -> tuple[Lock, Path | None] | None:
    dot_lock: Path | None = path.with_name(f"{path.name}.lock")
    assert dot_lock is not None
    try:
        made = os.open(dot_lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        os.write(made, b"%d" % os.getpid())
        os.close(made)
    except FileExistsError:
        _remove_stale(dot_lock)
        return None
    except OSError as error:
        if error.errno not in _NO_DOT_LOCK:
            raise refusal(error, path) from error
        dot_lock = None
    if not _fcntl(descriptor, lock):
        _release(dot_lock, None)
        return None
    return Lock(dot_lock), dot_lock


def _release(dot_lock: Path | None, descriptor: int | None) -> None:
    if descriptor is not None:
        _fcntl(descriptor, _UNLOCK)
    if dot_lock is not None:
        dot_lock.unlink(missing_ok=True)


def _fcntl(descriptor: int, what: bytes) -> bool:
    """Lock or unlock; False when another holds it.

    Locks of the open file, not of the process: else whoever closes the file anywhere in this process ends ours.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, what)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES (POSIX)
        return False
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOLCK, errno.ENOTSUP):
            raise
        # A file system without locks: the dot-lock must do.
    return True


def _remove_stale(dot_lock: Path) -> None:
    with suppress(OSError):
        if time.time() - dot_lock.stat().st_mtime > STALE_SECONDS:
            dot_lock.unlink()
