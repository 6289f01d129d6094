"""What a worker does when it is called: take up the lease it was called for, and let the services do the work.

A call is a number and an epoch. One that comes late, twice or for nothing finds no such lease and does nothing. A lane
that is through with an account goes on with the next of its batch, for a minute: then others have their turn.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from celery import Task, signals
from django.db import transaction
from kombu.exceptions import OperationalError

from campaigns.bridge.lease import Keeper, Lease, LeaseKind, LeaseLost, StopReason, holder_name
from campaigns.celery import CUTOVER, STAGE, app, stopping
from campaigns.services import beats, runs, scheduling, surveys

FOLLOW_SECONDS: Final = 60.0

log = logging.getLogger(__name__)
keeper = Keeper()

_WORK: Final[dict[LeaseKind, Callable[[Lease], object]]] = {
    LeaseKind.STAGE: runs.run_stage,
    LeaseKind.CATCH_UP: runs.run_catch_up,
    LeaseKind.CUTOVER: runs.run_cutover,
    LeaseKind.ROLLBACK: runs.run_rollback,
}


@app.task(bind=True)
def run_stage(self: Task, account_id: int, epoch: int) -> None:
    """Check or copy accounts, beginning with this one."""
    _run(account_id, epoch, self.request.hostname)


@app.task(bind=True)
def run_cutover(self: Task, account_id: int, epoch: int) -> None:
    """Cut accounts over, or roll one back, beginning with this one."""
    _run(account_id, epoch, self.request.hostname)


@app.task
def run_survey(batch_id: int) -> None:
    """Look at accounts of a batch under survey, one after the other, for a minute; then others have their turn."""
    until = time.monotonic() + FOLLOW_SECONDS
    while not stopping.is_set() and time.monotonic() < until and (row := surveys.take(batch_id)):
        surveys.look(row)


def ring_surveys() -> None:
    """Call workers for the surveys that want some. A queue that is away is no error: the next tick calls again."""
    for call in surveys.due():
        try:
            for _ in range(call.workers):
                run_survey.apply_async(args=(call.batch_id,))
        except OperationalError as error:
            log.warning("the queue did not answer, a survey waits for a later tick: %s", error)


@app.task
def wake() -> None:
    """Do what is due now, rather than at the next tick."""
    leases = scheduling.tick().claimed
    try:
        while leases:
            ring(leases[0])
            del leases[0]
    except OperationalError as error:
        scheduling.put_back(leases)
        log.warning("the queue did not answer, accounts wait for a later tick: %s", error)


_TASKS: Final = {STAGE: run_stage, CUTOVER: run_cutover}


def ring(lease: Lease) -> None:
    """Call a worker for a claimed account. Raises ``OperationalError`` when the queue is away."""
    _TASKS[lease.kind.queue].apply_async(args=(lease.account_id, lease.epoch))


def wake_after_commit() -> None:
    """Let the clock tick as soon as what was just written is committed. A queue that is away is no error."""
    transaction.on_commit(_wake, robust=True)


def _wake() -> None:
    try:
        wake.apply_async()
    except OperationalError as error:  # the ticker comes round anyway
        log.info("the queue did not answer: %s", error)


def _run(account_id: int, epoch: int, worker: str | None) -> None:
    holder = holder_name(worker or beats.full_name("worker"))
    until = time.monotonic() + FOLLOW_SECONDS
    lease = None if stopping.is_set() else scheduling.take_up(account_id, epoch, holder)
    while lease is not None:
        try:
            _work(lease)
        except LeaseLost as error:  # whoever has it now goes on
            log.warning("the lease was lost: %s", error)
            return
        lease = _next(lease, until)


def _work(lease: Lease) -> None:
    with keeper.keep(lease):
        if stopping.is_set():  # told between our claim and the keeper's care
            lease.stop.ask(StopReason.SHUTDOWN)
        # An error that nobody foresaw ends this task with its lease unreleased: until it runs out nobody tries again.
        _WORK[lease.kind](lease)


def _next(lease: Lease, until: float) -> Lease | None:
    """Give the account back and return the next one; None when this lane should end."""
    if stopping.is_set() or time.monotonic() >= until:
        scheduling.release(lease)
        return None
    return scheduling.follow(lease)


@signals.worker_shutting_down.connect
def _stop_lanes(**_: Any) -> None:
    keeper.stop_all(StopReason.SHUTDOWN)
