"""How the queue is set up, and when a worker counts as alive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from campaigns import celery
from campaigns.celery import QUEUES, Pulse, app
from campaigns.models import Worker


class Consumer:
    """What a worker's consumer shows of itself; it takes turns as long as ``is_turning``."""

    hostname = "stage-1@here"
    pool = SimpleNamespace(limit=8)

    def __init__(self) -> None:
        self.is_turning = True

    def call_soon(self, call: Callable[[], Any]) -> None:
        if self.is_turning:
            call()


def test_a_message_is_an_alarm_and_nothing_more() -> None:
    conf = app.conf
    assert not conf.task_acks_late
    assert conf.task_ignore_result
    assert conf.result_backend is None
    assert conf.worker_prefetch_multiplier == 1
    assert conf.worker_pool == "threads"
    assert not conf.task_create_missing_queues
    assert [queue.name for queue in conf.task_queues] == [queue.routing_key for queue in conf.task_queues]
    assert {queue.name for queue in conf.task_queues} == set(QUEUES)


def test_every_task_has_a_queue_and_none_is_tried_again_by_the_queue() -> None:
    app.loader.import_default_modules()
    tasks = {name: task for name, task in app.tasks.items() if name.startswith("campaigns.")}
    assert tasks
    for name, task in tasks.items():
        assert app.amqp.router.route({}, name)["queue"].name in QUEUES
        assert not getattr(task, "autoretry_for", ())


@pytest.mark.django_db(transaction=True)
def test_a_worker_beats_as_long_as_its_consumer_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.services.beats.EVERY_SECONDS", 0.02)
    monkeypatch.setattr(celery, "_QUIET_SECONDS", 0.2)
    consumer = Consumer()
    pulse = Pulse(consumer)
    pulse.start()
    try:
        wait_for_a_new_beat()
        consumer.is_turning = False
        time.sleep(0.5)
        last = Worker.objects.get().beat_at
        time.sleep(0.2)
        assert Worker.objects.get().beat_at == last
        consumer.is_turning = True
        wait_for_a_new_beat()
        assert Worker.objects.get().lanes == 8
    finally:
        pulse.end()
    assert not Worker.objects.exists()


def wait_for_a_new_beat() -> None:
    first = Worker.objects.first()
    before = first and first.beat_at
    end = time.monotonic() + 20
    while not Worker.objects.exclude(beat_at=before).exists():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_for_a_while_ends_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.services.beats.EVERY_SECONDS", 0.02)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE campaigns_worker RENAME TO elsewhere")
    pulse = Pulse(Consumer())
    failed = threading.Event()
    monkeypatch.setattr(celery.log, "warning", lambda *words: failed.set())
    pulse.start()
    try:
        assert failed.wait(20)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO campaigns_worker")
        wait_for_a_new_beat()
    finally:
        pulse.end()
