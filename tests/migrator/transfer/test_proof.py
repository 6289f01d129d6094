from __future__ import annotations

import random
from dataclasses import replace

import pytest

from migrator.mail import Outcome
from migrator.testing import MemoryMailbox
from migrator.transfer.ledger import Leaf, LeftBehind
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.proof import OPEN, SENTENCES, AccountProof, Flaw, prove
from migrator.transfer.uid_map import UidMap
from tests.migrator.transfer.scenes import Scene, body, life_like


@pytest.fixture
def copied() -> Scene:
    scene = life_like()
    scene.copy()
    return scene


def flaws(ledger: MemoryLedger) -> list[tuple[str, Flaw, int]]:
    return [(folder.decode(), *found) for folder, found in prove(ledger).flaws]


def chain(scene: Scene, folder: bytes = b"INBOX") -> list[Leaf]:
    return scene.ledger._leaves[folder]


def reseal(leaf: Leaf, **changes: object) -> Leaf:
    leaf = replace(leaf, **changes)
    names = ("folder", "source_uidvalidity", "target_uidvalidity", "number")
    return Leaf.seal(*(getattr(leaf, name) for name in names), leaf.records(), leaf.previous)


def test_every_message_of_a_finished_copy_has_one_outcome_and_the_sums_are_those_of_the_source(copied: Scene) -> None:
    proof = prove(copied.ledger)
    assert (proof.is_balanced, proof.is_sound, proof.flaws) == (True, True, ())
    assert proof.balance.listed == sum(len(folder.messages) for folder in copied.source) == 15
    assert proof.balance.outcomes == {Outcome.COPIED: 13, Outcome.EMPTY: 1, Outcome.MARKED_DELETED: 1}
    there = [m.body for f in copied.source for m in f.messages.values() if m.body and "\\Deleted" not in m.flags]
    assert proof.balance.size_bytes == sum(map(len, there))
    assert (proof.folders, proof.records, proof.unplaced, proof.foreign) == (3, 15, 0, 0)


def test_an_account_that_nobody_copied_has_no_proof() -> None:
    assert not prove(MemoryLedger()).is_balanced
    assert prove(MemoryLedger()).is_sound


# Plants in the chain: each is found, named, and found where it was put


