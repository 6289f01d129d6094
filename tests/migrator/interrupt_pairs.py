"""Interrupt a night twice, at every pair of calls, in every pair of ways. Too long for every day; run it by hand:

    python -m tests.migrator.interrupt_pairs [--processes 2] [NIGHT ...]

tests/migrator/test_cutover.py takes a sample of the same pairs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Iterator
from itertools import starmap

from migrator.testing import FaultKind
from tests.migrator.nights import NIGHTS, Faults, clean_calls

Pair = tuple[tuple[int, FaultKind], tuple[int, FaultKind]]


def pairs(name: str, first: int) -> Iterator[Pair]:
    """Yield every pair that begins at the call ``first``: with each later call of what the first interruption makes."""
    for kind in FaultKind:
        for second in range(first + 1, interrupt(name, {first: kind})):
            for other in FaultKind:
                yield (first, kind), (second, other)


def sample(name: str, count: int, dice: random.Random) -> Iterator[Pair]:
    """Yield ``count`` pairs of the same kind by chance."""
    calls, kinds = len(clean_calls(NIGHTS[name])), list(FaultKind)
    for _ in range(count):
        first, kind = dice.randrange(calls), dice.choice(kinds)
        after = interrupt(name, {first: kind})
        if first + 1 < after:
            yield (first, kind), (dice.randrange(first + 1, after), dice.choice(kinds))


def interrupt(name: str, faults: dict[int, FaultKind]) -> int:
    """Run the night ``name`` with ``faults``, claim that it ended as without them; return how many calls it made."""
    night = NIGHTS[name]()
    plan = Faults(faults)
    night.run_to_the_end(plan)
    calls = len(plan.calls)
    night.assert_ended("rolled_back" if night.late_at else "done")
    night.assert_settled()
    return calls


def interrupt_pairs(name: str, first: int) -> int:
    """Run all pairs that begin at the call ``first``; return how many there are."""
    count = 0
    for pair in pairs(name, first):
        try:
            interrupt(name, dict(pair))
        except AssertionError:
            print(name, [(number, str(kind)) for number, kind in pair], flush=True)
            raise
        count += 1
    return count


def main() -> None:
    """Interrupt nights from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.migrator.interrupt_pairs")
    parser.add_argument("nights", metavar="NIGHT", nargs="*", default=list(NIGHTS), help=", ".join(NIGHTS))
    parser.add_argument("--processes", type=int, default=1)
    chosen = parser.parse_args()
    for name in chosen.nights:
        begun = time.monotonic()
        work = [(name, first) for first in range(len(clean_calls(NIGHTS[name])))]
        if chosen.processes > 1:
            with multiprocessing.Pool(chosen.processes) as pool:
                count = sum(pool.starmap(interrupt_pairs, work, chunksize=1))
        else:
            count = sum(starmap(interrupt_pairs, work))
        print(f"{name}: {len(work)} calls, {count:,} pairs, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
