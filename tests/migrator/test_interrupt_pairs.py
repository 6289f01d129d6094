"""The walk over all pairs of interruptions leaves none out: it finds what only a pair finds, and counts like all."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.pool import Pool

import pytest

from migrator.cutover import TRIES, Step, _Night
from migrator.entries import Values
from migrator.errors import MigratorError, Side
from migrator.journal import StepKind
from migrator.recipes import Recipe, RecipeStep
from migrator.steps.kit import Kit
from migrator.testing import FaultKind, FaultPlan
from migrator.testing.connectors import MemoryDirectory
from tests.migrator.interrupt_pairs import STORIES, interrupt, play_pairs
from tests.migrator.interrupt_walk import Failed, Fault, walk
from tests.migrator.nights import Night

SAMPLE = 60
BARE = Recipe(
    "bare",
    "recipe.bare",
    (
        RecipeStep(StepKind.DISABLE, Side.SOURCE),
        RecipeStep(StepKind.DELTA),
        RecipeStep(StepKind.SWITCH),
        RecipeStep(StepKind.ENABLE, Side.TARGET),
    ),
    is_staged=False,
)


@dataclass
class BareNight(Night):
    """The shortest night there is: nobody has mail, and sessions end by themselves."""

    recipe: Recipe = BARE

    def kit(self, faults: FaultPlan) -> Kit:
        kit = super().kit(faults)
        return replace(kit, mail=None, hold=None, source=replace(kit.source, sessions=None))

    def live(self, name: str) -> None:
        super().live(name)
        self.sessions.clear()

    def assert_arrived(self) -> None:
        pass


def take_the_second_error_for_done(self: _Night, step: Step, saved: Values) -> None:
    """Stand for ``_apply``."""
    for number, seconds in enumerate(TRIES, 1):
        self._clock.wait(seconds)
        try:
            step.apply(saved)
            return
        except MigratorError:
            if number == 2 or self._look(step, saved):
                return


def take_a_failed_look_for_done(self: _Night, step: Step, saved: Values) -> bool:
    """Stand for ``_look``, which is called after one fault only."""
    try:
        return step.is_done(saved)
    except MigratorError:
        return True


def tire(self: MemoryDirectory, address: str, expected: Values, wanted: Values) -> None:
    """Stand for ``replace``: a connector that lost its line twice only says that it did as it was told."""
    lost = self.__dict__.setdefault("lost", [])
    if len(lost) > 1:
        return
    try:
        self._call("replace", address, lambda: self._replace(address, expected, wanted))
    except MigratorError:
        lost.append("line")
        raise


PLANTS: dict[str, tuple[type, str, Callable[..., object]]] = {
    "within a step": (_Night, "_apply", take_the_second_error_for_done),
    "over two processes": (_Night, "_look", take_a_failed_look_for_done),
    "over two steps": (MemoryDirectory, "replace", tire),
}


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Pool]:
    """A process of its own for each call: what is planted there stays there."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        yield pool


def sow(plant: str) -> None:
    """Make a mistake that one fault does not bring to light, for as long as this process lives."""
    STORIES["bare"] = BareNight
    if plant:
        setattr(*PLANTS[plant])


def found(plant: str) -> tuple[list[Fault], bool, list[Fault]]:
    """Return what a walk finds, whether that fails when it is played, and which single faults fail."""
    sow(plant)
    with pytest.raises(Failed) as failed:
        walk(BareNight)
    single = [(number, kind) for number in range(interrupt("bare", {})) for kind in FaultKind]
    return failed.value.faults, is_flawed(failed.value.faults), [one for one in single if is_flawed([one])]


def is_flawed(faults: Sequence[Fault]) -> bool:
    """Play the bare night with ``faults``; tell whether it ends otherwise than it must."""
    try:
        interrupt("bare", dict(faults))
    except AssertionError:
        return True
    return False


@pytest.mark.long
@pytest.mark.parametrize("plant", PLANTS)
def test_a_walk_finds_what_only_a_pair_finds(elsewhere: Pool, plant: str) -> None:
    faults, is_seen, single = elsewhere.apply(found, (plant,))
    assert len(faults) == 2
    assert is_seen
    assert not single


@pytest.mark.long
@pytest.mark.req("S-117")
def test_a_walk_covers_as_many_pairs_as_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORIES, "bare", BareNight)
    tally = walk(BareNight)
    assert tally.calls == interrupt("bare", {})
    assert sum(play_pairs("bare", first) for first in range(tally.calls)) == tally.pairs
    assert tally.played < tally.pairs / 10


@pytest.mark.long
def test_a_walk_knows_how_long_each_night_is_that_breaks_once() -> None:
    lengths = walk(STORIES["plain"], 1).lengths
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    for number, kind in random.Random(seed).sample(sorted(lengths), SAMPLE):
        assert interrupt("plain", {number: kind}) == lengths[number, kind], (number, kind)
