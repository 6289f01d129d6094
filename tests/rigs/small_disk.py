"""A file system of its own, in memory, that is full and has room again on command. Needs root, as the rigs do."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from tests.rigs.base import temporary_root

_ROOM: Final = "2g"  # only what is used of it takes memory
_REST: Final = 64 * 1024  # what a server may have written between the look and the change


class SmallDisk:
    """A context manager; it holds what it is told to take."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailferry-disk-", dir=temporary_root()))

    def take(self, folder: Path) -> None:
        """Hold what is in ``folder`` from now on; nobody may be at work there."""
        here = self.folder / folder.name
        subprocess.run(["cp", "--archive", str(folder), str(here)], check=True)
        shutil.rmtree(folder)
        folder.symlink_to(here)

    def fill(self) -> None:
        """Leave no room to speak of."""
        for _ in range(100):
            seen = os.statvfs(self.folder)
            used = (seen.f_blocks - seen.f_bfree) * seen.f_frsize
            with suppress(subprocess.CalledProcessError):  # more was written meanwhile
                self._mount(f"remount,size={used + _REST}")
                return
        raise RuntimeError("the disk grows faster than it can be filled")

    def give_back(self) -> None:
        """Make room again."""
        self._mount(f"remount,size={_ROOM}")

    def __enter__(self) -> Self:
        self._mount(f"size={_ROOM},mode=755")
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir()

    def _mount(self, options: str) -> None:
        argv = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder)]
        subprocess.run(argv, check=True, capture_output=True)
