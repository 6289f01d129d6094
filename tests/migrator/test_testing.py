"""The world in memory breaks as real ones do: what is planned happens, exactly there, and leaves what it should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from migrator.errors import MigratorError, Patience, Radius, Side, Stopped
from migrator.events import FlagsLost, Progress
from migrator.limits import Limits
from migrator.mail import Message, NewFolder
from migrator.stores.base import ReadRequest, Receipt, ScanRequest, Trouble
from migrator.testing import (
    FakeClock,
    FaultKind,
    FaultPlan,
    FaultyLedger,
    Killed,
    MemoryMailbox,
    MemorySource,
    MemoryTarget,
    RecordingSink,
)
from migrator.transfer.memory_ledger import MemoryLedger

SMALL = Limits(bundle_messages=2, window_messages=4, whole_bytes=100)


def body(number: int, size_bytes: int = 0) -> bytes:
    return b"Subject: %d\r\n\r\nbody\r\n" % number + b"x" * size_bytes


def messages(target: MemoryMailbox, count: int, folder: str = "INBOX", first: int = 1) -> Iterator[Message]:
    for number in range(first, first + count):
        whole = body(number)
        yield Message(target.path("INBOX"), number, len(whole), whole, target=target.path(folder))


def stored(target: MemoryMailbox, folder: str = "INBOX") -> list[bytes]:
    return [message.body for message in target[folder].messages.values()]


def append_until_it_breaks(store: MemoryTarget, feed: Iterator[Message]) -> list[Receipt]:
    receipts: list[Receipt] = []
    with pytest.raises((MigratorError, Killed, Stopped)):
        receipts.extend(store.append(feed))
    return receipts


# faults


def test_every_call_to_the_world_is_counted_and_named() -> None:
    source, target = MemoryMailbox(), MemoryMailbox()
    source.deliver("INBOX", body(1))
    source.deliver("INBOX", body(2, 200_000))
    plan = FaultPlan()
    reader, writer = MemorySource(source, plan, SMALL), MemoryTarget(target, plan, SMALL)
    ledger = FaultyLedger(MemoryLedger(), plan)
    ledger.states()
    reader.folders()
    assert len(list(reader.scan([ScanRequest(source.path("INBOX"))]))) == 2
    writer.ensure_folders([NewFolder(target.path("INBOX"), False, False, None)])
    ledger.begin([])
    reads = reader.read([ReadRequest(source.path("INBOX"), [1, 2])])
    feed = (replace(item, target=target.path("INBOX")) for item in reads if isinstance(item, Message))
    assert len(list(writer.append(feed))) == 1
    writer.set_flags({target.path("INBOX"): {1: frozenset({"\\Seen"})}})
    ledger.commit()
    assert plan.calls == [
        "ledger.states",
        "source.connect",
        "source.folders",
        "source.scan",
        "target.connect",
        "target.create",
        "ledger.begin",
        "source.open",
        "source.read",
        "source.read",
        *["source.read.more"] * 4,
        "target.store",
        "target.receipt",
        "target.set_flags",
        "ledger.commit",
    ]
    assert plan.fired == []


@pytest.mark.parametrize(
    ("kind", "exception", "is_done"),
    [
        (FaultKind.KILL, Killed, False),
        (FaultKind.KILL_AFTER, Killed, True),
        (FaultKind.LINE, MigratorError, False),
        (FaultKind.LOST_ANSWER, MigratorError, True),
    ],
)
def test_a_fault_comes_before_or_after_the_effect(
    kind: FaultKind, exception: type[BaseException], is_done: bool
) -> None:
    target = MemoryMailbox()
    plan = FaultPlan(at=1, kind=kind)
    store = MemoryTarget(target, plan, SMALL)
    with pytest.raises(exception):
        list(store.append(messages(target, 2)))
    assert plan.fired == ["target.store"]
    assert len(stored(target)) == (2 if is_done else 0)


def test_a_lost_line_is_an_error_that_says_so() -> None:
    with pytest.raises(MigratorError) as caught:
        MemorySource(MemoryMailbox(), FaultPlan(at=1, kind="line")).folders()
    error = caught.value
    assert (error.code, error.side, error.radius, error.patience) == (
        "line.lost",
        Side.SOURCE,
        Radius.ACCOUNT,
        Patience.NOW,
    )


def test_after_a_kill_nothing_more_happens_not_even_in_finally() -> None:
    target = MemoryMailbox()
    plan = FaultPlan(at=1, kind="kill")
    store, ledger = MemoryTarget(target, plan, SMALL), MemoryLedger()
    with pytest.raises(Killed):
        list(store.append(messages(target, 2)))
    with pytest.raises(Killed):
        FaultyLedger(ledger, plan).begin([])
    with pytest.raises(Killed):
        store.folders()


def test_nobody_catches_a_kill_by_catching_exceptions() -> None:
    assert not issubclass(Killed, Exception)


def test_a_ledger_has_no_line_to_lose() -> None:
    plan = FaultPlan(at=0, kind="lost_answer")
    FaultyLedger(MemoryLedger(), plan).begin([])
    assert plan.fired == []


def test_a_fault_may_come_at_many_calls() -> None:
    mailbox = MemoryMailbox()
    store = MemorySource(mailbox, FaultPlan(at=range(3), kind="line"))
    for _ in range(3):
        with pytest.raises(MigratorError):
            store.folders()
    assert len(store.folders()) == 1


def test_others_may_act_right_before_a_call() -> None:
    mailbox = MemoryMailbox()
    plan = FaultPlan(at=1, act=lambda: mailbox.deliver("INBOX", body(1)))
    (folder,) = MemorySource(mailbox, plan).folders()
    assert folder.messages == 1


# appending


def test_receipts_come_later_than_effects() -> None:
    target = MemoryMailbox()
    receipts = MemoryTarget(target, limits=SMALL).append(messages(target, 20))
    first = next(receipts)
    assert [message.uid for message in first.messages] == [1, 2]
    assert len(stored(target)) == 6
    assert sum(len(receipt.messages) for receipt in receipts) == 18


@pytest.mark.parametrize("kind", ["kill", "line"])
def test_a_crash_leaves_bundles_stored_that_nobody_confirmed(kind: str) -> None:
    target = MemoryMailbox()
    plan = FaultPlan(at=4, kind=kind)  # connect, three bundles, and the first receipt
    receipts = append_until_it_breaks(MemoryTarget(target, plan, SMALL), messages(target, 20))
    assert receipts == []
    assert stored(target) == [body(number) for number in range(1, 7)]


def test_when_the_feed_fails_between_messages_what_was_sent_is_confirmed() -> None:
    target = MemoryMailbox()

    def feed() -> Iterator[Message]:
        yield from messages(target, 3)
        raise Stopped

    receipts: list[Receipt] = []
    items = MemoryTarget(target, limits=SMALL).append(feed())
    with pytest.raises(Stopped):
        receipts.extend(items)
    assert sum(len(receipt.messages) for receipt in receipts) == 3
    assert stored(target) == [body(1), body(2), body(3)]


def test_bundles_are_stored_whole_or_not_at_all() -> None:
    refusal = MigratorError("message.refused", side=Side.TARGET)
    target = MemoryMailbox(refuse=lambda message, _: refusal if message.uid == 4 else None)
    receipts = list(MemoryTarget(target, limits=SMALL).append(messages(target, 6)))
    assert [receipt.error for receipt in receipts] == [None, refusal, None]
    assert stored(target) == [body(1), body(2), body(5), body(6)]


def test_without_multiappend_each_message_is_its_own_bundle() -> None:
    target = MemoryMailbox(multiappend=False)
    receipts = list(MemoryTarget(target, limits=SMALL).append(messages(target, 3)))
    assert [len(receipt.messages) for receipt in receipts] == [1, 1, 1]


@pytest.mark.parametrize(
    ("manners", "code", "stays"),
    [
        ({"append_limit_bytes": 10}, "message.too_big", 0),
        ({"quota_bytes": 3 * len(body(1))}, "target.full", 2),
    ],
)
def test_limits_of_the_server_refuse(manners: dict[str, int], code: str, stays: int) -> None:
    target = MemoryMailbox(**manners)
    receipts = list(MemoryTarget(target, limits=SMALL).append(messages(target, 4)))
    assert receipts[-1].error is not None
    assert receipts[-1].error.code == code
    assert len(stored(target)) == stays


def test_an_empty_message_and_a_missing_folder_are_refused() -> None:
    target = MemoryMailbox()
    empty = Message(target.path("INBOX"), 1, 0, b"", target=target.path("INBOX"))
    lost = Message(target.path("INBOX"), 2, 4, b"a\r\n\n", target=target.path("Gone"))
    codes = [receipt.error and receipt.error.code for receipt in MemoryTarget(target).append([empty, lost])]
    assert codes == ["message.empty", "folder.missing"]


def test_a_server_may_store_another_form_than_it_was_sent() -> None:
    target = MemoryMailbox(canonicalise=True)
    raw = b"h: a\n\nb\0c"
    list(MemoryTarget(target).append([Message(target.path("INBOX"), 1, len(raw), raw, target=target.path("INBOX"))]))
    assert stored(target) == [b"h: a\r\n\r\nb\x80c\r\n"]


def test_without_uidplus_receipts_tell_no_uids() -> None:
    target = MemoryMailbox(uidplus=False)
    (receipt,) = MemoryTarget(target).append(messages(target, 2))
    assert (receipt.target_uids, receipt.target_uidvalidity, receipt.error) == (None, None, None)


def test_flags_a_folder_does_not_keep_are_gone() -> None:
    target = MemoryMailbox(permanent_flags=frozenset({"\\Seen"}))
    (message,) = messages(target, 1)
    message.flags = frozenset({"\\Seen", "\\Flagged", "work"})
    store = MemoryTarget(target)
    list(store.append([message]))
    assert target["INBOX"].messages[1].flags == {"\\Seen"}
    store.set_flags({target.path("INBOX"): {1: frozenset({"work"})}})
    assert target["INBOX"].messages[1].flags == frozenset()


# reading


def test_a_server_may_lie_about_sizes_and_keep_messages_to_itself() -> None:
    source = MemoryMailbox()
    for number in (1, 2):
        source.deliver("INBOX", body(number))
    source["INBOX"].messages[1].told_bytes = 7
    source["INBOX"].messages[2].is_readable = False
    store, path = MemorySource(source), source.path("INBOX")
    sizes = [meta.size_bytes for meta in store.scan([ScanRequest(path)])]
    assert sizes == [7, len(body(2))]
    (message,) = store.read([ReadRequest(path, [1, 2])])
    assert (message.uid, message.size_bytes) == (1, len(body(1)))


def test_renumbering_changes_uids_and_uidvalidity_and_nothing_else() -> None:
    source = MemoryMailbox()
    for number in range(1, 5):
        source.deliver("INBOX", body(number), ["\\Seen"], internal_date=number)
    source["INBOX"].expunge(2)
    folder, before = source["INBOX"], source.contents()
    numbering = folder.uidvalidity
    folder.renumber()
    assert source.contents() == before
    assert list(folder.messages) == [1, 2, 3]
    assert folder.uidvalidity != numbering
    (trouble,) = MemorySource(source).scan([ScanRequest(folder.path, numbering)])
    assert isinstance(trouble, Trouble)


def test_a_stream_left_half_taken_is_a_mistake_of_the_caller() -> None:
    source = MemoryMailbox()
    source.deliver("INBOX", body(1, 200_000))
    source.deliver("INBOX", body(2))
    items = MemorySource(source, limits=SMALL).read([ReadRequest(source.path("INBOX"), [1, 2])])
    message = next(items)
    assert isinstance(message, Message)
    assert message.stream is not None
    next(message.stream)
    with pytest.raises(AssertionError, match="in full"):
        next(items)


def test_two_requests_at_once_are_a_mistake_of_the_caller() -> None:
    source = MemoryMailbox()
    source.deliver("INBOX", body(1))
    store = MemorySource(source)
    items = store.scan([ScanRequest(source.path("INBOX"))])
    next(items)
    with pytest.raises(AssertionError, match="outstanding"):
        store.folders()


def test_a_lost_line_costs_the_session() -> None:
    source = MemoryMailbox()
    store = MemorySource(source, FaultPlan(at=1, kind="line"))
    with pytest.raises(MigratorError):
        store.folders()
    store.folders()
    store.folders()
    assert store.connections == 2


# witnesses


def test_the_clock_moves_only_when_somebody_waits() -> None:
    clock = FakeClock(now=100.0)
    assert (clock.now(), clock.monotonic()) == (100.0, 0.0)
    clock.wait(2.5)
    assert (clock.now(), clock.monotonic(), clock.waits) == (102.5, 2.5, [2.5])


def test_the_sink_keeps_events_in_order_and_by_kind() -> None:
    sink = RecordingSink()
    first, second = Progress(messages=1, size_bytes=2), FlagsLost(folder="INBOX", flag="work", messages=3)
    for event in (first, second, first):
        sink.emit(event)
    assert sink.events == [first, second, first]
    assert sink.of(Progress) == [first, first]
