"""How long helpdesk waits for a person among 200,000. By hand: ``python -m tests.benchmarks.search [COUNT]``.

With ``MAILFERRY_TEST_DATABASE_URL`` on that database, else on SQLite in a file. Each query is asked many times: what is
said is the median and the longest, with the account rows that the page shows.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import time

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.campaigns.settings"
django.setup()

from django.db import connection, reset_queries  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from campaigns.models import Account, AccountName, Server  # noqa: E402
from campaigns.selectors import people  # noqa: E402
from campaigns.services import batches, campaigns, names  # noqa: E402

GOAL_MS = 100.0
TIMES = 20
BATCH = 1000
_SYLLABLES = ("ma", "ri", "lo", "ka", "ben", "ti", "so", "ne", "da", "vi", "el", "gar", "pe", "tro", "us", "an")
_DEPARTMENTS = ("Physics", "Chemistry", "Library", "Registry", "Law")
# What people type: rare and common words, words that never meet, ends and beginnings, and nothing that fits.
QUERIES = (
    "garcia physics", "garcia", "m garcia", "physics m", "physics chemistry", "physics law", "ma ma", "p l", "m",
    "m.garcia1", "maria garcia law", "2-0041", "00417", "@", "nobody", "u150000@northfield.example", "ma ri lo ka ben",
)  # fmt: skip


def build(count: int) -> None:
    """Store ``count`` people, one in fifty of them a Garcia."""
    chance = random.Random(7)
    source, target = (Server.objects.create(name=name, host=name, port=143) for name in "ab")
    campaign = campaigns.create("bench", source=source, target=target, actor="bench")
    for start in range(0, count, 20 * BATCH):
        fresh = [_person(number, chance) for number in range(start, min(start + 20 * BATCH, count))]
        batches.cut(campaign, fresh, actor="bench", size=BATCH)
        rows = [row for account in fresh for row in names.rows_of(account, ())]
        AccountName.objects.bulk_create(rows, batch_size=500)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")


def _person(number: int, chance: random.Random) -> Account:
    first, last = ("".join(chance.choices(_SYLLABLES, k=k)).title() for k in (2, 3))
    last = "Garcia" if chance.random() < 0.02 else last
    login = f"u{number}@northfield.example" if number % 2 else f"{first[0]}.{last}{number}@northfield.example".lower()
    facts = {"department": chance.choice(_DEPARTMENTS), "phone": f"+1 555 2-{number:06}"}
    return Account(source_login=login, target_login=login, display_name=f"{first} {last}", **facts)


def measure(query: str) -> float:
    """Print how long one query takes; return the longest, in milliseconds."""
    times = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        found = people.find(query)
        times.append((time.perf_counter() - begun) * 1000)
    connection.force_debug_cursor = True
    reset_queries()
    people.find(query)
    questions = len(connection.queries)
    connection.force_debug_cursor = False
    more = " and more" if found.is_more else ""
    print(
        f"{query:28} median {statistics.median(times):6.1f} ms  longest {max(times):6.1f} ms  "
        f"queries {questions}  found {len(found.people)}{more}",
        flush=True,
    )
    return max(times)


def main() -> None:
    """Measure all queries."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    made = setup_databases(verbosity=0, interactive=False)
    try:
        build(count)
        load = os.getloadavg()[0]
        print(f"{connection.vendor}, {count} accounts, {AccountName.objects.count()} names, load {load:.1f}")
        worst = max(measure(query) for query in QUERIES)
        assert Account.objects.count() == count
    finally:
        teardown_databases(made, verbosity=0)
    print(f"longest {worst:.1f} ms, goal {GOAL_MS:.0f} ms: {'met' if worst < GOAL_MS else 'NOT met'}")


if __name__ == "__main__":
    main()
