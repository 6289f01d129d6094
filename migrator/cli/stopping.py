"""Ctrl-C: the first asks the copy to stop at a safe place, the second ends the program at once. Neither loses mail."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Final, Self

from migrator.cli.accounts import Exit

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_FIRST: Final = (
    "\nStopping after the messages under way ... Once more ends at once; the next run then looks what arrived.\n"
)
_SECOND: Final = "\nEnded at once. The same command goes on where it was.\n"


class Interrupts:
    """A stop signal that listens to the terminal, as a context manager in the main thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._before: dict[int, object] = {}

    def is_set(self) -> bool:
        """True once somebody asked to stop."""
        return self._stop.is_set()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() returned it takes

    def _take(self, number: int, frame: FrameType | None) -> None:
        # os.write: the signal may have come in the middle of a print, whose buffer is not to be entered twice
        if self._stop.is_set():
            os.write(2, _SECOND.encode())
            os._exit(Exit.STOPPED)
        self._stop.set()
        os.write(2, _FIRST.encode())
