"""Those who want the same get it together, and nobody gets what began before they asked."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from migrator.errors import MigratorError
from migrator.holds.together import Request, Together, shared

SECONDS = 10.0


class Slow:
    """Acts when it is let, and remembers for whom."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()
        self.acts: list[list[str]] = []

    def __call__(self, requests: Sequence[Request[str, int]]) -> None:
        self.acts.append([request.item for request in requests])
        number = len(self.acts)
        self.began.set()
        assert self.may_end.wait(SECONDS)
        for request in requests:
            request.serve(number)


def waiting(together: Together[str, int]) -> int:
    return len(together._waiting)


def test_who_comes_while_an_act_goes_on_waits_for_the_next_and_shares_it() -> None:
    act = Slow()
    together: Together[str, int] = Together(act)
    with ThreadPoolExecutor(4) as lanes:
        first = lanes.submit(together.ask, "a")
        assert act.began.wait(SECONDS)
        others = [lanes.submit(together.ask, name) for name in "bcd"]
        while waiting(together) < 3:
            pass
        act.may_end.set()
        assert [first.result(SECONDS), *(other.result(SECONDS) for other in others)] == [1, 2, 2, 2]
    assert [sorted(items) for items in act.acts] == [["a"], ["b", "c", "d"]]


def test_what_an_act_raises_is_raised_to_all_it_was_for_and_the_next_is_not_spoilt() -> None:
    outcomes = iter([MigratorError("command.slow", seconds=3), None])

    def act(requests: Sequence[Request[str, int]]) -> None:
        if error := next(outcomes):
            raise error
        requests[0].serve(7)

    together: Together[str, int] = Together(act)
    with pytest.raises(MigratorError) as caught:
        together.ask("a")
    assert (caught.value.code, caught.value.params) == ("command.slow", {"seconds": 3})
    assert together.ask("b") == 7


def test_an_act_may_refuse_one_and_serve_another() -> None:
    def act(requests: Sequence[Request[str, int]]) -> None:
        for request in requests:
            if request.item == "bad":
                request.serve(error=MigratorError("address.bad"))
            else:
                request.serve(1)

    together: Together[str, int] = Together(act)
    with pytest.raises(MigratorError):
        together.ask("bad")
    assert together.ask("good") == 1


def test_one_key_is_one_for_the_whole_program() -> None:
    first = shared(("test", "x"), lambda: Together(Slow()))
    assert shared(("test", "x"), lambda: Together(Slow())) is first
    assert shared(("test", "y"), lambda: Together(Slow())) is not first
