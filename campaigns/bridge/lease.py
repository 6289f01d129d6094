"""The right to work on one account for a while: who has it, how it is kept, and what it allows to write.

A lease is an epoch and a time. Every claim raises the epoch, so whoever comes back from the dead with an earlier one
writes nothing. A lane whose lease could not be renewed stops by itself long before anybody else may claim it.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from django.db import DatabaseError, connection, transaction
from django.db.models import BooleanField, Case, F, Q, QuerySet, Value, When
from django.utils import timezone

from campaigns.models import Account, Event
from campaigns.states import AccountState, Owner

LEASE_SECONDS: Final = 60.0
RENEW_SECONDS: Final = 15.0
TRUST_SECONDS: Final = LEASE_SECONDS * 2 / 3  # a lane that was not renewed for so long stops by itself

# Somebody's sign-in may be refused in these: a stop asks the next worker to go back, it never leaves the account lying.
LOCKED_OUT: Final = (AccountState.CUTTING_OVER, AccountState.ROLLING_BACK)

# Who comes to the new server before their old mail is locked out on the way there, in the state in which that happens.
ARRIVING: Final = Q(state=AccountState.CHECKING, arrives_first=True)
# In these an account may rest when a person wants it to.
STOPPABLE: Final = (AccountState.NEW, AccountState.CHECKING, AccountState.STAGING, AccountState.READY)

# The moves of ownership. UNKNOWN lies between any two others: the effect is journalled before it is begun.
_OWNER_BEFORE: Final = {
    Owner.UNKNOWN: (Owner.SOURCE, Owner.TARGET, Owner.UNKNOWN),
    Owner.TARGET: (Owner.UNKNOWN, Owner.TARGET),
    Owner.SOURCE: (Owner.UNKNOWN, Owner.SOURCE),
}

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The account is somebody else's by now. Nothing was written; do nothing outward any more."""


class LeaseKind(StrEnum):
    """What an account was claimed for."""

    STAGE = "stage"
    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    CATCH_UP = "catch_up"

    @property
    def queue(self) -> str:
        """The queue whose workers do this."""
        return "cutover" if self in (LeaseKind.CUTOVER, LeaseKind.ROLLBACK) else "stage"


class StopReason(StrEnum):
    """Why a lane is asked to end."""

    STOPPED = "stopped"  # a person asked for this account
    PAUSED = "paused"  # its batch or campaign
    SHUTDOWN = "shutdown"  # the worker ends
    LOST = "lost"  # the lease is gone, or could not be renewed in time


class Stop:
    """The stop signal of one lane (migrator.limits.StopSignal)."""

    def __init__(self) -> None:
        self._reason: StopReason | None = None
        self._good_until = math.inf  # monotonic

    @property
    def reason(self) -> StopReason | None:
        """Why, or None while the lane may go on."""
        return StopReason.LOST if time.monotonic() >= self._good_until else self._reason

    def is_set(self) -> bool:
        """True once the lane should end at the next place to go on from."""
        return self.reason is not None

    def ask(self, reason: StopReason) -> None:
        """Ask the lane to end. The first reason stays, but a lost lease outranks it."""
        if self._reason is None or reason is StopReason.LOST:
            self._reason = reason

    def trust(self, seconds: float) -> None:
        """Believe in the lease for ``seconds`` from now on."""
        self._good_until = time.monotonic() + seconds


@dataclass(frozen=True, slots=True)
class Lease:
    """One account, claimed. Handed to whatever works on it; every write carries ``epoch``."""

    account_id: int
    epoch: int
    kind: LeaseKind = LeaseKind.STAGE
    holder: str = ""  # empty while it waits in the queue
    stop: Stop = field(default_factory=Stop, compare=False, repr=False)

    def rows(self) -> QuerySet[Account]:
        """Return the account's row if it is still ours: whatever is updated through this touches 1 row or none."""
        return Account.objects.filter(pk=self.account_id, lease_epoch=self.epoch, lease_until__isnull=False)

    def check(self) -> None:
        """Raise ``LeaseLost`` when the lease is known to be gone. Asks nobody: see ``hold``."""
        if self.stop.reason is StopReason.LOST:
            raise LeaseLost(f"account {self.account_id}, epoch {self.epoch}")


def hold(lease: Lease) -> None:
    """Hold the account's row, with our epoch, until the transaction around this ends. Raises ``LeaseLost``."""
    # NO KEY: rows that only refer to the account (events of other people) need not wait.
    if not list(lease.rows().select_for_update(no_key=True).values_list("pk")):
        raise LeaseLost(f"account {lease.account_id}, epoch {lease.epoch}")


def write(lease: Lease, **columns: object) -> None:
    """Update columns of the account in our name. Never state, owner or lease columns. Raises ``LeaseLost``."""
    if lease.rows().update(**columns) != 1:
        raise LeaseLost(f"account {lease.account_id}, epoch {lease.epoch}")


