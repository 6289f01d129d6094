"""Leaves: how records are packed, chained and checked."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mail import Outcome
from migrator.testing import FaultKind, FaultPlan, FaultyLedger
from migrator.transfer.chain import NO_LEAF, Tip, advance
from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Leaf, Record
from migrator.transfer.memory_ledger import MemoryLedger

OCTETS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**64 - 1)
RECORDS = st.builds(
    Record,
    uid=NUMBERS,
    target_uid=NUMBERS,
    size_bytes=NUMBERS,
    internal_date=st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
    outcome=st.none() | st.sampled_from(Outcome),
    source=OCTETS,
    canonical=OCTETS,
)


def sealed(*records: Record, number: int = 0, previous: bytes = FIRST_PREVIOUS) -> Leaf:
    return Leaf.seal(b"INBOX", 3, 4, number, records, previous)


ONE = Record(1, 2, 46, -1, Outcome.COPIED, b"s" * 32, b"c" * 32)


@given(st.lists(RECORDS, max_size=20))
def test_any_records_come_back_as_they_were(records: list[Record]) -> None:
    leaf = sealed(*records)
    assert list(leaf.records()) == records
    assert leaf.is_intact()


def test_the_stored_form_is_the_one_of_version_1() -> None:
    packed = struct.pack("<QQQqB", 1, 2, 46, -1, 1) + b"s" * 32 + b"c" * 32
    head = struct.pack("<BQQQI", 1, 3, 4, 0, 5) + b"INBOX"
    leaf = sealed(ONE)
    assert leaf.packed == packed
    assert leaf.digest == hashlib.sha256(bytes(32) + head + packed).digest()


@pytest.mark.parametrize(
    "change",
    [
        {"folder": b"INBOX2"},
        {"source_uidvalidity": 4},
        {"target_uidvalidity": 3},
        {"number": 1},
        {"previous": b"p" * 32},
        {"packed": b""},
        {"digest": b"d" * 32},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_leaf_altered_anywhere_is_not_intact(change: dict[str, object]) -> None:
    assert not replace(sealed(ONE), **change).is_intact()


@given(st.lists(RECORDS, min_size=1, max_size=3), st.data())
def test_one_flipped_bit_is_noticed(records: list[Record], data: st.DataObject) -> None:
    leaf = sealed(*records)
    packed = bytearray(leaf.packed)
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert not replace(leaf, packed=bytes(packed)).is_intact()


def test_a_chain_may_go_on_within_one_commit() -> None:
    first = sealed(ONE)
    second = sealed(ONE, number=1, previous=first.digest)
    state = FolderState(b"INBOX", b"INBOX", 3, 4, leaves=2, tip=second.digest)
    advance(lambda folder: NO_LEAF, [first, second], [state])
    advance(lambda folder: Tip(1, first.digest), [second], [state])


def test_leaves_in_the_wrong_order_are_refused() -> None:
    first = sealed(ONE)
    second = sealed(ONE, number=1, previous=first.digest)
    with pytest.raises(ValueError, match="leaf 1 of b'INBOX' does not continue the chain of 0"):
        advance(lambda folder: NO_LEAF, [second, first], [])


def test_a_ledger_can_be_interrupted_like_a_store() -> None:
    ledger = MemoryLedger()
    plan = FaultPlan(at=1, kind=FaultKind.KILL_AFTER)
    faulty = FaultyLedger(ledger, plan)
    assert faulty.states() == []
    with pytest.raises(BaseException, match=r"ledger\.begin"):
        faulty.begin([FolderState(b"INBOX", b"INBOX", 3)])
    assert [state.source for state in ledger.states()] == [b"INBOX"]
    assert plan.calls == ["ledger.states", "ledger.begin"]
