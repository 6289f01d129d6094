"""Run one program to its end and tell what it cost: wall time, CPU and peak memory as the system accounts them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from typing import Final, NamedTuple

TICKS: Final = os.sysconf("SC_CLK_TCK")
PATIENCE_SECONDS: Final = 1800.0


class Cost(NamedTuple):
    """One finished program."""

    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    # at least what the benchmark itself held when it started the program: Linux carries that high-water mark over
    peak_bytes: int
    output: str


def run(argv: Sequence[str | Path], folder: Path, seconds: float = PATIENCE_SECONDS) -> Cost:
    """Run ``argv`` with its output into ``folder``; it is killed after ``seconds``."""
    kept = folder / "output"
    # compiled files are used, as those of an installed program are, also where the caller wants none written
    environment = {**os.environ, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    begun = time.monotonic()
    with kept.open("wb") as output:
        child = subprocess.Popen(
            [str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    watch = Timer(seconds, child.kill)
    watch.start()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    watch.cancel()
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return Cost(child.returncode, wall, cpu, used.ru_maxrss * 1024, kept.read_text(errors="replace"))


def cpu_of_children(pid: int) -> float:
    """Return the CPU seconds of all ended children of ``pid``: Dovecot's imap processes end with their session."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = after_name[13:15]  # cutime and cstime, proc(5)
    return (int(user) + int(system)) / TICKS