def take_owner(account_id: int, to: Owner, epoch: int) -> None:
    """Note whose the mailbox is, inside the journal's own transaction. Idempotent.

    Raises ``LeaseLost`` when the account is not ours, or its owner cannot become ``to`` in one step.
    """
    with transaction.atomic():
        rows = Account.objects.filter(pk=account_id, lease_epoch=epoch, lease_until__isnull=False)
        if rows.filter(owner=to).exists():
            return
        if rows.filter(owner__in=_OWNER_BEFORE[to]).update(owner=to) != 1:
            raise LeaseLost(f"account {account_id}, epoch {epoch}")
        place = Account.objects.values_list("campaign_id", "batch_id", "lease_holder").get(pk=account_id)
        Event.objects.create(
            name=f"account.owner.{to}",
            actor_name=place[2] or "worker",
            campaign_id=place[0],
            batch_id=place[1],
            account_id=account_id,
        )


def renew(lease: Lease, now: datetime | None = None) -> None:
    """Keep the lease for another ``LEASE_SECONDS`` and take notice of who wants it to end. Raises ``LeaseLost``."""
    until = (now or timezone.now()) + timedelta(seconds=LEASE_SECONDS)
    asked = time.monotonic()
    write(lease, lease_until=until)
    lease.stop.trust(TRUST_SECONDS - (time.monotonic() - asked))
    flags = lease.rows().values_list("stop_requested", "batch__is_paused", "campaign__is_paused").first()
    if flags and flags[0]:
        lease.stop.ask(StopReason.STOPPED)
    elif flags and any(flags) and lease.kind.queue == "stage":  # whose sign-in is refused is not left waiting
        lease.stop.ask(StopReason.PAUSED)


# What becomes of a wish to stop when the lease ends.
_STOP_COLUMNS: Final = {
    "is_stopped": Case(
        When(Q(stop_requested=True, state__in=STOPPABLE) & ~ARRIVING, then=Value(True)),
        default=F("is_stopped"),
        output_field=BooleanField(),
    ),
    "stop_requested": Case(
        When(Q(state__in=LOCKED_OUT) | ARRIVING, then=F("stop_requested")),
        default=Value(False),
        output_field=BooleanField(),
    ),
}


def release(lease: Lease) -> bool:
    """Give the account back. A wish to stop becomes ``is_stopped``. False when it was not ours any more."""
    return lease.rows().update(lease_until=None, lease_holder="", lease_kind="", **_STOP_COLUMNS) == 1


def holder_name(worker: str) -> str:
    """Return how this process of the worker ``worker`` (NAME@HOST) signs its leases."""
    return f"{worker}:{os.getpid()}:{_pid_space()}"


def is_gone(holder: str) -> bool:
    """True when ``holder`` is proved dead: a process of this very machine that does not exist any more."""
    worker, _, rest = holder.partition(":")
    pid, _, space = rest.partition(":")
    if worker.rpartition("@")[2] != socket.gethostname() or space != _pid_space() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _pid_space() -> str:
    """Tell containers apart that share a host name: each counts its processes for itself."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


class Keeper:
    """Renews the leases of one process from a thread of its own, while their lanes wait for servers."""

    def __init__(self, every_seconds: float = RENEW_SECONDS) -> None:
        self._every_seconds = every_seconds
        self._change = threading.Condition()
        self._kept: list[Lease] = []
        self._thread: threading.Thread | None = None

    @contextmanager
    def keep(self, lease: Lease) -> Iterator[None]:
        """Renew ``lease`` until the block ends."""
        lease.stop.trust(TRUST_SECONDS)
        with self._change:
            self._kept.append(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._change:
                self._kept.remove(lease)
                self._change.notify_all()

    def stop_all(self, reason: StopReason) -> None:
        """Ask every lane of this process to end."""
        with self._change:
            for lease in self._kept:
                lease.stop.ask(reason)

    def _run(self) -> None:
        try:
            while self._wait():
                for lease in list(self._kept):
                    self._renew(lease)
        finally:
            connection.close()

    def _wait(self) -> bool:
        """Wait for the next round; False when there is nothing to keep and this thread is not needed any more."""
        with self._change:
            end = time.monotonic() + self._every_seconds
            while self._kept and (rest := end - time.monotonic()) > 0:
                self._change.wait(rest)
            if not self._kept:
                self._thread = None
            return bool(self._kept)

    def _renew(self, lease: Lease) -> None:
        try:
            renew(lease)
        except LeaseLost:
            if lease in self._kept:  # else its lane gave it back meanwhile
                lease.stop.ask(StopReason.LOST)
        except DatabaseError as error:  # tried again next time; the lane stops by itself when that comes too late
            log.warning("the lease of account %s could not be renewed: %s", lease.account_id, error)
            connection.close()
