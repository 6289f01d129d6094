"""What is written is on the disk only once somebody has asked for it: the file, and its name in the folder."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Have what a file says, or the names in a folder, on the disk. Idempotent. Raises ``OSError``.

    fsync(2): a new or changed name is safe only when its folder was synced.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
