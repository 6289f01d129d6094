"""What a person sees while the engine works: lines, one progress bar, tables, and numbers in plain words.

Lines go above the bar. Where nobody looks (no terminal) there is no bar, only a line every few seconds. Server's words
and folder names are strangers' text: they are shown without the control characters that could steer a terminal.
"""

from __future__ import annotations

import re
import shutil
import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple, TextIO

from migrator.limits import Clock, SystemClock

TERMINAL_SECONDS: Final = 0.2
LOG_SECONDS: Final = 5.0
WINDOW_SECONDS: Final = 20.0
MESSAGE_BYTES: Final = 8192  # what one message costs besides its bytes: makes the time left hold for small ones too
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CLEAR: Final = "\r\x1b[K"


class Amount(NamedTuple):
    """So much mail."""

    messages: int = 0
    size_bytes: int = 0

    @property
    def work(self) -> int:
        """A measure of the time it takes."""
        return self.size_bytes + MESSAGE_BYTES * self.messages


class Meter:
    """Rate and time left, from amounts that grow; the rate is that of the last seconds and follows the servers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, Amount]] = deque([(clock.monotonic(), Amount())])
        self.total = Amount()

    @property
    def done(self) -> Amount:
        """The amount reached."""
        return self._samples[-1][1]

    def reach(self, done: Amount) -> None:
        """Note that ``done`` is reached now."""
        now = self._clock.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] < now - WINDOW_SECONDS:
            self._samples.popleft()

    def rate(self) -> Amount:
        """Return messages and bytes per second."""
        (begin, before), (end, after) = self._samples[0], self._samples[-1]
        seconds = max(end - begin, 1e-3)
        return Amount(
            int((after.messages - before.messages) / seconds), int((after.size_bytes - before.size_bytes) / seconds)
        )

    def seconds_left(self) -> float | None:
        """Return the seconds that the rest takes at this rate; None while there is no rate."""
        work = self.rate().work
        return max(self.total.work - self.done.work, 0) / work if work else None

    def share(self) -> float:
        """Return how much of the total is done, from 0 to 1."""
        return min(self.done.work / self.total.work, 1.0) if self.total.work else 0.0


class Terminal:
    """One stream for lines and the bar. Safe to use from several threads."""

    def __init__(self, stream: TextIO, *, clock: Clock | None = None, bar: bool | None = None) -> None:
        self._stream = stream
        self._clock = clock or SystemClock()
        self._has_bar = stream.isatty() if bar is None else bar
        self._lock = threading.RLock()
        self._shown = ""
        self._drawn_at = self._clock.monotonic()

    def say(self, text: str) -> None:
        """Print a line, above the bar where there is one."""
        with self._lock:
            bar, self._shown = self._shown, ""
            self._write(f"{_CLEAR if bar else ''}{text}\n")
            if bar:
                self._draw(bar)

    def progress(self, share: float, text: str) -> None:
        """Show how far the work is; drops what comes too soon after the last."""
        with self._lock:
            now = self._clock.monotonic()
            if now - self._drawn_at < (TERMINAL_SECONDS if self._has_bar else LOG_SECONDS):
                return
            self._drawn_at = now
            if self._has_bar:
                self._draw(bar_line(share, text, shutil.get_terminal_size().columns))
            else:
                self._write(f"{share:4.0%}  {text}\n")

    def clear(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._shown:
                self._write(_CLEAR)
                self._shown = ""

    def _draw(self, bar: str) -> None:
        self._write(f"{_CLEAR}{bar}")
        self._shown = bar

    def _write(self, text: str) -> None:
        # whoever closed the other end of the stream does not stop a copy
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass


def bar_line(share: float, text: str, columns: int) -> str:
    """Return a bar with ``text`` in one line shorter than ``columns``; where that is narrow, without the bar."""
    room = columns - 1
    width = min(30, room - len(text) - 9)
    if width < 5:
        return f"{share:4.0%}  {text}"[:room]
    filled = int(share * width)
    return f"{share:4.0%} [{'=' * filled}{' ' * (width - filled)}] {text}"


def describe(meter: Meter) -> str:
    """Return what stands beside the bar: done, rate, time left."""
    rate, left = meter.rate(), meter.seconds_left()
    parts = [
        f"{meter.done.messages:,} of {meter.total.messages:,} messages",
        f"{size(meter.done.size_bytes)} of {size(meter.total.size_bytes)}",
        f"{rate.messages:,}/s",
        f"{size(rate.size_bytes)}/s",
    ]
    return ", ".join(parts) + (f", {duration(left)} left" if left is not None else "")


def size(size_bytes: int) -> str:
    """Return bytes for people, in powers of 1000 as disks are sold: ``45.2 MB``."""
    amount = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 99.95 else f"{amount:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time for people: ``0.4 s``, ``48 s``, ``12 min``, ``3 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return ``1 message``, ``2,000 messages``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def printable(text: str) -> str:
    """Return ``text`` without what could steer a terminal or turn its direction; each such character as an escape."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def table(head: Sequence[str], rows: Sequence[Sequence[str | int]]) -> list[str]:
    """Return lines with aligned columns, numbers to the right."""
    right = [bool(rows) and all(isinstance(row[at], int) for row in rows) for at in range(len(head))]
    cells = [[f"{cell:,}" if isinstance(cell, int) else printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [head, ["-" * width for width in widths], *cells]
    return ["  ".join(map(_aligned, line, widths, right)).rstrip() for line in lines]


def _aligned(cell: str, width: int, right: bool) -> str:
    return cell.rjust(width) if right else cell.ljust(width)
