"""How long a tick takes with 100,000 accounts in 100 batches. By hand: ``python -m tests.benchmarks.tick [COUNT]``.

With ``MAILFERRY_TEST_DATABASE_URL`` on that database, else on SQLite in a file. The time must not grow with accounts
that only wait; each scene is one in which they could be in the way.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.campaigns.settings"
django.setup()

from django.db import connection, reset_queries  # noqa: E402
from django.db.models import Count, F  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns.models import Account, Batch, BatchCount, Campaign, Server, Worker  # noqa: E402
from campaigns.services import batches, campaigns, scheduling  # noqa: E402
from campaigns.states import AccountState  # noqa: E402

S = AccountState
BATCHES = 100
TICKS = 20
GOAL_MS = 100.0


def build(count: int) -> None:
    """Store ``count`` accounts in 100 batches that have started, between two servers with eight places."""
    source, target, *others = (Server.objects.create(name=name, host=name, port=143) for name in "abcd")
    campaign = campaigns.create("bench", source=source, target=target, actor="bench")
    accounts = [Account(source_login=f"u{n}", target_login=f"u{n}") for n in range(count)]
    batches.cut(campaign, accounts, actor="bench", size=-(-count // BATCHES))
    Batch.objects.update(started_at=timezone.now())
    last = Account.objects.order_by("-pk").first()
    Account.objects.filter(pk=last.pk).update(
        source=others[0], target=others[1]
    )  # one pair of servers more, nearly empty
    Worker.objects.create(name="w", queues="stage,cutover", pid=1, host="h", beat_at=timezone.now(), lanes=16)


def put_all(state: AccountState, **fields: object) -> None:
    """Put all accounts into one state, and the figures right."""
    Account.objects.update(state=state, lease_until=None, lease_holder="", owner="source", **fields)
    BatchCount.objects.update(accounts=0)
    for row in Account.objects.values("batch").annotate(accounts=Count("pk")):
        BatchCount.objects.filter(batch=row["batch"], state=state).update(accounts=row["accounts"])
    tidy()


def tidy() -> None:
    """Leave the tables as they are in life, not as they are after an update of every row."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def waiting() -> None:
    """All are new: eight places, 32 wanted."""
    put_all(S.NEW, not_before=None)


def full() -> None:
    """The same, and the servers are full: every tick looks in vain."""
    waiting()
    scheduling.tick()


def put_off() -> None:
    """All wait for a pause of their own to be over."""
    put_all(S.STAGING, not_before=timezone.now() + timedelta(hours=1))


def ready() -> None:
    """All are ready, the operator said go everywhere."""
    put_all(S.READY, not_before=None)
    Batch.objects.update(go_at=timezone.now())


def ready_and_full() -> None:
    """The same, and every place is taken."""
    ready()
    scheduling.tick()


def one_pair_full() -> None:
    """All are new; the servers of all but one account are full, and that one is put off."""
    waiting()
    Account.objects.filter(source__name="c").update(not_before=timezone.now() + timedelta(hours=1))
    Batch.objects.update(go_at=None)
    scheduling.tick()


def stopped() -> None:
    """Somebody stopped every account."""
    put_all(S.STAGING, not_before=None, is_stopped=True)
    Batch.objects.update(ended_at=None, go_at=None)


def catching_up() -> None:
    """All have crossed, and their source is looked at for late mail."""
    Account.objects.update(is_stopped=False)
    Account.objects.update(state=S.CUTTING_OVER, owner="target")
    now = timezone.now()
    Account.objects.update(state=S.DONE, not_before=now + timedelta(minutes=30), catch_up_until=now + timedelta(days=3))
    some = Account.objects.order_by("pk").values("pk")[:500]
    Account.objects.filter(pk__in=list(some.values_list("pk", flat=True))).update(not_before=now)
    BatchCount.objects.update(accounts=0)
    for row in Account.objects.values("batch").annotate(accounts=Count("pk")):
        BatchCount.objects.filter(batch=row["batch"], state=S.DONE).update(accounts=row["accounts"])
    tidy()


def measure(scene: Callable[[], None]) -> float:
    """Print how long ticks take in one scene; return the longest, in milliseconds."""
    scene()
    Worker.objects.update(beat_at=timezone.now() + timedelta(hours=1), lanes=F("lanes"))
    times, claimed, questions = [], [], []
    for _ in range(TICKS):
        reset_queries()
        connection.force_debug_cursor = False
        begun = time.perf_counter()
        report = scheduling.tick()
        times.append((time.perf_counter() - begun) * 1000)
        claimed.append(len(report.claimed))
    connection.force_debug_cursor = True
    reset_queries()
    scheduling.tick()
    questions.append(len(connection.queries))
    connection.force_debug_cursor = False
    worst = max(times)
    print(
        f"{scene.__name__:16} median {statistics.median(times):6.1f} ms  longest {worst:6.1f} ms  "
        f"claimed {claimed[0]:3}, then {sum(claimed[1:]):3}  queries {questions[0]}"
    )
    return worst


def main() -> None:
    """Measure all scenes."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    made = setup_databases(verbosity=0, interactive=False)
    try:
        build(count)
        print(f"{connection.vendor}, {count} accounts in {BATCHES} batches")
        scenes = (waiting, full, put_off, ready, ready_and_full, one_pair_full, stopped, catching_up)
        worst = max(measure(scene) for scene in scenes)
        assert Campaign.objects.count() == 1
    finally:
        teardown_databases(made, verbosity=0)
    print(f"longest tick {worst:.1f} ms, goal {GOAL_MS:.0f} ms: {'met' if worst < GOAL_MS else 'NOT met'}")


if __name__ == "__main__":
    main()
