"""Memory is bounded by a few octets a message, whatever a folder holds. The servers here hold nothing at all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from migrator import scratch
from migrator.mail import Flags, Folder, FolderPath, Message, MessageMeta, NewFolder, Outcome
from migrator.stores.base import Closing, Features, ReadRequest, Receipt, ScanRequest
from migrator.transfer import copy as copying
from migrator.transfer import folder_pass
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.file_ledger import LedgerFile
from migrator.transfer.plan import CopyPolicy, MessageFilter
from migrator.transfer.verify import VerifyLevel, verify

INBOX = FolderPath(b"INBOX", "/")
FLAG_SETS: tuple[Flags, ...] = tuple(frozenset({"\\Seen", f"label{number}"}) for number in range(5))
FEW, MANY = 3000, 9000
MOST_OCTETS = 40  # of 500,000 messages, with what every lane needs, less than 32 MB


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is held at most, however many messages there are, be little beside these few thousand."""
    monkeypatch.setattr(scratch, "MOST_HELD", 200)
    for module in (copying, folder_pass):
        monkeypatch.setattr(module, "COMMIT_RECORDS", 200)
    monkeypatch.setattr(copying, "FLAGS_AT_ONCE", 200)


class Crowd(Closing):
    """Both sides of a copy: ``messages`` of them, made when they are asked for."""

    def __init__(self, messages: int, *, uidplus: bool = True, marked: bool = False) -> None:
        self.messages, self._marked = messages, marked
        self.stored_flags: Flags | None = None
        self.features = Features(uidplus=uidplus)
        self.flags_set = 0

    def folders(self) -> list[Folder]:
        return [Folder(INBOX, subscribed=True, uidvalidity=7, uidnext=self.messages + 1, messages=self.messages)]

    def prefix(self) -> tuple[str, str | None]:
        return "", "/"

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta]:
        for request in requests:
            for uid in range(request.after_uid + 1, self.messages + 1):
                flags = self.stored_flags or FLAG_SETS[uid % 5]
                yield MessageMeta(INBOX, uid, len(body(uid)), uid * 60 + 1_600_000_000, 60, flags)

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message]:
        for request in requests:
            for uid in request.uids:
                text = body(uid, marked=self._marked)
                yield Message(INBOX, uid, len(text), text)

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder]:
        return [self.folders()[0] for _ in folders]

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        bundle: list[Message] = []
        for message in messages:
            bundle.append(message)
            message.whole = None
            if len(bundle) == 500:
                yield self._receipt(bundle)
                bundle = []
        if bundle:
            yield self._receipt(bundle)

    def _receipt(self, bundle: list[Message]) -> Receipt:
        uids = range(self.messages + 1, self.messages + len(bundle) + 1)
        self.messages += len(bundle)
        return Receipt(INBOX, bundle, list(uids) if self.features.uidplus else None)

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list:
        self.flags_set += sum(map(len, changes.values()))
        return []

    def drop(self) -> None:
        raise AssertionError("nobody's line drops here")

    def close(self) -> None:
        pass


def body(uid: int, *, marked: bool = False) -> bytes:
    return b"%sSubject: letter %d\r\n\r\nhello\r\n" % (b"X-TUID: abcdefghijkl\r\n" if marked else b"", uid)


def copy(ledger: Path, source: Crowd, target: Crowd, policy: CopyPolicy | None = None) -> PassResult:
    with LedgerFile(ledger) as file:
        result = run_pass(source, target, file.account("a", "b"), policy=policy or CopyPolicy())
    assert result.is_balanced, result
    return result


def octets_a_message(work: Callable[[int], Callable[[], object]]) -> float:
    """Return how much the peak of what ``work`` prepares grows with each message."""
    peaks = []
    for count in (FEW, MANY):
        task = work(count)
        tracemalloc.start()
        try:
            task()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    octets = (peaks[1] - peaks[0]) / (MANY - FEW)
    print(f"{octets:.1f} octets a message")
    return octets


@pytest.mark.long
@pytest.mark.req("D-41")
@pytest.mark.parametrize("uidplus", [True, False])
def test_a_first_copy_holds_a_few_octets_a_message(tmp_path: Path, uidplus: bool) -> None:
    def prepared(count: int) -> Callable[[], object]:
        ledger, source, target = tmp_path / str(count), Crowd(count), Crowd(0, uidplus=uidplus)
        return lambda: check(copy(ledger, source, target), appended=count)

    assert octets_a_message(prepared) < MOST_OCTETS


def check(result: PassResult, *, appended: int = 0, found: int = 0) -> None:
    there = result.totals.get(Outcome.ALREADY_THERE, 0)
    assert (result.appended, there) == (appended, found)


@pytest.mark.long
@pytest.mark.parametrize("change", ["same", "other"])
def test_comparing_all_flags_holds_a_few_octets_a_message(tmp_path: Path, change: str) -> None:
    def prepared(count: int) -> Callable[[], object]:
        ledger, source, target = tmp_path / str(count), Crowd(count), Crowd(0)
        copy(ledger, source, target)
        if change == "other":
            target.stored_flags = FLAG_SETS[0]

        def again() -> None:
            check(copy(ledger, source, target))
            assert target.flags_set == (0 if change == "same" else count - count // 5)

        return again

    assert octets_a_message(prepared) < MOST_OCTETS


@pytest.mark.long
@pytest.mark.parametrize("marked", [False, True])
def test_a_first_contact_with_a_filled_target_holds_a_few_octets_a_message(tmp_path: Path, marked: bool) -> None:
    def prepared(count: int) -> Callable[[], object]:
        ledger, source, target = tmp_path / str(count), Crowd(count), Crowd(count, marked=marked)
        return lambda: check(copy(ledger, source, target), found=count)

    assert octets_a_message(prepared) < MOST_OCTETS


@pytest.mark.long
def test_a_target_full_of_other_mail_holds_a_few_octets_a_message(tmp_path: Path) -> None:
    def prepared(count: int) -> Callable[[], object]:
        ledger, target = tmp_path / str(count), Crowd(count)

        def twice() -> None:
            check(copy(ledger, Crowd(0), target))
            check(copy(ledger, Crowd(1), target), found=1)

        return twice

    assert octets_a_message(prepared) < MOST_OCTETS


@pytest.mark.long
def test_messages_that_are_filtered_out_hold_a_few_octets_each(tmp_path: Path) -> None:
    policy = CopyPolicy(wanted=MessageFilter(before=0))

    def prepared(count: int) -> Callable[[], object]:
        ledger, source, target = tmp_path / str(count), Crowd(count), Crowd(0)

        def twice() -> None:
            for _ in range(2):
                assert copy(ledger, source, target, policy).totals == {Outcome.FILTERED: count}

        return twice

    assert octets_a_message(prepared) < MOST_OCTETS


@pytest.mark.long
def test_verifying_every_byte_holds_a_few_octets_a_message(tmp_path: Path) -> None:
    def prepared(count: int) -> Callable[[], object]:
        path, source, target = tmp_path / str(count), Crowd(count), Crowd(0)
        copy(path, source, target)

        def verified() -> None:
            with LedgerFile(path) as file:
                report = verify(source, target, file.account("a", "b"), level=VerifyLevel.DIGEST)
            assert (report.checked, report.is_clean) == (count, True)

        return verified

    assert octets_a_message(prepared) < MOST_OCTETS
