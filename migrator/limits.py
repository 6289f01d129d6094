"""Bounds of the engine: bundle and window sizes, patience, and the signals by which a caller stops it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol


class StopSignal(Protocol):
    """Asked between bundles; once true it stays true."""

    def is_set(self) -> bool: ...


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds of a clock that never goes back."""
        ...

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        threading.Event().wait(seconds)


class NeverStop:
    """The stop signal of callers that do not stop."""

    def is_set(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes and times of one lane. Defaults are the measured optimum on fast servers (README.md, speed)."""

    bundle_messages: int = 500
    bundle_bytes: int = 8 * 1024 * 1024
    window_messages: int = 4000
    window_bytes: int = 64 * 1024 * 1024
    whole_bytes: int = 256 * 1024  # a message up to this size is held whole, a bigger one is streamed
    connect_seconds: float = 20.0
    io_seconds: float = 120.0  # silence of a server longer than this is a lost line
    reconnects: int = 3  # in a row, without any progress between them
    quiet_seconds: float = 3.0  # a target left in mid-append has finished when nothing changed for so long
    quiet_patience_seconds: float = 60.0  # and it is waited for no longer than this
    # to each side for one account, where more can be opened; None: more than one only where the target asks for each
    # message, which costs a round trip (transfer/several.py)
    connections: int | None = None
    overlap: bool = True  # talk to both sides at once while connecting and listing
