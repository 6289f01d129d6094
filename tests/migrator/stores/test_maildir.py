"""Mail in a Maildir: what counts as a message, what its name and its small files say, and what its owner does to it."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.errors import MigratorError
from migrator.events import FileSkipped, StoreExposed
from migrator.mail import FolderPath, Message, MessageMeta, Outcome
from migrator.stores import maildir_names as names
from migrator.stores.base import ReadRequest, ScanRequest
from migrator.stores.maildir import MaildirSource
from migrator.testing import MemoryMailbox, MemoryTarget
from migrator.testing.witnesses import FakeClock
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from tests.contracts.store import Letter, letter, taken
from tests.migrator.stores.test_mbox import SMALL, Log
from tests.rigs.mailfiles import deliver, maildir_folder, write_maildir

INBOX = FolderPath(b"INBOX", ".")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty Maildir."""
    maildir_folder(tmp_path / "Maildir", ("INBOX",))
    (tmp_path / "Maildir").chmod(0o700)
    return tmp_path / "Maildir"


def metas(store: MaildirSource, path: FolderPath = INBOX) -> list[MessageMeta]:
    found = []
    for item in store.scan([ScanRequest(path)]):
        assert isinstance(item, MessageMeta), item
        found.append(item)
    return found


def bodies(store: MaildirSource, path: FolderPath = INBOX) -> list[bytes]:
    found = []
    for item in store.read([ReadRequest(path, [meta.uid for meta in metas(store, path)])]):
        assert isinstance(item, Message), item
        found.append(taken(item))
    return found


@pytest.mark.req("D-106")
def test_only_cur_and_new_count_sizes_in_names_do_not_and_small_letters_are_keywords(root: Path) -> None:
    body = b"Subject: x\n\nbody\n"
    deliver(root, body, 1_000_000_000)
    (root / "tmp" / "1.half.host").write_bytes(b"Subject: not delivered yet\n")
    (root / "cur" / "2.lying,S=99999,W=1:2,FSac").write_bytes(body)
    (root / "cur" / ".nfs0001").write_bytes(b"no mail")
    (root / "dovecot-keywords").write_text("0 $Junk\n1 unused\n2 Projekt-A\n3 (no atom)\n")
    with MaildirSource(root) as store:
        (folder,) = store.folders()
        assert folder.messages == 2
        found = {meta.flags: meta.size_bytes for meta in metas(store)}
        assert found == {
            frozenset(): len(body),
            frozenset({"\\Flagged", "\\Seen", "$Junk", "Projekt-A"}): len(body),
        }
        assert bodies(store) == [b"Subject: x\r\n\r\nbody\r\n"] * 2


def test_a_maildir_of_a_server_has_its_numbers_subscriptions_and_folders(root: Path) -> None:
    write_maildir(root, {("INBOX",): [letter(1)], ("Sent",): [letter(2)], ("Projekte", "Müller"): [letter(3)]})
    base = names.base_of(os.fsencode(next((root / "new").iterdir()).name))
    (root / "dovecot-uidlist").write_bytes(b"3 V1234 N42 G0123\n41 W100 S90 :" + base + b"\n40 :1.gone.host\n")
    (root / "subscriptions").write_bytes(b"Sent\nRemoved\n")
    with MaildirSource(root) as store:
        found = {folder.path.display: folder for folder in store.folders()}
        assert found.keys() == {"INBOX", "Sent", "Projekte/Müller"}
        assert (found["INBOX"].uidvalidity, found["INBOX"].uidnext) == (1234, 42)
        assert [meta.uid for meta in metas(store)] == [41]
        assert {name for name, folder in found.items() if folder.subscribed} == {"INBOX", "Sent"}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (b"3 V7 N9 Gabc\n3 :a\n8 W1 :b:2,S\n", (7, 9, {b"a": 3, b"b": 8})),
        (b"1 7 9\n3 a\n8 b\n", (7, 9, {b"a": 3, b"b": 8})),
        (b"2 7 9\n", None),
        (b"3 N9\n", None),
        (b"", None),
        (b"3 V7 N9\n\xff\xfe :\nno number :x\n", (7, 9, {})),
    ],
)
def test_lists_of_numbers_are_read_in_the_forms_of_dovecot_and_courier(written: bytes, found: object) -> None:
    assert names.uid_list(written) == found


