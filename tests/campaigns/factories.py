"""Rows for tests of the services: campaigns with batches of accounts in any state, and workers that live."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from campaigns.bridge.lease import Lease, LeaseKind
from campaigns.models import Account, Batch, BatchCount, Campaign, Event, Server, User, Worker
from campaigns.services import batches, campaigns, scheduling
from campaigns.states import AccountState, Owner

_numbers = itertools.count(1)

NIGHT = datetime(2030, 3, 1, 22, 0, tzinfo=UTC)

S = AccountState
# Whose the mailbox is in a state, where the state alone says it.
OWNERS = {S.DONE: Owner.TARGET}


def make_server(**fields: object) -> Server:
    number = next(_numbers)
    columns = {"name": f"server {number}", "host": f"mail{number}.example.test", "port": 143, "max_lanes": 100}
    return Server.objects.create(**{**columns, **fields})


def make_campaign(**options: object) -> Campaign:
    servers = {"source": make_server(), "target": make_server()}
    return campaigns.create(f"campaign {next(_numbers)}", **{**servers, "actor": "test", **options})


def unsaved(count: int) -> list[Account]:
    """Accounts as a list names them: nothing but two logins."""
    logins = [f"user{next(_numbers)}" for _ in range(count)]
    return [Account(source_login=login, target_login=login) for login in logins]


def make_batch(
    count: int = 1,
    *,
    state: AccountState = S.NEW,
    campaign: Campaign | None = None,
    started: bool = True,
    **fields: object,
) -> Batch:
    """A batch of ``count`` accounts, all in ``state``; without a window, so that "go" is enough."""
    (batch,) = batches.cut(campaign or make_campaign(), unsaved(count), actor="test")
    if started:
        batches.start(batch, actor="test")
    Batch.objects.filter(pk=batch.pk).update(**fields)
    if state is not S.NEW:
        batch.accounts.update(state=state, owner=OWNERS.get(state, Owner.SOURCE))
        BatchCount.objects.filter(batch=batch, state=S.NEW).update(accounts=0)
        BatchCount.objects.filter(batch=batch, state=state).update(accounts=count)
    return Batch.objects.select_related("campaign").get(pk=batch.pk)


def make_account(state: AccountState = S.NEW, **fields: object) -> Account:
    """One account in a started batch of its own."""
    account = make_batch(1, state=state, go_at=timezone.now()).accounts.get()
    Account.objects.filter(pk=account.pk).update(**fields)
    account.refresh_from_db()
    return account


def put(account: Account, state: AccountState, **fields: object) -> None:
    """Put an account into a state, by whatever road, with the figures of its batch."""
    for name, more in ((account.state, -1), (state, 1)):
        count = BatchCount.objects.get(batch=account.batch_id, state=name)
        count.accounts += more
        count.save()
    columns = {"state": state, "owner": OWNERS.get(state, Owner.SOURCE), **fields}
    Account.objects.filter(pk=account.pk).update(**columns)
    account.refresh_from_db()


def claim(account: Account, kind: LeaseKind = LeaseKind.STAGE, holder: str = "worker") -> Lease:
    """Give an account to a worker, whoever had it before."""
    account.refresh_from_db()
    epoch = account.lease_epoch + 1
    columns = {"lease_epoch": epoch, "lease_holder": holder, "lease_kind": kind}
    Account.objects.filter(pk=account.pk).update(lease_until=timezone.now() + timedelta(minutes=1), **columns)
    return Lease(account.pk, epoch, kind, holder)


def make_worker(queues: str = "stage,cutover", lanes: int = 8, name: str = "", at: datetime | None = None) -> Worker:
    columns = {"queues": queues, "lanes": lanes, "pid": 1, "host": "elsewhere", "beat_at": at or timezone.now()}
    return Worker.objects.create(name=name or f"worker-{next(_numbers)}@elsewhere", **columns)


def make_user(**roles: bool) -> User:
    return User.objects.create_user(f"person{next(_numbers)}", password="a pass phrase of some length", **roles)


def figures(batch: Batch) -> dict[str, int]:
    """The figures of a batch, and the proof that they are those of its accounts."""
    kept = {row.state: row.accounts for row in BatchCount.objects.filter(batch=batch) if row.accounts}
    counted: dict[str, int] = {}
    for state in Account.objects.filter(batch=batch).values_list("state", flat=True):
        counted[state] = counted.get(state, 0) + 1
    assert kept == counted
    return kept


def event_names(**about: object) -> list[str]:
    return list(Event.objects.filter(**about).order_by("pk").values_list("name", flat=True))


def take_all(leases: Iterable[Lease], holder: str = "worker", now: datetime | None = None) -> list[Lease]:
    """Let a worker take up what was claimed."""
    taken = [scheduling.take_up(lease.account_id, lease.epoch, holder, now=now) for lease in leases]
    return [lease for lease in taken if lease is not None]


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Do all acts at the same time, each on a connection of its own; return what they returned or raised."""
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(place: int, act: Callable[[], object]) -> None:
        try:
            barrier.wait(10)
            results[place] = act()
        except Exception as error:  # noqa: BLE001
            results[place] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
