"""What many look at is made once; and who asks often is told to ask less often when many do."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from campaigns.views.shared import Pace, Shared


def test_of_many_who_ask_at_once_one_makes_it() -> None:
    shared: Shared[int] = Shared(4)
    made: list[int] = []
    together = threading.Barrier(8)

    def make() -> int:
        made.append(1)
        return len(made)

    def ask(_: int) -> int:
        together.wait(10)
        return shared.get("key", lambda kept: True, make)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [1] * 8
    assert len(made) == 1


def test_what_is_no_longer_good_is_made_anew_and_keys_do_not_mix() -> None:
    shared: Shared[str] = Shared(4)
    assert shared.get("a", bool, lambda: "first") == "first"
    assert shared.get("b", bool, lambda: "other") == "other"
    assert shared.get("a", lambda kept: kept != "first", lambda: "second") == "second"
    assert shared.get("a", bool, lambda: "third") == "second"


def test_what_could_not_be_made_is_tried_again() -> None:
    shared: Shared[str] = Shared(4)
    with pytest.raises(ZeroDivisionError):
        shared.get("a", bool, lambda: str(1 / 0))
    assert shared.get("a", bool, lambda: "made") == "made"


def test_only_so_many_are_kept_those_asked_for_last() -> None:
    shared: Shared[str] = Shared(2)
    for key in ("a", "b", "a", "c"):
        shared.get(key, bool, lambda: "old")
    assert shared.get("a", bool, lambda: "new") == "old"
    assert shared.get("b", bool, lambda: "new") == "new"


def test_many_are_told_to_ask_less_often_and_few_are_not() -> None:
    now = [0.0]
    pace = Pace(10, lambda: now[0])
    assert [pace.seconds(who, 2) for who in range(20)] == [2] * 20
    assert [pace.seconds(who, 2) for who in range(50)][-1] == 5
    assert pace.seconds(0, 15) == 15
    assert pace.seconds(0, 0) == 0
    now[0] = 31.0  # they are gone
    assert pace.seconds(0, 2) == 2


def test_one_who_asks_again_and_again_is_one() -> None:
    pace = Pace(10, lambda: 0.0)
    assert [pace.seconds("one", 2) for _ in range(100)][-1] == 2
