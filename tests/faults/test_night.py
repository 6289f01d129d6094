"""Samples of the long nights: a small batch crosses while its people read, send and receive through one address."""

from __future__ import annotations

import random

import pytest

from tests.faults import lost_night, night, troubled_night
from tests.faults.lost_night import LostNight
from tests.faults.night import Night
from tests.faults.troubled_night import TroubledNight

PEOPLE = ["--hold", "--accounts", "12", "--outside", "4", "--readers", "6", "--pollers", "2", "--mails", "6"]


def words() -> list[str]:
    """A small night, and the seed that repeats it."""
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    return [*PEOPLE, "--seconds", "150", "--seed", str(seed)]


@pytest.mark.req("S-109", "S-122")
@pytest.mark.timeout(400)
def test_a_batch_crosses_behind_nginx_while_its_people_read_send_and_receive() -> None:
    report = Night(night.read_words([*words(), "--front", "nginx"])).go()
    assert not report.wrong, "\n".join(report.wrong[:20])


@pytest.mark.timeout(600)
def test_a_night_ends_whatever_is_killed_restarted_or_away() -> None:
    report = TroubledNight(troubled_night.read_words([*words(), "--kills", "3", "--down", "3", "--away", "3"])).go()
    assert not report.wrong, "\n".join(report.wrong[:20])


@pytest.mark.timeout(500)
def test_when_the_panel_is_lost_for_good_a_rescue_finishes_the_night() -> None:
    report = LostNight(lost_night.read_words(words())).go()
    assert not report.wrong, "\n".join(report.wrong[:20])
