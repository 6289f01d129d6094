"""Interrupt a night twice, at every pair of calls, in every pair of ways. Too long for every day; run it by hand:

    python -m tests.migrator.interrupt_pairs [--processes 2] [--play-all] [NIGHT ...]

Every pair is covered, and played as far as it differs from all that was played (see interrupt_walk.py); with
``--play-all`` each is played from its beginning to its end, which takes hours. tests/migrator/test_cutover.py takes a
sample of the same pairs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import starmap

from migrator.testing import FaultKind
from tests.migrator.interrupt_walk import Failed, Fault, walk
from tests.migrator.nights import NIGHTS, Faults, Night
from tests.migrator.test_back import WAYS, make

Pair = tuple[Fault, Fault]
STORIES: dict[str, Callable[[], Night]] = {**NIGHTS, **{f"back_{name}": partial(make, name) for name in WAYS}}
"""Nights, and ways back, by name."""


def interrupt(name: str, faults: dict[int, FaultKind]) -> int:
    """Play the night ``name`` with ``faults``, claim that it ended as without them; return how many calls it made."""
    plan = Faults(faults)
    STORIES[name]().play(plan)
    return len(plan.calls)


def pairs(name: str, first: int) -> Iterator[Pair]:
    """Yield every pair that begins at the call ``first``: with each later call of what the first interruption makes."""
    for kind in FaultKind:
        for second in range(first + 1, interrupt(name, {first: kind})):
            for other in FaultKind:
                yield (first, kind), (second, other)


def sample(name: str, count: int, dice: random.Random) -> Iterator[Pair]:
    """Yield ``count`` pairs of the same kind by chance."""
    calls, kinds = interrupt(name, {}), list(FaultKind)
    for _ in range(count):
        first, kind = dice.randrange(calls), dice.choice(kinds)
        after = interrupt(name, {first: kind})
        if first + 1 < after:
            yield (first, kind), (dice.randrange(first + 1, after), dice.choice(kinds))


def play_pairs(name: str, first: int) -> int:
    """Play all pairs that begin at the call ``first``, and that call alone; return how many pairs there are."""
    count = 0
    for pair in pairs(name, first):
        try:
            interrupt(name, dict(pair))
        except AssertionError:
            print(name, [(number, str(kind)) for number, kind in pair], flush=True)
            raise
        count += 1
    return count


def play_all(name: str, processes: int) -> str:
    """Play every pair from its beginning to its end; return what that was."""
    begun = time.monotonic()
    work = [(name, first) for first in range(interrupt(name, {}))]
    if processes > 1:
        with multiprocessing.Pool(processes) as pool:
            count = sum(pool.starmap(play_pairs, work, chunksize=1))
    else:
        count = sum(starmap(play_pairs, work))
    return f"{name}: {len(work)} calls, {count:,} pairs, {time.monotonic() - begun:.0f} s"


def cover_all(name: str) -> tuple[bool, str]:
    """Cover every pair; return whether each night ended as it must, and what that was."""
    begun = time.process_time()
    try:
        tally = walk(STORIES[name])
    except Failed as failed:
        return False, f"{name}: {failed}"
    said = f"{name}: {tally.calls} calls, {tally.pairs:,} pairs by {tally.played:,} lives"
    return True, f"{said}, {time.process_time() - begun:.0f} s of computing"


def main() -> int:
    """Interrupt nights from the shell; return 1 where something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.migrator.interrupt_pairs")
    parser.add_argument("nights", metavar="NIGHT", nargs="*", default=list(STORIES), help=", ".join(STORIES))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--play-all", action="store_true", help="each pair from its beginning to its end")
    chosen = parser.parse_args()
    if chosen.play_all:
        for name in chosen.nights:
            print(play_all(name, chosen.processes), flush=True)
        return 0
    status = 0
    with multiprocessing.Pool(chosen.processes) as pool:
        for is_sound, said in pool.imap_unordered(cover_all, chosen.nights):
            print(said, flush=True)
            status |= not is_sound
    return status


if __name__ == "__main__":
    raise SystemExit(main())
