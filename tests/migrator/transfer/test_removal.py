"""Mail is removed at the source only where its copy is proved, and whatever happens meanwhile, nothing is lost."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from migrator.errors import MigratorError
from migrator.mail import Flags, FolderPath, MessageMeta
from migrator.stores.base import Removing, ScanRequest, Trouble
from migrator.testing import FaultPlan, FaultyLedger, Killed, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.digest import canonical_form
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.proof import prove
from migrator.transfer.removal import Kept, RemovalReport, remove_proved, settle_removals
from migrator.transfer.verify import VerifyLevel, verify
from tests.migrator.transfer.scenes import LIMITS, Scene, assert_balanced, body, life_like

KINDS = ("kill", "kill_after", "line", "lost_answer")


def at_once() -> Scene:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", uidvalidity=5000)
    return scene


def at_end() -> Scene:
    scene = Scene(source=MemoryMailbox(removing=Removing.AT_END), target=MemoryMailbox(separator=".", uidvalidity=5000))
    for number in range(6):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    scene.source.deliver("INBOX", body("big", 5000))
    return scene


def second_time() -> Scene:
    scene = at_once()
    move(scene)
    for _ in range(2):
        scene.source.deliver("INBOX", body("late"))
    scene.source.deliver("Archive/1999", body("late, too"))
    return scene


SCENES = [at_once, at_end, second_time]


def move(scene: Scene, faults: FaultPlan | None = None) -> RemovalReport:
    """Copy, then remove, in a process of its own, as the command does."""
    plan = faults or FaultPlan()
    source, target = MemorySource(scene.source, plan, LIMITS), MemoryTarget(scene.target, plan, LIMITS)
    ledger = FaultyLedger(scene.ledger, plan)
    try:
        settle_removals(source, ledger, clock=scene.clock)
    except MigratorError as error:
        return RemovalReport(error=error)
    passed = scene.copy(plan, source=source, target=target)
    if not passed.is_balanced:
        return RemovalReport(error=passed.error)
    return remove_proved(
        source, target, ledger, [folder.source for folder in passed.folders], sink=scene.sink, clock=scene.clock
    )


def everywhere(*mailboxes: MemoryMailbox) -> Counter[bytes]:
    """Return what is held anywhere, each content as often as the mailbox that has it most often."""
    held: Counter[bytes] = Counter()
    for mailbox in mailboxes:
        held |= Counter(canonical_form(m.body) for folder in mailbox for m in folder.messages.values())
    return held


def left(scene: Scene) -> list[tuple[bytes, Flags]]:
    return [(m.body, m.flags) for folder in scene.source for m in folder.messages.values()]


def assert_sums_hold(scene: Scene) -> None:
    """Claim that balance, proof and verify hold, right after and after another pass."""
    for _ in range(2):
        proof = prove(scene.ledger)
        assert proof.is_balanced, proof.flaws
        report = verify(MemorySource(scene.source), MemoryTarget(scene.target), scene.ledger, level=VerifyLevel.DIGEST)
        assert report.is_clean, report.differences
        result = scene.copy()
        assert_balanced(result, scene)
        assert (result.appended, result.flag_changes) == (0, 0)


def test_what_is_proved_goes_and_everything_else_stays() -> None:
    scene = at_once()
    report = move(scene)
    assert report.error is None
    assert (report.removed, dict(report.kept)) == (13, {})
    assert left(scene) == [(body("gone soon"), frozenset({"\\Deleted"})), (b"", frozenset())]
    assert {r[:3] for r in scene.ledger.removals()} == {
        *((b"INBOX", scene.source["INBOX"].uidvalidity, uid) for uid in range(1, 11)),
        *((b"Archive/1999", scene.source["Archive/1999"].uidvalidity, uid) for uid in (1, 2)),
        (b"Sent", scene.source["Sent"].uidvalidity, 1),
    }
    assert_sums_hold(scene)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", SCENES, ids=lambda make: make.__name__)
def test_a_removal_interrupted_at_any_call_loses_nothing_and_ends_the_same(
    make: Callable[[], Scene], kind: str
) -> None:
    clean = FaultPlan()
    example = make()
    wanted = everywhere(example.source, example.target)
    move(example, clean)
    assert any(call == "source.remove" for call in clean.calls)
    for at in range(len(clean.calls)):
        scene = make()
        with contextlib.suppress(Killed):
            move(scene, FaultPlan(at=at, kind=kind))
        assert everywhere(scene.source, scene.target) == wanted, (kind, at, clean.calls[at])
        for _ in range(4):
            if (report := move(scene)).error is None:
                break
        assert report.error is None
        assert left(scene) == left(example), (kind, at, clean.calls[at])
        assert scene.target.contents() == example.target.contents(), (kind, at, clean.calls[at])
        assert not scene.ledger.intended_removals()
        assert len(list(scene.ledger.removals())) == len(list(example.ledger.removals()))
        assert_sums_hold(scene)


@pytest.mark.long
def test_a_removal_killed_again_while_it_recovers_loses_nothing() -> None:
    clean = FaultPlan()
    example = at_once()
    wanted = everywhere(example.source, example.target)
    move(example, clean)
    for first in range(clean.calls.index("ledger.intend"), len(clean.calls)):
        for second in range(first % 3, 30, 3):
            scene = at_once()
            for at in (first, second):
                with contextlib.suppress(Killed):
                    move(scene, FaultPlan(at=at, kind="kill_after"))
            assert everywhere(scene.source, scene.target) == wanted
            assert move(scene).error is None
            assert left(scene) == left(example)
            assert_sums_hold(scene)


def test_a_copy_without_removing_looks_first_what_became_of_an_interrupted_removal() -> None:
    scene = at_once()
    clean = FaultPlan()
    move(at_once(), clean)
    with contextlib.suppress(Killed):
        move(scene, FaultPlan(at=clean.calls.index("source.mark"), kind="kill_after"))
    assert any("\\Deleted" in flags for content, flags in left(scene) if content == body("letter 0"))
    settle_removals(MemorySource(scene.source), scene.ledger)
    assert not any("\\Deleted" in flags for content, flags in left(scene) if content == body("letter 0"))
    assert_balanced(scene.copy(), scene)
    assert not any("\\Deleted" in m.flags for folder in scene.target for m in folder.messages.values())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda it: it.target["INBOX"].messages.pop(3), Kept.NOT_THERE),
        (lambda it: setattr(it.target["INBOX"].messages[3], "body", body("another")), Kept.DIFFERS),
        (lambda it: setattr(it.target["INBOX"].messages[3], "is_readable", False), Kept.NOT_THERE),
        (lambda it: setattr(it.source["INBOX"].messages[3], "body", body("another")), Kept.CHANGED),
        (lambda it: setattr(it.source["INBOX"].messages[3], "is_readable", False), Kept.CHANGED),
        (lambda it: setattr(it.source["INBOX"].messages[3], "is_removable", False), Kept.STAYED),
        (lambda it: it.source["INBOX"].set_flags(3, frozenset({"\\Deleted"})), Kept.MARKED),
    ],
)
def test_a_message_whose_copy_is_not_as_recorded_stays(spoil: Callable[[Scene], object], reason: Kept) -> None:
    scene = at_once()
    passed = scene.copy()
    spoil(scene)
    kept = scene.source["INBOX"].messages[3]
    report = remove_proved(
        MemorySource(scene.source),
        MemoryTarget(scene.target),
        scene.ledger,
        [folder.source for folder in passed.folders],
    )
    assert (report.removed, dict(report.kept)) == (12, {reason: 1})
    assert scene.source["INBOX"].messages == {3: kept}
    assert ("\\Deleted" in kept.flags) is (reason is Kept.MARKED)


def test_a_changed_flag_is_no_reason_to_keep_a_message() -> None:
    scene = at_once()
    passed = scene.copy()
    scene.source["INBOX"].set_flags(3, frozenset({"\\Seen", "later"}))
    scene.target["INBOX"].set_flags(3, frozenset())
    folders = [folder.source for folder in passed.folders]
    report = remove_proved(MemorySource(scene.source), MemoryTarget(scene.target), scene.ledger, folders)
    assert report.removed == 13


def test_mail_that_comes_while_the_rest_is_removed_stays() -> None:
    clean = FaultPlan()
    example = at_once()
    move(example, clean)
    for at in range(clean.calls.index("ledger.intend") - 4, len(clean.calls)):
        scene = at_once()

        def meanwhile(scene: Scene = scene) -> None:
            scene.source.deliver("INBOX", body("just in"))

        move(scene, FaultPlan(at=at, act=meanwhile))
        assert body("just in") in [content for content, _ in left(scene)]
        assert move(scene).error is None
        assert left(scene) == left(example)
        assert_sums_hold(scene)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_folder_renumbered_at_any_call_keeps_what_is_not_proved_any_more(side: str) -> None:
    clean = FaultPlan()
    example = at_once()
    wanted = everywhere(example.source, example.target)
    move(example, clean)
    for at in range(clean.calls.index("ledger.intend") - 8, len(clean.calls)):
        scene = at_once()

        def meanwhile(scene: Scene = scene) -> None:
            getattr(scene, side)["INBOX"].renumber()

        move(scene, FaultPlan(at=at, act=meanwhile))
        assert everywhere(scene.source, scene.target) == wanted, clean.calls[at]
        for _ in range(3):
            move(scene)
        assert everywhere(scene.source, scene.target) == wanted, clean.calls[at]


def test_one_mailbox_under_two_names_is_found_by_its_numbers() -> None:
    scene = at_once()
    scene.target = scene.source
    report = move(scene, FaultPlan())
    assert report.error is not None
    assert report.error.code == "removal.same_mailbox"
    assert len(left(scene)) == 15


class _Renumbering(MemoryTarget):
    """Shows a mailbox under other numbers of its folders, as a proxy might."""

    def _describe(self, folder):
        described = super()._describe(folder)
        return replace(described, uidvalidity=folder.uidvalidity + 7) if folder.selectable else described

    def _open(self, path: FolderPath, uidvalidity: int | None):
        return super()._open(path, None if uidvalidity is None else uidvalidity - 7)


def test_one_mailbox_under_two_names_and_numbers_is_found_by_its_marks() -> None:
    scene = Scene()
    for number in range(4):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    source, target = MemorySource(scene.source), _Renumbering(scene.source)
    passed = scene.copy(source=source, target=target)
    assert passed.is_balanced
    report = remove_proved(source, target, scene.ledger, [folder.source for folder in passed.folders])
    assert report.error is not None
    assert report.error.code == "removal.same_mailbox"
    assert left(scene) == [(body(f"letter {number}"), frozenset()) for number in range(4)]
    assert not scene.ledger.intended_removals()


def test_what_a_target_had_already_stays_where_no_mark_can_show_that_it_is_another() -> None:
    scene = at_end()
    scene.target.deliver("INBOX", body("letter 2"))
    report = move(scene)
    assert (report.removed, dict(report.kept)) == (6, {Kept.BEFORE_US: 1})
    assert left(scene) == [(body("letter 2"), frozenset())]
    assert_sums_hold(scene)


def test_a_server_that_cannot_remove_single_messages_loses_none() -> None:
    scene = at_once()
    scene.source.features = replace(scene.source.features, removing=None)
    report = move(scene)
    assert report.error is not None
    assert report.error.code == "removal.not_offered"
    assert len(left(scene)) == 15


def test_a_ledger_that_does_not_hold_proves_nothing() -> None:
    scene = at_once()
    passed = scene.copy()
    leaf = scene.ledger._leaves[b"INBOX"][0]
    scene.ledger._leaves[b"INBOX"][0] = replace(leaf, packed=leaf.packed[:-1] + b"x")
    with pytest.raises(MigratorError) as caught:
        remove_proved(
            MemorySource(scene.source), MemoryTarget(scene.target), scene.ledger, [f.source for f in passed.folders]
        )
    assert caught.value.code == "ledger.unproved"
    assert len(left(scene)) == 15


class _Refusing(MemorySource):
    """A source where one folder may only be read."""

    def mark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        if path.raw == b"INBOX":
            raise MigratorError("folder.no_permission", side=self.side, reply="[READ-ONLY]")
        super().mark(path, uids, uidvalidity)


def test_a_folder_that_refuses_does_not_keep_the_others() -> None:
    scene = at_once()
    passed = scene.copy()
    report = remove_proved(
        _Refusing(scene.source), MemoryTarget(scene.target), scene.ledger, [folder.source for folder in passed.folders]
    )
    assert report.error is None
    assert [(path.raw, error.code) for path, error in report.folder_errors] == [(b"INBOX", "folder.no_permission")]
    assert report.removed == 3
    assert len(scene.source["INBOX"].messages) == 10
    assert not scene.ledger.intended_removals()


def test_a_list_that_fails_in_the_middle_of_a_look_settles_nothing() -> None:
    class Failing(MemorySource):
        scans = 0

        def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
            self.scans += 1
            if self.scans == 2:
                return iter([Trouble(requests[0].path, MigratorError("folder.damaged", side=self.side))])
            return super().scan(requests)

    scene = Scene(target=MemoryMailbox(separator=".", uidvalidity=5000))
    scene.source.deliver("INBOX", body("letter"))
    passed = scene.copy()
    report = remove_proved(
        Failing(scene.source), MemoryTarget(scene.target), scene.ledger, [folder.source for folder in passed.folders]
    )
    assert report.removed == 1  # found by the look of the second try
    assert [removal.uid for removal in scene.ledger.removals() if removal.removed_at is not None] == [1]


def test_mail_that_was_removed_is_not_copied_back_and_the_target_may_change() -> None:
    scene = at_once()
    move(scene)
    scene.target["INBOX"].expunge(1)
    result = scene.copy(policy=CopyPolicy())
    assert_balanced(result, scene)
    assert result.appended == 0


def test_one_mailbox_that_shows_no_marks_loses_nothing_after_a_copy_that_was_interrupted() -> None:
    clean = FaultPlan()
    example = at_end()
    example.target = example.source
    example.copy(clean)
    for at in range(len(clean.calls)):
        scene = at_end()
        scene.target = scene.source
        with contextlib.suppress(Killed):
            scene.copy(FaultPlan(at=at, kind="kill"))
        scene.source.deliver("INBOX", body("came later"))
        move(scene)
        assert len(left(scene)) == 8, clean.calls[at]
