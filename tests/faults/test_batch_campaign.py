"""A sample of the long campaign: a small batch that ends by itself although programs are killed under it."""

from __future__ import annotations

import random

import pytest

from tests.faults.batch_campaign import Run, read_words


@pytest.mark.timeout(400)
@pytest.mark.parametrize("recipe", ["classic", "plain"])
def test_a_batch_ends_by_itself_although_everything_is_killed_and_restarted(recipe: str) -> None:
    seed = random.randrange(1 << 31)
    troubles = ["--kills", "4", "--restarts", "2", "--wipes", "1"]
    words = ["--recipe", recipe, "--accounts", "24", "--probed", "6", "--writers", "2", "--seconds", "150", *troubles]
    print(f"seed {seed}")
    report = Run(read_words([*words, "--seed", str(seed)])).go()
    assert not report.wrong, "\n".join([f"seed {seed}", *report.wrong[:20]])
