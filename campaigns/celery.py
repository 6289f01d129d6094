"""The alarm clock: Celery carries the number of an account to a worker, and nothing else.

Rows are the truth. A message that is lost, late or doubled changes nothing: the ticker rings again, and whoever comes
second finds the lease taken. So: acknowledged early, never retried, never scheduled ahead, no results.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from django.conf import settings
from kombu import Queue

from campaigns import broker

CONTROL: Final = "control"
STAGE: Final = "stage"
CUTOVER: Final = "cutover"
QUEUES: Final = (CONTROL, STAGE, CUTOVER)

broker.register()
app = Celery("mailferry", set_as_current=True)


def _broker() -> dict[str, Any]:
    if not settings.REDIS_URL:
        options: dict[str, Any] = {"folder": str(settings.QUEUE_FOLDER), "polling_interval": 0.2}
        return {"broker_url": f"{broker.ALIAS}://", "broker_transport_options": options}
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
    task_queues=[Queue(name) for name in QUEUES],
    task_create_missing_queues=False,
    task_default_queue=CONTROL,
    task_routes={
        "campaigns.tasks.run_stage": {"queue": STAGE},
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
