"""The order of the night: interrupted anywhere it ends the same, and what others did is never overwritten."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from migrator.cutover import CutoverOutcome, roll_back, run_cutover
from migrator.entries import Values
from migrator.errors import MigratorError, OutcomeUnknown, Patience, Side, Stopped
from migrator.journal import Entry, EntryStatus, Owner, StepBegun, StepDone, StepFailed, StepKey, StepKind, StepUndone
from migrator.recipes import RECIPES, Recipe, RecipeStep, recipe_of, stored
from migrator.testing import FakeClock, FaultKind, FaultPlan, RecordingSink
from migrator.testing.journals import MemoryJournal
from tests.migrator.interrupt_pairs import interrupt, sample
from tests.migrator.interrupt_walk import walk
from tests.migrator.nights import ANNA, EVERYTHING, NIGHTS, Faults, Night, clean_calls

SAMPLE = 40  # pairs of each night


@pytest.mark.long
@pytest.mark.req("S-117", "S-120")
@pytest.mark.parametrize("name", NIGHTS)
def test_a_night_interrupted_at_any_call_ends_the_same_and_a_second_run_does_nothing(name: str) -> None:
    night = walk(NIGHTS[name], 1)
    assert len(night.lengths) == len(FaultKind) * len(clean_calls(NIGHTS[name]))


@pytest.mark.long
@pytest.mark.parametrize("name", NIGHTS)
def test_a_night_interrupted_twice_ends_the_same(name: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    for pair in sample(name, SAMPLE, random.Random(seed)):
        print(name, pair)
        interrupt(name, dict(pair))


# what others do meanwhile


def suspend(night: Night) -> None:
    night.source_rows[ANNA]["status"] = "suspended"


@pytest.mark.long
@pytest.mark.req("S-102", "S-120")
@pytest.mark.parametrize("recipe", [*RECIPES.values(), EVERYTHING], ids=lambda recipe: recipe.key)
def test_what_somebody_else_sets_at_any_call_is_never_overwritten(recipe: Recipe) -> None:
    for at in range(len(clean_calls(lambda: Night(recipe=recipe)))):
        night = Night(recipe=recipe)
        faults = Faults({at: ""}, act=lambda night=night: suspend(night))
        state = night.run_to_the_end(faults)
        assert night.source_rows[ANNA]["status"] == "suspended", at
        if state == "attention":
            assert night.sink.of(StepFailed)[-1].error.code == "directory.changed"
            # who arrives first has switched before the night, by a journal of its own
            owners = (night.journal().owner, night.early_journal().owner)
            assert night.host() is Side.SOURCE or Owner.TARGET in owners


def test_a_user_whom_somebody_else_routes_elsewhere_stays_there() -> None:
    seen = set()
    for at, call in enumerate(clean_calls(Night)):
        night = Night()
        act = Faults({at: ""}, act=lambda night=night: night.source_rows[ANNA].update(host="third.example.test"))
        night.check = night.bring  # type: ignore[method-assign]  the third server is not a side
        state = night.run_to_the_end(act)
        if call in ("journal.begin.switch", "route.replace", "journal.done.switch"):
            assert night.source_rows[ANNA]["host"] == "third.example.test"
            seen.add((call, state))
    assert ("route.replace", "attention") in seen


def test_who_was_closed_before_the_night_is_closed_after_it() -> None:
    night = Night(row={"status": "suspended", "host": "Old.example.test", "delivery": "x", "phone": "1"})
    assert night.run_to_the_end(Faults()) == "done"
    assert night.source_rows[ANNA] == dict(night.row) | {"host": "new.example.test"}
    assert not any(night.admits(side) for side in Side)


# deadline, stop, going back


def test_a_deadline_before_switch_leads_back_and_after_it_forward() -> None:
    calls = clean_calls(Night)
    switch = calls.index("journal.begin.switch")
    for at in range(calls.index("journal.begin.disable"), len(calls)):
        night = Night()
        night.deadline = night.clock.now() + 1000
        act = Faults({at: ""}, act=lambda night=night: night.clock.wait(2000))
        state = night.run_to_the_end(act)
        assert state == ("done" if at >= switch - 1 else "rolled_back"), calls[at]
        night.assert_ended(state)


def test_a_late_night_that_is_not_rolled_back_stays_held_and_can_go_on() -> None:
    night = Night(late_at="journal.done.verify")
    night.deadline = night.clock.now() + 1000
    faults = Faults()
    faults.live, faults.check = night.live, night.check
    result = night.carry(faults)
    assert (result.outcome, result.step.kind, result.past_switch) == (CutoverOutcome.LATE, StepKind.SWITCH, False)
    assert not any(night.admits(side) for side in Side)
    night.deadline = None
    assert night.carry().outcome is CutoverOutcome.DONE
    night.state = "done"
    night.assert_ended("done")


def test_a_stop_is_honoured_before_switch_and_loses_nothing() -> None:
    calls = clean_calls(Night)
    switch = calls.index("journal.begin.switch")
    for at in range(calls.index("journal.begin.disable"), len(calls)):
        night = Night()
        act = Faults({at: ""}, act=lambda night=night: setattr(night, "is_stopping", True))
        state = night.run_to_the_end(act)
        assert state == ("done" if at >= switch - 1 else "stopped"), calls[at]
        if state == "stopped":
            assert night.journal().owner is Owner.SOURCE
            night.is_stopping, night.state = False, "cutting_over"
            assert night.run_to_the_end(Faults()) == "done"
        night.assert_ended("done")


def test_a_person_is_waited_for_and_then_the_night_goes_on() -> None:
    night = Night(recipe=EVERYTHING, is_shared=False, is_approved=False)
    assert night.run_to_the_end(Faults()) == "stopped"
    waiting = night.carry()
    assert (waiting.outcome, waiting.step.kind) == (CutoverOutcome.STOPPED, StepKind.PERSON)
    night.is_approved, night.state = True, "cutting_over"
    assert night.run_to_the_end(Faults()) == "done"
    night.assert_ended("done")


def test_a_night_that_is_over_is_not_rolled_back() -> None:
    night = Night()
    night.run_to_the_end(Faults())
    result = night.go_back()
    assert (result.outcome, result.error.code) == (CutoverOutcome.FAILED, "cutover.past_switch")
    assert result.past_switch
    night.assert_ended("done")


@pytest.mark.parametrize(
    ("kind", "way"), [("kill", "rolled_back"), ("kill_after", "refused")], ids=["not switched", "switched"]
)
def test_a_switch_that_was_begun_is_looked_at_before_anything_goes_back(kind: str, way: str) -> None:
    night = Night()
    faults = Faults({clean_calls(Night).index("route.replace"): kind})
    night.run_until_killed(faults)
    assert night.journal().owner is Owner.UNKNOWN
    looked = FaultPlan()
    result = night.go_back(looked)
    assert looked.calls[:2] == ["journal.entries", "route.find"]
    if way == "refused":
        assert (result.outcome, result.error.code) == (CutoverOutcome.FAILED, "cutover.past_switch")
        assert night.carry().outcome is CutoverOutcome.DONE
    else:
        assert result.outcome is CutoverOutcome.DONE
        assert night.journal().owner is Owner.SOURCE
    night.state = "done" if way == "refused" else way
    night.assert_ended(night.state)


def test_a_switch_that_cannot_be_looked_at_stays_unknown_in_both_directions() -> None:
    night = Night()
    faults = Faults({clean_calls(Night).index("route.replace"): "kill_after"})
    night.run_until_killed(faults)
    for run in (night.carry, night.go_back):
        result = run(FaultPlan(at=range(1, 1000), kind="line"))
        assert (result.outcome, result.step.kind) == (CutoverOutcome.UNKNOWN, StepKind.SWITCH)
        assert isinstance(result.error, OutcomeUnknown)
        assert result.error.patience is not Patience.NEVER
        assert result.past_switch
    assert night.journal().owner is Owner.UNKNOWN
    assert night.carry().outcome is CutoverOutcome.DONE


@pytest.mark.req("S-120")
def test_a_message_that_is_not_as_it_was_keeps_the_user_on_the_source() -> None:
    calls = clean_calls(Night)

    def spoil(night: Night) -> None:
        inbox = night.target["INBOX"]
        inbox.messages[1].body = b"Subject: something else\r\n\r\n" + b"x" * 20

    night = Night()
    faults = Faults({calls.index("journal.done.delta"): ""}, act=lambda: spoil(night))
    assert night.run_to_the_end(faults) == "rolled_back"
    night.assert_ended("rolled_back")
    failed = night.sink.of(StepFailed)[-1]
    assert (failed.step.kind, failed.error.code) == (StepKind.VERIFY, "cutover.differs")
    assert failed.error.params["difference"] == "content"


def test_every_step_is_told_once_in_each_direction() -> None:
    night = Night(late_at="journal.done.verify")
    night.deadline = night.clock.now() + 1000
    night.run_to_the_end(Faults())
    kinds = [StepKind.HOLD, StepKind.DISABLE, StepKind.DELTA, StepKind.VERIFY]
    assert [event.step.kind for event in night.sink.of(StepBegun)] == kinds
    assert [event.step.kind for event in night.sink.of(StepDone)] == kinds
    assert [event.step.kind for event in night.sink.of(StepUndone)] == kinds[::-1]


# the engine itself, on steps that do as they are told


class Lamp:
    """A step on one lamp; ``troubles`` come out of its calls, in turn."""

    def __init__(self, *troubles: MigratorError, kind: StepKind = StepKind.PUBLISH, works: bool = True) -> None:
        self.key = StepKey(0, kind)
        self.is_on = False
        self.works = works
        self.troubles = list(troubles)
        self.look_troubles: list[MigratorError] = []
        self.calls: list[str] = []

    def prepare(self) -> Values:
        self.calls.append("prepare")
        return {"was": self.is_on}

    def is_done(self, saved: Values) -> bool:
        self.calls.append("look")
        if self.look_troubles:
            raise self.look_troubles.pop(0)
        return self.is_on

    def apply(self, saved: Values) -> None:
        self.calls.append("apply")
        self.is_on = self.is_on or self.works
        if self.troubles:
            raise self.troubles.pop(0)

    def undo(self, saved: Values) -> None:
        self.calls.append("undo")
        if self.troubles:
            raise self.troubles.pop(0)
        self.is_on = bool(saved["was"])


def lost() -> MigratorError:
    return MigratorError("line.lost")


def test_an_effect_whose_answer_was_lost_is_found_by_looking_and_not_repeated() -> None:
    lamp = Lamp(lost())
    assert run_cutover([lamp], MemoryJournal(), clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert lamp.calls == ["prepare", "apply", "look"]


def test_what_may_pass_by_itself_is_tried_again_each_time_after_a_look() -> None:
    lamp = Lamp(lost(), lost(), works=False)
    clock = FakeClock()
    assert run_cutover([lamp], MemoryJournal(), clock=clock).outcome is CutoverOutcome.DONE
    assert lamp.calls == ["prepare", "apply", "look", "apply", "look", "apply"]
    assert clock.now() > FakeClock().now()


def test_trying_again_is_bounded() -> None:
    lamp = Lamp(*(lost() for _ in range(100)), works=False)
    result = run_cutover([lamp], MemoryJournal(), clock=FakeClock())
    assert (result.outcome, result.error.code, lamp.calls.count("apply")) == (CutoverOutcome.FAILED, "line.lost", 3)


def test_what_needs_a_person_is_tried_once() -> None:
    lamp = Lamp(MigratorError("directory.no_permission"), works=False)
    result = run_cutover([lamp], MemoryJournal(), clock=FakeClock())
    assert (result.outcome, result.error.code) == (CutoverOutcome.FAILED, "directory.no_permission")
    assert lamp.calls == ["prepare", "apply", "look"]


def test_an_error_that_cannot_be_looked_behind_is_an_unknown_outcome() -> None:
    lamp = Lamp(lost())
    lamp.look_troubles = [MigratorError("directory.unreachable") for _ in range(10)]
    journal = MemoryJournal()
    result = run_cutover([lamp], journal, clock=FakeClock())
    assert (result.outcome, result.error.code) == (CutoverOutcome.UNKNOWN, "directory.unreachable")
    assert result.error.patience is Patience.LATER
    assert lamp.calls.count("apply") == 1
    lamp.look_troubles = []
    assert run_cutover([lamp], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert lamp.calls.count("apply") == 1


def test_what_is_neither_as_it_was_nor_as_it_shall_be_is_not_looked_at_twice() -> None:
    lamp = Lamp(lost())
    lamp.look_troubles = [OutcomeUnknown("directory.changed") for _ in range(10)]
    result = run_cutover([lamp], MemoryJournal(), clock=FakeClock())
    assert (result.outcome, result.error.code) == (CutoverOutcome.UNKNOWN, "directory.changed")
    assert lamp.calls == ["prepare", "apply", "look"]


def test_a_step_that_was_begun_is_looked_at_first_and_never_prepared_again() -> None:
    journal = MemoryJournal()
    lamp = Lamp()
    journal.begin(lamp.key, {"was": False})
    lamp.is_on = True
    assert run_cutover([lamp], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert lamp.calls == ["look"]


def test_a_failure_after_switch_says_that_there_is_only_forward() -> None:
    switch, lamp = Lamp(kind=StepKind.SWITCH), Lamp(MigratorError("directory.no_permission"), works=False)
    journal = MemoryJournal()
    result = run_cutover([switch, lamp], journal, clock=FakeClock(), deadline=FakeClock().now() + 100)
    assert (result.outcome, result.past_switch) == (CutoverOutcome.FAILED, True)
    late = FakeClock(FakeClock().now() + 1000)
    assert run_cutover([switch, lamp], journal, clock=late, deadline=100).outcome is CutoverOutcome.DONE


def test_a_switch_that_is_proved_not_done_leaves_the_way_back_open() -> None:
    switch = Lamp(MigratorError("directory.no_permission"), kind=StepKind.SWITCH, works=False)
    journal = MemoryJournal()
    result = run_cutover([switch], journal, clock=FakeClock())
    assert (result.outcome, result.past_switch, journal.owner) == (CutoverOutcome.FAILED, False, Owner.UNKNOWN)
    assert roll_back([switch], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert journal.owner is Owner.SOURCE


def test_a_night_that_was_rolled_back_can_be_begun_again() -> None:
    lamp, journal = Lamp(), MemoryJournal()
    run_cutover([lamp], journal, clock=FakeClock())
    assert roll_back([lamp], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert not lamp.is_on
    assert run_cutover([lamp], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert lamp.is_on


def test_an_undo_that_fails_is_unknown_and_goes_on_where_it_was() -> None:
    first, second = Lamp(), Lamp()
    second.key = StepKey(1, StepKind.PUBLISH)
    journal = MemoryJournal()
    run_cutover([first, second], journal, clock=FakeClock())
    first.troubles = [MigratorError("directory.changed")]
    sink = RecordingSink()
    result = roll_back([first, second], journal, sink=sink, clock=FakeClock())
    assert (result.outcome, result.step, result.error.code) == (CutoverOutcome.UNKNOWN, first.key, "directory.changed")
    assert [event.is_undo for event in sink.of(StepFailed)] == [True]
    assert roll_back([first, second], journal, clock=FakeClock()).outcome is CutoverOutcome.DONE
    assert second.calls.count("undo") == 1


@pytest.mark.parametrize("run", [run_cutover, roll_back])
def test_an_effect_that_no_step_answers_for_is_not_forgotten(run: Callable[..., object]) -> None:
    journal = MemoryJournal()
    journal.begin(StepKey(0, StepKind.DISABLE, "a directory that is gone", "source"), {})
    lamp = Lamp()
    result = run([lamp], journal, clock=FakeClock())
    assert (result.outcome, result.error.code) == (CutoverOutcome.UNKNOWN, "cutover.other_steps")
    assert lamp.calls == []


class Lapsed(Exception):
    """A journal whose lease was lost."""


class LapsedJournal(MemoryJournal):
    def begin(self, key: StepKey, saved: Values) -> None:
        raise Lapsed


def test_nothing_goes_out_when_the_journal_refuses_to_begin() -> None:
    lamp = Lamp()
    with pytest.raises(Lapsed):
        run_cutover([lamp], LapsedJournal(), clock=FakeClock())
    assert lamp.calls == ["prepare"]


def test_a_step_that_is_told_to_stop_goes_on_another_time() -> None:
    lamp = Lamp()
    lamp.apply = lambda saved: (_ for _ in ()).throw(Stopped)  # type: ignore[method-assign, assignment]
    journal = MemoryJournal()
    assert run_cutover([lamp], journal, clock=FakeClock()).outcome is CutoverOutcome.STOPPED
    assert journal.entries() == [Entry(lamp.key, EntryStatus.BEGUN, {"was": False})]


# recipes


def test_a_recipe_switches_exactly_once() -> None:
    with pytest.raises(ValueError, match="exactly once"):
        Recipe("none", "none", (RecipeStep(StepKind.DISABLE, Side.SOURCE),), is_staged=False)


def test_edited_steps_are_kept_as_texts_and_stand_in_the_place_of_those_shipped() -> None:
    steps = (*RECIPES["plain"].steps, RecipeStep(StepKind.PERSON, check="port_closed"))
    edited = recipe_of("plain", json.loads(json.dumps(stored(steps))))
    assert edited == replace(RECIPES["plain"], steps=steps)
    assert recipe_of("plain", []) is RECIPES["plain"]


@pytest.mark.parametrize(
    "steps", [[["disable", "left", ""]], [["polish", "", ""]], [["disable", "source", ""]], [["switch"], ["switch"]]]
)
def test_steps_that_cannot_be_meant_make_no_recipe(steps: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"left|polish|exactly once"):
        recipe_of("plain", steps)


def test_the_recipes_differ_in_whether_mail_is_copied_ahead() -> None:
    staged = {key for key, recipe in RECIPES.items() if recipe.is_staged}
    assert staged == {"plain", "sims3", "switching", "secondary"}
    assert RECIPES.keys() - staged == {"classic", "sims1", "sims2"}
    assert all(recipe.key == key for key, recipe in RECIPES.items())
