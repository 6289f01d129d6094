"""A sample of the long runs: a database that is lost, or comes back from a backup, in the middle of a batch."""

from __future__ import annotations

import random

import pytest

from tests.faults.lost_database import lose

ACCOUNTS = 40  # fewer have all moved on a fast machine before a backup of their middle is made


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("way", "recipe"), [("rescue", "classic"), ("restore", "plain")])
def test_whoever_was_on_the_way_when_the_database_was_lost_ends_on_one_side_with_all_mail(
    way: str, recipe: str
) -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    loss = lose(way, recipe, ACCOUNTS, seed, 120)
    print("\n".join(loss.figures))
    assert not loss.wrong, "\n".join(loss.wrong[:20])
