"""The scene that tests of pages look at is one that the panel itself could have made."""

from __future__ import annotations

import pytest

from campaigns.states import AccountState
from tests.campaigns import scenes
from tests.campaigns.factories import figures

pytestmark = pytest.mark.django_db


@pytest.mark.long
def test_the_figures_of_a_scene_are_those_of_its_accounts() -> None:
    campaign = scenes.platform(50)
    finished, tonight, planned = [figures(batch) for batch in campaign.batches.order_by("number")]
    assert finished[AccountState.DONE] >= 45
    assert set(tonight) == {state.value for state in scenes.TONIGHT}
    assert planned == {"new": 50}
