"""Mail in mbox files: every form of them, what other programs do to them meanwhile, and who may be led astray."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from migrator.errors import MigratorError, Radius
from migrator.events import Event, FieldsMissing, FileSkipped, StoreExposed
from migrator.limits import Limits
from migrator.mail import FolderPath, Message, MessageMeta
from migrator.stores import mbox_syntax
from migrator.stores.base import ReadRequest, ScanRequest
from migrator.stores.maildir import MaildirSource
from migrator.stores.mbox import MboxSource
from migrator.testing import MemoryMailbox, MemoryTarget
from migrator.testing.witnesses import FakeClock
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy, Mode
from tests.contracts.store import Letter, letter, taken
from tests.rigs.mailfiles import mbox_message, write_mbox

FROM: Final = b"From anna@example.test Wed Dec  2 05:53:22 1992\n"
INBOX: Final = FolderPath(b"INBOX", "/")
SEED: Final = random.randrange(2**32)
SMALL: Final = Limits(whole_bytes=4096)


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def news(self, store: MboxSource | MaildirSource) -> Log:
        """Take what a store has to tell."""
        store.tell_news(self)
        return self

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the mbox of each test is; made by the test."""
    return tmp_path / "anna"


def metas(store: MboxSource, path: FolderPath = INBOX) -> list[MessageMeta]:
    found = []
    for item in store.scan([ScanRequest(path)]):
        assert isinstance(item, MessageMeta), item
        found.append(item)
    return found


def bodies(store: MboxSource, path: FolderPath = INBOX) -> list[bytes]:
    found = []
    for item in store.read([ReadRequest(path, [meta.uid for meta in metas(store, path)])]):
        assert isinstance(item, Message), item
        found.append(taken(item))
    return found


def read(file: Path, content: bytes) -> list[bytes]:
    """What the messages of an mbox with ``content`` are, with LF at the ends of lines."""
    file.write_bytes(content)
    with MboxSource(file, SMALL) as store:
        return [body.replace(b"\r\n", b"\n") for body in bodies(store)]


# forms


@pytest.mark.req("D-104")
def test_messages_end_where_a_true_separator_or_a_true_length_says(file: Path) -> None:
    inner = b"Subject: 2\n\nhe said:\n\nFrom me to you\n>From quoted\n"
    unquoted = b"text\n\n" + FROM + b"Subject: inside\n\nmore\n"
    counted = b"Subject: 3\nContent-Length: %d\n\n" % len(unquoted) + unquoted
    mixed = (FROM + b"Subject: 4\n\ncarriage\n").replace(b"\n", b"\r\n") + b"and none\n\r\n"
    lying = b"Subject: 5\nContent-Length: 3\n\nlonger than that\n"
    last = b"Subject: 6\n\nno line end"
    content = FROM + inner + b"\n" + FROM + counted + b"\n" + mixed + FROM + lying + b"\n" + FROM + last
    assert read(file, content) == [
        inner,
        b"Subject: 3\n\n" + unquoted,
        b"Subject: 4\n\ncarriage\nand none\n",
        b"Subject: 5\n\nlonger than that\n",
        last,
    ]
    with MboxSource(file, SMALL) as store:  # and a message that comes while the others are read
        items = store.read([ReadRequest(INBOX, [meta.uid for meta in metas(store)])])
        assert next(items).uid == 1
        write_mbox(file, [letter(7)])
        assert [item.uid for item in items] == [2, 3, 4, 5]


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (b"", 0),
        (b"\n\n", 0),
        (FROM, 1),
        (FROM + b"\n", 1),
        (FROM + b"Subject: x\n\n" + FROM + b"Subject: y\n\n\n", 2),
        (FROM + b"Subject: x\n\nforgotten empty line\n" + FROM + b"Subject: y\n\nbody\n", 2),
        (FROM + b"Subject: x\n\nquoted in a letter:\n" + FROM + b"and then?\n\n", 1),
        (FROM + b"\n" + FROM + b"\n" + FROM, 3),
        (b"\n" + FROM + b"Subject: after an empty line\n\nbody\n", 1),
        (b"From nobody in particular\nSubject: x\n\nbody\n", 1),
    ],
)
def test_odd_files_hold_as_many_messages_as_a_person_would_count(file: Path, content: bytes, messages: int) -> None:
    assert len(read(file, content)) == messages


