"""A sample of the long runs: what is wrong is told, hurts nobody else, and crosses after somebody has mended it."""

from __future__ import annotations

import random

import pytest

from tests.faults.troubled_batch import move


@pytest.mark.timeout(300)
def test_who_failed_crosses_after_mending_and_nobody_fails_because_a_server_was_away() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    troubled = move(12, "plain", 1, seed, 150)
    print("\n".join(troubled.figures))
    assert not troubled.wrong, "\n".join(troubled.wrong[:20])
