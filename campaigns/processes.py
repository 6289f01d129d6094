"""What every program that this one starts has in common."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


def die_with_parent() -> None:
    """Between fork and exec: have the kernel end the child when its parent is gone, also when that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def stand_back(niceness: int, leader: int) -> None:
    """Let other programs go first where they and this one want the processor. Threads begun later do so too.

    Linux may share it out by sessions, and then heeds the niceness of a session alone. That of this program is set
    where process ``leader`` leads it, so that nobody else's is.
    """
    os.nice(niceness)
    if os.getsid(0) == leader:
        with contextlib.suppress(OSError):  # another system, or a kernel that does not do so
            Path("/proc/self/autogroup").write_text(str(niceness), encoding="ascii")
