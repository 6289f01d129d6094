"""One contestant, one corpus, one distance: copy to a fresh account, run again on the finished copy, check the copy."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tests.benchmarks import programs
from tests.benchmarks.check import Census, census, differences, verdict
from tests.benchmarks.corpora import Corpus
from tests.benchmarks.peers import Errand, Peer
from tests.benchmarks.programs import Cost
from tests.benchmarks.servers import Pair
from tests.rigs.base import Account

US: Final = "mailferry"
OUR_LANES: Final = 8
PEER_LANES: Final = 4
Pairs = list[tuple[Account, Account]]


class Lap(NamedTuple):
    """One run of a contestant: the copy, or the second look at a finished copy."""

    seconds: float  # ours: without the start of Python; theirs: the whole process
    wall_seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    over_idle_bytes: int | None
    round_trips: list[int] | None  # source, target; known behind relays only
    sent_bytes: int | None  # to the target; the same


@dataclass(frozen=True, slots=True)
class Ours:
    """We as a contestant. ``connections`` to each server for one account; None: as the engine likes."""

    connections: int | None = None

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{US}, {self.connections} connections" if (self.connections or 1) > 1 else US


@dataclass(frozen=True, slots=True)
class Result:
    """The copy, the second run that finds nothing to do, and what the check of the copy says."""

    copy: Lap
    again: Lap
    verdict: str


class Contest:
    """Runs contestants over the accounts of one pair of servers."""

    def __init__(self, pair: Pair, *, profile: bool = False) -> None:
        self._pair = pair
        self._profile = profile
        self._sources: dict[str, Census] = {}

    def run(self, contestant: Peer | Ours, corpus: Corpus, rtt_ms: int) -> Result:
        """Let ``contestant`` copy ``corpus`` at ``rtt_ms`` and check its copy."""
        users = self._pair.trial(corpus)
        pairs = self._pair.accounts(corpus, users, rtt_ms)
        with tempfile.TemporaryDirectory(prefix="mailferry-benchmark-", dir=self._pair.target.dir) as scratch:
            folder = Path(scratch)
            is_ours = isinstance(contestant, Ours)
            once = (self._ours if is_ours else self._theirs)(contestant, pairs, folder)
            copy = self._lap(once, rtt_ms)
            again = self._lap(once, rtt_ms)
        result = Result(copy, again, verdict(self._differences(corpus, users)))
        self._pair.forget(users)
        return result

    def _ours(self, ours: Ours, pairs: Pairs, folder: Path) -> Callable[[], tuple[Cost, float, int | None]]:
        order = folder / "order.json"
        accounts = [list(map(self._side, pair, self._pair.certificates)) for pair in pairs]
        lanes = 1 if self._profile else min(OUR_LANES, len(pairs))
        words = {"pairs": accounts, "ledger": str(folder / "ledger"), "lanes": lanes, "profile": self._profile}
        words["connections"] = ours.connections
        order.write_text(json.dumps(words))

        def once() -> tuple[Cost, float, int | None]:
            cost = programs.run([sys.executable, "-m", "tests.benchmarks.lane", order], folder)
            if cost.exit_code:
                raise RuntimeError(f"{US} failed:\n{cost.output[-3000:]}")
            profile, _, told = cost.output.rstrip().rpartition("\n")
            if profile and not (folder / "profile").exists():  # of the copy, not of the second look
                (folder / "profile").write_text(profile)
                print(profile, flush=True)
            figures = json.loads(told)
            cost = cost._replace(peak_bytes=figures["peak_bytes"])  # what it says itself owes nothing to its parent
            return cost, figures["seconds"], figures["over_idle_bytes"]

        return once

    def _side(self, account: Account, certificate: Path | None) -> dict[str, object]:
        security = "tls" if certificate else "plain"
        return {**asdict(account), "security": security, "certificate": certificate and str(certificate)}

    def _theirs(self, peer: Peer, pairs: Pairs, folder: Path) -> Callable[[], tuple[Cost, float, None]]:
        config = self._pair.target.dir / "dovecot.conf"
        proofs = self._pair.certificates
        errands = [Errand(source, target, config, folder / target.user, proofs) for source, target in pairs]
        for errand in errands:
            errand.folder.mkdir()
        commands = [(peer.command(errand), errand.folder) for errand in errands]

        def once() -> tuple[Cost, float, None]:
            begun = time.monotonic()
            with ThreadPoolExecutor(PEER_LANES) as pool:
                costs = list(pool.map(lambda command: programs.run(*command), commands))
            wall = time.monotonic() - begun
            for cost in costs:
                if cost.exit_code not in peer.good_exits:
                    raise RuntimeError(f"{peer.name} ended with {cost.exit_code}:\n{cost.output[-3000:]}")
            cpu, peak = sum(cost.cpu_seconds for cost in costs), max(cost.peak_bytes for cost in costs)
            return Cost(0, wall, cpu, peak, ""), wall, None

        return once

    def _lap(self, once: Callable[[], tuple[Cost, float, int | None]], rtt_ms: int) -> Lap:
        daemons = [server.daemon.pid for server in (self._pair.source, self._pair.target) if server.daemon]
        before = sum(map(programs.cpu_of_children, daemons))
        self._pair.clear_counts(rtt_ms)
        cost, seconds, over_idle = once()
        time.sleep(0.1)  # sessions that were signed off end a moment later, and only then are accounted
        servers = sum(map(programs.cpu_of_children, daemons)) - before
        passed = self._pair.counts(rtt_ms)
        trips = [counts.round_trips for counts in passed] or None
        sent = passed[1].up_bytes if passed else None
        return Lap(seconds, cost.wall_seconds, cost.cpu_seconds, servers, cost.peak_bytes, over_idle, trips, sent)

    def _differences(self, corpus: Corpus, users: list[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        for own, its in zip(corpus.users, users, strict=True):
            if own not in self._sources:
                self._sources[own] = census(self._pair.source.account(own))
            found += differences(self._sources[own], census(self._pair.target.account(its)))
        return found
