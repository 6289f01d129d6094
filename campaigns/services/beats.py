"""Signs of life: each program that takes work writes a row every few seconds, and takes it away when it ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.utils import timezone

from campaigns.models import Worker

EVERY_SECONDS: Final = 5.0
STALE_SECONDS: Final = 30.0  # older is a program that hangs, or is gone
TICKER: Final = "ticker"


def full_name(name: str) -> str:
    """Return ``name`` as it is known beside the same program on other machines."""
    return f"{name}@{socket.gethostname()}"


def beat(name: str, *, queues: str, lanes: int = 0) -> None:
    """Note that the program ``name`` is alive now. ``queues`` with commas between them, or what it does instead."""
    fields = {"queues": queues, "pid": os.getpid(), "host": socket.gethostname(), "lanes": lanes}
    Worker.objects.update_or_create(name=name, defaults={**fields, "beat_at": timezone.now()})


def forget(name: str) -> None:
    """Take the row of a program away that ends as it should."""
    Worker.objects.filter(name=name, pid=os.getpid()).delete()


def alive() -> list[Worker]:
    """Return the programs that were heard of lately, by name."""
    oldest = timezone.now() - timedelta(seconds=STALE_SECONDS)
    return list(Worker.objects.filter(beat_at__gte=oldest).order_by("name"))


def lanes(queue: str, programs: Sequence[Worker] | None = None) -> int:
    """Return how many accounts of ``queue`` the workers that are alive take at once.

    ``programs``: those that are alive, where somebody has asked already.
    """
    found = alive() if programs is None else programs
    return sum(worker.lanes for worker in found if queue in worker.queues.split(","))
