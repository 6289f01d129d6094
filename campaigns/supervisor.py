"""Keeps the panel's programs running under one foreground command, and ends all of them with it.

Each program is a session of its own, so that Ctrl-C reaches the supervisor alone and a program is ended with its
children. On Linux the kernel ends them even when the supervisor is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from campaigns.processes import die_with_parent

_TURN_SECONDS: Final = 0.1
_STEADY_SECONDS: Final = 60.0  # who lived so long starts again at once when it dies
_LONGEST_PAUSE_SECONDS: Final = 30.0
_BEATS_EVERY_SECONDS: Final = 5.0

log = logging.getLogger(__name__)

# Names of programs -> when each was last heard of; None when that cannot be asked just now.
Beats = Callable[[], Mapping[str, datetime] | None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. ``beat`` names its beats; empty for a program that has none."""

    name: str
    argv: tuple[str, ...]
    beat: str = ""


@dataclass(slots=True)
class Child:
    """A program that is running, or waits for its next start."""

    program: Program
    fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    failures: int = 0
    seen: datetime | None = None  # its last beat
    seen_at: float = field(default=0.0)  # when that was new to us, by our own clock

    def start(self, now: float) -> None:
        """Run the program in a session of its own."""
        self.process = subprocess.Popen(
            self.program.argv,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=self.fds,
            preexec_fn=die_with_parent,
        )
        self.started = self.seen_at = now

    def signal(self, number: signal.Signals) -> None:
        """Send ``number`` to the program, or with SIGKILL to it and its children."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look(self, now: float) -> None:
        """Start the program when it is time, and note when it ended."""
        if self.process is None and now >= self.start_at:
            self.start(now)
        elif self.process is not None and self.process.poll() is not None:
            self._ended(now, self.process.returncode)

    def _ended(self, now: float, code: int) -> None:
        self.signal(signal.SIGKILL)  # children that outlived it
        self.failures = 0 if now - self.started > _STEADY_SECONDS else self.failures + 1
        pause = min(0.25 * 2**self.failures, _LONGEST_PAUSE_SECONDS) if self.failures else 0.0
        self.process, self.start_at = None, now + pause
        log.warning("%s ended (%s); it starts again in %.1f s", self.program.name, _reason(code), pause)

    def look_at_beat(self, beat: datetime | None, now: float, stale_seconds: float) -> None:
        """End a program that has not been heard of for ``stale_seconds``; the next look starts it again."""
        if beat is not None and beat != self.seen:
            self.seen, self.seen_at = beat, now
        elif self.is_running() and now - self.seen_at > stale_seconds:
            log.warning("%s has been silent for %.0f s and is started again", self.program.name, now - self.seen_at)
            self.signal(signal.SIGKILL)


def _reason(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Supervisor:
    """Runs ``programs`` until it is told to stop."""

    def __init__(
        self, programs: Sequence[Program], *, beats: Beats, stale_seconds: float, fds: tuple[int, ...] = ()
    ) -> None:
        self._children = [Child(program, fds) for program in programs]
        self._beats = beats
        self._stale_seconds = stale_seconds
        self._stop = threading.Event()
        self._hurry = threading.Event()

    def stop(self, *_: object) -> None:
        """End everything; asked a second time, at once. May be called by a signal."""
        (self._hurry if self._stop.is_set() else self._stop).set()

    def run(self, *, patience_seconds: float) -> None:
        """Keep the programs running until ``stop``, then end them; after ``patience_seconds`` by force."""
        next_beats = time.monotonic() + _BEATS_EVERY_SECONDS
        try:
            while not self._stop.wait(_TURN_SECONDS):
                for child in self._children:
                    child.look(time.monotonic())
                if time.monotonic() >= next_beats:
                    self._look_at_beats()
                    next_beats = time.monotonic() + _BEATS_EVERY_SECONDS
        finally:
            self._end(patience_seconds)

    def _look_at_beats(self) -> None:
        beats, now = self._beats(), time.monotonic()
        for child in self._children:
            if beats is None:  # the database is away: nobody can beat, so nobody is late
                child.seen_at = now
            elif child.program.beat:
                child.look_at_beat(beats.get(child.program.beat), now, self._stale_seconds)

    def _end(self, patience_seconds: float) -> None:
        for child in self._children:
            child.signal(signal.SIGTERM)
        end = time.monotonic() + patience_seconds
        while time.monotonic() < end and not self._hurry.wait(_TURN_SECONDS):
            if not any(child.is_running() for child in self._children):
                break
        for child in self._children:
            child.signal(signal.SIGKILL)  # also what a program left behind in its session
            if child.process is not None:
                child.process.wait()
