"""Taking one back who had crossed: what came since goes home, nothing is removed, whatever breaks on the way."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from migrator.cutover import CutoverOutcome, CutoverResult
from migrator.errors import MigratorError, Side
from migrator.journal import EntryStatus, Owner, StepKind, StepUndone
from migrator.prestage import Small
from migrator.recipes import RECIPES, Recipe
from migrator.steps.back import CarryBack, stay, take_back
from migrator.steps.copying import Mail
from migrator.testing import FaultKind, FaultPlan, Killed, MemorySource, MemoryTarget
from migrator.testing.connectors import MemorySessions
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.mirror import mirror
from migrator.transfer.plan import CopyPolicy, Mode
from tests.migrator.nights import ANNA, EVERYTHING, LIMITS, Faults, Night
from tests.migrator.transfer.scenes import arrivals, body

# So many calls of each way back are interrupted, and as many pairs. By hand, MAILFERRY_TEST_SAMPLE=1000 takes all.
SAMPLE = int(os.environ.get("MAILFERRY_TEST_SAMPLE", "12"))
EVENING = 8  # phases of the evening in which Anna works on the target before she is taken back


@dataclass
class WayBack(Night):
    """A night that is over, an evening on the target, and the way back."""

    is_returning: bool = False
    at_target: dict[str, int] = field(default_factory=dict)  # sessions there
    letters: list[bytes] = field(default_factory=list)  # all there ever were

    def check(self) -> None:
        if self.is_returning:
            self._was_switched = False
        super().check()
        assert not (self.is_returning and self.at_target.get(ANNA) and self.admits(Side.SOURCE)), "in a session there"

    def live(self, name: str) -> None:
        super().live(name)
        if self.admits(Side.TARGET):
            self.at_target[ANNA] = 1

    def evening(self) -> None:
        """Let Anna work on the target, and mail come."""
        assert self.run_to_the_end(Faults()) == "done"
        for hour in range(EVENING):
            self.state = f"evening {hour}"
            for _ in range(5):
                self.live("evening")
                self.check()
        self.target.deliver("Archive.1999", body("filed since"))
        self.target.deliver("Made since", body("in a new folder"))
        self.is_returning = True
        self.state = "returning"

    def back(self, faults: FaultPlan) -> CutoverResult:
        """Take Anna back once, in a process of its own."""
        ledger = MemoryLedger()
        mirror(self.ledger, ledger, {folder.path.raw for folder in self.source})
        mail = Mail(
            lambda: MemorySource(self.target, faults, LIMITS),
            lambda: MemoryTarget(self.source, faults, LIMITS),
            ledger,
            policy=CopyPolicy(Mode.CATCH_UP),
            limits=LIMITS,
        )
        carry = CarryBack(mail, clock=self.clock)
        result = carry.ahead(Small(messages=3))
        if result.error is not None:
            return CutoverResult(CutoverOutcome.UNKNOWN, None, result.error)
        return take_back(self.recipe, self.kit(faults), self.pen(faults), carry, sink=self.sink)

    def kit(self, faults: FaultPlan):  # type: ignore[no-untyped-def]
        kit = super().kit(faults)
        object.__setattr__(kit.target, "sessions", MemorySessions(self.at_target, faults, Side.TARGET))
        return kit

    def return_to_the_end(self, faults: Faults) -> None:
        """Take Anna back, again and again, as a panel does."""
        faults.live, faults.check = self.live, self.check
        for _ in range(20):
            self.rest(faults)
            try:
                if self.back(faults).outcome is CutoverOutcome.DONE:
                    self.state = "back"
                    return
            except Killed:
                faults.revive()
        raise AssertionError("no end")

    def play(self, faults: Faults) -> None:
        self.return_to_the_end(faults)
        self.assert_back()

    def assert_back(self) -> None:
        """Claim that the source has everything once, the target keeps what it had, and only the source is open."""
        assert [side for side in Side if self.admits(side)] == [Side.SOURCE]
        assert self.source_rows[ANNA] == dict(self.row)
        assert self.is_shared or self.target_rows[ANNA]["status"] == "inactive"
        assert self.journal().owner is Owner.SOURCE
        assert {entry.status for entry in self.entries.values()} == {EntryStatus.UNDONE}
        assert not self.queue.waiting
        assert not self.at_target.get(ANNA)
        own = [body(f"letter {number}") for number in range(3)]
        own += [body(f"written {number}") for number in range(1, self.written + 1)]
        home = arrivals(self.source, "INBOX")
        assert home == Counter(own) + Counter(self.incoming) + Counter(self.written_at_target)
        assert arrivals(self.source, "Archive/1999") == Counter([body("twice"), body("twice"), body("filed since")])
        assert arrivals(self.source, "Made since") == Counter([body("in a new folder")])
        assert not Counter(self.written_at_target) - arrivals(self.target, "INBOX")
        is_made = any(key.kind is StepKind.POPULATE for key in self.entries)
        assert self.accounts == ({ANNA} if is_made else set())


def make(name: str) -> WayBack:
    made = {
        "plain": lambda: WayBack(),
        "own_directories": lambda: WayBack(is_shared=False, has_route=False),
        "everything": lambda: WayBack(recipe=EVERYTHING, is_shared=False),
    }
    way = made[name]()
    way.evening()
    return way


WAYS = ("plain", "own_directories", "everything")


def interrupted(name: str, faults: dict[int, FaultKind]) -> int:
    """Take Anna back with ``faults``, claim that it ended as without them; return how many calls it made."""
    way = make(name)
    plan = Faults(faults)
    way.return_to_the_end(plan)
    way.assert_back()
    return len(plan.calls)


def some(calls: int) -> list[int]:
    """Return a sample of the calls by chance; the seed is told for a repetition."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    return sorted(random.Random(seed).sample(range(calls), min(SAMPLE, calls)))


