"""Equal messages of one folder, kept or stored once; and a target that makes one message of them by itself."""

from __future__ import annotations

import pytest

from migrator.errors import MigratorError, Radius, Side
from migrator.mail import Outcome
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy
from migrator.transfer.proof import prove
from tests.migrator.transfer.scenes import LIMITS, Scene, arrivals, assert_balanced, body

ONCE = CopyPolicy(duplicates=DuplicatePolicy.ONCE)
BIG = body("big", LIMITS.whole_bytes * 2)


def filled(*folders: str) -> Scene:
    scene = Scene(policy=ONCE)
    for folder in folders or ("INBOX",):
        for text in ("a", "same", "b", "same", "same"):
            scene.source.deliver(folder, body(text))
    return scene


def test_two_in_the_source_are_two_on_the_target_unless_somebody_chose_otherwise() -> None:
    scene = filled()
    assert_balanced(scene.copy(policy=CopyPolicy()), scene)
    assert arrivals(scene.target, "INBOX")[body("same")] == 3


def test_equal_messages_are_stored_once_in_each_folder_and_counted() -> None:
    scene = filled("INBOX", "Sent")
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 6, Outcome.DUPLICATE: 4}
    assert set(arrivals(scene.target, "INBOX").values()) == set(arrivals(scene.target, "Sent").values()) == {1}
    assert prove(scene.ledger).is_balanced
    again = scene.copy()
    assert_balanced(again, scene)
    assert (again.appended, again.totals) == (0, result.totals)


def test_what_comes_later_is_compared_with_what_was_copied_before() -> None:
    scene = filled()
    scene.source.deliver("INBOX", BIG)
    scene.copy()
    scene.source.deliver("INBOX", body("same"))
    scene.source.deliver("INBOX", BIG)
    result = scene.copy()
    assert_balanced(result, scene)
    assert (result.appended, result.totals[Outcome.DUPLICATE]) == (0, 4)


def test_equal_messages_too_big_to_be_held_are_found_by_reading_ahead() -> None:
    scene = Scene(policy=ONCE)
    for text in (BIG, BIG, BIG.replace(b"padding", b"PADDING"), BIG):
        scene.source.deliver("INBOX", text)
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 2, Outcome.DUPLICATE: 2}
    assert len(scene.target["INBOX"].messages) == 2


def test_what_the_target_held_before_stands_for_all_that_are_equal() -> None:
    scene = filled()
    scene.target.deliver("INBOX", body("same"))
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 2, Outcome.ALREADY_THERE: 1, Outcome.DUPLICATE: 2}


def test_no_message_is_counted_as_stored_because_of_one_that_was_refused() -> None:
    scene = filled()
    spoiled = MigratorError("message.refused", side=Side.TARGET, radius=Radius.MESSAGE)
    scene.target.refuse = lambda message, whole: spoiled if message.uid == 2 else None
    result = scene.copy()
    assert_balanced(result, scene)
    assert result.totals == {Outcome.COPIED: 3, Outcome.REFUSED: 1, Outcome.DUPLICATE: 1}
    assert arrivals(scene.target, "INBOX")[body("same")] == 1


@pytest.mark.parametrize("gone", [2, 4])
def test_the_first_that_vanishes_leaves_its_place_to_the_next(gone: int) -> None:
    scene = filled()
    scene.source["INBOX"].messages[gone].is_readable = False
    result = scene.copy()
    assert sum(result.totals.values()) == 5
    assert arrivals(scene.target, "INBOX")[body("same")] == 1
    assert result.totals[Outcome.UNREADABLE] == 1
