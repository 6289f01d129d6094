"""What is noted on folders goes with them: once, where it is asked for, and never over what the target has."""

from __future__ import annotations

import contextlib

import pytest

from migrator.errors import MigratorError
from migrator.events import NoteLost
from migrator.mail import FolderPath
from migrator.testing import FaultPlan, Killed, MemoryMailbox
from migrator.transfer.plan import CopyPolicy, Mode
from tests.migrator.transfer.scenes import Scene, assert_balanced, body
from tests.migrator.transfer.test_interrupt import KINDS

NOTES = CopyPolicy(copies_notes=True)
COLOUR = "/shared/vendor/acme/colour"


def noted(**target: object) -> Scene:
    scene = Scene(MemoryMailbox(metadata=True), MemoryMailbox(**{"separator": ".", "metadata": True, **target}))
    for name in ("INBOX", "Work/A", "Empty"):
        scene.source.add_folder(FolderPath(name.encode(), "/"))
    scene.source.deliver("INBOX", body("one"))
    scene.source.deliver("Work/A", body("two"))
    scene.source["INBOX"].notes = {"/private/comment": b"mine\r\n\xff"}
    scene.source["Work/A"].notes = {"/shared/comment": b"ours", COLOUR: b"red"}
    scene.source["Empty"].notes = {COLOUR: b"blue"}
    return scene


def lost(scene: Scene) -> list[tuple[str, str, bool]]:
    return [(event.folder, event.entry, event.is_taken) for event in scene.sink.of(NoteLost)]


def notes(scene: Scene) -> dict[str, dict[str, bytes]]:
    return {folder.path.display: folder.notes for folder in scene.target if folder.notes}


ALL = {
    "INBOX": {"/private/comment": b"mine\r\n\xff"},
    "Work/A": {"/shared/comment": b"ours", COLOUR: b"red"},
    "Empty": {COLOUR: b"blue"},
}


def test_notes_go_with_their_folders_and_never_again() -> None:
    scene = noted()
    assert_balanced(scene.copy(policy=NOTES), scene)
    assert notes(scene) == ALL
    assert lost(scene) == []
    del scene.target["Work.A"].notes[COLOUR]  # by its owner
    scene.source["Work/A"].notes["/shared/comment"] = b"changed"
    plan = FaultPlan()
    scene.copy(plan, policy=NOTES)
    assert scene.target["Work.A"].notes == {"/shared/comment": b"ours"}
    assert not [call for call in plan.calls if "note" in call or "annotate" in call]


def test_without_being_asked_nobody_asks_for_notes() -> None:
    scene, plan = noted(), FaultPlan()
    scene.copy(plan)
    assert notes(scene) == {}
    assert not [call for call in plan.calls if "note" in call or "annotate" in call]


def test_what_the_target_has_stays_and_is_told() -> None:
    scene = noted()
    scene.target.add_folder(FolderPath(b"Work.A", "."))
    scene.target["Work.A"].notes = {COLOUR: b"green"}
    scene.copy(policy=NOTES)
    assert scene.target["Work.A"].notes == {COLOUR: b"green", "/shared/comment": b"ours"}
    assert lost(scene) == [("Work/A", COLOUR, True)]


def test_a_target_that_keeps_no_notes_says_so_of_each() -> None:
    scene = noted(metadata=False)
    assert_balanced(scene.copy(policy=NOTES), scene)
    assert sorted(lost(scene)) == sorted((name, entry, False) for name, held in ALL.items() for entry in held)


def test_the_role_of_a_folder_that_is_there_already_is_noted_on_it() -> None:
    scene = noted()
    scene.source.add_folder(FolderPath(b"Old mail", "/"), special_use="\\Archive")
    scene.target.add_folder(FolderPath(b"Old mail", "."))
    scene.copy(policy=NOTES)
    assert scene.target["Old mail"].notes == {"/private/specialuse": b"\\Archive"}


def test_a_live_target_is_noted_on_only_where_a_folder_is_new() -> None:
    scene = noted()
    scene.target.add_folder(FolderPath(b"Work.A", "."))
    scene.copy(policy=CopyPolicy(copies_notes=True, mode=Mode.CATCH_UP))
    assert scene.target["Work.A"].notes == {}
    assert scene.target["Empty"].notes == ALL["Empty"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_interruption_anywhere_ends_with_all_notes_there(kind: str) -> None:
    clean, plan = noted(), FaultPlan()
    clean.copy(plan, policy=NOTES)
    for place in range(len(plan.calls)):
        scene = noted()
        with contextlib.suppress(Killed, MigratorError):
            scene.copy(FaultPlan(place, kind), policy=NOTES)
        assert_balanced(scene.copy(policy=NOTES), scene)
        assert notes(scene) == ALL, place