@pytest.mark.parametrize("name", WAYS)
def test_who_is_taken_back_finds_all_that_came_since_at_home_once(name: str) -> None:
    assert interrupted(name, {}) > 20


@pytest.mark.long
@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("name", WAYS)
def test_a_way_back_interrupted_at_any_call_ends_the_same(name: str, kind: FaultKind) -> None:
    for at in some(interrupted(name, {})):
        interrupted(name, {at: kind})


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
def test_a_way_back_interrupted_twice_ends_the_same(name: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice, calls, kinds = random.Random(seed), interrupted(name, {}), list(FaultKind)
    for _ in range(SAMPLE):
        first, second = sorted(dice.sample(range(calls), 2))
        faults = {first: dice.choice(kinds), second: dice.choice(kinds)}
        print(name, faults)
        interrupted(name, faults)


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
def test_a_way_back_that_was_cut_off_anywhere_may_be_given_up_for_the_target(name: str) -> None:
    for at in some(interrupted(name, {})):
        way = make(name)
        faults = Faults({at: FaultKind.KILL_AFTER})
        faults.live, faults.check = way.live, way.check
        try:
            way.back(faults)
        except Killed:
            faults.revive()
        way.is_returning = False
        before = way.target.contents()
        result = stay(way.recipe, way.kit(faults), way.pen(faults), sink=way.sink)
        assert result.outcome is CutoverOutcome.DONE, (at, result)
        assert [side for side in Side if way.admits(side)] == [Side.TARGET]
        assert way.journal().owner is Owner.TARGET
        after = way.target.contents()
        assert not [one for name, letters in before.items() for one in letters if one not in after[name]]


def test_an_undoing_is_journalled_before_it_begins() -> None:
    way = make("everything")
    faults = Faults()
    way.return_to_the_end(faults)
    calls = faults.calls
    assert calls.index("journal.begin.switch") < calls.index("route.replace") < calls.index("journal.undone.switch")
    undone = [event.step.kind for event in way.sink.of(StepUndone)]
    order = [StepKind.RELEASE, StepKind.ENABLE, StepKind.SWITCH, StepKind.DELTA, StepKind.DISABLE, StepKind.HOLD]
    assert [kind for kind in undone if kind in order] == order


def test_who_is_in_a_session_at_the_target_is_shown_out_before_the_last_look() -> None:
    way = make("plain")
    way.at_target[ANNA] = 1
    faults = Faults()
    way.return_to_the_end(faults)
    assert "sessions.end" in faults.calls
    assert way.at_target == {}


def test_a_second_run_does_nothing() -> None:
    way = make("plain")
    way.return_to_the_end(Faults())
    again = FaultPlan()
    assert take_back(way.recipe, way.kit(again), way.pen(again), lambda: pytest.fail("carried")).outcome == "done"
    assert set(again.calls) == {"journal.entries"}


def test_what_cannot_be_carried_leaves_the_source_closed_and_the_route_is_told() -> None:
    way = make("plain")

    def fail() -> None:
        raise MigratorError("target.full", side=Side.SOURCE)

    result = take_back(way.recipe, way.kit(FaultPlan()), way.journal(), fail)
    assert (result.outcome, result.step and result.step.kind) == (CutoverOutcome.UNKNOWN, StepKind.DELTA)
    assert not way.admits(Side.SOURCE)


def test_there_is_no_way_back_where_the_target_was_open_from_the_start() -> None:
    way = make("plain")
    first = Recipe("first", "first", way.recipe.steps, is_staged=False, arrive_first=True)
    with pytest.raises(ValueError, match="no way back"):
        take_back(first, way.kit(FaultPlan()), way.journal(), lambda: None)


def test_steps_of_another_recipe_are_not_undone() -> None:
    way = make("everything")
    result = take_back(RECIPES["plain"], way.kit(FaultPlan()), way.journal(), lambda: None)
    assert result.error is not None
    assert result.error.code == "cutover.other_steps"
