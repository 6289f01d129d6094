"""A sample of the long run: twelve planted failures are foreseen, and nobody else's; the forecast holds."""

from __future__ import annotations

import random

import pytest

from tests.faults.surveyed_batch import PLANTS, move


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_survey_foresees_every_planted_failure_and_no_other_and_its_forecast_holds() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    batch = move(60, seed, 4)
    print("\n".join(batch.figures))
    assert len(batch.planted) == len(PLANTS) == 12
    assert not batch.wrong, "\n".join(batch.wrong[:20])
