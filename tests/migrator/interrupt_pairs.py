"""Interrupt a night twice, at every pair of calls, in every pair of ways. Too long for every day; run it by hand:

    python -m tests.migrator.interrupt_pairs [NIGHT ...]

tests/migrator/test_cutover.py takes a sample of the same pairs.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator

from migrator.testing import FaultKind
from tests.migrator.nights import NIGHTS, Faults, clean_calls

Pair = tuple[tuple[int, FaultKind], tuple[int, FaultKind]]
AFTERMATH = 60  # calls that a night makes beyond its clean ones when it was interrupted


def pairs(calls: int) -> Iterator[Pair]:
    """Yield every pair: a call of the clean night, and a later one of what the first interruption makes of it."""
    for first in range(calls):
        for second in range(first + 1, calls + AFTERMATH):
            for one, other in itertools.product(FaultKind, repeat=2):
                yield (first, one), (second, other)


def interrupt(name: str, faults: dict[int, FaultKind]) -> None:
    """Run the night ``name`` with ``faults`` to its end and claim that it ended as without them."""
    make = NIGHTS[name]
    night = make()
    night.run_to_the_end(Faults(faults))
    night.assert_ended("rolled_back" if night.late_at else "done")
    night.assert_settled()


def main(names: list[str]) -> None:
    for name in names or NIGHTS:
        begun, count = time.monotonic(), 0
        calls = len(clean_calls(NIGHTS[name]))
        for pair in pairs(calls):
            try:
                interrupt(name, dict(pair))
            except AssertionError:
                print(name, [(number, str(kind)) for number, kind in pair], flush=True)
                raise
            count += 1
        print(f"{name}: {calls} calls, {count:,} pairs, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
