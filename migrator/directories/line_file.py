"""A text file of one line a name, which a server on this machine reads: looked up and changed by compare-and-set.

Whoever changes it takes a lock beside it, reads it again, and puts a new file in its place by renaming, so that a
reader sees the old one or the new one. Servers tell by the time of the last change, in whole seconds, whether to read
it again (Dovecot, Postfix), so each new file is at least a second younger than the one before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from migrator.disk import sync
from migrator.errors import MigratorError


class LineFile:
    """Lines by the name before their first colon. Names have no capitals and no colon here: servers fold them."""

    def __init__(self, path: str) -> None:
        if not Path(path).is_absolute() or "\0" in path:
            raise ValueError(f"{path} must be the full path of a file.")
        self._path = Path(path)

    def line(self, name: str) -> str | None:
        """Return the line of ``name``, without its line end. Raises ``directory.ambiguous``, ``.no_permission``."""
        return _only(name, self._lines())

    def lines(self) -> list[str]:
        """Return all lines, comments among them. Raises as :meth:`line`."""
        return self._lines()

    def age_seconds(self) -> float:
        """Return how long the file has been what it is. Times of change may be set ahead, so this goes by its state."""
        with _permitted():
            return time.time() - self._path.stat().st_ctime

    def change(self, name: str, decide: Callable[[str | None], str | None]) -> None:
        """Make the line of ``name`` what ``decide`` returns for the one that is there; None is no line.

        One atomic step for everybody who takes the same lock. What ``decide`` raises goes through, and changes nothing.
        """
        with self._locked():
            lines = self._lines()
            before = _only(name, lines)
            after = decide(before)
            if after == before:
                return
            kept = [after if after is not None and _name(line) == name else line for line in lines]
            if after is None:
                kept = [line for line in lines if _name(line) != name]
            elif before is None:
                kept.append(after)
            self._write(kept)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with _permitted(), (self._path.parent / f".{self._path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _lines(self) -> list[str]:
        with _permitted():
            octets = self._path.read_bytes()
        return octets.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n") if octets else []

    def _write(self, lines: list[str]) -> None:
        octets = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
        with _permitted():
            before = self._path.stat()
            descriptor, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
            fresh = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(octets)
                    file.flush()
                    os.fchmod(file.fileno(), stat.S_IMODE(before.st_mode))
                    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                        os.fchown(file.fileno(), before.st_uid, before.st_gid)
                    os.fsync(file.fileno())
                written_at = max(fresh.stat().st_mtime_ns // 10**9, before.st_mtime_ns // 10**9 + 1)
                os.utime(fresh, (written_at, written_at))
                fresh.rename(self._path)
            except BaseException:
                fresh.unlink(missing_ok=True)
                raise
            sync(self._path.parent)


@contextlib.contextmanager
def _permitted() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise MigratorError("directory.no_permission", reply=str(error)) from None
    except OSError as error:
        code = "directory.invalid" if error.errno in (errno.ENOENT, errno.EISDIR, errno.ENOTDIR) else "directory.busy"
        raise MigratorError(code, reply=str(error)) from None


def _name(line: str) -> str:
    return "" if line.startswith("#") else line.partition(":")[0].strip().casefold()


def _only(name: str, lines: list[str]) -> str | None:
    found = [line for line in lines if _name(line) == name]
    if len(found) > 1:
        raise MigratorError("directory.ambiguous")
    return found[0] if found else None