@pytest.mark.req("D-105")
def test_the_message_that_is_none_is_no_mail_and_its_numbers_hold(file: Path) -> None:
    pseudo = (
        b"From MAILER-DAEMON Wed Dec  2 05:53:22 1992\nFrom: Mail System Internal Data <MAILER-DAEMON@host>\n"
        b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 0712345678 0000000042 work\n"
        b"Status: RO\n\nThis text is part of the internal format of your mail folder.\n\n"
    )
    mail = FROM + b"Subject: x\nX-Keywords: work unheard-of\nX-UID: 41\nStatus: RO\n\nbody\n\n"
    file.write_bytes(pseudo + mail)
    with MboxSource(file) as store:
        (folder,) = store.folders()
        assert (folder.uidvalidity, folder.uidnext, folder.messages) == (712345678, 43, 1)
        (meta,) = metas(store)
        assert (meta.uid, meta.flags) == (41, {"\\Seen", "work"})
        assert bodies(store) == [b"Subject: x\r\n\r\nbody\r\n"]
    stranger = FROM + b"Subject: x\nX-IMAP: 1 1\n\nmail of a stranger that looks like it\n\n"
    assert len(read(file, stranger + mail)) == 2


@pytest.mark.req("S-11")
def test_messages_without_fields_are_told_once_with_their_number_which_falls(file: Path) -> None:
    old = [FROM + b"Subject: %d\n\nold mail\n\n" % number for number in range(3)]
    marked = FROM.removesuffix(b"\n") + b" RF 00001234\nSubject: x\n\nits separator has more fields\n\n"
    counts = []
    for present in (3, 1, 0):
        file.write_bytes(b"".join(old[:present]) + marked + mbox_message(letter(1, flags=["\\Seen"])))
        log = Log()
        with MboxSource(file) as store:
            store.folders()
            (*unmarked, seen) = metas(store)
            assert store.folders()[0].messages == present + 2
            assert {meta.flags for meta in unmarked} == {frozenset()}
            assert seen.flags == {"\\Seen"}
            assert len(bodies(store)) == present + 2
        counts.append(
            [event.messages for event in log.news(store).of(FieldsMissing) if isinstance(event, FieldsMissing)]
        )
    assert counts == [[3], [1], []]


def test_a_tree_of_files_is_a_tree_of_folders(tmp_path: Path) -> None:
    for name in ("INBOX", "Sent", "Projects/2019", "Gr\u00fc\u00dfe & mehr", ".hidden", "Trash.msf"):
        write_mbox(tmp_path / name, [letter(1)])
    (tmp_path / "notes.txt").write_text("no mail at all\n")
    (tmp_path / ".subscriptions").write_text("Sent\n")
    log = Log()
    with MboxSource(tmp_path) as store:
        found = {folder.path.display: folder.subscribed for folder in store.folders()}
        assert found == {"INBOX": True, "Sent": True, "Projects/2019": False, "Gr\u00fc\u00dfe & mehr": False}
    (skipped,) = log.news(store).of(FileSkipped)
    assert isinstance(skipped, FileSkipped)
    assert (Path(skipped.path).name, skipped.error.code) == ("notes.txt", "file.not_mail")


def test_a_file_that_is_not_there_is_an_error_unless_mail_never_came(tmp_path: Path) -> None:
    with MboxSource(tmp_path / "anna") as store, pytest.raises(MigratorError) as caught:
        store.folders()
    assert caught.value.code == "file.missing"
    with MboxSource(tmp_path / "anna", may_be_missing=True) as store:
        assert [folder.messages for folder in store.folders()] == [0]
        assert metas(store) == []
        write_mbox(tmp_path / "anna", [letter(1)])
        assert len(metas(store)) == 1
    with MboxSource(tmp_path / "nowhere" / "anna", may_be_missing=True) as store, pytest.raises(MigratorError):
        store.folders()


