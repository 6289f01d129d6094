"""Mailboxes in files of this machine cross to a real Dovecot, as an operator runs it, judged by an outsider."""

from __future__ import annotations

import contextlib
import hashlib
import json
import mailbox
import os
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from migrator.errors import MigratorError
from migrator.limits import Limits
from migrator.mail import FolderPath
from migrator.stores.imap_target import ImapTarget
from migrator.stores.mbox import MboxSource
from migrator.transfer.copy import run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from tests.contracts.store import Letter, letter
from tests.live.crossing import endpoint
from tests.live.test_commands import Shell
from tests.rigs import check
from tests.rigs.base import Account, users
from tests.rigs.corpus import FOLDERS, Box, fill, folder_name, lifelike
from tests.rigs.dialogue import Dialogue
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot
from tests.rigs.mailfiles import deliver, mbox_message, write_maildir, write_mbox, write_mbox_tree

# How much is done; more by hand.
MESSAGES: Final = int(os.environ.get("MAILFERRY_TEST_MESSAGES", "600"))
DELIVERIES: Final = int(os.environ.get("MAILFERRY_TEST_DELIVERIES", "60"))
MAILBOXES: Final = int(os.environ.get("MAILFERRY_TEST_MAILBOXES", "30"))
# A file is no folder of files: no two of these lie in one another.
MBOX_FOLDERS: Final = (*FOLDERS[:10], ("Projekte", "2019", "Kunde", "Müller", "Angebote"), ("NIL",), ("空の箱",))


@pytest.fixture(scope="module")
def target() -> Iterator[Dovecot]:
    with Dovecot(users(MAILBOXES + 20), layout="mdbox", separator="/") as server:
        yield server


