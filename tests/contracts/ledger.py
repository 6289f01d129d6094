"""What every ledger must do, whatever it is kept in.

Subclass LedgerContract and give it the fixture ``reopen``: a callable that returns the same account's ledger as the
next process would find it. Asking for it again gives up the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import pytest

from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.stores.base import MessageName
from migrator.transfer.ledger import (
    FIRST_PREVIOUS,
    FOREIGN_UID,
    FolderState,
    Leaf,
    Ledger,
    LeftBehind,
    NamingLedger,
    Record,
    ScriptLedger,
    ScriptState,
    Sending,
    SendingLedger,
)

Reopen = Callable[[], Ledger]


class FullLedger(NamingLedger, SendingLedger, ScriptLedger, Protocol):
    """A ledger for all kinds of stores."""


ReopenFull = Callable[[], FullLedger]

SOURCE = "imap://anna@mail.example:143"
TARGET = "imaps://anna@new.example:993"
FOLDER = b"Entw&APw-rfe \xff\x00"  # names are octets, whatever they hold


def record(uid: int, outcome: Outcome | None = Outcome.COPIED) -> Record:
    return Record(uid, uid + 100, uid * 10, 1_000_000_000 + uid, outcome, bytes([uid % 256]) * 32, bytes(32))


def chain(
    folder: bytes, count: int, start: int = 0, previous: bytes = FIRST_PREVIOUS, each: int = 3
) -> tuple[list[Leaf], FolderState]:
    """Return ``count`` leaves of ``each`` records, and the state that follows them."""
    leaves: list[Leaf] = []
    for number in range(start, start + count):
        records = [record(number * each + place + 1) for place in range(each)]
        leaves.append(Leaf.seal(folder, 7, 9, number, records, previous))
        previous = leaves[-1].digest
    copied = (start + count) * each
    state = FolderState(folder, folder, 7, 9, copied, leaves=start + count, tip=previous)
    return leaves, replace(state, totals={Outcome.COPIED: copied})


def row(uid: int, outcome: Outcome = Outcome.REFUSED, *, folder: bytes = FOLDER, reply: str = "") -> LeftBehind:
    return LeftBehind(folder, 7, uid, outcome, "message.refused", reply)


def uids(leaves: Sequence[Leaf]) -> list[int]:
    return [one.uid for leaf in leaves for one in leaf.records()]


class LedgerContract:
    """The contract of migrator.transfer.ledger.Ledger."""

    @pytest.fixture
    def reopen(self) -> Reopen:
        raise NotImplementedError("a subclass says how its ledger is opened")

    def test_a_fresh_ledger_knows_nothing(self, reopen: Reopen) -> None:
        ledger = reopen()
        assert ledger.states() == []
        assert list(ledger.leaves(FOLDER)) == []
        assert list(ledger.left_behind()) == []

    def test_a_ledger_is_bound_to_its_pair_of_mailboxes_for_good(self, reopen: Reopen) -> None:
        ledger = reopen()
        ledger.bind(SOURCE, TARGET)
        ledger.bind(SOURCE, TARGET)
        for pair in ((SOURCE, SOURCE), (TARGET, TARGET), (TARGET, SOURCE)):
            with pytest.raises(MigratorError) as caught:
                ledger.bind(*pair)
            assert caught.value.code == "ledger.other_pair"
        reopen().bind(SOURCE, TARGET)

    def test_an_intent_is_there_for_the_next_process(self, reopen: Reopen) -> None:
        state = FolderState(FOLDER, b"INBOX.Entwurf", 7, 9, intent_uidnext=41, ours_from=41, target_uidnext=41)
        reopen().begin([state])
        assert reopen().states() == [state]

    def test_every_field_of_a_state_comes_back_as_it_was(self, reopen: Reopen) -> None:
        empty = FolderState(b"a", b"b", 1)
        full = FolderState(
            source=b"\x00\xff",
            target=b"INBOX/\xc3\xa4",
            source_uidvalidity=2**32 - 1,
            target_uidvalidity=2**32 - 2,
            watermark=2**32 - 3,
            target_uidnext=2**32 - 4,
            intent_uidnext=2**32 - 5,
            ours_from=2**32 - 6,
            source_uidnext=2**32 - 7,
            source_messages=500_000,
            source_modseq=2**63 - 1,  # RFC 7162 §3.1: 63 bits
            is_complete=True,
            totals={Outcome.COPIED: 3, Outcome.EMPTY: 1},
            removed=2,
        )
        reopen().commit(states=[empty, full])
        assert sorted(reopen().states(), key=lambda state: state.target) == [full, empty]

    def test_a_commit_brings_leaves_states_and_rows(self, reopen: Reopen) -> None:
        leaves, state = chain(FOLDER, 3)
        reopen().commit(leaves=leaves, states=[state], left_behind=[row(5, reply="NO [CANNOT] \xe4")])
        ledger = reopen()
        assert list(ledger.leaves(FOLDER)) == leaves
        assert ledger.states() == [state]
        assert list(ledger.left_behind()) == [row(5, reply="NO [CANNOT] \xe4")]

    def test_records_come_back_in_the_order_they_were_sealed(self, reopen: Reopen) -> None:
        records = [record(9), record(3), Record(FOREIGN_UID, 55, 0, None, None, bytes(32), b"\xff" * 32), record(4)]
        leaf = Leaf.seal(FOLDER, 7, 9, 0, records, FIRST_PREVIOUS)
        reopen().commit(leaves=[leaf])
        (found,) = reopen().leaves(FOLDER)
        assert list(found.records()) == records
        assert found.is_intact()

    def test_leaves_of_several_folders_do_not_mix(self, reopen: Reopen) -> None:
        first, first_state = chain(b"a", 2)
        second, second_state = chain(b"a/b", 1)
        ledger = reopen()
        ledger.commit(leaves=[first[0], *second, first[1]], states=[first_state, second_state])
        assert list(ledger.leaves(b"a")) == first
        assert list(ledger.leaves(b"a/b")) == second
        assert list(ledger.leaves(b"A")) == []

    def test_a_chain_goes_on_over_commits_and_processes(self, reopen: Reopen) -> None:
        leaves, _ = chain(FOLDER, 4)
        previous = FIRST_PREVIOUS
        for number in range(4):
            more, state = chain(FOLDER, 1, number, previous)
            reopen().commit(leaves=more, states=[state])
            previous = state.tip
        assert uids(list(reopen().leaves(FOLDER))) == uids(leaves) == list(range(1, 13))

    @pytest.mark.parametrize("wrong", ["a gap", "a repetition", "another previous leaf", "another first leaf"])
    def test_a_leaf_that_does_not_continue_its_chain_is_refused_and_nothing_is_written(
        self, reopen: Reopen, wrong: str
    ) -> None:
        ledger = reopen()
        leaves, state = chain(FOLDER, 2)
        ledger.commit(leaves=leaves, states=[state])
        more, later = {
            "a gap": chain(FOLDER, 1, 3, state.tip),
            "a repetition": chain(FOLDER, 1, 1, leaves[0].digest),
            "another previous leaf": chain(FOLDER, 1, 2, leaves[0].digest),
            "another first leaf": chain(FOLDER, 1),
        }[wrong]
        with pytest.raises(ValueError, match="does not continue"):
            ledger.commit(leaves=more, states=[later], left_behind=[row(1)])
        assert list(ledger.leaves(FOLDER)) == leaves
        assert ledger.states() == [state]
        assert list(ledger.left_behind()) == []

    def test_a_commit_whose_second_leaf_is_wrong_writes_not_even_the_first(self, reopen: Reopen) -> None:
        leaves, state = chain(FOLDER, 2)
        ledger = reopen()
        with pytest.raises(ValueError, match="does not continue"):
            ledger.commit(leaves=[leaves[0], leaves[0]], states=[state])
        assert list(ledger.leaves(FOLDER)) == []
        assert ledger.states() == []

    def test_a_state_must_name_the_end_of_its_chain(self, reopen: Reopen) -> None:
        leaves, state = chain(FOLDER, 2)
        ledger = reopen()
        for wrong in (replace(state, leaves=1), replace(state, tip=bytes(32)), FolderState(FOLDER, FOLDER, 7)):
            with pytest.raises(ValueError, match="its chain has 2"):
                ledger.commit(leaves=leaves, states=[wrong])
        ledger.commit(leaves=leaves, states=[state])
        with pytest.raises(ValueError, match="its chain has 2"):
            ledger.begin([FolderState(FOLDER, FOLDER, 7)])

    def test_a_state_is_replaced_and_its_leaves_stay(self, reopen: Reopen) -> None:
        leaves, state = chain(FOLDER, 2)
        renumbered = replace(state, source_uidvalidity=8, watermark=0, totals={}, intent_uidnext=3)
        ledger = reopen()
        ledger.commit(leaves=leaves, states=[state])
        ledger.begin([renumbered])
        assert ledger.states() == [renumbered]
        assert list(ledger.leaves(FOLDER)) == leaves

    def test_a_message_left_behind_has_one_row_the_latest(self, reopen: Reopen) -> None:
        ledger = reopen()
        ledger.commit(left_behind=[row(5), row(6)])
        ledger.commit(left_behind=[row(5, Outcome.VANISHED)])
        assert list(reopen().left_behind()) == [row(5, Outcome.VANISHED), row(6)]

    def test_resolved_rows_go_and_unknown_ones_do_no_harm(self, reopen: Reopen) -> None:
        ledger = reopen()
        ledger.commit(left_behind=[row(5), row(6)])
        ledger.commit(resolved=[(FOLDER, 7, 5), (FOLDER, 8, 6), (b"other", 7, 6)])
        assert list(reopen().left_behind()) == [row(6)]

    def test_a_row_resolved_and_put_again_in_one_commit_is_there(self, reopen: Reopen) -> None:
        ledger = reopen()
        ledger.commit(left_behind=[row(5)])
        ledger.commit(left_behind=[row(5, Outcome.TOO_BIG)], resolved=[(FOLDER, 7, 5)])
        assert list(ledger.left_behind()) == [row(5, Outcome.TOO_BIG)]

    def test_rows_come_by_folder_and_uid_however_many_they_are(self, reopen: Reopen) -> None:
        rows = [row(uid, folder=folder) for folder in (b"a", b"b") for uid in range(1, 702)]
        reopen().commit(left_behind=rows[::-1])
        assert list(reopen().left_behind()) == rows

    def test_a_listing_under_way_is_not_upset_by_a_commit(self, reopen: Reopen) -> None:
        leaves, state = chain(FOLDER, 3)
        ledger = reopen()
        ledger.commit(leaves=leaves, states=[state])
        listing = ledger.leaves(FOLDER)
        first = next(listing)
        more, later = chain(FOLDER, 1, 3, state.tip)
        ledger.commit(leaves=more, states=[later])
        assert [first, *listing] == leaves

    def test_leaves_come_out_as_they_are_stored_for_whoever_looks_for_damage(self, reopen: Reopen) -> None:
        ledger = reopen()
        leaves, state = chain(FOLDER, 20)
        ledger.commit(leaves=leaves, states=[state])
        assert list(reopen().stored_leaves(FOLDER)) == leaves
        assert list(reopen().stored_leaves(b"another")) == []


class FullLedgerContract(LedgerContract):
    """The contract of migrator.transfer.ledger.NamingLedger, SendingLedger and ScriptLedger. ``reopen`` returns one."""

    @pytest.fixture
    def reopen(self) -> ReopenFull:
        raise NotImplementedError("a subclass says how its ledger is opened")

    def test_numbers_of_messages_come_back_and_those_of_an_earlier_numbering_go(self, reopen: ReopenFull) -> None:
        ledger = reopen()
        assert list(ledger.message_names()) == []
        first = [MessageName(b"INBOX", 1, uid, b"\xff name %d" % uid) for uid in range(3)]
        other = MessageName(b"Other", 1, 1, b"x")
        ledger.note_names([*first, other])
        ledger.note_names([MessageName(b"INBOX", 1, 3, b"new")])
        assert list(reopen().message_names()) == [*first, MessageName(b"INBOX", 1, 3, b"new"), other]
        reopen().note_names([MessageName(b"INBOX", 2, 0, b"")])
        assert list(reopen().message_names()) == [MessageName(b"INBOX", 2, 0, b""), other]

    def test_more_numbers_than_are_fetched_at_once_come_back(self, reopen: ReopenFull) -> None:
        names = [MessageName(b"INBOX", 1, uid, b"%d" % uid) for uid in range(12_001)]
        reopen().note_names(names)
        assert list(reopen().message_names()) == names

    def test_an_intent_to_send_is_there_for_the_next_process_until_it_is_cleared(self, reopen: ReopenFull) -> None:
        first, second = Sending(b"INBOX", 1, 5, bytes(32)), Sending(b"INBOX", 1, 6, b"\xff" * 32)
        other = Sending(b"Other", 3, 1, bytes(32))
        for sending in (first, second, other):
            reopen().note_sending(sending)
        known = first._replace(canonical=b"\x01" * 32)
        reopen().note_sending(known)
        assert sorted(reopen().sending()) == [known, second, other]
        reopen().clear_sending(first)
        reopen().clear_sending(first)
        assert sorted(reopen().sending()) == [second, other]

    def test_what_is_known_of_scripts_is_there_for_the_next_process(self, reopen: ReopenFull) -> None:
        begun = ScriptState(b"\xc3\xbc \xff", b"=?x?=", intent=b"\x01" * 32)
        other = ScriptState(b"a", b"a", b"\x02" * 32, b"\x03" * 32, b"", 2)
        reopen().note_scripts([begun, other])
        assert reopen().script_states() == [other, begun]
        done = begun._replace(source_digest=begun.intent, target_digest=begun.intent, intent=b"", activation=1)
        reopen().note_scripts([done])
        assert reopen().script_states() == [other, done]
        reopen().note_scripts([])
        assert reopen().script_states() == [other, done]