def test_reading_leaves_the_file_as_it_was(file: Path) -> None:
    write_mbox(file, [letter(number) for number in range(5)])
    os.utime(file, (1_000_000_000, 1_100_000_000))
    before = file.read_bytes()
    os.utime(file, (1_000_000_000, 1_100_000_000))
    about = file.stat()
    with MboxSource(file) as store:
        store.folders()
        assert len(bodies(store)) == 5
    after = file.stat()
    assert (after.st_atime_ns, after.st_mtime_ns, after.st_ino) == (about.st_atime_ns, about.st_mtime_ns, about.st_ino)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


# variants, which no file says of itself


def read_as(file: Path, content: bytes, **variant: bool) -> list[bytes]:
    """The same, read as a variant; what is announced of each is how long it is."""
    file.write_bytes(content)
    with MboxSource(file, SMALL, **variant) as store:
        found, sizes = bodies(store), [meta.size_bytes for meta in metas(store)]
        assert [len(body) for body in found] == sizes
        return [body.replace(b"\r\n", b"\n") for body in found]


def test_a_length_is_believed_or_not(file: Path) -> None:
    inner = FROM + b"Subject: 2\n\ninside or behind\n"
    content = FROM + b"Subject: 1\nContent-Length: %d\n\nx\n\n" % (len(inner) + 3) + inner
    assert read_as(file, content) == [b"Subject: 1\n\nx\n\n" + inner]
    separate = [b"Subject: 1\n\nx\n", b"Subject: 2\n\ninside or behind\n"]
    assert read_as(file, content, has_true_lengths=False) == separate


QUOTED: Final = [b">From a", b">>From b", b">" * 256 + b"From c"]
UNTOUCHED: Final = [b">Frome", b">From", b"> >From d", b"x>From e", b">" * 257 + b"From f"]


def test_one_mark_is_taken_off_quoted_lines_where_they_are_said_to_be_quoted(file: Path) -> None:
    head = b">From uucp Mon Jan  1 00:00:00 1990\nSubject: 1\n\n"
    body = b"".join(line + b"\n" for line in [*QUOTED, *UNTOUCHED])
    sent = b"".join(line + b"\n" for line in [*(quoted[1:] for quoted in QUOTED), *UNTOUCHED])
    assert read_as(file, FROM + head + body) == [head + body]
    assert read_as(file, FROM + head + body, is_quoted=True) == [head + sent]
    assert read_as(file, FROM + b"\n>From no header", is_quoted=True) == [b"\nFrom no header"]
    for shift in range(0, 2048, 97):  # ones that are streamed, their pieces cut anywhere
        content = FROM + head + body * 500 + b"y" * shift + b"\n" + body * 500
        expected = head + sent * 500 + b"y" * shift + b"\n" + sent * 500
        assert read_as(file, content, is_quoted=True) == [expected]


@given(st.lists(st.sampled_from([b">", b"F", b"r", b"o", b"m", b" ", b"\n", b">From ", b"\n>>", b"x"]), max_size=60))
def test_pieces_are_unquoted_as_the_whole_is(parts: list[bytes]) -> None:
    whole = b"".join(parts)
    assert b"".join(mbox_syntax.unquoted_pieces([b"A: 1\n", *parts])) == b"A: 1\n" + mbox_syntax.unquoted(whole)


def test_a_variant_that_is_named_later_doubles_nothing(mover: Mover, file: Path) -> None:
    file.write_bytes(FROM + b"Subject: 1\n\n>From me\n")
    assert mover.run().appended == 1
    mover.variant = {"is_quoted": True}
    assert mover.run().appended == 0


def test_marks_are_read_unless_they_are_said_to_be_none(file: Path) -> None:
    write_mbox(file, [letter(1, flags=["\\Seen", "\\Flagged", "work"])])
    with MboxSource(file) as marked, MboxSource(file, reads_marks=False) as unmarked:
        assert [meta.flags for meta in metas(marked)] == [{"\\Seen", "\\Flagged", "work"}]
        assert [meta.flags for meta in metas(unmarked)] == [frozenset()]
        assert bodies(marked) == bodies(unmarked) == [letter(1).body]


