"""What runs beside the ticks: the watchdog looks every few seconds; alarms leave, and held mail is counted, by threads.

A pager or a mail server that does not answer must not keep the clock from ticking. Of each thread there is one at a
time; what it does not manage is due again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from django.db import DatabaseError, connection
from django.utils import timezone

from campaigns.services import alarms, held_mail, watchdog

LOOK_SECONDS: Final = 5.0
COUNT_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class Beside:
    """Does ``job`` in a thread of its own, one at a time."""

    def __init__(self, name: str, job: Callable[[], object]) -> None:
        self._name = name
        self._job = job
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Begin, unless it is going on."""
        if not self.is_going_on:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    @property
    def is_going_on(self) -> bool:
        """True while the job is done."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait until it is over, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._job()
        except DatabaseError as error:
            log.warning("the database did not answer, %s waits for a later tick: %s", self._name, str(error).strip())
        finally:
            connection.close()


class Watch:
    """Called at every tick; looks when its time has come, sends what is due, and lets held mail be counted."""

    def __init__(self) -> None:
        self._next_look = 0.0
        self._next_count = 0.0
        self.sending = Beside("sending of alarms", alarms.deliver_due)
        self.counting = Beside("counting of held mail", held_mail.count_due)

    def __call__(self) -> None:
        """Do what is due. Raises what the database raises."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            watchdog.look()
        if not self.sending.is_going_on and alarms.has_due():
            self.sending.begin()
        if now >= self._next_count:
            self._next_count = now + COUNT_SECONDS
            if held_mail.due(timezone.now()):
                self.counting.begin()