@pytest.fixture(scope="module")
def accounts(target: Dovecot) -> Iterator[Account]:
    """A fresh account of the target each time."""
    return (target.account(f"u{number:04d}") for number in range(MAILBOXES, MAILBOXES + 20))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def letters(box: Box) -> list[Letter]:
    """The messages of a box as they are written into files."""
    return [
        Letter(mail.body, frozenset(mail.flags), int(mail.date.timestamp()), int(_zone(mail.date.utcoffset()) // 60))
        for mail in box.mails
    ]


def _zone(offset: object) -> float:
    return offset.total_seconds() if hasattr(offset, "total_seconds") else 0.0


def expected(boxes: Sequence[Box], separator: bytes) -> check.Contents:
    """What the judge should have found if the files had been on a server."""
    found = {}
    for box in boxes:
        seen = [
            check.Seen(
                number,
                hashlib.sha256(check.canonical(mail.body)).hexdigest(),
                frozenset(flag.lower() for flag in mail.flags),
                float(int(mail.date.timestamp())),
                "",
            )
            for number, mail in enumerate(box.mails, 1)
        ]
        found[folder_name(box.path, b"", separator)] = check.Read(seen, subscribed=True)
    return check.Contents(b"", separator, found)


def copied(shell: Shell, source: str, account: Account, *words: object) -> dict[str, int]:
    """Copy to an account, and return what the command tells."""
    password = shell.file("target-password", account.password)
    arguments = ["copy", source, account.url, "--target-password-file", password, "--json", *words]
    answer: dict[str, int] = json.loads(shell.run(*arguments))
    assert answer["balanced"]
    return answer


def test_a_tree_of_mbox_files_crosses_whole_and_once(shell: Shell, accounts: Iterator[Account], tmp_path: Path) -> None:
    boxes = lifelike(1995, messages=MESSAGES, folders=MBOX_FOLDERS, strict=True)
    write_mbox_tree(tmp_path / "mail", {box.path: letters(box) for box in boxes})
    before = {path: path.read_bytes() for path in (tmp_path / "mail").rglob("*") if path.is_file()}
    account = next(accounts)
    answer = copied(shell, f"mbox:{tmp_path / 'mail'}", account, "--verify", "digest", "--copy-deleted")
    assert answer["appended"] == answer["messages"] == MESSAGES
    assert check.compare(expected(boxes, b"/"), check.read(account)) == []
    assert copied(shell, f"mbox:{tmp_path / 'mail'}", account, "--copy-deleted")["appended"] == 0
    assert {path: path.read_bytes() for path in before} == before


def test_a_maildir_with_folders_crosses_whole_and_once(
    shell: Shell, accounts: Iterator[Account], tmp_path: Path
) -> None:
    boxes = lifelike(1996, messages=MESSAGES, folders=FOLDERS)
    write_maildir(tmp_path / "Maildir", {box.path: letters(box) for box in boxes}, crlf=False)
    account = next(accounts)
    answer = copied(shell, f"maildir:{tmp_path / 'Maildir'}", account, "--verify", "digest", "--copy-deleted")
    assert answer["appended"] == answer["messages"] == MESSAGES
    assert check.compare(expected(boxes, b"."), check.read(account)) == []
    deliver(tmp_path / "Maildir", letter(1).body, 1_000_000_000)
    assert copied(shell, f"maildir:{tmp_path / 'Maildir'}", account, "--copy-deleted")["appended"] == 1


def test_a_maildir_that_dovecot_wrote_crosses_as_dovecot_shows_it(shell: Shell, accounts: Iterator[Account]) -> None:
    with Dovecot(users(1)) as source:
        fill(source.account("u0000"), lifelike(1997, messages=MESSAGES))
        account = next(accounts)
        path = source.maildir("u0000")
        assert (path / "dovecot-keywords").read_text()
        copied(shell, f"maildir:{path}", account, "--verify", "digest")
        terms = check.Terms(skip_flagged="\\deleted")
        assert check.compare(check.read(source.account("u0000")), check.read(account), terms) == []
        assert copied(shell, f"maildir:{path}", account)["appended"] == 0


def oddities(seed: int) -> bytes:
    """An mbox in the forms that programs have left behind, in a random order; all that Dovecot reads as we do."""
    dice = random.Random(seed)
    base = b"X-IMAPbase: 1234567890 0000000000 work $Junk\n"
    forms = [
        lambda number: mbox_message(letter(number, flags=["\\Seen", "\\Flagged"])),
        lambda number: mbox_message(letter(number, flags=["work"] if number % 2 else ["$Junk", "\\Answered"])),
        lambda number: mbox_message(letter(number)).replace(b"\n", b"\r\n"),
        lambda number: mbox_message(letter(number)).replace(b"\n\n", b"\n\r\n", 1),
        lambda number: mbox_message(letter(number)) + b"\n\n",
        lambda number: b"From a Wed Dec  2 05:53:%02d 1992\nSubject: %d\n\n\n" % (number % 60, number),
        lambda number: b"From a@b Wed Dec  2 05:%02d:22 1992\n\nno header %d\n\n" % (number % 60, number),
        lambda number: _counted(number, b"From inside, no separator\n\n>From quoted\nFrom: x\n"),
        lambda number: _counted(number, mbox_message(letter(number))),
        lambda number: _counted(number, b"its length is a lie\n", lie=5),
        lambda number: mbox_message(letter(number, size_bytes=300_000, flags=["\\Draft"])),
        lambda number: mbox_message(letter(number)).replace(
            b"\nStatus: ", b"\nStatus: R\n  \nX-Other: kept\nStatus: ", 1
        ),
    ]
    numbers = [*range(len(forms)), *(dice.randrange(len(forms)) for _ in range(60))]
    dice.shuffle(numbers)
    first = mbox_message(letter(1000, flags=["work"]), extra=base)
    return first + b"".join(forms[form](number) for number, form in enumerate(numbers))


def _counted(number: int, body: bytes, lie: int = 0) -> bytes:
    head = b"From a@b Wed Dec  2 05:53:22 1992\nSubject: %d\nContent-Length: %d\n\n" % (number, len(body) + lie)
    return head + body + b"\n"


@pytest.mark.req("S-9")
def test_an_mbox_is_read_as_dovecot_reads_it(shell: Shell, accounts: Iterator[Account], tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    content = oddities(seed)
    (tmp_path / "anna").write_bytes(content)
    account = next(accounts)
    copied(shell, f"mbox:{tmp_path / 'anna'}", account)
    with Dovecot(users(1), layout="mbox", separator="/") as server:
        check.read(server.account("u0000"))  # makes the folder of the user
        inbox = server.dir / "mail" / "u0000" / "inbox"
        inbox.write_bytes(content)
        server.give(inbox)
        theirs, ours = check.read(server.account("u0000")), check.read(account)
    assert len(theirs.folders[b"INBOX"].messages) > 70
    assert check.compare(theirs, ours) == []


# variants, which no file says of itself


@pytest.fixture(scope="module")
def reader() -> Iterator[Dovecot]:
    """A Dovecot that reads mbox files where they are."""
    with Dovecot(users(8), layout="mbox", separator="/") as server:
        yield server


def read_by_dovecot(server: Dovecot, user: str, content: bytes) -> check.Contents:
    check.read(server.account(user))  # makes the folder of the user
    inbox = server.dir / "mail" / user / "inbox"
    inbox.write_bytes(content)
    server.give(inbox)
    return check.read(server.account(user))


def imported(shell: Shell, account: Account, file: Path, content: bytes, *words: str) -> check.Contents:
    file.write_bytes(content)
    answer = copied(shell, f"mbox:{file}", account, *words)
    assert answer["appended"] == answer["messages"] > 0
    return check.read(account)


def digests(contents: check.Contents) -> list[str]:
    return [seen.digest for seen in contents.folders[b"INBOX"].messages]


PSEUDO: Final = (
    b"From MAILER-DAEMON Wed Dec  2 05:53:22 1992\nDate: 2 Dec 1992 05:53:22 +0000\n"
    b"From: Mail System Internal Data <MAILER-DAEMON@old.test>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 0723275602 0000000009 work\nStatus: RO\n\n"
    b"This text is part of the internal format of your mail folder, and is not\na real message.\n\n"
)


def stale_lengths(seed: int) -> bytes:
    """An mbox behind a pseudo message, where every third Content-Length takes the message behind it for its own."""
    dice = random.Random(seed)
    content = PSEUDO
    for number in range(0, 60, 3):
        one, two = (mbox_message(letter(number + more, size_bytes=dice.randrange(400, 40_000))) for more in (0, 1))
        body = one.partition(b"\n\n")[2] + two
        content += one.replace(b"\nStatus: ", b"\nContent-Length: %d\nStatus: " % (len(body) - 1), 1) + two
        content += mbox_message(letter(number + 2, flags=["\\Seen", "work"]))
    return content


@pytest.mark.req("S-105", "S-132")
def test_lengths_are_believed_as_dovecot_believes_them_or_not_at_all(
    shell: Shell, accounts: Iterator[Account], reader: Dovecot, tmp_path: Path
) -> None:
    content = stale_lengths(random.randrange(2**32))
    without = b"".join(line for line in content.splitlines(True) if not line.startswith(b"Content-Length: "))
    for number, (words, judged, messages) in enumerate([([], content, 40), (["--mbox-ignore-length"], without, 60)]):
        theirs = read_by_dovecot(reader, f"u000{number}", judged)
        ours = imported(shell, next(accounts), tmp_path / f"old{number}", content, *words)
        assert len(digests(theirs)) == messages
        assert check.compare(theirs, ours) == []
    look = [sys.executable, "-m", "migrator.cli", "place", f"mbox:{tmp_path / 'old0'}", "--in-place", "--json"]
    (told,) = json.loads(subprocess.run(look, check=True, capture_output=True, timeout=60).stdout)["mailboxes"]
    assert (told["messages"], told["messages_without_lengths"]) == (40, 60)


@pytest.mark.req("S-105", "S-132")
def test_quoted_lines_are_read_as_dovecot_reads_them_or_as_git_does(
    shell: Shell, accounts: Iterator[Account], reader: Dovecot, tmp_path: Path
) -> None:
    lines = [b"From me", b">From you", b">>>From them", b"Frome", b"> From", b"text"]
    dice = random.Random(random.randrange(2**32))
    content = b""
    for number in range(40):
        body = b"".join(dice.choice(lines) + b"\n" for _ in range(dice.choice((3, 30, 40_000))))
        quoted = re.sub(rb"(?m)^(>*From )", rb">\1", body)  # as qmail and git format-patch --pretty=mboxrd write it
        content += b"From a@b.test Wed Dec  2 05:53:22 1992\nSubject: %d\n\n" % number + quoted + b"\n"
    as_it_stands = imported(shell, next(accounts), tmp_path / "mboxo", content)
    assert digests(as_it_stands) == digests(read_by_dovecot(reader, "u0002", content))
    (tmp_path / "split").mkdir()
    words = ["git", "mailsplit", "--mboxrd", f"-o{tmp_path / 'split'}", tmp_path / "mboxo"]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    judged = []
    for file in sorted((tmp_path / "split").iterdir()):
        message = file.read_bytes().partition(b"\n")[2].removesuffix(b"\n")  # without separator and empty line
        judged.append(hashlib.sha256(check.canonical(message)).hexdigest())
    assert digests(imported(shell, next(accounts), tmp_path / "mboxrd", content, "--mbox-unquote")) == judged


@pytest.mark.req("S-105", "S-132")
def test_marks_are_read_as_dovecot_reads_them_or_not_at_all(
    shell: Shell, accounts: Iterator[Account], reader: Dovecot, tmp_path: Path
) -> None:
    content = PSEUDO + b"".join(mbox_message(letter(number, flags=["\\Seen", "work"])) for number in range(20))
    ours = imported(shell, next(accounts), tmp_path / "marked", content)
    assert check.compare(read_by_dovecot(reader, "u0003", content), ours) == []
    assert {seen.flags for seen in ours.folders[b"INBOX"].messages} == {frozenset({"\\seen", "work"})}
    without = re.sub(rb"(?m)^(?:Status|X-Status|X-Keywords): .*\n", b"", content)
    ours = imported(shell, next(accounts), tmp_path / "unmarked", content, "--mbox-ignore-status")
    assert check.compare(read_by_dovecot(reader, "u0004", without), ours) == []
    assert {seen.flags for seen in ours.folders[b"INBOX"].messages} == {frozenset()}


@pytest.mark.req("S-105", "S-132")
def test_a_file_of_mmdf_is_imported_as_pythons_reader_reads_it(
    shell: Shell, accounts: Iterator[Account], tmp_path: Path
) -> None:
    file, written = tmp_path / "mmdf", []
    with contextlib.closing(mailbox.MMDF(file)) as box:  # written by the judge, too
        for letters_of in lifelike(random.randrange(2**32), messages=60, folders=MBOX_FOLDERS, strict=True):
            for mail in letters_of.mails:
                box.add(b"From a@b.test Wed Dec  2 05:53:22 1992\n" + mail.body.replace(b"\r\n", b"\n"))
        box.flush()
        # It takes the line end before a line of MMDF for a part of that line.
        written = [hashlib.sha256(check.canonical(box.get_bytes(key) + b"\n")).hexdigest() for key in box.iterkeys()]
    assert digests(imported(shell, next(accounts), file, file.read_bytes())) == written


@pytest.mark.req("S-105", "S-132")
def test_folders_named_in_an_old_charset_arrive_by_their_names(
    shell: Shell, accounts: Iterator[Account], tmp_path: Path
) -> None:
    names = ["Входящие", "Счета/Старые", "Sent"]
    for name in names:
        write_mbox(Path(os.fsdecode(os.fsencode(tmp_path) + b"/mail/" + name.encode("koi8-r"))), [letter(len(name))])
    account = next(accounts)
    assert copied(shell, f"mbox:{tmp_path / 'mail'}", account, "--mbox-names", "koi8-r")["appended"] == 3
    found = check.read(account).folders
    arrived = [found[folder_name(tuple(name.split("/")), b"", b"/")].messages for name in names]
    assert [[seen.title for seen in messages] for messages in arrived] == [[f"number {len(name)}"] for name in names]


# other programs


def parcel(number: int) -> bytes:
    """A message that tells whether it is whole: what its body holds stands in its header."""
    dice = random.Random(number)
    body = b"".join(b"%x\n" % dice.getrandbits(256) for _ in range(dice.randrange(1, 4000)))
    return b"Subject: %d\nX-Sum: %s\n\n" % (number, hashlib.sha256(body).hexdigest().encode()) + body


def whole_ones(bodies: Sequence[bytes]) -> list[int]:
    """Return the numbers of parcels; none may be torn."""
    found = []
    for body in bodies:
        head, _, rest = body.replace(b"\r\n", b"\n").partition(b"\n\n")
        told = re.search(rb"(?m)^X-Sum: (\w+)$", head)
        number = re.search(rb"(?m)^Subject: (\d+)$", head)
        assert told
        assert number
        assert hashlib.sha256(rest).hexdigest().encode() == told[1], f"message {number[1]!r} is torn"
        found.append(int(number[1]))
    return found


def stored(account: Account) -> list[bytes]:
    """Return the bodies of INBOX."""
    with Dialogue(account) as talk:
        talk.select(b"INBOX")
        return [reply.literals[0] for reply in talk.command(b"UID FETCH 1:* (BODY.PEEK[])") if reply.literals]


def _require_busy(inbox: Path) -> None:
    """While another program holds either lock, the mailbox is waited for, and then told to be busy."""
    dot_lock = inbox.with_name(f"{inbox.name}.lock")
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    )
    argv = [sys.executable, "-c", hold, str(inbox)]
    for lock in ("dot", "fcntl"):
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "1\n"
            if lock == "dot":
                holder.communicate("\n")
                dot_lock.touch()
            with MboxSource(inbox, lock_seconds=0.3) as store, pytest.raises(MigratorError) as caught:
                store.folders()
            assert caught.value.code == "server.mailbox_locked"
            dot_lock.unlink(missing_ok=True)
            if lock == "fcntl":
                holder.communicate("\n")


@pytest.mark.req("S-7")
@pytest.mark.timeout(900)
def test_no_message_is_torn_or_lost_while_a_delivery_agent_delivers(accounts: Iterator[Account]) -> None:
    account = next(accounts)
    with Dovecot(users(1), layout="mbox", separator="/") as server:
        check.read(server.account("u0000"))
        inbox = server.dir / "mail" / "u0000" / "inbox"
        inbox.touch()
        server.give(inbox)
        inbox.chmod(0o600)
        _require_busy(inbox)
        words = ["/usr/lib/dovecot/dovecot-lda", "-c", server.dir / "dovecot.conf", "-d", "u0000", "-f", "a@b.test"]
        done = threading.Event()

        def deliver_one(number: int) -> None:
            subprocess.run(words, input=parcel(number), check=True, timeout=60)

        def deliver_all() -> None:
            try:
                with ThreadPoolExecutor(3) as agents:
                    list(agents.map(deliver_one, range(DELIVERIES)))
            finally:
                done.set()

        ledger, passes = MemoryLedger(), 0
        delivering = threading.Thread(target=deliver_all)
        delivering.start()
        is_last = False
        while not is_last:
            is_last = done.is_set()
            with MboxSource(inbox, Limits()) as source, ImapTarget(endpoint(account), Limits()) as there:
                result = run_pass(source, there, ledger)
            assert result.error is None, result.error
            passes += 1
        delivering.join()
        assert result.is_balanced
    arrived = whole_ones(stored(account))
    print(f"{DELIVERIES} deliveries, {passes} passes")
    assert passes > 2
    assert sorted(arrived) == list(range(DELIVERIES))


def test_what_a_forward_held_back_in_a_file_joins_the_mailbox_and_is_never_doubled(
    shell: Shell, accounts: Iterator[Account], tmp_path: Path
) -> None:
    account = next(accounts)
    write_mbox(tmp_path / "anna", [letter(number) for number in range(5)])
    assert copied(shell, f"mbox:{tmp_path / 'anna'}", account)["appended"] == 5
    write_mbox(tmp_path / "held", [letter(number) for number in (3, 4, 7, 8)])  # two were delivered twice
    assert copied(shell, f"mbox:{tmp_path / 'held'}", account)["appended"] == 2
    assert copied(shell, f"mbox:{tmp_path / 'held'}", account)["appended"] == 0
    assert len(check.read(account).folders[b"INBOX"].messages) == 7


@pytest.mark.req("S-118")
@pytest.mark.timeout(900)
def test_a_spool_of_many_mailboxes_is_moved_by_a_list_some_at_once(
    shell: Shell, target: Dovecot, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    held = {f"u{number:04d}": number % 7 for number in range(MAILBOXES)}
    for user, messages in held.items():
        if messages:  # who never got mail has no file
            write_mbox(spool / user, [letter(1000 * messages + number) for number in range(messages)])
    rows = shell.file("list", "Name\n" + "".join(f"{user}\n" for user in held))
    admin = shell.file("admin-password", ADMIN_PASSWORD)
    words = ["move-accounts", rows, f"mbox:{spool}/*", f"imap://127.0.0.1:{target.imap}"]
    words += ["--target-admin", ADMIN, "--target-password-file", admin, "--parallel", "4", "--json"]
    answer = json.loads(shell.run(*words))
    assert answer["appended"] == sum(held.values())
    for user in random.sample(sorted(held), min(MAILBOXES, 30)):
        found = check.read(target.account(user)).folders[FolderPath(b"INBOX").raw].messages
        assert [seen.title for seen in found] == [
            f"number {1000 * held[user] + number}" for number in range(held[user])
        ]
    assert json.loads(shell.run(*words))["appended"] == 0


def test_a_user_whose_mailbox_leads_out_of_the_spool_is_refused_and_the_others_are_moved(
    shell: Shell, target: Dovecot, tmp_path: Path
) -> None:
    secret = tmp_path / "elsewhere"
    write_mbox(secret, [letter(66)])
    write_mbox(tmp_path / "spool" / "u0000", [letter(501)])
    (tmp_path / "spool" / "u0001").symlink_to(secret)
    rows = shell.file("list", "Name\nu0000\nu0001\n")
    admin = shell.file("admin-password", ADMIN_PASSWORD)
    words = ["move-accounts", rows, f"mbox:{tmp_path}/spool/*", f"imap://127.0.0.1:{target.imap}"]
    words += ["--target-admin", ADMIN, "--target-password-file", admin, "--json"]
    answer = json.loads(shell.run(*words, exit_code=4))
    assert [row["error"]["code"] for row in answer["accounts"] if row["error"]] == ["file.escapes"]
    assert "number 66" not in [seen.title for seen in check.read(target.account("u0001")).folders[b"INBOX"].messages]


@pytest.mark.req("S-105")
@pytest.mark.parametrize("word", ["unquote", "ignore-status", "ignore-length", "zone=+0300"])
def test_a_word_of_how_a_file_was_written_that_is_said_later_doubles_nothing_and_changes_no_mark(
    shell: Shell, accounts: Iterator[Account], tmp_path: Path, word: str
) -> None:
    content = PSEUDO + b"".join(mbox_message(letter(number, flags=["\\Seen", "work"])) for number in range(5))
    content += b"From a@b.test Wed Dec  2 05:53:22 1992\nSubject: quoting\nStatus: RO\n\n>From me\n\n"
    account, file = next(accounts), tmp_path / "old"
    before = imported(shell, account, file, content)
    assert copied(shell, f"mbox:{file}", account, f"--mbox-{word}")["appended"] == 0
    assert check.compare(before, check.read(account)) == []
    file.write_bytes(content + mbox_message(letter(9)))
    assert copied(shell, f"mbox:{file}", account, f"--mbox-{word}")["appended"] == 1
