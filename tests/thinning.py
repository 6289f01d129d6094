"""Long searches, thinned for ``./test fast``: every n-th case, from a beginning that chance chooses."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
IS_FAST = os.environ.get("MAILFERRY_TEST_PROFILE") == "fast"


def thinned(cases: Sequence[T], step: int = 6) -> Sequence[T]:
    """Return ``cases`` whole; of the fast path every ``step``-th. The first one is printed, for a repetition."""
    if not IS_FAST:
        return cases
    first = random.randrange(step)
    print(f"every {step}th case, from number {first} on")
    return cases[first::step]
