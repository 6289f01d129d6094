"""``python -m tests.benchmarks``: the servers' own limit, the engine and every peer here, in turn, on the same mail."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

from tests.benchmarks import ceiling, report
from tests.benchmarks.contests import US, Contest
from tests.benchmarks.corpora import CORPORA
from tests.benchmarks.peers import CUTS, PEERS, Peer
from tests.benchmarks.report import Cell
from tests.benchmarks.servers import Pair

SLOW_SECONDS = 15.0  # a peer that took longer than this is not run again: its figure moves little


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    present = [peer.name for peer in PEERS.values() if peer.is_present]
    parser.add_argument("--corpora", type=_words, default=["typical", "small", "large", "many"],
                        help=f"of {', '.join(CORPORA)}, with commas (default: typical,small,large,many)")  # fmt: skip
    parser.add_argument(
        "--rtt", type=_numbers, default=[0, 20, 80], metavar="MS", help="round trips (default: 0,20,80)"
    )
    parser.add_argument("--peers", type=_words, default=present,
                        help=f"of {', '.join(PEERS)}, or none (default: {', '.join(present)})")  # fmt: skip
    parser.add_argument("--runs", type=int, default=3, help="of each contestant, in turn (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each corpus, for example 0.1 (default: 1)")
    parser.add_argument("--profile", action="store_true", help="only us, once, with where the time goes")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.corpora) - set(CORPORA):
        parser.error(f"no such corpus: {', '.join(sorted(unknown))}")
    if unknown := set(chosen.peers) - set(PEERS) - {"none"}:
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")
    return chosen


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def cells(chosen: argparse.Namespace) -> Iterator[tuple[Cell, list[Peer]]]:
    """Yield what is measured: each corpus at each distance, and cut down once more for the peers that need it."""
    peers = [] if chosen.profile else [PEERS[name] for name in chosen.peers if name != "none"]
    for name in chosen.corpora:
        for rtt in chosen.rtt:
            cut = [peer for peer in peers if peer.needs_cut(name, rtt)]
            yield _cell(name, chosen.scale, rtt), [peer for peer in peers if peer not in cut]
            if cut:
                yield _cell(name, chosen.scale * CUTS.get(name, 1), rtt), cut


def _cell(name: str, scale: float, rtt_ms: int) -> Cell:
    return Cell(CORPORA[name].cut(scale), rtt_ms)


def compete(cell: Cell, peers: list[Peer], pair: Pair, contest: Contest, runs: int) -> None:
    """Run everyone ``runs`` times, in turn."""
    _limit(cell, pair)  # not counted: memory that nobody has touched yet is slow
    cell.ceilings.clear()
    for _ in range(runs):
        _limit(cell, pair)
        for contestant in (None, *peers):
            name = contestant.name if contestant else US
            results = cell.results.setdefault(name, [])
            if name in cell.failures or (results and results[0].copy.seconds > SLOW_SECONDS):
                continue
            try:
                results.append(contest.run(contestant, cell.corpus, cell.rtt_ms))
            except RuntimeError as error:
                cell.failures[name] = str(error).splitlines()[-1]
                print(str(error)[-1000:], file=sys.stderr)


def _limit(cell: Cell, pair: Pair) -> None:
    users = pair.trial(cell.corpus)
    cell.ceilings.append(ceiling.measure(cell.corpus, pair.ready, pair.accounts(cell.corpus, users, cell.rtt_ms)))
    pair.forget(users)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return 1 when a goal is missed."""
    chosen = options(arguments)
    plan = list(cells(chosen))
    begun = time.monotonic()
    with Pair(list({cell.corpus.name: cell.corpus for cell, _ in plan}.values())) as pair:
        contest = Contest(pair, profile=chosen.profile)
        for cell, peers in plan:
            pair.fill(cell.corpus)
            print(f"{cell.title} ... load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            compete(cell, peers, pair, contest, 1 if chosen.profile else chosen.runs)
    measured = [cell for cell, _ in plan]
    for cell in measured:
        cell.results = {name: results for name, results in cell.results.items() if results}
    print(report.table(measured))
    goals = report.goals(measured)
    print("\n".join(f"{'met   ' if goal.is_met else 'MISSED'}  {goal.text}" for goal in goals))
    print(f"{time.monotonic() - begun:.0f} s in all", file=sys.stderr)
    return 0 if all(goal.is_met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
