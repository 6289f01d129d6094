"""When a server was last told to read its tables again: a note that all our processes on this machine share.

Lanes of one process wait for each other in memory (:mod:`migrator.holds.together`), processes by the lock on the note.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
NEVER: Final = float("-inf")


@dataclass(frozen=True, slots=True)
class Reload:
    """When the last one began and was over, in monotonic seconds: all processes of a machine have the same."""

    begun: float = NEVER
    over: float = NEVER


class Note:
    """The note, locked. What another run of the machine wrote counts as never."""

    def __init__(self, file: int) -> None:
        self._file = file

    def read(self) -> Reload:
        """Return what is noted."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            noted = json.loads(os.pread(self._file, 4096, 0))
            if noted["boot"] == _boot():
                return Reload(float(noted["begun"]), float(noted["over"]))
        return Reload()

    def write(self, reload: Reload) -> None:
        """Note ``reload``."""
        text = json.dumps({"boot": _boot(), "begun": reload.begun, "over": reload.over}).encode()
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text, 0)


@contextlib.contextmanager
def noted(words: Sequence[str], folder: Callable[[], Path] | None = None) -> Iterator[Note]:
    """Hold the note for the server that ``words`` name. Nobody else reads or writes it meanwhile."""
    name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:24]
    place = (folder or _folder)() / f"reload-{name}"
    file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield Note(file)
    finally:
        os.close(file)


def _folder() -> Path:
    """Return a folder that is ours alone: others must not be able to tell us that a reload was made."""
    folder = Path(tempfile.gettempdir()) / f"mailferry-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o022 or not folder.is_dir() or folder.is_symlink():
        raise MigratorError("connector.invalid", reply=f"{folder} is not a folder of ours alone")
    return folder


def _boot() -> str:
    return _BOOT.read_text().strip() if _BOOT.exists() else ""
