"""A small sample of the campaign: kill -9, restarts and cut lines between real Dovecots (see campaign.py)."""

from __future__ import annotations

import random

import pytest

from tests.faults.campaign import Campaign, Trouble


@pytest.mark.timeout(300)
@pytest.mark.req("D-62", "D-89")
def test_kills_restarts_and_cut_lines_lose_and_double_nothing() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    report = Campaign(seed, kills=5, restarts=2, cuts=2, messages=200).run()
    print(report)
    assert report.wrong == []
    assert report.troubles[Trouble.KILL] == 5
    assert report.troubles.total() == 9
