"""A ledger turned round knows on the way back what went on the way there, and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest

from migrator.mail import Outcome
from migrator.testing import FakeClock, FaultPlan, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer import mirror as mirrors
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.mirror import mirror
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.proof import prove
from tests.migrator.transfer.scenes import LIMITS, Scene, arrivals, body
from tests.migrator.transfer.test_moved import rename


def made(count: int = 5) -> Scene:
    scene = Scene()
    for number in range(count):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    scene.source.deliver("Work/1999", body("twice"))
    scene.source.deliver("Work/1999", body("twice"))
    assert scene.copy().is_balanced
    return scene


def turned(scene: Scene) -> MemoryLedger:
    ledger = MemoryLedger()
    mirror(scene.ledger, ledger, {folder.path.raw for folder in scene.source})
    return ledger


def back(scene: Scene, ledger: MemoryLedger, faults: FaultPlan | None = None) -> PassResult:
    plan = faults or FaultPlan()
    source, target = MemorySource(scene.target, plan, LIMITS), MemoryTarget(scene.source, plan, LIMITS)
    policy = CopyPolicy(Mode.CATCH_UP)
    return run_pass(source, target, ledger, policy=policy, limits=LIMITS, clock=FakeClock())


def test_nothing_goes_back_that_came_from_there_and_no_body_is_read_for_it() -> None:
    scene = made()
    before = scene.source.contents()
    faults = FaultPlan()
    result = back(scene, turned(scene), faults)
    assert result.is_balanced
    assert result.appended == 0
    assert scene.source.contents() == before
    assert not [call for call in faults.calls if "read" in call]


def test_what_came_since_goes_back_once_into_the_folder_it_belongs_to() -> None:
    scene = made()
    scene.target.deliver("INBOX", body("came since"))
    scene.target.deliver("Work.1999", body("twice"))
    scene.target.deliver("Made since", body("new"))
    ledger = turned(scene)
    assert back(scene, ledger).appended == 3
    assert arrivals(scene.source, "Work/1999") == Counter({body("twice"): 3})
    assert arrivals(scene.source, "INBOX")[body("came since")] == 1
    assert arrivals(scene.source, "Made since") == Counter([body("new")])
    assert prove(ledger).is_balanced
    assert back(scene, turned(scene)).appended == 0  # the next process finds them by their content


def test_what_its_owner_removed_at_the_target_stays_at_the_source() -> None:
    scene = made()
    scene.target["INBOX"].expunge(2)
    before = scene.source.contents()
    assert back(scene, turned(scene)).is_balanced
    assert scene.source.contents() == before


def test_what_the_source_got_late_is_not_doubled_when_it_was_caught_up() -> None:
    scene = made()
    scene.source.deliver("INBOX", body("late"))
    scene.target.deliver("INBOX", body("came since"))
    scene.copy(policy=CopyPolicy(Mode.CATCH_UP))
    assert back(scene, turned(scene)).appended == 1
    assert arrivals(scene.source, "INBOX")[body("late")] == 1


def test_a_renumbered_target_is_matched_by_content() -> None:
    scene = made()
    scene.target["INBOX"].renumber()
    scene.target.deliver("INBOX", body("came since"))
    assert back(scene, turned(scene)).appended == 1
    assert max(arrivals(scene.source, "INBOX").values()) == 1


@pytest.mark.parametrize("leaf_records", [1, 2, 512])
def test_the_turned_ledger_is_sound_and_counts_every_message(
    leaf_records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "LEAF_RECORDS", leaf_records)
    scene = made()
    proof = prove(turned(scene))
    assert proof.is_sound
    assert proof.balance.outcomes == {Outcome.ALREADY_THERE: 7}


def test_a_folder_that_was_renamed_at_the_source_gets_its_mail_under_the_name_it_has_now() -> None:
    scene = made()
    rename(scene, "Work/1999", "Work/Then")
    assert scene.copy(policy=CopyPolicy(Mode.CATCH_UP)).is_balanced
    scene.target.deliver("Work.1999", body("came since"))
    assert back(scene, turned(scene)).appended == 1
    assert arrivals(scene.source, "Work/Then") == Counter([body("twice"), body("twice"), body("came since")])


def test_copies_without_a_known_place_are_found_by_their_content() -> None:
    scene = Scene(target=MemoryMailbox(separator=".", uidplus=False))
    for number in range(4):
        scene.source.deliver("INBOX", body(f"letter {number}"))
    scene.copy()
    scene.target.deliver("INBOX", body("came since"))
    assert back(scene, turned(scene)).appended == 1
    assert max(arrivals(scene.source, "INBOX").values()) == 1
