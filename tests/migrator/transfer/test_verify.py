from __future__ import annotations

import tracemalloc

import pytest

from migrator.mail import FolderPath, Message
from migrator.testing import MemoryMailbox, MemorySource, MemoryTarget, StoredMessage
from migrator.testing.mailboxes import MemoryFolder
from migrator.transfer.folders import FolderRules
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.verify import Difference, VerifyLevel, VerifyReport, verify
from tests.migrator.transfer.scenes import LIMITS, Scene, body, life_like

COUNTS, LEDGER, DIGEST = VerifyLevel.COUNTS, VerifyLevel.LEDGER, VerifyLevel.DIGEST


def check(scene: Scene, level: VerifyLevel, rules: FolderRules | None = None) -> VerifyReport:
    source, target = MemorySource(scene.source, None, LIMITS), MemoryTarget(scene.target, None, LIMITS)
    return verify(source, target, scene.ledger, level=level, rules=rules)


def findings(report: VerifyReport) -> list[tuple[str, int, Difference]]:
    return [(f.folder.display, f.uid, f.difference) for f in report.differences]


@pytest.fixture
def copied() -> Scene:
    scene = life_like()
    scene.copy()
    return scene


@pytest.mark.parametrize("level", VerifyLevel)
def test_a_finished_copy_is_clean_at_every_level(copied: Scene, level: VerifyLevel) -> None:
    report = check(copied, level)
    assert findings(report) == []
    assert report.folders == 3
    assert report.checked == (0 if level is COUNTS else 13)


@pytest.mark.parametrize("level", VerifyLevel)
def test_a_target_that_rewrites_line_ends_is_clean_too(level: VerifyLevel) -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", canonicalise=True, uidplus=False)
    scene.copy()
    assert check(scene, level).is_clean


def test_a_message_missing_at_the_target_is_found_by_counting(copied: Scene) -> None:
    copied.target["INBOX"].expunge(4)
    assert findings(check(copied, COUNTS)) == [("INBOX", 0, Difference.TOO_FEW)]


def test_a_message_replaced_by_another_is_found_by_its_uid_not_by_counting(copied: Scene) -> None:
    copied.target["INBOX"].expunge(4)
    copied.target.deliver("INBOX", body("another"))
    assert check(copied, COUNTS).is_clean
    assert findings(check(copied, LEDGER)) == [("INBOX", 4, Difference.MISSING)]


def test_flags_and_dates_are_compared_at_the_ledger_level(copied: Scene) -> None:
    copied.target["INBOX"].set_flags(1, frozenset({"\\Answered"}))
    copied.target["Sent"].messages[1].internal_date = 77
    assert sorted(findings(check(copied, LEDGER))) == [("INBOX", 1, Difference.FLAGS), ("Sent", 1, Difference.DATE)]


def test_a_changed_body_is_found_only_by_reading_it(copied: Scene) -> None:
    stored: StoredMessage = copied.target["INBOX"].messages[2]
    stored.body = stored.body.replace(b"letter", b"LETTER")
    assert check(copied, LEDGER).is_clean
    assert findings(check(copied, DIGEST)) == [("INBOX", 2, Difference.CONTENT)]


def test_mail_that_no_pass_has_seen_is_uncounted(copied: Scene) -> None:
    copied.source.deliver("INBOX", body("late"))
    copied.source.deliver("Fresh", body("in a fresh folder"))
    assert set(findings(check(copied, COUNTS))) == {
        ("INBOX", 0, Difference.UNCOUNTED),
        ("Fresh", 0, Difference.FOLDER_UNKNOWN),
    }


def test_a_target_folder_that_is_gone_is_named(copied: Scene) -> None:
    copied.target.remove_folder("Sent")
    assert findings(check(copied, COUNTS)) == [("Sent", 0, Difference.FOLDER_GONE)]


def test_verify_writes_nothing(copied: Scene) -> None:
    before = (copied.source.contents(), copied.target.contents())
    check(copied, DIGEST)
    assert (copied.source.contents(), copied.target.contents()) == before


def test_a_copy_whose_place_nobody_found_is_missing(copied: Scene) -> None:
    copied.target.features = MemoryMailbox(uidplus=False).features
    copied.source.deliver("INBOX", body("lost"))
    assert copied.copy(target=Forgetful(copied.target, None, LIMITS)).is_balanced
    copied.target.deliver("INBOX", body("another"))
    assert check(copied, COUNTS).is_clean
    for level in LEDGER, DIGEST:
        assert findings(check(copied, level)) == [("INBOX", 11, Difference.MISSING)]


class Forgetful(MemoryTarget):
    """A target that says OK to a message and does not keep it."""

    def _keep(self, folder: MemoryFolder, message: Message, body: bytes) -> int:
        return 0


@pytest.mark.parametrize(
    "rules", [FolderRules(), FolderRules(keep_virtual=True, skip_exactly=frozenset({"Everything"}))]
)
def test_a_folder_that_is_left_out_on_purpose_is_no_difference(copied: Scene, rules: FolderRules) -> None:
    copied.source.add_folder("Everything", special_use="\\All")
    copied.source.deliver("Everything", body("letter 1"))
    copied.copy(policy=CopyPolicy(rules=rules))
    assert findings(check(copied, LEDGER, rules)) == []
    everything = check(copied, LEDGER, FolderRules(keep_virtual=True))
    assert findings(everything) == [("Everything", 0, Difference.FOLDER_UNKNOWN)]


def test_a_folder_whose_name_cannot_be_spoken_stays_a_difference(copied: Scene) -> None:
    copied.source.add_folder(FolderPath(b"two\rlines", "/"))
    assert [difference for *_, difference in findings(check(copied, COUNTS))] == [Difference.FOLDER_UNKNOWN]


def test_flags_that_changed_without_being_counted_are_found(copied: Scene) -> None:
    # a server whose CONDSTORE misses changes
    copied.source["INBOX"].messages[2].flags = frozenset({"\\Draft"})
    assert copied.copy().flag_changes == 0
    assert findings(check(copied, LEDGER)) == [("INBOX", 2, Difference.FLAGS)]


@pytest.mark.long
def test_comparing_holds_a_few_octets_a_message() -> None:
    count, scene = 3000, Scene()
    for number in range(count):
        scene.source.deliver("INBOX", body(f"letter {number}"), ["\\Seen"] if number % 2 else [])
    scene.copy()

    def peak(level: VerifyLevel) -> int:
        tracemalloc.start()
        try:
            assert check(scene, level).is_clean
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peaks = {level: peak(level) / count for level in (LEDGER, DIGEST)}
    print(peaks)
    assert all(octets < 250 for octets in peaks.values())


@pytest.mark.parametrize("level", VerifyLevel)
def test_an_empty_folder_that_is_numbered_anew_each_time_is_no_difference(copied: Scene, level: VerifyLevel) -> None:
    copied.source.add_folder("Empty")
    copied.copy()
    copied.source["Empty"].uidvalidity += 1
    assert findings(check(copied, level)) == []
    copied.source.deliver("Empty", body("late"))
    assert findings(check(copied, level)) == [("Empty", 0, Difference.FOLDER_UNKNOWN)]