def test_subscriptions_are_read_in_the_forms_of_dovecot_and_courier() -> None:
    expected = {b"Sent", b"A.B"}
    assert names.subscriptions(b"Sent\nA.B\n") == expected
    assert names.subscriptions(b"V\t2\n\nSent\nA\tB\n") == expected
    assert names.subscriptions(b"INBOX.Sent\nINBOX.A.B\n", b"INBOX.") == expected
    assert names.subscriptions(b"V\t2\n\nA\tB\n", separator=b"/") == {b"A/B"}
    assert names.subscriptions(b"INBOX.Sent\nblank \n") == {b"INBOX.Sent", b"blank "}


def test_a_file_renamed_or_removed_after_it_was_listed_is_found_or_left_out(root: Path) -> None:
    write_maildir(root, {("INBOX",): [letter(number) for number in range(4)]})
    with MaildirSource(root, SMALL) as store:
        uids = [meta.uid for meta in metas(store)]
        files = sorted((root / "new").iterdir())
        files[1].rename(root / "cur" / f"{files[1].name}:2,S")
        files[2].unlink()
        found = [item for item in store.read([ReadRequest(INBOX, uids)]) if isinstance(item, Message)]
        assert [(item.uid, taken(item)) for item in found] == [
            (uids[number], letter(number).body) for number in (0, 1, 3)
        ]


def test_reading_leaves_the_maildir_as_it_was(root: Path) -> None:
    write_maildir(root, {("INBOX",): [letter(1), letter(2, flags=["\\Seen"])], ("Sent",): [letter(3)]})

    def state() -> list[tuple[str, float]]:
        return sorted((str(path), path.stat().st_mtime) for path in root.rglob("*"))

    before = state()
    with MaildirSource(root) as store:
        store.folders()
        assert len(bodies(store)) == 2
    assert state() == before


