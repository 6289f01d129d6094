"""The rounds of one cell: the servers alone, we, and every peer, again and again in turn."""

from __future__ import annotations

import sys
from typing import Final

from tests.benchmarks import ceiling
from tests.benchmarks.contests import Contest, Ours
from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Cell
from tests.benchmarks.servers import Pair

SLOW_SECONDS: Final = 15.0  # a peer that took longer than this is not run again: its figure moves little


def compete(cell: Cell, contestants: list[Ours | Peer], pair: Pair, contest: Contest, runs: int) -> None:
    """Run everyone ``runs`` times, in turn; we run always, a peer that is slow or failed once only."""
    _limit(cell, pair)  # not counted: memory that nobody has touched yet is slow
    cell.ceilings.clear()
    for _ in range(runs):
        _limit(cell, pair)
        for contestant in contestants:
            name = contestant.name
            results = cell.results.setdefault(name, [])
            if name in cell.failures or (
                isinstance(contestant, Peer) and results and results[0].copy.seconds > SLOW_SECONDS
            ):
                continue
            try:
                results.append(contest.run(contestant, cell.corpus, cell.rtt_ms))
            except RuntimeError as error:
                cell.failures[name] = str(error).splitlines()[-1]
                print(str(error)[-1000:], file=sys.stderr)
    cell.results = {name: results for name, results in cell.results.items() if results}


def _limit(cell: Cell, pair: Pair) -> None:
    users = pair.trial(cell.corpus)
    accounts = pair.accounts(cell.corpus, users, cell.rtt_ms)
    cell.ceilings.append(ceiling.measure(cell.corpus, pair.ready, accounts, tls=pair.setting.tls))
    pair.forget(users)