MMDF: Final = b"\1\1\1\1\n"


@pytest.mark.parametrize("between", [MMDF + MMDF, MMDF, MMDF + b"\1\1\1\1\r\n"], ids=["two lines", "one line", "CRLF"])
def test_a_file_of_mmdf_is_cut_at_its_own_lines(file: Path, between: bytes) -> None:
    one = b"Subject: 1\nContent-Length: 3\nStatus: RO\n\ntext\n\n" + FROM + b"Subject: no separator here\n\n"
    two = b"Subject: 2\n\n\1\1\1\1\1 five\n \1\1\1\1\n"
    content = MMDF + FROM + one + between + two + between + FROM + b"Subject: 3\n\ncut off"
    stripped = one.replace(b"Content-Length: 3\nStatus: RO\n", b"")
    assert read_as(file, content) == [stripped, two, b"Subject: 3\n\ncut off"]
    with MboxSource(file) as store:
        first, second, _ = metas(store)
        assert (first.flags, first.internal_date, second.flags) == ({"\\Seen"}, 723_275_602, frozenset())
    assert read_as(file, MMDF) == read_as(file, MMDF + MMDF) == []
    assert read_as(file, MMDF + FROM + MMDF) == [b""]  # as in an mbox, where a separator alone is a message


def test_names_of_files_in_another_charset_are_names_of_folders(tmp_path: Path) -> None:
    russian, taken = "Входящие/Счета", "Черновики"
    for name in (russian.encode("koi8-r"), taken.encode("koi8-r"), b"Sent", FolderPath.of((taken,), "/").raw):
        write_mbox(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), [letter(len(name))])
    (tmp_path / ".subscriptions").write_bytes(russian.encode("koi8-r") + b"\n")
    with MboxSource(tmp_path, names="koi8-r") as store:
        found = store.folders()
        subscribed = [folder.path.display for folder in found if folder.subscribed]
        names = [folder.path.display for folder in found]
        assert (subscribed, set(names) >= {russian, taken, "Sent"}) == ([russian], True)
        assert len(set(names)) == len(names) == 4  # two files of one name are two folders
        assert sorted(len(bodies(store, folder.path)) for folder in found) == [1, 1, 1, 1]


@pytest.mark.parametrize("charset", ["koi8-r", "cp1251"])
def test_a_name_in_utf8_is_what_it_was_beside_names_in_another_charset(tmp_path: Path, charset: str) -> None:
    new, old = "Входящие", "Черновики"
    mixed = "Архив".encode() + b"/" + old.encode(charset)  # a folder made after the locale was changed
    for name in (f"{old}/{new}".encode(), old.encode(charset), mixed):
        write_mbox(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), [letter(len(name))])
    with MboxSource(tmp_path) as store:
        before = {folder.path.raw for folder in store.folders()}
    with MboxSource(tmp_path, names=charset) as store:
        found = [folder.path for folder in store.folders()]
    assert {path.display for path in found} == {f"{old}/{new}", old, f"Архив/{old}"}
    assert {path.raw for path in found if path.display == f"{old}/{new}"} <= before  # known by the name it had


# the same mailbox again


