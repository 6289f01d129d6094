"""Recent mail first: which messages go with which part, and what that does to the order on the target."""

from __future__ import annotations

import random

import pytest

from migrator.events import RecentCopied
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.windows import DAY_SECONDS
from tests.migrator.transfer.scenes import Scene, assert_arrived, assert_balanced, body

NOW = 1_700_000_000


def aged(*days: float) -> Scene:
    """An account whose INBOX has a letter of each age, in this order."""
    scene = Scene()
    for number, age in enumerate(days):
        scene.source.deliver("INBOX", body(f"{number}: {age}"), internal_date=int(NOW - age * DAY_SECONDS))
    return scene


def order(scene: Scene) -> list[int]:
    """Return the letters of INBOX in the order of the target."""
    return [int(m.body.split(b" ")[1].rstrip(b":")) for m in scene.target["INBOX"].messages.values()]


def test_parts_are_twice_as_long_each_and_keep_the_order_of_the_source() -> None:
    scene = aged(100, 9, 0, 29.9, 30, 89, 91, 4000, 5, 20_000)
    result = scene.copy(policy=CopyPolicy(newest_days=30))
    assert_balanced(result, scene)
    assert_arrived(scene)
    assert order(scene) == [1, 2, 3, 8, 4, 5, 0, 6, 7, 9]
    assert RecentCopied(days=30, messages=4) in scene.sink.events


def test_recent_mail_of_all_folders_goes_before_older_mail_of_any() -> None:
    scene = aged(400, 0)
    scene.source.deliver("Sent", body("old"), internal_date=NOW - 400 * DAY_SECONDS)
    scene.source.deliver("Sent", body("new"), internal_date=NOW)
    stored: list[tuple[str, int]] = []
    scene.target.refuse = lambda message, whole: stored.append((message.path.display, message.uid))
    assert_balanced(scene.copy(policy=CopyPolicy(newest_days=30)), scene)
    assert stored == [("INBOX", 2), ("Sent", 2), ("INBOX", 1), ("Sent", 1)]


def test_mail_without_a_date_is_not_held_back() -> None:
    scene = aged(0, 500)
    scene.source.deliver("INBOX", body("2: undated"), internal_date=None)
    assert_balanced(scene.copy(policy=CopyPolicy(newest_days=30)), scene)
    assert order(scene) == [0, 2, 1]


def test_without_the_wish_the_order_is_that_of_the_source() -> None:
    scene = aged(100, 0, 50)
    scene.copy()
    assert order(scene) == [0, 1, 2]
    assert not any(isinstance(event, RecentCopied) for event in scene.sink.events)


def test_no_message_is_in_two_parts_or_in_none_whatever_their_dates() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(20):
        scene = aged(*(dice.choice((0, 0.5, 1, 30, 365, 9000)) * dice.random() for _ in range(dice.randrange(40))))
        result = scene.copy(policy=CopyPolicy(newest_days=dice.randrange(1, 60)))
        assert_balanced(result, scene)
        assert_arrived(scene)
        assert scene.copy().appended == 0


def test_fewer_days_than_one_are_refused() -> None:
    with pytest.raises(ValueError, match="one day"):
        CopyPolicy(newest_days=0)
