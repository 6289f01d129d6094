"""prestage(): passes while the user works, until what is left is small."""

from __future__ import annotations

from migrator.errors import Patience
from migrator.prestage import PrestageResult, Small, prestage
from migrator.testing import FakeClock, FaultPlan, FaultyLedger, MemorySource, MemoryTarget
from tests.migrator.transfer.scenes import LIMITS, Scene, assert_arrived, body, life_like


class Stop:
    """Is set after so many questions."""

    def __init__(self, after: int) -> None:
        self._left = after

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


def stage(scene: Scene, small: Small, faults: FaultPlan | None = None, stop: Stop | None = None) -> PrestageResult:
    plan = faults or FaultPlan()
    return prestage(
        MemorySource(scene.source, plan, LIMITS),
        MemoryTarget(scene.target, plan, LIMITS),
        FaultyLedger(scene.ledger, plan),
        small=small,
        limits=LIMITS,
        stop=stop,
        clock=scene.clock,
    )


def test_a_first_copy_is_followed_by_a_pass_that_is_small() -> None:
    scene = life_like()
    result = stage(scene, Small(messages=3))
    assert (result.is_ready, result.passes, result.error, result.is_stopped) == (True, 2, None, False)
    assert result.appended == 13
    assert result.last.appended == 0
    assert_arrived(scene)


def test_a_small_account_is_ready_after_one_pass() -> None:
    result = stage(life_like(), Small(messages=1000))
    assert (result.is_ready, result.passes) == (True, 1)


def test_a_pass_that_takes_long_is_not_small() -> None:
    scene = life_like()
    scene.clock = clock = FakeClock()
    slow = FaultPlan(at=range(1000), act=lambda: clock.wait(10))
    result = stage(scene, Small(messages=1000, seconds=100, passes=3), slow)
    assert (result.is_ready, result.passes) == (True, 2)
    assert result.last.seconds <= 100


def test_a_user_who_is_faster_than_the_copy_is_left_for_later_without_an_error() -> None:
    scene = life_like()

    def write() -> None:
        scene.source.deliver("INBOX", body(f"more {len(scene.source['INBOX'].messages)}"))

    result = stage(scene, Small(messages=3, passes=4), FaultPlan(at=range(100_000), act=write))
    assert (result.is_ready, result.passes, result.error, result.is_stopped) == (False, 4, None, False)


def test_a_stop_ends_it_between_two_bundles_and_loses_nothing() -> None:
    scene = life_like()
    result = stage(scene, Small(messages=0), stop=Stop(after=2))
    assert (result.is_ready, result.is_stopped) == (False, True)
    assert 0 < result.appended < 13
    assert stage(scene, Small(messages=0)).is_ready
    assert_arrived(scene)


def test_an_error_ends_it_with_what_was_done() -> None:
    scene = life_like()
    scene.target.quota_bytes = 600
    result = stage(scene, Small(messages=0))
    assert not result.is_ready
    assert result.error is not None
    assert (result.error.code, result.passes) == ("target.full", 1)
    assert result.error.patience is not Patience.NOW
