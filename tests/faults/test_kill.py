"""A small sample of the campaign: kill -9 and every kind of server fault between real servers (see campaign.py)."""

from __future__ import annotations

import random

import pytest

from tests.faults.campaign import SERVER_FAULTS, Campaign


@pytest.mark.timeout(300)
@pytest.mark.req("D-62", "D-89")
def test_kills_and_server_faults_lose_and_double_nothing() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    report = Campaign(seed, kills=4, faults=len(SERVER_FAULTS), messages=150).run()
    print(report)
    assert report.wrong == []
    assert report.kills == 4
    assert {trouble.kind for trouble in report.troubles} >= set(SERVER_FAULTS)
