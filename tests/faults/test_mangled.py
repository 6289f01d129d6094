"""A small sample of copies whose servers' words are broken on their way (see mangled.py)."""

from __future__ import annotations

import random

import pytest

from tests.faults.mangled import Mangled


@pytest.mark.timeout(400)
def test_broken_words_of_servers_crash_nothing_and_lose_nothing() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    report = Mangled(seed, runs=20).run()
    print(report)
    assert report.wrong == []
    assert report.broken.total() - report.broken["none"] >= 10
