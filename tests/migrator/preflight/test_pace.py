"""Forecasts: what they are taken from, that they hold what was measured, and what they name as the bottleneck."""

from __future__ import annotations

import random

import pytest

from migrator.errors import Side
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Sample, Severity
from migrator.preflight.pace import Basis, Bottleneck, Done, forecast, work

SMALL = AccountSurvey(folders=5, messages=1000, size_bytes=50_000_000, opening_seconds=0.05)


def sampled(one: AccountSurvey = SMALL, milliseconds: float = 1.0) -> AccountSurvey:
    from dataclasses import replace

    return replace(one, sample=Sample(40, 400_000, 0.04 * milliseconds))


def test_without_anything_measured_nothing_is_foretold() -> None:
    assert forecast([SMALL], 4) is None
    assert forecast([], 4, [Done(1, 10, 1000)]) is None


def test_who_will_stop_takes_a_sign_in_and_no_more() -> None:
    stops = AccountSurvey(messages=10**6, foreseen=(Foreseen("sign_in.refused", Severity.STOPS, Side.SOURCE),))
    passes = [Done(2.0, 1000, 50_000_000, 5)] * 5
    without, with_one = forecast([SMALL], 1, passes), forecast([SMALL, stops], 1, passes)
    assert without is not None
    assert with_one is not None
    assert without.seconds < with_one.seconds < without.seconds * 1.1


def test_passes_set_the_pace_and_lanes_share_the_work() -> None:
    passes = [Done(2.0, 1000, 50_000_000, 5)] * 5
    alone, together = forecast([SMALL] * 40, 1, passes), forecast([SMALL] * 40, 4, passes)
    assert alone is not None
    assert together is not None
    assert alone.seconds == pytest.approx(80)
    assert together.seconds == pytest.approx(20, rel=0.1)
    assert (alone.basis, alone.measured) == (Basis.PASSES, 5)
    assert alone.lowest < alone.seconds < alone.highest < 2 * alone.seconds


def test_the_further_ahead_the_wider_is_the_range() -> None:
    passes = [Done(2.0, 1000, 50_000_000, 5)] * 5

    def width(accounts: int) -> float:
        told = forecast([SMALL] * accounts, 1, passes)
        assert told is not None
        return told.highest / told.seconds

    assert 1.25 < width(5) < width(50) < width(500) < 2.5


def test_a_forecast_from_few_accounts_holds_for_many() -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for _ in range(50):
        slowness = 10 ** dice.uniform(-0.5, 1.5)  # of these two servers
        accounts = [
            AccountSurvey(folders=5, messages=int(10 ** dice.uniform(1, 4)), size_bytes=int(10 ** dice.uniform(5, 8)))
            for _ in range(300)
        ]

        def took(one: AccountSurvey, slowness: float = slowness) -> float:
            return work(one.messages, one.size_bytes, one.folders) * slowness * dice.uniform(0.7, 1.4)

        passes = [Done(took(one), one.messages, one.size_bytes, one.folders) for one in accounts[:20]]
        told = forecast(accounts[20:], 1, passes)
        assert told is not None
        assert told.lowest <= sum(map(took, accounts[20:])) <= told.highest


def test_more_passes_make_the_range_narrower_and_spread_makes_it_wider() -> None:
    def width(passes: list[Done]) -> float:
        told = forecast([SMALL], 1, passes)
        assert told is not None
        return told.highest / told.lowest

    even = [Done(2.0, 1000, 50_000_000, 5)]
    uneven = [Done(seconds, 1000, 50_000_000, 5) for seconds in (1.0, 2.0, 4.0, 8.0)]
    assert width(even) > width(even * 10)
    assert width(uneven) > width(uneven * 10) > width(even * 40)


def test_from_reading_alone_the_range_is_wide_and_the_bottleneck_is_not_known() -> None:
    told = forecast([sampled()], 1)
    assert told is not None
    assert (told.basis, told.measured, told.bottleneck) == (Basis.PROBE, 40, Bottleneck.UNKNOWN)
    assert told.highest > 5 * told.lowest


@pytest.mark.parametrize(("milliseconds", "bottleneck"), [(1.9, Bottleneck.READING), (0.2, Bottleneck.STORING)])
def test_the_slower_side_is_named(milliseconds, bottleneck) -> None:
    told = forecast([sampled(milliseconds=milliseconds)], 1, [Done(2.0, 1000, 50_000_000, 5)] * 5)
    assert told is not None
    assert told.bottleneck is bottleneck


def test_one_big_mailbox_among_small_ones_is_named() -> None:
    big = AccountSurvey(folders=50, messages=200_000, size_bytes=20_000_000_000)
    told = forecast([SMALL, big, *[SMALL] * 20], 8, [Done(2.0, 1000, 50_000_000, 5)] * 5)
    assert told is not None
    assert (told.bottleneck, told.account) == (Bottleneck.ONE_ACCOUNT, 1)


def test_many_tiny_mailboxes_are_held_up_by_signing_in() -> None:
    tiny = AccountSurvey(folders=1, messages=1, size_bytes=100, opening_seconds=0.5)
    told = forecast([tiny] * 50, 4, [Done(1.0, 1, 100, 1)] * 5)
    assert told is not None
    assert told.bottleneck is Bottleneck.OPENING


def test_an_allowance_of_a_day_outlasts_every_pace() -> None:
    found = Foreseen("source.daily_limit", Severity.NOTES, Side.SOURCE, facts={"days": 3})
    big = AccountSurvey(messages=1000, size_bytes=6_000_000_000, foreseen=(found,))
    told = forecast([big], 1, [Done(2.0, 1000, 50_000_000, 5)] * 5)
    assert told is not None
    assert (told.bottleneck, told.seconds) == (Bottleneck.DAILY_LIMIT, 2 * 86400)
