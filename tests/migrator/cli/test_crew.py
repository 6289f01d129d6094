"""Many accounts at once: every one gets its result, and one fault of a server does not become a thousand."""

from __future__ import annotations

import threading

import pytest

from migrator.cli.accounts import Account, AccountResult, Exit, carry, not_started
from migrator.cli.crew import Crew
from migrator.errors import Side
from migrator.events import EventSink, PassPlanned, Silence
from migrator.limits import NeverStop
from tests.migrator.cli.worlds import CHOICES, MemoryLedgers, World, error, world


class Stop:
    def __init__(self) -> None:
        self.is_given = False

    def is_set(self) -> bool:
        return self.is_given


def run(worlds: list[World], *, lanes: int = 4, stop: Stop | None = None) -> list[AccountResult]:
    ledgers = MemoryLedgers()
    signal = stop or NeverStop()

    def carry_one(account: Account, sink: EventSink) -> AccountResult:
        return carry(account, ledgers, CHOICES, sink, signal)

    crew = Crew(carry_one, not_started, lanes=lanes, stop=signal, listen=lambda account: Silence())
    return crew.run([it.account for it in worlds], lambda result: None)


def exit_codes(results: list[AccountResult]) -> list[Exit]:
    return [result.exit_code for result in results]


@pytest.mark.req("S-71")
@pytest.mark.parametrize("lanes", [1, 6, 64])
def test_every_account_of_a_list_is_copied(lanes) -> None:
    worlds = [world(f"u{number}", line=number) for number in range(40)]
    results = run(worlds, lanes=lanes)
    assert exit_codes(results) == [Exit.ALL_THERE] * 40
    assert [result.account.line for result in results] == list(range(40))
    assert all(it.target.contents() == it.source.contents() for it in worlds)


def test_a_wrong_password_of_one_user_stops_nobody_else() -> None:
    worlds = [world(f"u{n}", source_fails=[error("sign_in.refused")] * 3 * (n in (0, 5, 6, 7))) for n in range(12)]
    results = run(worlds)
    assert [result.exit_code is Exit.PERSON for result in results] == [n in (0, 5, 6, 7) for n in range(12)]
    assert [it.source_door.tries for it in worlds] == [1] * 12


@pytest.mark.req("C-17")
@pytest.mark.parametrize("side", list(Side))
def test_a_server_that_is_away_is_met_once_and_no_account_is_started_after_it(side) -> None:
    worlds = [world(f"u{n}", **{f"{side}_fails": [error("server.unreachable", side)] * 3}) for n in range(30)]
    results = run(worlds)
    assert exit_codes(results) == [Exit.AGAIN] * 30
    assert [result.is_started for result in results] == [True] + [False] * 29
    assert sum(it.source_door.tries for it in worlds) <= 1


def test_a_server_that_goes_away_in_the_middle_lets_no_other_account_start() -> None:
    worlds = [world(f"u{n}", source_fails=[error("server.full")] * 9 * (n == 10)) for n in range(30)]
    results = run(worlds, lanes=1)
    assert exit_codes(results) == [Exit.ALL_THERE] * 10 + [Exit.PERSON] * 20
    assert [result.is_started for result in results] == [True] * 11 + [False] * 19


def test_a_wrong_password_of_an_administrator_is_tried_once_for_all() -> None:
    refused = [error("sign_in.refused", Side.TARGET)] * 3
    worlds = [world(f"u{n}", target_fails=refused, admin_sides=[Side.TARGET]) for n in range(30)]
    results = run(worlds)
    assert exit_codes(results) == [Exit.PERSON] * 30
    assert sum(it.target_door.tries for it in worlds) == 1


@pytest.mark.req("C-14")
def test_an_administrator_who_is_refused_three_times_in_a_row_is_not_tried_on() -> None:
    worlds = [
        world(
            f"u{n}", source_fails=[error("sign_in.admin_refused")] * 3 * (n in (1, 3, 4, 5)), admin_sides=[Side.SOURCE]
        )
        for n in range(10)
    ]
    results = run(worlds, lanes=1)
    assert [result.is_started for result in results] == [True] * 6 + [False] * 4


def test_a_stop_starts_no_other_account_and_is_told() -> None:
    stop = Stop()
    worlds = [world(f"u{n}") for n in range(10)]
    deliver = worlds[3].target_door.run

    def stopping(*arguments):
        stop.is_given = True
        return deliver(*arguments)

    worlds[3].target_door.run = stopping
    results = run(worlds, lanes=1, stop=stop)
    assert exit_codes(results) == [Exit.ALL_THERE] * 3 + [Exit.STOPPED] * 7
    assert [result.is_started for result in results] == [True] * 4 + [False] * 6


def test_the_first_account_goes_alone_until_it_has_listed_both_sides() -> None:
    others_may_start = threading.Event()
    seen_before: list[bool] = []
    first = world("u0")

    def carry_one(account: Account, sink: EventSink) -> AccountResult:
        if account.line == 0:
            seen_before.append(others_may_start.wait(0.2))  # nobody starts meanwhile
            sink.emit(PassPlanned(folders=1, messages=1, size_bytes=1, flag_changes=0))
            assert others_may_start.wait(10)  # and now somebody does, though this one is not done
        others_may_start.set()
        return AccountResult(account, Exit.ALL_THERE)

    crew = Crew(carry_one, not_started, lanes=3, stop=NeverStop(), listen=lambda account: Silence())
    results = crew.run([first.account, world("u1", line=1).account, world("u2", line=2).account], lambda result: None)
    assert exit_codes(results) == [Exit.ALL_THERE] * 3
    assert seen_before == [False]


def test_a_fault_of_ours_ends_the_crew_and_is_not_hidden() -> None:
    def carry_one(account: Account, sink: EventSink) -> AccountResult:
        raise ZeroDivisionError

    crew = Crew(carry_one, not_started, lanes=3, stop=NeverStop(), listen=lambda account: Silence())
    with pytest.raises(ZeroDivisionError):
        crew.run([world(f"u{n}").account for n in range(9)], lambda result: None)
