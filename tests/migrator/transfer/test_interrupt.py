"""Interrupt a copy at every call to the world, resume, and demand the same end; then run again and demand nothing."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable

import pytest

from migrator.mail import Outcome
from migrator.testing import FakeClock, FaultPlan, Killed, MemoryMailbox
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy
from tests.migrator.transfer.scenes import Scene, assert_arrived, assert_balanced, body, life_like

KINDS = ("kill", "kill_after", "line", "lost_answer")


def plain() -> Scene:
    return life_like()


def without_uids() -> Scene:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", uidplus=False, canonicalise=True)
    return scene


def half_copied() -> Scene:
    scene = life_like()
    scene.target.deliver("INBOX", body("letter 2"), internal_date=1)
    scene.target.deliver("INBOX", body("the same again"), internal_date=2)
    scene.target.deliver("Archive.1999", body("big", 5000), internal_date=3)
    return scene


def delta() -> Scene:
    scene = life_like()
    scene.copy()
    scene.source.deliver("INBOX", body("late"))
    scene.source.deliver("INBOX", body("late"))
    scene.source["INBOX"].set_flags(1, frozenset({"\\Answered"}))
    scene.source["INBOX"].expunge(2)
    scene.target["INBOX"].expunge(2)
    return scene


def renumbered() -> Scene:
    scene = life_like()
    scene.copy()
    scene.source["INBOX"].renumber()
    scene.target["Archive.1999"].renumber()
    return scene


def single_appends() -> Scene:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", multiappend=False)
    return scene


def newest_first() -> Scene:
    scene = life_like()
    scene.policy = CopyPolicy(newest_days=1)
    return scene


def once() -> Scene:
    scene = delta()
    scene.policy = CopyPolicy(duplicates=DuplicatePolicy.ONCE)
    scene.source.deliver("Archive/1999", body("big twin", 6000))
    scene.source.deliver("Archive/1999", body("big twin", 6000))
    return scene


def renumbered_once() -> Scene:
    scene = life_like()
    scene.policy = CopyPolicy(duplicates=DuplicatePolicy.ONCE)
    scene.copy()
    scene.source["INBOX"].renumber()
    return scene


SCENES = [plain, without_uids, half_copied, delta, renumbered, single_appends, newest_first, once, renumbered_once]


def calls_of_a_clean_run(make: Callable[[], Scene]) -> int:
    plan = FaultPlan()
    make().copy(plan)
    return len(plan.calls)


def run_to_the_end(scene: Scene) -> None:
    for _ in range(5):
        result = scene.copy()
        if result.error is None:
            break
    assert_balanced(result, scene)


@pytest.mark.long
@pytest.mark.req("D-62", "D-59")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", SCENES, ids=lambda make: make.__name__)
def test_a_copy_interrupted_at_any_call_ends_the_same(make: Callable[[], Scene], kind: str) -> None:
    for at in range(calls_of_a_clean_run(make)):
        scene = make()
        plan = FaultPlan(at=at, kind=kind)
        with contextlib.suppress(Killed):
            scene.copy(plan)
        run_to_the_end(scene)
        assert_arrived(scene)
        if make is plain:  # what we stored ourselves is never taken for somebody else's
            assert Outcome.ALREADY_THERE not in scene.copy().totals
        before = scene.target.contents()
        again = FaultPlan()
        result = scene.copy(again)
        assert_balanced(result, scene)
        assert (result.appended, result.flag_changes) == (0, 0), (make.__name__, kind, at)
        assert scene.target.contents() == before
        assert not any("store" in call for call in again.calls)


@pytest.mark.long
@pytest.mark.parametrize("make", [plain, delta], ids=lambda make: make.__name__)
def test_a_copy_killed_again_while_it_recovers_ends_the_same(make: Callable[[], Scene]) -> None:
    calls = calls_of_a_clean_run(make)
    for first in range(0, calls, 3):
        for second in range(first % 2, calls, 4):
            scene = make()
            for at in (first, second):
                with contextlib.suppress(Killed):
                    scene.copy(FaultPlan(at=at, kind="kill_after"))
            run_to_the_end(scene)
            assert_arrived(scene)


@pytest.mark.long
@pytest.mark.req("D-40", "D-108")
def test_mail_that_arrives_on_either_side_at_any_call_is_neither_lost_nor_doubled() -> None:
    calls = calls_of_a_clean_run(plain)
    for at in range(calls):
        scene = plain()

        def meanwhile(scene: Scene = scene) -> None:
            scene.source.deliver("INBOX", body("arrived in between"))
            scene.target.deliver("INBOX", body("delivered at the target"))

        scene.copy(FaultPlan(at=at, act=meanwhile))
        run_to_the_end(scene)
        assert_arrived(scene, extra=Counter([body("delivered at the target")]))
        scene.source.deliver("INBOX", body("delivered at the target"))
        result = scene.copy()
        assert_balanced(result, scene)
        assert (at, result.appended) == (at, 0)


@pytest.mark.long
@pytest.mark.req("D-31")
def test_a_folder_renumbered_at_any_call_is_matched_by_content() -> None:
    calls = calls_of_a_clean_run(plain)
    for side in ("source", "target"):
        for at in range(calls):
            scene = plain()
            mailbox = scene.source if side == "source" else scene.target

            def meanwhile(mailbox: MemoryMailbox = mailbox) -> None:
                mailbox["INBOX"].renumber()

            scene.copy(FaultPlan(at=at, act=meanwhile))
            run_to_the_end(scene)
            assert_arrived(scene)


@pytest.mark.req("D-39")
def test_a_message_removed_at_any_call_leaves_the_sum_right() -> None:
    calls = calls_of_a_clean_run(plain)
    for at in range(calls):
        scene = plain()

        def meanwhile(scene: Scene = scene) -> None:
            scene.source["INBOX"].messages.pop(4, None)
            scene.source["INBOX"].touch()

        result = scene.copy(FaultPlan(at=at, act=meanwhile))
        assert result.error is None
        run_to_the_end(scene)
        assert Outcome.UNREADABLE not in result.totals


class LateServer(FakeClock):
    """Time in which a server stores what it had received before our process died."""

    def __init__(self, scene: Scene, first: int, last: int) -> None:
        super().__init__()
        self._late = [scene.source["INBOX"].messages[uid] for uid in range(first, last)]
        self._scene = scene

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.store_next()

    def store_next(self) -> None:
        if self._late:
            late = self._late.pop(0)
            self._scene.target["INBOX"].add(late.body, late.flags, late.internal_date, late.zone_minutes)


@pytest.mark.req("D-62")
def test_what_a_server_stores_after_our_death_is_waited_for() -> None:
    scene = plain()
    clean = FaultPlan()
    plain().copy(clean)
    with contextlib.suppress(Killed):
        scene.copy(FaultPlan(at=clean.calls.index("target.store"), kind="kill_after"))
    stored = len(scene.target["INBOX"].messages)
    scene.clock = server = LateServer(scene, stored + 1, stored + 5)
    run_to_the_end(scene)
    for _ in range(4):
        server.store_next()
    assert_arrived(scene)
