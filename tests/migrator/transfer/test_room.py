"""Before the first message goes it is told when the new mailbox will not hold them all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.events import RoomShort
from migrator.stores.base import Quota
from migrator.testing import FaultPlan, MemoryTarget
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.room import Shortage, shortages
from tests.migrator.transfer.scenes import LIMITS, Scene, life_like


@pytest.mark.req("D-74")
@pytest.mark.parametrize(
    ("quotas", "short"),
    [
        ([], []),
        ([Quota("STORAGE", 100, 1200), Quota("MESSAGE", 0, 11)], []),
        ([Quota("STORAGE", 101, 1200)], [Shortage("STORAGE", 1100, 1099)]),
        ([Quota("MESSAGE", 5, 15)], [Shortage("MESSAGE", 11, 10)]),
        ([Quota("STORAGE", 5000, 1200)], [Shortage("STORAGE", 1100, 0)]),
        ([Quota("X-LINES", 9, 9)], []),
    ],
)
def test_bytes_and_messages_are_compared_with_a_margin(quotas: list[Quota], short: list[Shortage]) -> None:
    assert list(shortages(quotas, messages=10, size_bytes=1000)) == short


class Narrow(MemoryTarget):
    """A target with a limit that it tells."""

    limits = (Quota("STORAGE", 0, 10_000_000), Quota("MESSAGE", 4, 12))
    asked = 0

    @property
    def features(self):  # type: ignore[no-untyped-def]
        return replace(super().features, has_quota=True)

    def quotas(self) -> list[Quota]:
        self.asked += 1
        return list(self.limits)


def copied(scene: Scene, policy: CopyPolicy | None = None) -> Narrow:
    target = Narrow(scene.target, FaultPlan(), LIMITS)
    scene.copy(target=target, policy=policy)
    return target


@pytest.mark.req("D-74")
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_mailbox_that_will_become_full_is_told_of_ahead(dry_run: bool) -> None:
    scene = life_like()
    copied(scene, CopyPolicy(dry_run=dry_run))
    assert [(e.resource, e.needed, e.free) for e in scene.sink.of(RoomShort)] == [("MESSAGE", 17, 8)]


def test_nobody_asks_when_nothing_waits() -> None:
    scene = life_like()
    assert copied(scene).asked == 1
    assert copied(scene).asked == 0
