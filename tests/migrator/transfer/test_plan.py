from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.mail import NO_FLAGS, Flags, Folder, FolderPath, MessageMeta, Outcome
from migrator.transfer.ledger import FolderState
from migrator.transfer.plan import (
    Append,
    CompareFlags,
    CopyPolicy,
    Depth,
    FlagTable,
    Leave,
    MessageFilter,
    Mode,
    Pending,
    kept_flags,
    plan_messages,
    scan_depth,
)

PATH = FolderPath(b"INBOX")
FOLDER = Folder(PATH, uidvalidity=7, uidnext=10, messages=9, highestmodseq=50)
STATE = FolderState(
    b"INBOX", b"INBOX", 7, 1, watermark=9, is_complete=True, source_uidnext=10, source_messages=9, source_modseq=50
)
STAGE, CATCH_UP = CopyPolicy(), CopyPolicy(mode=Mode.CATCH_UP)


def meta(uid: int, size: int = 100, flags: Flags = NO_FLAGS, date: int | None = 5) -> MessageMeta:
    return MessageMeta(PATH, uid, size, date, 60, flags)


@pytest.mark.parametrize(
    ("folder", "state", "condstore", "policy", "depth"),
    [
        (FOLDER, None, True, STAGE, Depth.FULL),
        (FOLDER, STATE, True, STAGE, Depth.NONE),
        (FOLDER, STATE, False, STAGE, Depth.FULL),
        (FOLDER, STATE, False, CATCH_UP, Depth.NONE),
        (replace(FOLDER, highestmodseq=51), STATE, True, STAGE, Depth.CHANGES),
        (replace(FOLDER, highestmodseq=None), STATE, True, STAGE, Depth.FULL),
        (replace(FOLDER, uidnext=11, messages=10), STATE, True, STAGE, Depth.CHANGES),
        (replace(FOLDER, uidvalidity=8), STATE, True, STAGE, Depth.FULL),
        (FOLDER, replace(STATE, is_complete=False), True, STAGE, Depth.FULL),
        (FOLDER, STATE, True, CopyPolicy(retry_left_behind=True), Depth.FULL),
        (FOLDER, STATE, True, CopyPolicy(compare_all_flags=True), Depth.FULL),
        (FOLDER, replace(STATE, totals={Outcome.FILTERED: 1}), True, STAGE, Depth.FULL),
    ],
)
@pytest.mark.req("D-33")
def test_a_folder_is_scanned_as_deep_as_its_counters_ask(
    folder: Folder, state: FolderState | None, condstore: bool, policy: CopyPolicy, depth: Depth
) -> None:
    assert scan_depth(folder, state, condstore=condstore, policy=policy) is depth


def decide(metas: list[MessageMeta], policy: CopyPolicy = STAGE, **known: object) -> list[object]:
    ledger: dict[str, object] = {"watermark": 0, "above_watermark": set(), "left_behind": {}, **known}
    return list(plan_messages(metas, append_limit_bytes=1000, policy=policy, **ledger))  # type: ignore[arg-type]


@pytest.mark.req("D-80")
def test_each_message_gets_the_operation_its_record_flags_and_size_ask_for() -> None:
    recorded, above, fresh = meta(3), meta(8), meta(9)
    deleted, big = meta(10, flags=frozenset({"\\Deleted"})), meta(11, size=1001)
    assert decide([recorded, above, fresh, deleted, big], watermark=5, above_watermark={8}) == [
        CompareFlags(recorded),
        CompareFlags(above),
        Append(fresh),
        Leave(deleted, Outcome.MARKED_DELETED),
        Leave(big, Outcome.TOO_BIG),
    ]
    assert decide([deleted], CopyPolicy(copy_deleted=True)) == [Append(deleted)]


def test_a_message_left_behind_is_tried_again_only_for_a_reason() -> None:
    left = {1: Outcome.MARKED_DELETED, 2: Outcome.MARKED_DELETED, 3: Outcome.REFUSED}
    metas = [meta(1), meta(2, flags=frozenset({"\\Deleted"})), meta(3)]
    assert decide(metas, watermark=5, left_behind=left) == [Append(metas[0])]
    again = decide(metas, CopyPolicy(retry_left_behind=True), watermark=5, left_behind=left)
    assert again == [Append(metas[0]), Append(metas[2])]


def test_what_is_outside_the_dates_and_sizes_asked_for_stays_behind_until_it_is_asked_for() -> None:
    wanted = MessageFilter(since=100, before=200, smallest_bytes=10, biggest_bytes=20)
    inside = [meta(1, 10, date=100), meta(2, 20, date=199), meta(3, 15, date=None)]
    outside = [meta(4, 15, date=99), meta(5, 15, date=200), meta(6, 9, date=150), meta(7, 21, date=150)]
    policy = CopyPolicy(wanted=wanted)
    assert decide(inside + outside, policy) == [
        *map(Append, inside),
        *(Leave(each, Outcome.FILTERED) for each in outside),
    ]
    left = {each.uid: Outcome.FILTERED for each in outside}
    known = {"watermark": 9, "left_behind": left}
    assert decide(outside, policy, **known) == []
    assert decide(outside, CopyPolicy(), **known) == list(map(Append, outside))
    assert decide(outside, replace(policy, retry_left_behind=True), **known) == []


@pytest.mark.req("D-77")
def test_flags_a_target_does_not_keep_are_taken_off() -> None:
    flags = frozenset({"\\Seen", "work", "\\Odd"})
    assert kept_flags(flags, None) == flags
    assert kept_flags(flags, frozenset({"\\Seen", "\\*"})) == {"\\Seen", "work"}
    assert kept_flags(flags, frozenset({"\\seen", "WORK"})) == {"\\Seen", "work"}
    assert kept_flags(flags, frozenset()) == NO_FLAGS


@given(st.lists(st.tuples(st.integers(1, 2**32), st.integers(0, 2**40), st.none() | st.integers(-(2**40), 2**40))))
def test_pending_messages_come_out_as_they_went_in(messages: list[tuple[int, int, int | None]]) -> None:
    pending, at_once = Pending(FlagTable()), Pending(FlagTable())
    metas = [meta(uid, size, frozenset({str(uid % 3)}), date) for uid, size, date in messages]
    for each in metas:
        pending.add(each)
    if metas:
        at_once.extend(metas)
    for at in range(len(metas)):
        assert (at_once.uids[at], at_once.size_bytes(at)) == (pending.uids[at], pending.size_bytes(at))
        assert (at_once.date(at), at_once.flags(at)) == (pending.date(at), pending.flags(at))
    assert len(pending) == len(messages)
    assert pending.total_bytes() == sum(size for _, size, _ in messages)
    for at, (uid, size, date) in enumerate(messages):
        assert (pending.uids[at], pending.size_bytes(at)) == (uid, size)
        assert pending.date(at) == ((None, 0) if date is None else (date, 60))
        assert pending.flags(at) == {str(uid % 3)}
