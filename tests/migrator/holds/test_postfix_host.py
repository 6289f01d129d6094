"""A Postfix delivers between two reloads, and longer the busier it is."""

from __future__ import annotations

import pytest

from migrator.holds.postfix_host import pause
from migrator.holds.reloads import Reload


@pytest.mark.parametrize(
    ("took", "ago", "seconds"),
    [
        (0.05, 0.0, 0.25),  # a quick one still has a moment
        (0.2, 0.0, 0.4),  # twice as long as the reload
        (0.2, 0.3, 0.1),  # of which some is over
        (0.2, 5.0, 0.0),
        (20.0, 0.0, 1.0),  # who waits is locked out by nothing, but waits
        (0.2, -9.0, 0.4),  # a note of a time to come is no reason to wait for it
    ],
)
def test_a_reload_leaves_postfix_twice_its_own_time_to_deliver(took: float, ago: float, seconds: float) -> None:
    assert pause(Reload(100.0, 100.0 + took), 100.0 + took + ago) == pytest.approx(seconds)


def test_the_first_reload_waits_for_nothing() -> None:
    assert pause(Reload(), 100.0) == 0.0
