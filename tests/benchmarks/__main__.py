"""``python -m tests.benchmarks``: the servers' own limit, the engine and every peer here, in turn, on the same mail."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import markdown, records, report
from tests.benchmarks.contests import US, Contest, Ours
from tests.benchmarks.corpora import CORPORA
from tests.benchmarks.peers import CUTS, PEERS, Peer
from tests.benchmarks.report import Cell
from tests.benchmarks.rounds import compete
from tests.benchmarks.scenes import SCENES
from tests.benchmarks.servers import Pair
from tests.benchmarks.settings import USUAL, Setting

README = Path(__file__).parents[2] / "README.md"
Plan = list[tuple[Cell, list[Ours | Peer]]]


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    present = [peer.name for peer in PEERS.values() if peer.is_present]
    parser.add_argument("--scene", type=_words, default=[],
                        help=f"of {', '.join(SCENES)}, with commas, or all: the table of the README")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where scenes keep what they measured")
    parser.add_argument("--table", type=Path, metavar="DIR", help="measure nothing: print the table of what is kept")
    parser.add_argument("--readme", action="store_true", help="with --table: write it into the README")
    parser.add_argument("--disk", type=Path, default=Path("/var/tmp"), help="of the scene disk (default: /var/tmp)")
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
    return _checked(parser, parser.parse_args(arguments))


def _checked(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> argparse.Namespace:
    if chosen.scene == ["all"]:
        chosen.scene = list(SCENES)
    if chosen.scene and not chosen.keep:
        parser.error("--scene needs --keep DIR")
    asked = (
        ("corpus", chosen.corpora, CORPORA),
        ("peer", chosen.peers, {*PEERS, "none"}),
        ("scene", chosen.scene, SCENES),
    )
    for what, words, known in asked:
        if unknown := set(words) - set(known):
            parser.error(f"no such {what}: {', '.join(sorted(unknown))}")
    return chosen


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def cells(chosen: argparse.Namespace) -> Iterator[tuple[Cell, list[Ours | Peer]]]:
    """Yield what is measured: each corpus at each distance, and cut down once more for the peers that need it."""
    peers = [] if chosen.profile else [PEERS[name] for name in chosen.peers if name != "none"]
    for name in chosen.corpora:
        for rtt in chosen.rtt:
            cut = [peer for peer in peers if peer.needs_cut(name, rtt)]
            yield _cell(name, chosen.scale, rtt), [Ours(), *(peer for peer in peers if peer not in cut)]
            if cut:
                yield _cell(name, chosen.scale * CUTS.get(name, 1), rtt), [Ours(), *cut]


def _cell(name: str, scale: float, rtt_ms: int) -> Cell:
    return Cell(CORPORA[name].cut(scale), rtt_ms)


def measure(plan: Plan, setting: Setting, chosen: argparse.Namespace) -> Iterator[Cell]:
    """Start the servers, carry out ``plan``, and yield each cell when it is done."""
    with ExitStack() as stack:
        corpora = {cell.corpus.name: cell.corpus for cell, _ in plan}
        pair = stack.enter_context(Pair(list(corpora.values()), setting, chosen.disk))
        contest = Contest(pair, profile=chosen.profile)
        for cell, contestants in plan:
            pair.fill(cell.corpus)
            print(f"{cell.title} ... load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
            compete(cell, contestants, pair, contest, 1 if chosen.profile else chosen.runs)
            yield cell


def play(name: str, chosen: argparse.Namespace) -> bool:
    """Measure one scene and keep it. Return whether each of our copies was the same mail."""
    scene, begun = SCENES[name], time.monotonic()
    file = records.begin(chosen.keep, name)
    plan = list(scene.cells(chosen.scale, chosen.peers))
    measured = []
    for cell in measure(plan, scene.setting, chosen):
        records.keep(file, cell)
        measured.append(cell)
    print(report.table(measured))
    print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    if any(name.startswith(US) for cell in measured for name in cell.failures):
        return False
    ours = [results for cell in measured for name, results in cell.results.items() if name.startswith(US)]
    return all(result.verdict == "identical" for results in ours for result in results)


def tell(chosen: argparse.Namespace) -> int:
    """Print what is kept as one table, or write it into the README."""
    text = markdown.page(records.read(chosen.table), os.cpu_count() or 1)
    if chosen.readme:
        markdown.put(text, README)
    else:
        print(text)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return 1 when a goal is missed, for scenes when a copy of ours is not the same mail."""
    chosen = options(arguments)
    same = [play(name, chosen) for name in chosen.scene]
    if chosen.table:
        return tell(chosen)
    if chosen.scene:
        return 0 if all(same) else 1
    begun = time.monotonic()
    measured = list(measure(list(cells(chosen)), USUAL, chosen))
    print(report.table(measured))
    goals = report.goals(measured)
    print("\n".join(f"{'met   ' if goal.is_met else 'MISSED'}  {goal.text}" for goal in goals))
    print(f"{time.monotonic() - begun:.0f} s in all", file=sys.stderr)
    return 0 if all(goal.is_met for goal in goals) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