class Mover:
    """Copies one mbox again and again, each time with a new store, as separate runs of the program do."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.target = MemoryMailbox()
        self.ledger = MemoryLedger()
        self.variant: dict[str, bool] = {}

    def run(self, mode: Mode = Mode.STAGE) -> PassResult:
        with MboxSource(self.file, SMALL, **self.variant) as source, MemoryTarget(self.target) as target:
            return run_pass(source, target, self.ledger, policy=CopyPolicy(mode=mode), limits=SMALL, clock=FakeClock())

    def arrived(self) -> list[bytes]:
        folder = self.target.find(FolderPath(b"INBOX", "/"))
        assert folder is not None
        return sorted(message.body for message in folder.messages.values())


@pytest.fixture
def mover(file: Path) -> Mover:
    return Mover(file)


def write(file: Path, *numbers: int, flags: frozenset[str] = frozenset()) -> list[bytes]:
    """Write a file of these letters, and return their bodies in the order of :meth:`Mover.arrived`."""
    letters = [letter(number)._replace(flags=flags) for number in numbers]
    file.unlink(missing_ok=True)
    write_mbox(file, letters)
    return sorted(one.body for one in letters)


def test_whatever_happens_to_the_file_between_two_runs_nothing_is_doubled_or_lost(mover: Mover) -> None:
    steps: list[tuple[tuple[int, ...], int]] = [
        ((1, 2, 3, 4), 4),
        ((1, 2, 3, 4), 0),
        ((1, 2, 3, 4, 5, 6), 2),  # it grew
        ((1, 3, 6), 0),  # messages were removed from the middle and the end
        ((1, 3, 6, 7), 1),  # and mail came
        ((7, 6, 3, 1), 0),  # sorted otherwise
        ((7, 8, 6, 3, 1), 1),  # put in between
    ]
    ever: set[int] = set()
    for numbers, appended in steps:
        write(mover.file, *numbers)
        result = mover.run()
        assert (result.error, result.is_balanced) == (None, True)
        assert result.appended == appended, numbers
        ever.update(numbers)
        assert mover.arrived() == sorted(letter(number).body for number in ever)


def test_three_runs_of_an_import_leave_the_same_messages(mover: Mover) -> None:
    expected = write(mover.file, 1, 2, 2, 3)
    for appended in (4, 0, 0):
        assert mover.run().appended == appended
        assert mover.arrived() == expected


def test_flags_that_change_in_the_file_change_on_the_target(mover: Mover) -> None:
    write(mover.file, 1, 2)
    mover.run()
    write(mover.file, 1, 2, flags=frozenset({"\\Seen"}))
    result = mover.run()
    assert (result.appended, result.flag_changes) == (0, 2)


def test_what_its_owner_removed_on_a_live_target_stays_away(mover: Mover, file: Path) -> None:
    write(file, 1, 2, 3)
    mover.run()
    folder = mover.target.find(FolderPath(b"INBOX", "/"))
    assert folder is not None
    del folder.messages[min(folder.messages)]
    write(file, 1, 2, 3, 4)
    result = mover.run(Mode.CATCH_UP)
    assert result.appended == 1
    assert mover.arrived() == sorted(letter(number).body for number in (2, 3, 4))


# changed while it is read


def rewrite(numbers: tuple[int, ...]) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        file.write_bytes(b"".join(mbox_message(letter(number, size_bytes=9000)) for number in numbers))

    return change


def touch_flags(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"Status: O\n", b"Status: RO\n"))


@pytest.mark.req("S-8")
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (rewrite((1, 2, 3, 4, 5, 6)), (1, 2, 3, 4, 5, 6)),
        (rewrite((2, 4, 5)), (2, 4, 5)),
        (rewrite((3, 1)), (1, 3)),
        (touch_flags, (1, 2, 3, 4, 5)),
        (Path.unlink, (1, 2, 3, 4, 5)),
    ],
    ids=["grew", "shrank", "sorted", "flags", "removed"],
)
def test_a_file_changed_during_the_import_is_noticed_and_read_again(
    mover: Mover, change: Callable[[Path], None], expected: tuple[int, ...]
) -> None:
    rewrite((1, 2, 3, 4, 5))(mover.file)

    class Meddled(MemoryTarget):
        done = False

        def append(self, messages: Iterator[Message], **options: int | None) -> Iterator[object]:  # type: ignore[override]
            return super().append(self._meddle(messages), **options)  # type: ignore[arg-type]

        def _meddle(self, messages: Iterator[Message]) -> Iterator[Message]:
            for message in messages:
                yield message
                if not Meddled.done:
                    Meddled.done = True
                    change(mover.file)

    with MboxSource(mover.file, SMALL) as source, Meddled(mover.target) as target:
        run_pass(source, target, mover.ledger, limits=SMALL, clock=FakeClock())
    assert Meddled.done
    if mover.file.exists():
        result = mover.run()
        assert (result.error, result.is_balanced) == (None, True)
    arrived = mover.arrived()
    assert arrived == sorted(letter(number, size_bytes=9000).body for number in expected)


def test_a_big_message_that_changes_under_way_never_arrives_whole(file: Path) -> None:
    rewrite((1, 2))(file)
    with MboxSource(file, SMALL) as store:
        first, _ = metas(store)
        items = store.read([ReadRequest(INBOX, [first.uid])])
        message = next(items)
        rewrite((2, 1))(file)
        assert isinstance(message, Message)
        received: list[bytes] = []
        with pytest.raises(MigratorError) as caught:
            received.extend(message.stream or ())
        assert caught.value.code == "file.changing"
        assert sum(map(len, received)) < first.size_bytes


# locks

_HOLDER: Final = """
import fcntl, os, sys
if sys.argv[1] == "dot":
    os.close(os.open(sys.argv[2] + ".lock", os.O_CREAT | os.O_EXCL))
