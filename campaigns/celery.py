"""The alarm clock: Celery carries the number of an account to a worker, and nothing else.

Rows are the truth. A message that is lost, late or doubled changes nothing: the ticker rings again, and whoever comes
second finds the lease taken. So: acknowledged early, never retried, never scheduled ahead, no results.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from celery import Celery, signals
from django.conf import settings
from django.db import DatabaseError, connection
from kombu import Exchange, Queue

from campaigns import broker
from campaigns.services import beats

CONTROL: Final = "control"
STAGE: Final = "stage"
CUTOVER: Final = "cutover"
QUEUES: Final = (CONTROL, STAGE, CUTOVER)

# Longer than Redis needs to restart: until then a worker that only waits for it is left in peace with its accounts.
_QUIET_SECONDS: Final = 300.0

log = logging.getLogger(__name__)

stopping = threading.Event()  # set when this worker is told to end: its tasks stop where they can go on later

broker.register()
app = Celery("mailferry", set_as_current=True)


def _broker() -> dict[str, Any]:
    if not settings.REDIS_URL:
        options: dict[str, Any] = {"folder": str(settings.QUEUE_FOLDER), "polling_interval": 0.2}
        return {"broker_url": f"{broker.ALIAS}://localhost", "broker_transport_options": options}
    # Without a socket timeout, sending on a line that died silently waits for ever.
    options = {
        "global_keyprefix": "mailferry:",
        "socket_timeout": 30,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
    return {"broker_url": settings.REDIS_URL, "broker_transport_options": options}


app.conf.update(
    **_broker(),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_publish_retry=False,  # the ticker rings again; a page must not wait for a queue that is away
    task_queues=[Queue(name, Exchange("mailferry"), routing_key=name) for name in QUEUES],
    task_create_missing_queues=False,
    task_default_queue=CONTROL,
    task_routes={
        "campaigns.tasks.run_stage": {"queue": STAGE},
        "campaigns.tasks.run_survey": {"queue": STAGE},
        "campaigns.tasks.run_cutover": {"queue": CUTOVER},
        "campaigns.tasks.*": {"queue": CONTROL},
    },
    task_acks_late=False,
    task_ignore_result=True,
    result_backend=None,
    worker_prefetch_multiplier=1,
    worker_pool="threads",  # prefork costs 14 times the memory
    worker_concurrency=settings.LANES,
    worker_soft_shutdown_timeout=0,  # with threads it kills the worker and leaves it hanging
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
    enable_utc=True,
)
app.autodiscover_tasks(["campaigns"])


class Pulse(threading.Thread):
    """Writes the beats of one worker, as long as its consumer takes turns: one that went quiet must not look alive."""

    def __init__(self, consumer: Any) -> None:
        super().__init__(name="pulse", daemon=True)
        self._consumer = consumer
        self._turned = time.monotonic()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            self._consumer.call_soon(self._turn)
            if time.monotonic() - self._turned < _QUIET_SECONDS:
                self._beat()
            self._ended.wait(beats.EVERY_SECONDS)
        connection.close()

    def end(self) -> None:
        """Stop beating and take the row away."""
        self._ended.set()
        self.join()
        beats.forget(self._consumer.hostname)

    def _turn(self) -> None:
        self._turned = time.monotonic()

    def _beat(self) -> None:
        queues = ",".join(sorted(app.amqp.queues.consume_from))
        try:
            beats.beat(self._consumer.hostname, queues=queues, lanes=self._consumer.pool.limit)
        except DatabaseError as error:
            log.warning("the sign of life could not be written: %s", error)
            connection.close()


_pulses: list[Pulse] = []


def _begin_pulse(sender: Any, **_: object) -> None:
    _pulses.append(Pulse(sender))
    _pulses[-1].start()


def _stop_tasks(**_: object) -> None:
    stopping.set()


def _end_pulse(**_: object) -> None:
    while _pulses:
        _pulses.pop().end()


signals.worker_ready.connect(_begin_pulse)
signals.worker_shutting_down.connect(_stop_tasks)
signals.worker_shutdown.connect(_end_pulse)
