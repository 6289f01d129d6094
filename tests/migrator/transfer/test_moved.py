"""A folder that gets another name at the source between two passes is still the same folder."""

from __future__ import annotations

import pytest

from migrator.mail import Folder, FolderPath
from migrator.testing import MemorySource, MemoryTarget
from migrator.transfer.ledger import FolderState
from migrator.transfer.moved import known_targets, renamed_since
from migrator.transfer.verify import VerifyLevel, verify
from tests.migrator.transfer.scenes import Scene, body


def rename(scene: Scene, old: str, new: str) -> None:
    """Rename a folder of the source, which leaves its UIDVALIDITY and UIDs as they are."""
    mailbox = scene.source
    folder = mailbox[old]
    mailbox.remove_folder(old)
    folder.path = mailbox.path(new)
    mailbox._by_raw[folder.path.raw] = folder


def filled() -> Scene:
    scene = Scene()
    for number in range(5):
        scene.source.deliver("Work", body(f"work {number}"))
        scene.source.deliver("Other", body(f"other {number}"))
    return scene


def test_a_renamed_folder_is_found_where_it_was_copied_and_nothing_is_doubled() -> None:
    scene = filled()
    assert scene.copy().is_balanced
    rename(scene, "Work", "Projects")
    scene.source.deliver("Projects", body("new"))
    result = scene.copy()
    assert (result.is_balanced, result.appended) == (True, 1)
    assert len(scene.target["Work"].messages) == 6
    assert "Projects" not in {folder.path.raw.decode() for folder in scene.target}
    told = [event for event in scene.sink.events if event.name == "folder.renamed"]
    assert [(event.folder, event.target, event.reason) for event in told] == [("Projects", "Work", "renamed_since")]
    again = scene.copy()
    assert (again.is_balanced, again.appended) == (True, 0)
    with MemorySource(scene.source) as source, MemoryTarget(scene.target) as target:
        for level in VerifyLevel:
            assert verify(source, target, scene.ledger, level=level).is_clean


def test_a_new_folder_with_the_old_name_is_another_one() -> None:
    scene = filled()
    scene.copy()
    rename(scene, "Work", "Projects")
    scene.copy()
    scene.source.deliver("Work", body("not the same Work"))
    result = scene.copy()
    assert (result.is_balanced, result.appended) == (True, 1)
    assert len(scene.target["Work"].messages) == 5
    assert scene.copy().appended == 0


def test_a_folder_that_is_gone_leaves_its_copy_alone() -> None:
    scene = filled()
    scene.copy()
    scene.source.remove_folder("Work")
    scene.source.deliver("Projects", body("something else"))
    result = scene.copy()
    assert (result.is_balanced, result.appended) == (True, 1)
    assert len(scene.target["Work"].messages) == 5
    assert len(scene.target["Projects"].messages) == 1


def folder(name: bytes, uidvalidity: int, uidnext: int = 9) -> Folder:
    return Folder(FolderPath(name, "/"), uidvalidity=uidvalidity, uidnext=uidnext, messages=3)


def state(name: bytes, uidvalidity: int, *, leaves: int = 1) -> FolderState:
    return FolderState(name, b"to " + name, uidvalidity, 1, source_uidnext=5, leaves=leaves)


@pytest.mark.parametrize(
    ("listed", "states"),
    [
        ([folder(b"new", 7), folder(b"other", 7)], [state(b"old", 7)]),  # the same number everywhere means nothing
        ([folder(b"new", 7)], [state(b"old", 7), state(b"older", 7)]),
        ([folder(b"new", 7), folder(b"old", 7)], [state(b"old", 7)]),  # it is still there
        ([folder(b"new", 7, uidnext=4)], [state(b"old", 7)]),  # it has never had as many messages
        ([folder(b"new", 0)], [state(b"old", 0)]),  # nothing told
        ([folder(b"new", 7)], [state(b"old", 7, leaves=0)]),  # nothing was copied from it
        ([folder(b"new", 8)], [state(b"old", 7)]),
        ([folder(b"new", 7)], [state(b"old", 7), state(b"new", 7)]),  # known by this name already
    ],
)
def test_what_is_not_certain_is_a_new_folder(listed: list[Folder], states: list[FolderState]) -> None:
    assert renamed_since(listed, states) == {}


def test_what_is_certain_keeps_its_target() -> None:
    assert renamed_since([folder(b"new", 7), folder(b"x", 8)], [state(b"old", 7)]) == {b"new": b"to old"}
    assert known_targets([folder(b"new", 7)], [state(b"old", 7)]) == {b"old": b"to old", b"new": b"to old"}
