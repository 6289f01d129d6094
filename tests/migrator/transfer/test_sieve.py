"""Scripts go once and as they are, the active one last; what the owner does on the target is the owner's."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from migrator.errors import MigratorError, Side
from migrator.events import Event, ScriptFolderRenamed, ScriptLeftBehind, ScriptRenamed, ScriptsCopied
from migrator.testing import FaultPlan, Killed, RecordingSink
from migrator.testing.scripts import MemoryScripts
from migrator.transfer.ledger import FolderState, ScriptState
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.sieve import ScriptFate, ScriptResult, copy_scripts

VACATION, FILING = b'require "vacation";\r\nvacation "away\xff";', b'require "fileinto";\nfileinto "Work/A";'
KINDS = ("kill", "kill_after", "line", "lost_answer")


class Ledger(MemoryLedger):
    """A ledger whose writes can be broken, too."""

    faults = FaultPlan()

    def note_scripts(self, states: Sequence[ScriptState]) -> None:
        self.faults.run("ledger.note_scripts", lambda: super(Ledger, self).note_scripts(states))


@dataclass
class Scene:
    source: MemoryScripts = field(
        default_factory=lambda: MemoryScripts(
            {"vacation": VACATION, "filing": FILING}, "vacation", side=Side.SOURCE, known=frozenset(("vacation",))
        )
    )
    target: MemoryScripts = field(default_factory=MemoryScripts)
    ledger: Ledger = field(default_factory=Ledger)
    sink: RecordingSink = field(default_factory=RecordingSink)

    def copy(self, faults: FaultPlan | None = None, **choices: bool) -> dict[str, ScriptResult]:
        self.source.faults = self.target.faults = self.ledger.faults = faults or FaultPlan()
        self.source.calls, self.target.calls, self.sink = [], [], RecordingSink()
        results = copy_scripts(self.source, self.target, self.ledger, self.sink, **choices)
        return {result.name: result for result in results}

    def fates(self, **choices: bool) -> dict[str, str]:
        return {name: str(result.fate) for name, result in self.copy(**choices).items()}

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.sink.events if isinstance(event, kind)]


def test_all_scripts_go_as_they_are_the_active_one_is_set_last_and_a_second_pass_stores_nothing() -> None:
    scene = Scene()
    assert scene.fates() == {"vacation": "copied", "filing": "copied"}
    assert (scene.target.held, scene.target.active) == (scene.source.held, "vacation")
    assert scene.target.calls == ["put filing", "put vacation", "activate vacation"]
    assert scene.told(ScriptsCopied) == [ScriptsCopied(scripts=2, copied=2, active="vacation")]
    assert scene.fates() == {"vacation": "there", "filing": "there"}
    assert scene.target.calls == []
    assert scene.source.calls == []


def test_what_changes_at_the_source_follows_while_the_target_holds_what_we_put_there() -> None:
    scene = Scene()
    scene.copy()
    scene.source.held["vacation"] = b"keep;"
    scene.source.active = "filing"
    assert scene.fates() == {"vacation": "copied", "filing": "there"}
    assert (scene.target.held, scene.target.active) == (scene.source.held, "filing")
    scene.source.active = ""
    scene.copy()
    assert scene.target.active == ""
    scene.source.active = "vacation"
    scene.copy()
    assert scene.target.active == "vacation"


def test_what_the_owner_changes_removes_or_switches_on_the_target_stays_so() -> None:
    scene = Scene()
    scene.copy()
    scene.target.held["vacation"] = b"# mine"
    del scene.target.held["filing"]
    scene.target.active = ""
    scene.source.held = {"vacation": b"keep;", "filing": b"stop;"}
    assert scene.fates() == {"vacation": "other_there", "filing": "removed_there"}
    assert (scene.target.held, scene.target.active) == ({"vacation": b"# mine"}, "")
    assert [event.reason for event in scene.told(ScriptLeftBehind)] == ["removed_there", "other_there"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("choice", ["", "filing"])
def test_an_owner_who_switched_the_script_off_or_another_on_is_not_overruled(choice: str) -> None:
    scene = Scene()
    scene.copy()
    scene.target.active = choice
    assert scene.fates() == {"vacation": "switched_there", "filing": "there"}
    assert scene.target.active == choice


@pytest.mark.parametrize("active", ["", "filing", "new"])
def test_in_a_live_target_nothing_is_replaced_or_switched_and_what_is_missing_comes(active: str) -> None:
    scene = Scene()
    scene.copy()
    scene.source.held |= {"filing": b"keep;", "new": b"discard;"}
    scene.source.active = active
    fate = "switched_there" if active == "new" else "copied"
    assert scene.fates(adds_only=True) == {"vacation": "there", "filing": "other_there", "new": fate}
    assert scene.target.held == {"vacation": VACATION, "filing": FILING, "new": b"discard;"}
    assert (scene.target.active, scene.target.calls) == ("vacation", ["put new"])


def test_a_target_with_scripts_of_its_own_keeps_them_and_the_one_that_is_active() -> None:
    scene = Scene()
    scene.target.held, scene.target.active = {"vacation": b"# other", "spam": b"stop;"}, "spam"
    assert scene.fates() == {"vacation": "other_there", "filing": "copied"}
    assert (scene.target.held["vacation"], scene.target.active) == (b"# other", "spam")
    scene.source.active = "filing"
    assert scene.fates() == {"vacation": "other_there", "filing": "not_active"}
    assert scene.target.active == "spam"


def test_a_script_that_the_target_has_already_is_found_and_made_active_where_none_is() -> None:
    scene = Scene()
    scene.target.held = dict(scene.source.held)
    assert scene.fates() == {"vacation": "there", "filing": "there"}
    assert scene.target.calls == ["activate vacation"]


def test_a_refused_script_is_named_with_what_is_missing_and_the_others_go() -> None:
    scene = Scene()
    scene.target.refuses = b"away"
    results = scene.copy()
    refused = results["vacation"]
    assert (refused.fate, refused.missing, refused.is_missed) == (ScriptFate.REFUSED, ["vacation"], True)
    assert refused.error is not None
    assert refused.error.reply == "line 1: no such thing"
    assert scene.target.held == {"filing": FILING}
    assert scene.target.active == ""
    (event,) = scene.told(ScriptLeftBehind)
    assert isinstance(event, ScriptLeftBehind)
    assert (event.script, event.missing, event.is_active) == ("vacation", "vacation", True)
    scene.target.refuses = b"\x00"  # what was missing is there now
    assert scene.fates() == {"vacation": "copied", "filing": "there"}
    assert scene.target.active == "vacation"


def test_a_target_that_writes_names_in_another_way_is_understood() -> None:
    scene = Scene()
    scene.target.spelled = {"vacation": "=?x?="}
    assert scene.fates() == {"vacation": "copied", "filing": "copied"}
    assert scene.told(ScriptRenamed) == [ScriptRenamed(script="vacation", target="=?x?=")]
    assert scene.target.active == "=?x?="
    assert scene.fates() == {"vacation": "there", "filing": "there"}
    scene.source.held["vacation"] = b"keep;"
    assert scene.fates() == {"vacation": "copied", "filing": "there"}
    assert scene.target.held == {"=?x?=": b"keep;", "filing": FILING}


def test_folders_with_another_name_on_the_target_are_told_and_the_script_stays_as_it_is() -> None:
    scene = Scene()
    scene.ledger.begin([FolderState(b"Work/A", b"Work.A", 1), FolderState(b"INBOX", b"INBOX", 1)])
    scene.copy()
    assert scene.told(ScriptFolderRenamed) == [ScriptFolderRenamed(script="filing", folder="Work/A", target="Work.A")]
    assert scene.target.held["filing"] == FILING


def test_a_rehearsal_asks_the_target_and_stores_nothing() -> None:
    scene = Scene()
    scene.target.refuses = b"away"
    results = scene.copy(dry_run=True)
    assert {name: str(result.fate) for name, result in results.items()} == {"vacation": "refused", "filing": "copied"}
    assert (scene.target.held, scene.target.active, scene.ledger.script_states()) == ({}, "", [])
    assert scene.told(ScriptsCopied) == [ScriptsCopied(scripts=2, copied=1, active="", is_rehearsal=True)]


def test_where_there_are_no_scripts_the_target_is_not_asked() -> None:
    scene = Scene(source=MemoryScripts(side=Side.SOURCE))
    plan = FaultPlan()
    assert scene.copy(plan) == {}
    assert plan.calls == ["scripts.scripts"]


def test_a_ledger_that_remembers_no_scripts_is_refused_before_anything_is_stored() -> None:
    scene = Scene()
    with pytest.raises(MigratorError, match=r"ledger\.keeps_no_scripts"):
        copy_scripts(scene.source, scene.target, object(), scene.sink)  # type: ignore[arg-type]
    assert scene.target.held == {}


def changed() -> Scene:
    scene = Scene()
    scene.copy()
    scene.source.held["vacation"] = b"keep;"
    scene.source.active = "filing"
    return scene


def spelled() -> Scene:
    scene = Scene()
    scene.target.spelled = {"vacation": "=?x?="}
    return scene


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [Scene, changed, spelled])
def test_an_interruption_anywhere_ends_as_if_there_had_been_none(make: type[Scene], kind: str) -> None:
    clean, plan = make(), FaultPlan()
    clean.copy(plan)
    for place in range(len(plan.calls)):
        scene = make()
        with contextlib.suppress(Killed, MigratorError):
            scene.copy(FaultPlan(place, kind))
        scene.copy()
        assert (scene.target.held, scene.target.active) == (clean.target.held, clean.target.active), place
        assert scene.fates() == {"vacation": "there", "filing": "there"}, place
        assert scene.target.calls == []


def test_a_script_that_a_dead_process_stored_is_known_as_ours_when_the_source_changes_again() -> None:
    scene, plan = changed(), FaultPlan()
    changed().copy(plan)
    with contextlib.suppress(Killed):
        scene.copy(FaultPlan(plan.calls.index("scripts.put"), "kill_after"))
    assert scene.target.held["vacation"] == b"keep;"
    scene.source.held["vacation"] = b"stop;"
    assert scene.fates() == {"vacation": "copied", "filing": "there"}
    assert (scene.target.held["vacation"], scene.target.active) == (b"stop;", "filing")


def test_an_activation_that_never_came_about_does_not_make_the_owners_choice_ours() -> None:
    clean, scene, plan = Scene(), Scene(), FaultPlan()
    for one in (clean, scene):
        one.copy()
        one.source.active = "filing"
    clean.copy(plan)
    with contextlib.suppress(Killed):
        scene.copy(FaultPlan(plan.calls.index("scripts.activate"), "kill"))
    scene.source.active = "vacation"  # back, before anybody went on
    assert scene.fates() == {"vacation": "there", "filing": "there"}
    scene.target.active = "filing"  # by its owner
    assert scene.fates() == {"vacation": "switched_there", "filing": "there"}
    assert scene.target.active == "filing"
