"""A manifest is written, read, changed in every way there is, and kept within bounded memory."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.testing import MemoryTarget
from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Leaf, LeftBehind, Record
from migrator.transfer.manifest import Entry, Manifest, Verified, line, name, signed_text
from migrator.transfer.manifest_check import Checked, NoManifest, accounts, check
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.recheck import Change, Recheck, recheck
from migrator.transfer.signing import SigningKey, fingerprint, plain_fingerprint, read_public, to_pem
from migrator.transfer.verify import VerifyLevel
from tests.migrator.transfer.scenes import LIMITS, Scene, body, life_like

KEY = SigningKey(bytes(range(32)))
SOURCE, TARGET = "imap://anna@old.example:143", "imaps://anna@new.example:993"


@pytest.fixture
def copied() -> Scene:
    scene = life_like()
    scene.copy()
    return scene


def written(*ledgers: object, with_records: bool = True, key: SigningKey = KEY, **entry: object) -> bytes:
    manifest = Manifest(key, made_at="2030-03-01T22:00:00+00:00", title="the move", with_records=with_records)
    entries = [Entry(SOURCE, f"{TARGET}/{number}", ledger, **entry) for number, ledger in enumerate(ledgers)]
    return b"".join(manifest.lines(entries))


def checked(text: bytes) -> Checked:
    return check(io.BytesIO(text))


def things(text: bytes) -> list[dict]:
    return [json.loads(one) for one in text.splitlines()]


def sealed(things: list[dict], key: SigningKey = KEY) -> bytes:
    """Sign what somebody made up, with the right key."""
    text = b"".join(map(line, things[:-1]))
    digest = hashlib.sha256(text).hexdigest()
    signature = base64.b64encode(key.sign(signed_text(digest))).decode()
    return text + line({"kind": "seal", "sha256": digest, "signature": signature})


@pytest.mark.parametrize("with_records", [True, False])
def test_what_was_written_holds_and_has_the_sums_of_the_source(copied: Scene, with_records: bool) -> None:
    found = checked(written(copied.ledger, with_records=with_records, verified=Verified("digest", "2030-03-01")))
    assert (found.holds, found.problems, found.open) == (True, [], [])
    assert (found.key, found.title, found.has_records, found.verified) == (KEY.public, "the move", with_records, 1)
    assert (found.totals.accounts, found.totals.balanced, found.totals.folders) == (1, 1, 3)
    assert found.totals.balance.listed == sum(len(folder.messages) for folder in copied.source)
    assert found.totals.balance.outcomes == {Outcome.COPIED: 13, Outcome.EMPTY: 1, Outcome.MARKED_DELETED: 1}


def test_the_same_ledger_gives_the_same_octets_and_no_word_of_a_message(copied: Scene) -> None:
    text = written(copied.ledger)
    assert text == written(copied.ledger)
    packed = b"".join(base64.b64decode(one["packed"]) for one in things(text) if one["kind"] == "records")
    for word in (b"letter", b"Subject", b"a@example", b"gone soon"):
        assert word not in text + packed


def test_every_changed_octet_is_found(copied: Scene) -> None:
    text = written(copied.ledger)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for place in [0, 1, *range(len(text) - 12, len(text)), *(chance.randrange(len(text)) for _ in range(300))]:
        changed = bytearray(text)
        changed[place] ^= 1 << chance.randrange(8)
        try:
            assert not checked(bytes(changed)).holds, place
        except NoManifest:
            assert place <= text.index(b"\n")  # the line end itself: then the first line never ends


def test_a_manifest_that_was_cut_off_or_went_on_is_found_at_every_line(copied: Scene) -> None:
    text = written(copied.ledger)
    lines = text.splitlines(keepends=True)
    for count in range(1, len(lines)):
        found = checked(b"".join(lines[:count]))
        assert not found.holds
        assert "cut off" in found.problems[0]
    assert not checked(text + b"\n").holds
    assert not checked(text + text).holds
    for count in range(1, len(lines) - 1):
        assert not checked(b"".join(lines[:count] + lines[count + 1 :])).holds
        assert not checked(b"".join([*lines[: count + 1], *lines[count:]])).holds


def test_another_key_is_another_signature(copied: Scene) -> None:
    other = SigningKey.generate()
    mixed = things(written(copied.ledger))
    mixed[0]["key"] = base64.b64encode(other.public).decode()
    found = checked(sealed(mixed))
    assert not found.holds
    assert "not one of the key" in found.problems[0]


# Whoever has the key cannot make sums hold that do not


def with_changed(text: bytes, which: str, **changes: object) -> bytes:
    """Change the first line of a kind, and sign anew."""
    found = things(text)
    next(one for one in found if one["kind"] == which).update(changes)
    return sealed(found)


LIES: list[tuple[str, dict[str, object]]] = [
    ("folder", {"listed": 9}),
    ("folder", {"outcomes": {"copied": 1}}),
    ("folder", {"removed": 1}),
    ("folder", {"leaves": 1}),
    ("folder", {"tip": "00" * 32}),
    ("folder", {"source": "Other"}),
    ("leaf", {"digest": "00" * 32}),
    ("leaf", {"previous": "11" * 32}),
    ("leaf", {"number": 1}),
    ("leaf", {"target_uidvalidity": 77}),
    ("folder-end", {"records": 1}),
    ("folder-end", {"bytes": 1}),
    ("folder-end", {"balanced": False}),
    ("folder-end", {"flaws": [["unfinished", 0]]}),
    ("account-end", {"listed": 99}),
    ("account-end", {"folders": 2}),
    ("end", {"accounts": 2}),
    ("end", {"bytes": 0}),
]


@pytest.mark.parametrize(("kind", "changes"), LIES)
def test_a_signed_lie_is_found(copied: Scene, kind: str, changes: dict[str, object]) -> None:
    found = checked(with_changed(written(copied.ledger), kind, **changes))
    assert not found.holds
    assert found.problems


@pytest.mark.parametrize(("kind", "changes"), [one for one in LIES if one[0] != "leaf"][:3])
def test_sums_that_do_not_balance_are_found_without_records_too(copied: Scene, kind: str, changes) -> None:
    assert not checked(with_changed(written(copied.ledger, with_records=False), kind, **changes)).holds


WRONG: list[tuple[str, dict[str, object]]] = [
    ("folder", {"listed": -1}),
    ("folder", {"listed": True}),
    ("folder", {"listed": 2**70}),
    ("folder", {"outcomes": {"lost": 1}}),
    ("folder", {"outcomes": [1]}),
    ("folder", {"source": "%41"}),
    ("folder", {"source": 7}),
    ("folder", {"source": "\ud800"}),
    ("folder", {"tip": "AA" * 32}),
    ("folder", {"more": 1}),
    ("leaf", {"records": 10**12}),
    ("records", {"packed": "!!"}),
    ("records", {"packed": ""}),
    ("records", {"packed": base64.b64encode(bytes(96)).decode()}),
    ("folder-end", {"flaws": [["no such flaw", 0]]}),
    ("folder-end", {"flaws": 7}),
    ("folder-end", {"flaws": [[[], 0]]}),
    ("folder-end", {"flaws": [["leaf_changed", float("nan")]]}),
    ("account", {"verified": {"level": "digest"}}),
    ("account", {"kind": "folder"}),
]


@pytest.mark.parametrize(("kind", "changes"), WRONG)
def test_what_no_manifest_says_is_told_with_its_line(copied: Scene, kind: str, changes: dict[str, object]) -> None:
    found = checked(with_changed(written(copied.ledger), kind, **changes))
    assert not found.is_whole
    assert found.problems[0].startswith("Line ")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}\n",
        b'{"format":"mailferry-proof","version":1}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"kind":"head"}\n',
        b"From anna Sat\nSubject: x\n",
        b"1\n",
    ],
)
def test_any_other_file_is_refused(text: bytes) -> None:
    with pytest.raises(NoManifest, match="no manifest"):
        checked(text)


def test_a_newer_format_says_so(copied: Scene) -> None:
    with pytest.raises(NoManifest, match="newer version"):
        checked(with_changed(written(copied.ledger), "head", version=2))


# A damaged or unfinished ledger is told, not hidden


@pytest.mark.parametrize("with_records", [True, False])
def test_a_dropped_leaf_is_named_in_the_manifest_and_by_its_check(copied: Scene, with_records: bool) -> None:
    del copied.ledger._leaves[b"INBOX"][1]
    found = checked(written(copied.ledger, with_records=with_records))
    assert (found.is_signed, found.is_whole, found.holds) == (True, True, False)
    assert found.problems == [f"{TARGET}/0, folder INBOX: Part 1 of the ledger is missing."]
    assert (found.totals.balanced, found.totals.unsound) == (0, 1)


def test_rows_that_are_missing_are_told_though_the_manifest_has_none(copied: Scene) -> None:
    copied.ledger._left_behind.clear()
    found = checked(written(copied.ledger))
    assert len(found.problems) == 2
    assert all("no row names it" in problem for problem in found.problems)


def test_accounts_that_are_not_finished_or_worked_on_are_open(copied: Scene) -> None:
    state = copied.ledger._states[b"Sent"]
    copied.ledger._states[b"Sent"] = replace(state, is_complete=False)
    text = written(copied.ledger, None, MemoryLedger())
    found = checked(text)
    assert found.problems == []
    assert [told.partition(": ")[2] for told in found.open] == [
        "The folder was not gone through to its end yet.",
        "The account was being worked on: make the manifest again when it rests.",
        "No folder of it was copied yet.",
    ]
    assert (found.totals.accounts, found.totals.balanced, found.totals.at_work) == (3, 0, 1)


def test_a_ledger_that_was_written_to_meanwhile_is_not_called_balanced(copied: Scene) -> None:
    found = checked(written(copied.ledger, is_resting=lambda: False))
    assert (found.holds, found.totals.balanced, found.totals.at_work) == (True, 0, 1)


def test_names_of_folders_are_any_octets() -> None:
    ledger = MemoryLedger()
    raw = b'Entw&APw-rfe \xff\x00\n%41/"\\'
    leaf = Leaf.seal(raw, 1, 2, 0, [Record(1, 1, 5, None, Outcome.COPIED, bytes(32), bytes(32))], FIRST_PREVIOUS)
    state = FolderState(raw, raw, 1, 2, source_messages=1, is_complete=True, totals={Outcome.COPIED: 1}, leaves=1,
                        tip=leaf.digest)  # fmt: skip
    ledger.commit(leaves=[leaf], states=[state])
    text = written(ledger)
    assert checked(text).holds
    assert name(raw).isascii()
    ((_, _, folders),) = [(one, two, list(three)) for one, two, three in accounts(io.BytesIO(text))]
    assert folders[0].state.source == raw


# The target again


def again(scene: Scene, level: VerifyLevel) -> Recheck:
    found = accounts(io.BytesIO(written(scene.ledger)))
    _, _, folders = next(found)
    target = MemoryTarget(scene.target, None, LIMITS)
    return recheck(target, ((folder.state, folder.leaves) for folder in folders), level=level)


def told(report: Recheck) -> list[tuple[str, Change, int]]:
    return [(one.folder.display, one.change, one.uid) for one in report.differences]


@pytest.mark.parametrize("level", VerifyLevel)
def test_a_target_as_it_was_left_is_clean(copied: Scene, level: VerifyLevel) -> None:
    report = again(copied, level)
    assert (told(report), report.is_clean, report.is_faithful) == ([], True, True)
    assert (report.expected, report.found) == (13, 13)
    assert report.read == (13 if level is VerifyLevel.DIGEST else 0)


def test_what_people_did_is_named_and_no_fault(copied: Scene) -> None:
    copied.target["INBOX"].expunge(4)
    copied.target.deliver("INBOX", body("new"))
    copied.target.remove_folder("Sent")
    report = again(copied, VerifyLevel.LEDGER)
    assert sorted(told(report)) == [
        ("INBOX", Change.EXTRA, 11),
        ("INBOX", Change.GONE, 4),
        ("Sent", Change.FOLDER_GONE, 0),
    ]
    assert report.is_faithful
    assert not report.is_clean


def test_a_changed_octet_is_found_by_reading_and_a_changed_date_without(copied: Scene) -> None:
    message = copied.target["INBOX"].messages[2]
    message.body = message.body.replace(b"letter", b"lettre")
    copied.target["INBOX"].messages[3].internal_date = 77
    assert told(again(copied, VerifyLevel.LEDGER)) == [("INBOX", Change.DATE, 3)]
    report = again(copied, VerifyLevel.DIGEST)
    assert told(report) == [("INBOX", Change.DATE, 3), ("INBOX", Change.CONTENT, 2)]
    assert not report.is_faithful


def test_counts_alone_see_that_messages_are_fewer(copied: Scene) -> None:
    copied.target["INBOX"].expunge(4)
    copied.target["INBOX"].expunge(5)
    report = again(copied, VerifyLevel.COUNTS)
    assert (told(report), report.counts[Change.GONE], report.found) == ([("INBOX", Change.GONE, 0)], 2, 11)


def test_a_folder_that_was_made_anew_is_named(copied: Scene) -> None:
    copied.target["INBOX"].uidvalidity += 1
    assert told(again(copied, VerifyLevel.DIGEST)) == [("INBOX", Change.RENUMBERED, 0)]


# Keys


def test_a_key_is_told_by_its_fingerprint_and_read_in_both_spellings(tmp_path: Path) -> None:
    told = fingerprint(KEY.public)
    assert len(told.split()) == 16
    digits = told.replace(" ", "")
    for spelling in (told, digits, digits.upper(), f"SHA256:{digits}", ":".join(told.split())):
        assert plain_fingerprint(spelling) == digits
    assert plain_fingerprint("deadbeef") is None
    file = tmp_path / "key"
    for text in (to_pem(KEY.public), base64.b64encode(KEY.public).decode() + "\n"):
        file.write_text(text)
        assert read_public(file) == KEY.public
    assert SigningKey(KEY.seed).public == KEY.public


# Bounded memory

HUGE = 200_000
EACH = 500


class HugeLedger(MemoryLedger):
    """A folder of many messages, whose leaves are made when they are asked for."""

    def __init__(self, messages: int) -> None:
        super().__init__()
        self._messages = messages
        *_, last = self.stored_leaves(b"INBOX")
        self._states[b"INBOX"] = FolderState(
            b"INBOX", b"INBOX", 7, 9, source_messages=messages, is_complete=True, totals={Outcome.COPIED: messages},
            leaves=messages // EACH, tip=last.digest,
        )  # fmt: skip

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        previous = FIRST_PREVIOUS
        for number in range(self._messages // EACH):
            uids = range(number * EACH + 1, number * EACH + EACH + 1)
            records = (Record(uid, uid, 1000, uid, Outcome.COPIED, bytes(32), bytes(32)) for uid in uids)
            leaf = Leaf.seal(folder, 7, 9, number, records, previous)
            previous = leaf.digest
            yield leaf

    def left_behind(self) -> Iterator[LeftBehind]:
        return iter(())


def octets_of(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.long
def test_writing_and_checking_hold_a_few_octets_a_message(tmp_path: Path) -> None:
    ledger, file = HugeLedger(HUGE), tmp_path / "manifest"

    def write() -> None:
        with file.open("wb") as opened:
            opened.writelines(Manifest(KEY, made_at="now").lines([Entry(SOURCE, TARGET, ledger)]))

    def read() -> None:
        with file.open("rb") as opened:
            assert check(opened).holds

    for work in (write, read):
        peak = octets_of(work)
        print(f"{work.__name__}: {peak / HUGE:.1f} octets a message")
        assert peak < 40 * HUGE + 2_000_000


def test_a_ledger_that_cannot_be_read_ends_the_manifest(copied: Scene) -> None:
    def broken(folder: bytes) -> Iterator[Leaf]:
        raise MigratorError("ledger.damaged")

    copied.ledger.stored_leaves = broken  # type: ignore[method-assign]
    with pytest.raises(MigratorError):
        written(copied.ledger)