def test_a_changed_leaf_is_named(copied: Scene) -> None:
    leaves = chain(copied)
    assert len(leaves) > 2
    for number, leaf in enumerate(leaves):
        for place in (0, len(leaf.packed) // 2, len(leaf.packed) - 1):
            packed = bytearray(leaf.packed)
            packed[place] ^= 1
            leaves[number] = replace(leaf, packed=bytes(packed))
            assert flaws(copied.ledger) == [("INBOX", Flaw.LEAF_CHANGED, number)]
        leaves[number] = leaf
    assert flaws(copied.ledger) == []


def test_a_missing_leaf_is_named_wherever_it_was(copied: Scene) -> None:
    leaves = chain(copied)
    for number, leaf in enumerate(list(leaves)):
        del leaves[number]
        is_last = number == len(leaves)
        assert flaws(copied.ledger) == [("INBOX", Flaw.CHAIN_CUT if is_last else Flaw.LEAF_MISSING, number)]
        leaves.insert(number, leaf)


def test_a_chain_that_was_cut_is_named(copied: Scene) -> None:
    del chain(copied)[1:]
    assert flaws(copied.ledger) == [("INBOX", Flaw.CHAIN_CUT, 1)]


def test_a_doubled_leaf_is_named(copied: Scene) -> None:
    leaves = chain(copied)
    leaves.insert(1, leaves[1])
    assert flaws(copied.ledger) == [("INBOX", Flaw.LEAF_DOUBLED, 1)]
    del leaves[1]
    leaves.append(reseal(leaves[1], number=len(leaves), previous=leaves[-1].digest))
    assert flaws(copied.ledger) == [("INBOX", Flaw.CHAIN_LONGER, len(leaves) - 1)]


def test_leaves_that_changed_places_are_named(copied: Scene) -> None:
    leaves = chain(copied)
    leaves[1], leaves[2] = replace(leaves[2], number=1), replace(leaves[1], number=2)
    assert flaws(copied.ledger) == [("INBOX", Flaw.LEAF_MOVED, 1), ("INBOX", Flaw.LEAF_MOVED, 2)]


def test_a_leaf_that_was_replaced_by_a_well_made_one_is_named(copied: Scene) -> None:
    leaves = chain(copied)
    for number in range(len(leaves)):
        leaf = leaves[number]
        records = [record._replace(outcome=Outcome.REFUSED) for record in leaf.records()]
        leaves[number] = Leaf.seal(b"INBOX", leaf.source_uidvalidity, leaf.target_uidvalidity, number, records,
                                   leaf.previous)  # fmt: skip
        assert flaws(copied.ledger) == [("INBOX", Flaw.LEAF_REPLACED, number)]
        leaves[number] = leaf


# Plants in what the chain carries: all of it is well sealed, and the sums tell


def rewrite(scene: Scene, change) -> None:
    """Let somebody write the whole chain of INBOX anew, with the state's end: ``change`` alters the list of records."""
    leaves, previous = chain(scene), bytes(32)
    records = [list(leaf.records()) for leaf in leaves]
    change(records)
    for number, leaf in enumerate(list(leaves)):
        leaves[number] = Leaf.seal(
            b"INBOX", leaf.source_uidvalidity, leaf.target_uidvalidity, number, records[number], previous
        )
        previous = leaves[number].digest
    scene.ledger._states[b"INBOX"] = replace(scene.ledger._states[b"INBOX"], tip=previous)


def test_a_message_that_lost_its_record_is_missed_in_the_sum(copied: Scene) -> None:
    rewrite(copied, lambda records: records[1].pop())
    assert flaws(copied.ledger) == [("INBOX", Flaw.MISCOUNTED, 1)]


def test_a_message_that_was_hidden_from_the_sums_too_leaves_them_short_of_the_source(copied: Scene) -> None:
    rewrite(copied, lambda records: records[1].pop())
    state = copied.ledger._states[b"INBOX"]
    copied.ledger._states[b"INBOX"] = replace(state, totals={Outcome.COPIED: 9})
    assert flaws(copied.ledger) == [("INBOX", Flaw.UNBALANCED, 1)]
    assert prove(copied.ledger).balance.missing == 1


def test_a_record_that_was_put_in_twice_under_two_numbers_is_counted(copied: Scene) -> None:
    rewrite(copied, lambda records: records[-1].append(records[-1][-1]._replace(uid=99, target_uid=99)))
    assert flaws(copied.ledger) == [("INBOX", Flaw.MISCOUNTED, 1)]


def test_two_messages_that_claim_one_place_are_found(copied: Scene) -> None:
    def claim(records) -> None:
        records[1][0] = records[1][0]._replace(target_uid=records[0][0].target_uid)

    rewrite(copied, claim)
    assert flaws(copied.ledger) == [("INBOX", Flaw.CLAIMED_TWICE, 1)]


def test_rows_of_exceptions_and_records_must_say_the_same(copied: Scene) -> None:
    rows = copied.ledger._left_behind
    (empty,) = [key for key, row in rows.items() if row.outcome is Outcome.EMPTY]
    row = rows.pop(empty)
    assert flaws(copied.ledger) == [("Sent", Flaw.ROW_MISSING, 2)]
    rows[empty] = row._replace(outcome=Outcome.TOO_BIG)
    assert flaws(copied.ledger) == [("Sent", Flaw.ROW_DIFFERS, 2)]
    rows[empty] = row
    validity = copied.ledger._states[b"INBOX"].source_uidvalidity
    rows[b"INBOX", validity, 3] = LeftBehind(b"INBOX", validity, 3, Outcome.REFUSED, "", "")
    rows[b"Never", 1, 1] = LeftBehind(b"Never", 1, 1, Outcome.REFUSED, "", "")
    assert flaws(copied.ledger) == [
        ("INBOX", Flaw.ROW_UNFOUNDED, 3),
        ("Never", Flaw.ROW_UNFOUNDED, 1),
        ("Never", Flaw.UNFINISHED, 0),
    ]
    assert not prove(copied.ledger).is_sound


def test_a_folder_that_is_not_finished_is_open_and_not_a_damage(copied: Scene) -> None:
    state = copied.ledger._states[b"Sent"]
    copied.ledger._states[b"Sent"] = replace(state, is_complete=False)
    assert flaws(copied.ledger) == [("Sent", Flaw.UNFINISHED, 0)]
    copied.ledger._states[b"Sent"] = replace(state, source_messages=None)
    assert flaws(copied.ledger) == [("Sent", Flaw.UNSETTLED, 0)]
    assert prove(copied.ledger).is_sound


# Lives that a ledger leads


def is_proved(scene: Scene) -> AccountProof:
    proof = prove(scene.ledger)
    assert proof.flaws == ()
    assert proof.balance.listed == sum(len(folder.messages) for folder in scene.source)
    return proof


def test_later_passes_removals_and_second_tries_keep_the_proof(copied: Scene) -> None:
    copied.source["INBOX"].expunge(2)
    copied.source.deliver("INBOX", body("late"))
    copied.copy()
    assert is_proved(copied).balance.removed == 1
    copied.copy(policy=CopyPolicy(copy_deleted=True, retry_left_behind=True))
    assert is_proved(copied).balance.outcomes == {Outcome.COPIED: 15, Outcome.EMPTY: 1}


def test_a_source_that_was_numbered_anew_is_proved_by_its_new_numbers(copied: Scene) -> None:
    copied.source["INBOX"].uidvalidity += 1
    copied.copy()
    assert is_proved(copied).balance.on_target == 13


def test_a_target_that_was_numbered_anew_is_proved_ahead_and_when_it_is_live(copied: Scene) -> None:
    copied.target["INBOX"].uidvalidity += 1
    copied.copy()
    is_proved(copied)
    copied.target["INBOX"].uidvalidity += 1
    copied.source.deliver("INBOX", body("late"))
    copied.copy(policy=CopyPolicy(mode=Mode.CATCH_UP))
    assert is_proved(copied).balance.on_target == 14


def test_a_folder_that_holds_only_marked_messages_is_proved() -> None:
    scene = Scene()
    scene.source.deliver("Trash", body("gone"), ["\\Deleted"])
    scene.copy()
    is_proved(scene)
    scene.source.deliver("Trash", body("not gone"))
    scene.copy()
    assert is_proved(scene).balance.outcomes == {Outcome.COPIED: 1, Outcome.MARKED_DELETED: 1}


def test_a_target_that_held_mail_already_is_proved_and_its_own_mail_counted_apart() -> None:
    scene = life_like()
    scene.target.deliver("INBOX", body("letter 3"))
    scene.target.deliver("INBOX", body("its own"))
    scene.copy()
    proof = is_proved(scene)
    assert (proof.balance.outcomes[Outcome.ALREADY_THERE], proof.foreign) == (1, 1)


def test_a_target_that_tells_no_places_is_proved_once_they_are_found() -> None:
    scene = life_like()
    scene.target = MemoryMailbox(separator=".", uidplus=False)
    scene.copy()
    assert is_proved(scene).unplaced == 0


# Sentences, and the map


def test_every_flaw_has_its_sentence() -> None:
    assert set(SENTENCES) == set(Flaw)
    assert set(Flaw) > OPEN


@pytest.mark.parametrize("seed", range(5))
def test_a_map_of_uids_is_a_dict_in_any_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.transfer.uid_map._LATE_AT_ONCE", 7)
    chance, packed, plain = random.Random(seed), UidMap("Q"), {}
    for _ in range(300):
        uid, number = chance.randrange(1, 120), chance.randrange(2**60)
        if chance.random() < 0.2 and packed.put_ascending([uid, uid + 1], [number, number]):
            plain |= {uid: number, uid + 1: number}
        else:
            packed.put(uid, number)
            plain[uid] = number
        assert packed.get(uid) == number
    assert dict(packed.items()) == plain
    assert list(packed.items()) == sorted(plain.items())
    assert len(packed) == len(plain)
