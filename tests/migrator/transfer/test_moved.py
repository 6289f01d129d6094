"""A folder that gets another name at the source between two passes is still the same folder."""

from __future__ import annotations

from collections import Counter

import pytest

from migrator.mail import Folder, FolderPath
from migrator.testing import MemorySource, MemoryTarget
from migrator.transfer.ledger import FolderState
from migrator.transfer.moved import alike, known_targets, renamed_since
from migrator.transfer.verify import VerifyLevel, verify
from tests.migrator.transfer.scenes import Scene, body


def rename(scene: Scene, old: str, new: str, *, anew: bool = False) -> None:
    """Rename a folder of the source. Its UIDVALIDITY and UIDs stay as they are, unless it is numbered ``anew``."""
    mailbox = scene.source
    folder = mailbox[old]
    mailbox.remove_folder(old)
    folder.path = mailbox.path(new)
    if anew:
        messages = list(folder.messages.values())
        folder.messages.clear()
        folder.uidvalidity, folder.uidnext = 5, 1
        for message in messages:
            folder.add(message.body, message.flags, message.internal_date, message.zone_minutes)
    mailbox._by_raw[folder.path.raw] = folder


def filled() -> Scene:
    scene = Scene()
    for number in range(5):
        scene.source.deliver("Work", body(f"work {number}"))
        scene.source.deliver("Other", body(f"other {number}"))
    return scene


@pytest.mark.req("D-27")
@pytest.mark.parametrize("anew", [False, True])
def test_a_renamed_folder_is_found_where_it_was_copied_and_nothing_is_doubled(anew: bool) -> None:
    scene = filled()
    assert scene.copy().is_balanced
    rename(scene, "Work", "Projects", anew=anew)
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


def test_a_message_that_was_removed_since_does_not_hide_who_the_folder_is() -> None:
    scene = filled()
    scene.copy()
    rename(scene, "Work", "Projects", anew=True)
    del scene.source["Projects"].messages[2]
    result = scene.copy()
    assert (result.is_balanced, result.appended) == (True, 0)
    assert len(scene.target["Work"].messages) == 5


def test_two_folders_renamed_at_once_keep_their_places() -> None:
    scene = filled()
    scene.copy()
    rename(scene, "Work", "Projects", anew=True)
    rename(scene, "Other", "Rest")
    result = scene.copy()
    assert (result.is_balanced, result.appended) == (True, 0)
    assert {pair.source.display: pair.target.display for pair in result.folders} == {
        "INBOX": "INBOX", "Projects": "Work", "Rest": "Other"
    }  # fmt: skip


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


def test_folders_that_hold_the_same_mail_are_told_apart_or_not_at_all() -> None:
    one, other = Counter({(9, 1): 2, (8, 2): 1}), Counter({(7, 1): 1})
    assert alike({b"t1": one, b"t2": other}, {b"n1": one, b"n2": other}) == {b"n1": b"t1", b"n2": b"t2"}
    assert alike({b"t1": one}, {b"n1": one, b"n2": one + other}) == {}
    assert alike({b"t1": one, b"t2": one}, {b"n1": one}) == {}
    assert alike({b"t1": one}, {b"n1": other}) == {}


def test_what_is_certain_keeps_its_target() -> None:
    assert renamed_since([folder(b"new", 7), folder(b"x", 8)], [state(b"old", 7)]) == {b"new": b"to old"}
    assert known_targets([folder(b"new", 7)], [state(b"old", 7)]) == {b"old": b"to old", b"new": b"to old"}
