"""The clock of the panel: once a second it lets the scheduling service look, and rings for what is due."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from kombu.exceptions import OperationalError

from campaigns.bridge.lease import Lease
from campaigns.management.watching import Watch
from campaigns.services import beats, installation, lists, mail_counts, scheduling
from campaigns.tasks import ring, ring_surveys

_TICK_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 3600.0
_LAST_ALARM_SECONDS: Final = 5.0  # for what is on its way out when the ticker ends; else the next one sends it

log = logging.getLogger(__name__)


class Ticker:
    """Ticks until it is told to stop. Nothing that goes wrong outside ends it: the next tick tries again."""

    def __init__(
        self,
        tick: Callable[[], scheduling.TickReport],
        ring: Callable[[Lease], None],
        count: Callable[[], object] = lambda: None,
        survey: Callable[[], object] = lambda: None,
        watch: Callable[[], object] = lambda: None,
    ) -> None:
        self._tick = tick
        self._ring = ring
        self._count = count
        self._survey = survey
        self._watch = watch
        self._stop = threading.Event()
        self._next_beat = 0.0
        self._next_sweep = 0.0

    def stop(self, *_: object) -> None:
        """End after the tick that is going on. May be called by a signal."""
        self._stop.set()

    def run(self) -> None:
        """Tick every second, or as fast as ticks take."""
        while not self._stop.is_set():
            begun = time.monotonic()
            self.turn()
            self._stop.wait(_TICK_SECONDS - (time.monotonic() - begun))

    def turn(self) -> None:
        """Beat, look after who waits too long, tick and ring for what was claimed; count mail for pages, and sweep."""
        try:
            self._beat()
            self._watch()
            self._ring_all(self._tick().claimed)
            self._count()
            self._survey()
            self._sweep()
        except DatabaseError as error:
            log.warning("the database did not answer, the next tick tries again: %s", str(error).strip())
            connection.close()

    def _ring_all(self, leases: Sequence[Lease]) -> None:
        for number, lease in enumerate(leases):
            try:
                self._ring(lease)
            except OperationalError as error:
                log.warning("the queue did not answer, accounts wait for a later tick: %s", error)
                scheduling.put_back(leases[number:])
                return

    def _sweep(self) -> None:
        """Forget uploaded lists that nobody has imported for a day: they hold passwords."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_SECONDS
            try:
                lists.discard_old()
            except (OSError, installation.Unfit) as error:
                log.warning("old lists could not be removed: %s", error)

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            beats.beat(beats.full_name(beats.TICKER), queues=beats.TICKER)
            self._next_beat = time.monotonic() + beats.EVERY_SECONDS


class Command(BaseCommand):
    """Runs once per installation. A second one would find everything claimed and do no harm."""

    help = "Claims what is due and calls workers for it, every second."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        installation.require_ready()
        watch = Watch()
        ticker = Ticker(scheduling.tick, ring, mail_counts.count_next, ring_surveys, watch)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, ticker.stop)
        ticker.run()
        watch.sending.wait(_LAST_ALARM_SECONDS)
        beats.forget(beats.full_name(beats.TICKER))