else:
    held = open(sys.argv[2], "r+")
    fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
if sys.argv[1] == "dot":
    os.unlink(sys.argv[2] + ".lock")
"""


@contextmanager
def held(file: Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", _HOLDER, kind, str(file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


@pytest.mark.parametrize("kind", ["fcntl", "dot"])
def test_a_mailbox_that_another_program_has_locked_is_waited_for_and_then_told_busy(file: Path, kind: str) -> None:
    write_mbox(file, [letter(1)])
    with held(file, kind), MboxSource(file, lock_seconds=0.3) as store:
        with pytest.raises(MigratorError) as caught:
            store.folders()
        assert (caught.value.code, caught.value.radius) == ("server.mailbox_locked", Radius.ACCOUNT)
        assert str(file) in caught.value.reply
    with MboxSource(file, lock_seconds=0.3) as store:
        assert len(bodies(store)) == 1


@pytest.mark.parametrize("kind", ["fcntl", "dot"])
def test_a_lock_that_is_released_in_time_is_no_trouble(file: Path, kind: str) -> None:
    write_mbox(file, [letter(1)])

    class Clock:
        waits = 0

        def now(self) -> float:
            return 0.0

        def monotonic(self) -> float:
            return 0.0

        def wait(self, seconds: float) -> None:
            self.waits += 1
            if self.waits == 3:
                holder.communicate("")

    clock = Clock()
    with held(file, kind) as holder, MboxSource(file, clock=clock) as store:
        assert len(bodies(store)) == 1
    assert clock.waits >= 3


def test_a_lock_that_a_dead_program_left_behind_is_taken_away_and_a_younger_one_is_not(file: Path) -> None:
    write_mbox(file, [letter(1)])
    lock = file.with_name("anna.lock")
    lock.touch()
    with MboxSource(file, lock_seconds=0.2) as store, pytest.raises(MigratorError):
        store.folders()
    assert lock.exists()
    os.utime(lock, (1, 1))
    with MboxSource(file, lock_seconds=0.2) as store:
        assert len(bodies(store)) == 1
    assert not lock.exists()


def test_other_programs_find_the_mailbox_locked_while_it_is_listed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mbox(file, [letter(1)])
    seen = []
    trial = (
        "import fcntl, sys\nwith open(sys.argv[1], 'r+') as f:\n try: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        " except OSError: print('locked')\n"
    )
    from migrator.stores import mbox

    def looking(*arguments: object) -> object:
        seen.append(file.with_name("anna.lock").exists())
        seen.append(subprocess.check_output([sys.executable, "-c", trial, str(file)]) == b"locked\n")
        return real(*arguments)

    real: Callable[..., object] = mbox.read_contents
    monkeypatch.setattr(mbox, "read_contents", looking)
    with MboxSource(file) as store:
        store.folders()
    assert seen == [True, True]
    assert not file.with_name("anna.lock").exists()


# whoever may be led astray


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_out_of_the_tree_is_not_followed_and_told(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "elsewhere" / "mail"
    write_mbox(secret, [letter(66)])
    root = tmp_path / "mail"
    write_mbox(root / "INBOX", [letter(1)])
    (root / "link").symlink_to(secret if kind == "file" else secret.parent)
    (root / "beside").symlink_to(root / "INBOX")
    log = Log()
    with MboxSource(root) as store:
        assert [folder.path.raw for folder in store.folders()] == [b"INBOX", b"beside"]
    if kind == "file":
        (skipped,) = log.news(store).of(FileSkipped)
        assert isinstance(skipped, FileSkipped)
        assert skipped.error.code == "file.escapes"


def test_a_users_mailbox_that_is_a_link_to_another_place_is_refused(tmp_path: Path) -> None:
    write_mbox(tmp_path / "elsewhere" / "mail", [letter(66)])
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "anna").symlink_to(tmp_path / "elsewhere" / "mail")
    with MboxSource(spool / "anna") as store, pytest.raises(MigratorError) as caught:
        store.folders()
    assert caught.value.code == "file.escapes"


def test_what_is_no_plain_file_is_refused_and_never_waited_for(file: Path) -> None:
    os.mkfifo(file)
    with MboxSource(file) as store, pytest.raises(MigratorError) as caught:
        store.folders()
    assert caught.value.code == "file.not_mail"


@pytest.mark.parametrize(("mode", "is_writable"), [(0o644, False), (0o666, True)])
def test_a_mailbox_that_others_may_read_is_told_once(file: Path, mode: int, is_writable: bool) -> None:
    write_mbox(file, [letter(1)])
    log = Log()
    with MboxSource(file) as store:
        store.folders()
        assert log.news(store).of(StoreExposed) == []
        file.chmod(mode)
        store.folders()
        store.folders()
    assert log.news(store).of(StoreExposed) == [StoreExposed(path=str(file), is_writable=is_writable)]


# all that may be written


LINES = st.sampled_from(
    [
        FROM,
        FROM.replace(b"\n", b"\r\n"),
        b"From me to you\n",
        b">From x\n",
        b"\n",
        b"\r\n",
        b"\r",
        b"Subject: x\n",
        b" folded\n",
        b"Content-Length: 12\n",
        b"Content-Length: 99999999999999999999\n",
        b"X-UID: 3\n",
        b"X-IMAP: 1 2 a\n",
        b"Status: RO\n",
        b"text\n",
        b"\0\xff\n",
        b"no end",
    ]
)


@seed(SEED)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=40))
def test_whatever_stands_in_a_file_every_octet_of_it_is_in_one_message_or_in_none(
    tmp_path: Path, lines: list[bytes]
) -> None:
    print("seed", SEED)
    file = tmp_path / "fuzz"
    file.write_bytes(FROM + b"".join(lines))
    with MboxSource(file, SMALL) as store:
        (folder,) = store.folders()
        found = metas(store)
        assert folder.messages == len(found)
        assert [meta.size_bytes for meta in found] == [len(body) for body in bodies(store)]
        contents = store._index(INBOX).contents
        ranges = [(at, at + length) for at, length in zip(contents.starts, contents.lengths, strict=True)]
        for (_, end), (start, _) in itertools.pairwise(ranges):
            assert end < start  # a separator is between them
        assert all(start <= end for start, end in ranges)


@seed(SEED)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(st.sampled_from([b"text", b"", b"From me", b"a: b", b"\xe4\rx"]), max_size=6), max_size=8)
)
def test_what_was_written_comes_back_octet_for_octet(tmp_path: Path, texts: list[list[bytes]]) -> None:
    print("seed", SEED)
    letters = [Letter(b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)) for lines in texts]
    file = tmp_path / "fuzz"
    file.unlink(missing_ok=True)
    write_mbox(file, letters)
    with MboxSource(file, SMALL) as store:
        assert bodies(store) == [one.body for one in letters]