class Mover:
    """Copies one Maildir again and again, each time with a new store."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.target = MemoryMailbox()
        self.ledger = MemoryLedger()

    def run(self) -> PassResult:
        with MaildirSource(self.root, SMALL) as source, MemoryTarget(self.target) as target:
            return run_pass(source, target, self.ledger, limits=SMALL, clock=FakeClock())


def test_whatever_its_owner_does_between_two_runs_nothing_is_doubled_or_lost(root: Path) -> None:
    mover = Mover(root)
    write_maildir(root, {("INBOX",): [letter(number) for number in range(4)]})
    assert [mover.run().appended for _ in range(2)] == [4, 0]
    files = sorted((root / "new").iterdir())
    files[0].rename(root / "cur" / f"{files[0].name}:2,S")
    files[2].unlink()
    deliver(root, letter(7).body, 1_000_000_000)
    result = mover.run()
    assert (result.appended, result.flag_changes, result.is_balanced) == (1, 1, True)
    server = b"3 V99 N9 Gx\n"
    for number, file in enumerate((root / "new").iterdir(), 1):
        server += b"%d :%s\n" % (number, os.fsencode(file.name))
    server += b"8 :%s\n" % os.fsencode(files[0].name)
    (root / "dovecot-uidlist").write_bytes(server)
    result = mover.run()
    assert (result.error, result.appended, result.is_balanced) == (None, 0, True)


def test_mail_that_comes_while_it_is_copied_is_copied_now_or_next_time(root: Path) -> None:
    mover = Mover(root)
    write_maildir(root, {("INBOX",): [letter(number) for number in range(6)]})

    class Busy(MemoryTarget):
        def append(self, messages: Iterator[Message], **options: int | None) -> Iterator[object]:  # type: ignore[override]
            return super().append(self._meddle(messages), **options)  # type: ignore[arg-type]

        def _meddle(self, messages: Iterator[Message]) -> Iterator[Message]:
            for number, message in enumerate(messages):
                deliver(root, letter(100 + number).body, 1_000_000_000)
                yield message

    with MaildirSource(root, SMALL) as source, Busy(mover.target) as target:
        run_pass(source, target, mover.ledger, limits=SMALL, clock=FakeClock())
    assert mover.run().is_balanced
    folder = mover.target.find(INBOX)
    assert folder is not None
    arrived = sorted(message.body for message in folder.messages.values())
    assert arrived == sorted(letter(number).body for number in (*range(6), *range(100, 106)))


@pytest.mark.parametrize("part", ["folder", "message"])
def test_links_out_of_the_maildir_are_not_followed(root: Path, tmp_path: Path, part: str) -> None:
    other = tmp_path / "other"
    write_maildir(other, {("INBOX",): [letter(66)], ("Sent",): [letter(67)]})
    write_maildir(root, {("INBOX",): [letter(1)]})
    log = Log()
    with MaildirSource(root) as store:
        if part == "folder":
            (root / ".Sent").symlink_to(other / ".Sent")
            assert [folder.path.raw for folder in store.folders()] == [b"INBOX"]
            (skipped,) = log.news(store).of(FileSkipped)
            assert isinstance(skipped, FileSkipped)
            assert skipped.error.code == "file.escapes"
            return
        (root / "new" / "9.link.host").symlink_to(next((other / "new").iterdir()))
        uids = [meta.uid for meta in metas(store)]
        assert len(uids) == 2
        assert bodies(store) == [letter(1).body]


@pytest.mark.req("S-5")
def test_a_maildir_open_to_others_is_told_and_one_that_leads_elsewhere_refused(root: Path, tmp_path: Path) -> None:
    log = Log()
    with MaildirSource(root) as store:
        store.folders()
        assert log.news(store).of(StoreExposed) == []
        root.chmod(0o755)
        store.folders()
        store.folders()
        assert log.news(store).of(StoreExposed) == [StoreExposed(path=str(root), is_writable=False)]
    (tmp_path / "secret").write_text("root:*:0:0")
    (root / "cur" / "1.link.host:2,S").symlink_to(tmp_path / "secret")
    with MaildirSource(root) as store:
        assert len(metas(store)) == 1
        assert bodies(store) == []


def test_a_compressed_message_is_named_and_never_handed_on_as_it_is(root: Path) -> None:
    deliver(root, gzip.compress(letter(1).body), 1_000_000_000)
    deliver(root, letter(2).body, 1_000_000_000, 1)
    result = Mover(root).run()
    assert result.totals == {Outcome.COPIED: 1, Outcome.UNREADABLE: 1}


@pytest.mark.parametrize(("make", "code"), [(False, "file.missing"), (True, "file.not_mail")])
def test_what_is_no_maildir_is_an_error(tmp_path: Path, make: bool, code: str) -> None:
    if make:
        (tmp_path / "Maildir").mkdir()
    with MaildirSource(tmp_path / "Maildir") as store, pytest.raises(MigratorError) as caught:
        store.folders()
    assert caught.value.code == code


def test_a_big_message_is_streamed_with_its_exact_length(root: Path) -> None:
    body = b"Subject: x\n\n" + b"line with a bare end\n" * 20_000 + b"\r\r\n\rend"
    deliver(root, body, 1_000_000_000)
    with MaildirSource(root, SMALL) as store:
        items = store.read([ReadRequest(INBOX, [meta.uid for meta in metas(store)])])
        message = next(items)
        assert isinstance(message, Message)
        received = taken(message)
    assert len(received) == message.size_bytes
    assert received == body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert isinstance(Letter(received), Letter)


def test_files_of_one_name_in_two_folders_are_two_messages(root: Path) -> None:
    copy = maildir_folder(root, ("Copy",))
    for number in range(3):
        for folder in (root, copy):  # as a restored backup has them
            (folder / "cur" / f"160000000{number}.M1P{number}.host:2,S").write_bytes(b"Subject: %d\n\nx\n" % number)
    store = MaildirSource(root)
    assert {folder.path.raw: folder.messages for folder in store.folders()} == {b"INBOX": 3, b"Copy": 3}
    assert len(bodies(store, FolderPath(b"Copy", "."))) == 3
