"""One account by several connections at once: dealt out by whole folders, and safe at every interruption."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Side
from migrator.events import Progress
from migrator.stores.base import Features, SourceStore, TargetStore
from migrator.testing import FaultPlan, FaultyLedger, Killed, MemorySource, MemoryTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.several import FEW_MESSAGES
from tests.migrator.transfer.scenes import (
    LIMITS,
    Scene,
    assert_arrived,
    assert_balanced,
    assert_same_order,
    body,
    life_like,
)
from tests.migrator.transfer.test_interrupt import KINDS, delta, half_copied, single_appends, without_uids

SCENES = [life_like, without_uids, half_copied, delta, single_appends]


class Opened:
    """Opens further sessions on the mailboxes of a scene, as often as it is asked."""

    def __init__(self, scene: Scene, faults: FaultPlan | None = None) -> None:
        self.scene, self.faults = scene, faults or FaultPlan()
        self.targets: list[MemoryTarget] = []

    def __call__(self) -> tuple[SourceStore, TargetStore]:
        source, target = self.pair()
        self.targets.append(target)
        return source, target

    def pair(self) -> tuple[MemorySource, MemoryTarget]:
        return (
            MemorySource(self.scene.source, self.faults, LIMITS),
            MemoryTarget(self.scene.target, self.faults, LIMITS),
        )


def copy(scene: Scene, opened: Opened, connections: int | None = 3) -> PassResult:
    source, target = opened.pair()
    return run_pass(
        source,
        target,
        FaultyLedger(scene.ledger, opened.faults),
        policy=scene.policy,
        sink=scene.sink,
        limits=replace(LIMITS, connections=connections),
        clock=scene.clock,
        more=opened,
    )


def told(scene: Scene) -> int:
    return sum(event.messages for event in scene.sink.events if isinstance(event, Progress))


def test_folders_are_dealt_out_and_each_keeps_its_order() -> None:
    scene = life_like()
    opened = Opened(scene)
    assert_balanced(copy(scene, opened), scene)
    assert_arrived(scene)
    assert_same_order(scene)
    assert [target.connections for target in opened.targets] == [1, 1]  # three folders: the first lane has its own
    assert copy(scene, opened).appended == 0
    assert len(opened.targets) == 2  # nothing to do is done by one


def test_more_connections_than_folders_are_not_opened() -> None:
    scene = Scene()
    for number in range(5):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    opened = Opened(scene)
    assert_balanced(copy(scene, opened, connections=8), scene)
    assert opened.targets == []


@pytest.mark.parametrize(("waits", "messages", "lanes"), [(True, 60, 4), (False, 60, 1), (True, 6, 1)])
def test_a_target_that_asks_for_each_message_is_given_several_by_itself(waits, messages, lanes) -> None:
    scene = Scene()
    for number in range(messages):
        scene.source.deliver(f"folder {number % 6}", body(f"letter {number}"))
    assert (messages > FEW_MESSAGES) == (messages == 60)
    opened = Opened(scene)

    class Waiting(MemoryTarget):
        @property
        def features(self) -> Features:
            return replace(super().features, waits_for_each=waits)

    opened.pair = lambda: (MemorySource(scene.source, None, LIMITS), Waiting(scene.target, None, LIMITS))  # type: ignore[method-assign]
    assert_balanced(copy(scene, opened, connections=None), scene)
    assert_arrived(scene)
    assert len(opened.targets) == lanes - 1


def test_a_server_that_lets_nobody_in_again_costs_only_speed() -> None:
    scene = life_like()

    class Full(MemoryTarget):
        @property
        def features(self) -> Features:
            raise MigratorError("server.too_many_connections", side=Side.TARGET, reply="too many connections")

    def more() -> tuple[SourceStore, TargetStore]:
        return MemorySource(scene.source, None, LIMITS), Full(scene.target, None, LIMITS)

    source, target = Opened(scene).pair()
    limits = replace(LIMITS, connections=3)
    passed = run_pass(source, target, scene.ledger, limits=limits, clock=scene.clock, more=more)
    assert_balanced(passed, scene)
    assert_arrived(scene)


def test_the_events_and_sums_of_all_lanes_are_those_of_one() -> None:
    alone, several = life_like(), life_like()
    one, many = copy(alone, Opened(alone), connections=1), copy(several, Opened(several))
    assert (one.totals, one.appended, one.size_bytes) == (many.totals, many.appended, many.size_bytes)
    assert told(alone) == told(several) > 0


@pytest.mark.long
@pytest.mark.req("D-62")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "make", [life_like, without_uids, half_copied, delta, single_appends], ids=lambda it: it.__name__
)
def test_several_lanes_interrupted_at_any_call_end_as_one_would(make: Callable[[], Scene], kind: str) -> None:
    whole = Opened(make())
    copy(whole.scene, whole)
    for at in range(len(whole.faults.calls) + 3):  # lanes run at once: their calls come in another order each time
        scene = make()
        with contextlib.suppress(Killed):
            copy(scene, Opened(scene, FaultPlan(at=at, kind=kind)))
        for _ in range(5):
            result = copy(scene, Opened(scene))
            if result.error is None:
                break
        assert_balanced(result, scene)
        assert_arrived(scene)
        again = copy(scene, Opened(scene))
        assert (again.appended, again.flag_changes) == (0, 0), (make.__name__, kind, at)


def test_further_sessions_are_told_where_the_first_ones_are() -> None:
    class Replicated(MemorySource):
        def stay_with(self, other: object) -> None:
            told.append(other)

    scene, told = life_like(), list[object]()
    source = MemorySource(scene.source)
    run_pass(
        source,
        MemoryTarget(scene.target),
        scene.ledger,
        limits=replace(LIMITS, connections=2),
        more=lambda: (Replicated(scene.source), MemoryTarget(scene.target)),
    )
    assert_arrived(scene)
    assert told == [source]
