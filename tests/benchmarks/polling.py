"""What do people who watch cost the mail? By hand: ``python -m tests.benchmarks.polling``.

One batch is copied ahead, on real servers, by the panel as ``./run`` starts it. Turn and turn about, for some seconds
each, nobody looks, or fifty operators do: each in a session of their own on the page of the batch, opened before, that
asks for its news every two seconds, or as often as it is told to, as live.js does. Printed are the copy rate of both,
their ratio, and how long pages and news took, seen from the operators.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import random
import re
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from tests.rigs.base import HOST
from tests.rigs.panel import descendants, eventually
from tests.rigs.platform import CAMPAIGN, MESSAGES, Platform

GOAL: Final = 0.95
PAGE_GOAL_MS: Final = 200.0
SECONDS: Final = 2.0  # between two questions, until the answer says otherwise
WARM_SECONDS: Final = 6.0  # of the copy, before anything is measured
PASSWORD: Final = "pass phrase 1"
_MAKE: Final = """
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from campaigns.models import User
for number in range({count}):
    user = User.objects.create_user(f"operator{{number}}", is_operator=True)
    session = SessionStore()
    session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    print("session", session.session_key)
"""


@dataclass
class Times:
    """How long answers took, in milliseconds, and what they were."""

    pages: list[float] = field(default_factory=list)
    news: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    octets: int = 0
    paces: Counter[str] = field(default_factory=Counter)


class Operator(threading.Thread):
    """Somebody who opens the page of a batch and leaves it open; it is seen while ``looking`` is set."""

    def __init__(self, port: int, session: str, looking: threading.Event, over: threading.Event, times: Times) -> None:
        super().__init__(daemon=True)
        self._port, self._cookie = port, f"mailferry_session={session}"
        self._looking, self._over, self._times = looking, over, times
        self._chance = random.Random(session)

    def run(self) -> None:
        """Open the page; ask for its news while it is looked at, as live.js does for a tab that is seen."""
        self._over.wait(self._chance.uniform(0, 2 * SECONDS))  # people do not come all at once
        took, _, html = self._ask("/batches/1")
        self._times.pages.append(took)
        address = unescape(re.findall(r'hx-get="([^"]+)"', html)[0])
        seen = re.findall(r'"seen": "([0-9a-f]+)"', html)[0]
        seconds = SECONDS
        while not self._over.wait(seconds):
            if self._looking.is_set():
                seen, seconds = self._look(address, seen)

    def _look(self, address: str, seen: str) -> tuple[str, float]:
        took, headers, _ = self._ask(f"{address}&{urlencode({'seen': seen})}")
        self._times.news.append(took)
        told = headers["X-Live-Seconds"] or "15"
        self._times.paces[told] += 1
        return headers["X-Live-Seen"] or seen, float(told) or 3600.0

    def _ask(self, address: str) -> tuple[float, http.client.HTTPMessage, str]:
        line = http.client.HTTPConnection(HOST, self._port, timeout=60)
        began = time.monotonic()
        line.request("GET", address, headers={"Cookie": self._cookie, "HX-Request": "true", "Accept-Encoding": "gzip"})
        answer = line.getresponse()
        body = answer.read()
        took = (time.monotonic() - began) * 1000
        line.close()
        self._times.statuses[answer.status] += 1
        self._times.octets += len(body)
        html = gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body
        return took, answer.headers, html.decode()


def _sessions(platform: Platform, count: int) -> list[str]:
    said = platform.tell("shell", "--no-imports", "-c", _MAKE.format(count=count))
    return re.findall(r"^session (\w+)$", said, re.MULTILINE)


def _copied(platform: Platform) -> int:
    """Return how many messages are on the target by what the accounts say."""
    rows = platform._rows("SELECT SUM(messages_done) FROM campaigns_account")
    return int(rows[0][0] or 0) if rows else 0


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / 100


@dataclass
class Lap:
    """So many messages in so many seconds, with somebody looking or nobody."""

    is_watched: bool
    messages: int
    seconds: float
    web_cpu: float

    @property
    def rate(self) -> float:
        return self.messages / self.seconds


def _lap(platform: Platform, web: list[int], looking: threading.Event, seconds: float, is_watched: bool) -> Lap:
    (looking.set if is_watched else looking.clear)()
    time.sleep(2 * SECONDS)  # until they have come, or gone
    began, cpu, before = time.monotonic(), sum(map(_cpu, web)), _copied(platform)
    time.sleep(seconds)
    copied, ended = _copied(platform) - before, time.monotonic()
    return Lap(is_watched, copied, ended - began, sum(map(_cpu, web)) - cpu)


def _laps(platform: Platform, looking: threading.Event, seconds: float, most: int) -> list[Lap]:
    web = platform.panel.programs()["web"]
    pids = [web, *descendants(web)]
    laps: list[Lap] = []
    order = (False, True, True, False)  # so that what grows or wanes falls on both
    for place in range(most):
        done = _lap(platform, pids, looking, seconds, order[place % 4])
        if _copied(platform) >= MESSAGES * len(platform.users):
            break  # it ran out within this lap
        laps.append(done)
        who = "watched" if done.is_watched else "alone  "
        print(f"{who}  {done.rate:8.0f} messages/s   web {done.web_cpu / done.seconds:.1%} of a core", flush=True)
    return laps


def _told(name: str, took: list[float]) -> str:
    if not took:
        return f"{name}: none"
    ranked = sorted(took)
    middle, late = statistics.median(ranked), ranked[int(len(ranked) * 0.95)]
    return f"{name}: {len(took)} answers, median {middle:.0f} ms, p95 {late:.0f} ms, longest {ranked[-1]:.0f} ms"


def main() -> int:
    """Measure and print; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.polling", description=__doc__)
    parser.add_argument("--accounts", type=int, default=1600)
    parser.add_argument("--operators", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a lap (default: 6)")
    parser.add_argument("--laps", type=int, default=8, help="at most (default: 8)")
    chosen = parser.parse_args()
    looking, over, times = threading.Event(), threading.Event(), Times()
    with Platform(chosen.accounts, recipe="plain", size=chosen.accounts) as platform:
        names = _sessions(platform, chosen.operators)
        people = [Operator(platform.panel.port, name, looking, over, times) for name in names]
        platform.tell("batch", "start", CAMPAIGN)
        time.sleep(WARM_SECONDS)
        for one in people:
            one.start()
        eventually(lambda: len(times.pages) == chosen.operators, lambda: f"{len(times.pages)} pages opened", 120)
        laps = _laps(platform, looking, chosen.seconds, chosen.laps)
        over.set()
    return _report(laps, times)


def _report(laps: list[Lap], times: Times) -> int:
    rates = {who: [lap.rate for lap in laps if lap.is_watched is who] for who in (False, True)}
    if not (rates[False] and rates[True]):
        print("The accounts ran out before both were measured: take more of them.")
        return 1
    alone, watched = (statistics.mean(rates[who]) for who in (False, True))
    print(f"alone {alone:.0f}, watched {watched:.0f} messages/s: ratio {watched / alone:.3f} (goal {GOAL})")
    print(_told("page", times.pages))
    print(_told("news", times.news))
    print(f"statuses {dict(times.statuses)}, {times.octets / 1e6:.1f} MB, told to ask every {dict(times.paces)} s")
    return int(watched / alone < GOAL)


if __name__ == "__main__":
    sys.exit(main())
