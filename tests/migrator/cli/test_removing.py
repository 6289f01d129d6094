"""``--delete``: said twice or not done, refused where nothing can be proved, and never done where people work."""

from __future__ import annotations

import os
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from migrator.cli.accounts import AccountResult, Exit, carry
from migrator.cli.objects import account_object
from migrator.cli.removing import mailbox_of
from migrator.cli.summary import of_accounts, of_copy
from migrator.cli.terminal import Terminal
from migrator.cli.watch import AccountWatch
from migrator.errors import MigratorError, Side
from migrator.limits import NeverStop, SystemClock
from migrator.stores.mbox import MboxSource
from migrator.testing import MemoryMailbox, RecordingSink
from migrator.transfer.plan import CopyPolicy, MessageFilter
from migrator.transfer.removal import Kept, RemovalReport
from migrator.transfer.verify import VerifyLevel
from tests.contracts.store import letter
from tests.migrator.cli.peers import BODY, bodies, mailbox
from tests.migrator.cli.worlds import CHOICES, MemoryLedgers, World, world
from tests.rigs.maildrop import Maildrop
from tests.rigs.mailfiles import write_mbox
from tests.rigs.postbox import Postbox
from tests.rigs.scripted import raw, then

YES = ("--delete", "--yes-delete-at-source")
REMOVING = replace(CHOICES, removes=True)
HELD = "IMAP4rev1 UIDPLUS"
SENT = then(raw(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(BODY), BODY)), "$ OK done")


def moved(it: World, ledgers: MemoryLedgers | None = None, **choices: object) -> AccountResult:
    return carry(it.account, ledgers or MemoryLedgers(), replace(REMOVING, **choices), RecordingSink(), NeverStop())


def distinct(name: str, **more: int) -> World:
    made = world(name, **more)
    made.target = MemoryMailbox(uidvalidity=7000)
    return made


def held(it: World) -> int:
    return len(it.source["INBOX"].messages)


def lines(result: AccountResult) -> str:
    watch = AccountWatch(Terminal(StringIO()), SystemClock(), verbose=False)
    return "\n".join(of_copy(result, watch, verbose=False, is_dry_run=False))


def test_what_is_proved_is_removed_and_told() -> None:
    it = distinct("john")
    result = moved(it)
    assert (result.exit_code, held(it)) == (Exit.ALL_THERE, 0)
    assert "3 messages removed from the old mailbox" in lines(result)
    assert "3 messages removed" in "\n".join(of_accounts([result], is_dry_run=False, seconds=1))
    assert account_object(result)["removal"] == {
        "removed": 3, "kept": {}, "stopped": False, "error": None, "folder_errors": []
    }  # fmt: skip


def test_a_later_run_tells_what_was_removed_by_whom() -> None:
    it, ledgers = distinct("john"), MemoryLedgers()
    moved(it, ledgers, removes=False)
    it.source["INBOX"].expunge(1)  # by its owner
    moved(it, ledgers)
    it.source.deliver("INBOX", b"Subject: late\r\n\r\nbody\r\n")
    result = moved(it, ledgers, removes=False)
    assert (result.sums.removed, result.sums.removed_by_us, result.is_balanced) == (3, 2, True)
    assert "-3  removed from the old mailbox since; 2 of them by --delete, each proved before" in lines(result)


def test_without_the_wish_nothing_is_removed() -> None:
    it = distinct("john")
    assert moved(it, removes=False).removal is None
    assert moved(it, policy=CopyPolicy(dry_run=True)).removal is None
    assert held(it) == 3


def test_an_account_that_is_not_all_there_keeps_everything() -> None:
    it = distinct("john")
    it.source.deliver("Work", b"Subject: x\r\n\r\nbody\r\n")
    it.source["Work"].messages[1].is_readable = False
    ledgers = MemoryLedgers()
    first = moved(it, ledgers)
    assert first.removal is not None
    assert (first.exit_code, first.removal.removed, held(it)) == (Exit.LEFT_BEHIND, 3, 0)  # what has its outcome counts
    broken = distinct("anna")
    broken.target_door.run = _failing(broken.target_door.run)  # type: ignore[method-assign]
    result = moved(broken)
    assert result.exit_code is not Exit.ALL_THERE
    assert held(broken) == 3


def _failing(run):
    def fail(name, effect, side=None):
        if name == "target.store":
            raise MigratorError("target.full", side=Side.TARGET)
        return run(name, effect, side)

    return fail


@pytest.mark.parametrize(
    "identity",
    [
        "imap://john@source:143",
        "imap://JOHN@Source:993",
        "lmtp://john@source:24",
        "imap://admin@source:143/~john/",
        "imap://cyrus@source:993/user.john.",
    ],
)
def test_nothing_is_removed_in_a_mailbox_that_is_the_target_of_any_copy(identity: str) -> None:
    it, ledgers = distinct("john"), MemoryLedgers()
    ledgers.account("imap://old@elsewhere:143", identity)
    result = moved(it, ledgers)
    assert result.removal is not None
    assert result.removal.error is not None
    assert (result.removal.error.code, held(it)) == ("removal.live_target", 3)
    assert result.exit_code is Exit.PERSON
    result = moved(it, MemoryLedgers(), targets=[identity])
    assert result.removal is not None
    assert (result.removal.removed, held(it)) == (0, 3)


def test_another_mailbox_is_not_taken_for_this_one() -> None:
    one = mailbox_of("imap://john@source:143")
    others = ["imap://john@source:1430", "imap://john@other:143", "imap://anna@source:143", "mbox:/var/mail/john",
              "imap://admin@source:143/~anna/"]  # fmt: skip
    assert one not in {mailbox_of(other) for other in others}


def test_what_is_not_as_recorded_calls_a_person() -> None:
    it, ledgers = distinct("john"), MemoryLedgers()
    moved(it, ledgers, removes=False)
    it.target["INBOX"].expunge(2)
    result = moved(it, ledgers)
    assert (result.exit_code, held(it)) == (Exit.PERSON, 1)
    assert "1  stayed there: its copy is not in the new mailbox any more" in lines(result)


def test_a_difference_found_by_the_check_keeps_everything() -> None:
    it, ledgers = distinct("john"), MemoryLedgers()
    moved(it, ledgers, removes=False)
    it.target["INBOX"].expunge(2)
    result = moved(it, ledgers, verify=VerifyLevel.LEDGER)
    assert result.removal is not None
    assert result.removal.error is not None
    assert (result.removal.error.code, held(it)) == ("removal.unfinished", 3)


def test_every_reason_has_words() -> None:
    report = RemovalReport(removed=1)
    for reason in Kept:
        report.kept[reason] += 1
    result = replace(moved(distinct("john")), removal=report)
    assert lines(result).count("stayed there") == len(Kept)


# The command line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--delete"], "says so twice: --yes-delete-at-source"),
        (["--yes-delete-at-source"], "says yes to --delete, which is missing"),
    ],
)
def test_what_is_said_once_starts_nothing(mailferry, passwords, options: list[str], words: str) -> None:
    with mailbox(1) as source, mailbox() as target:
        urls = f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{target.port}"
        ended = mailferry("copy", *urls, *passwords, *options)
        assert (ended.exit_code, words in ended.err) == (2, True)
        ended = mailferry("MoveIMAPMail", *options, f"127.0.0.1:{source.port}", "a", passwords[1],
                          f"127.0.0.1:{target.port}", "b", passwords[3])  # fmt: skip
        assert (ended.exit_code, words in ended.err) == (2, True)
        assert source.connections == target.connections == 0


def test_files_and_what_is_only_delivered_are_refused_before_anything_starts(mailferry, passwords, tmp_path) -> None:
    box = tmp_path / "mbox"
    box.write_bytes(b"")
    with mailbox() as target, Maildrop([]).server() as drop, Postbox().server() as post:
        ended = mailferry("copy", f"mbox:{box}", f"imap://b@127.0.0.1:{target.port}", *passwords[2:], *YES)
        assert (ended.exit_code, "files are only read" in ended.err) == (2, True)
        ended = mailferry("MovePOPMail", *YES, f"127.0.0.1:{drop.port}", "a", passwords[1],
                          f"127.0.0.1:{post.port}", "b@new.test")  # fmt: skip
        assert (ended.exit_code, "nothing proves that it has arrived" in ended.err) == (2, True)
        assert drop.connections == post.connections == target.connections == 0


def test_two_names_of_one_machine_are_refused(mailferry, passwords) -> None:
    ended = mailferry("copy", "imap://a@127.0.0.1", "imaps://a@localhost", *passwords, *YES)
    assert (ended.exit_code, "are one machine" in ended.err) == (2, True)


def _appending():
    """Return the answers of a target that takes the one message and hands it out again."""
    meta = f'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE {len(BODY)})\n$ OK done'

    def answer(conversation, command):
        then(SENT if b"BODY" in command.words else meta)(conversation, command)

    return {"LOGIN": f"$ OK [CAPABILITY {HELD}] signed in", "APPEND": "$ OK [APPENDUID 7 1] done", "UID_FETCH": answer}


def test_without_uidplus_nothing_is_removed(mailferry, passwords) -> None:
    with mailbox(1, UID_FETCH=bodies(SENT)) as source, mailbox(**_appending()) as target:
        urls = f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{target.port}"
        ended = mailferry("copy", *urls, *passwords, *YES, "--json")
        assert ended.exit_code == 4, ended.err
        assert ended.answer["removal"]["error"]["code"] == "removal.not_offered"
        assert (source.said("STORE"), source.said("UID STORE"), source.said("SELECT")) == ([], [], [])


def test_a_folder_that_is_renumbered_right_before_keeps_its_mail(mailferry, passwords) -> None:
    opened = "* FLAGS (\\Seen)\n* 1 EXISTS\n* OK [UIDVALIDITY 8] -\n* OK [UIDNEXT 2] -\n$ OK [READ-WRITE] done"
    offers = f"$ OK [CAPABILITY {HELD}] signed in"
    with (
        mailbox(1, LOGIN=offers, UID_FETCH=bodies(SENT), SELECT=opened) as source,
        mailbox(**_appending()) as target,
    ):
        urls = f"imap://a@127.0.0.1:{source.port}", f"imap://b@127.0.0.1:{target.port}"
        ended = mailferry("copy", *urls, *passwords, *YES, "--json")
        assert len(source.said("SELECT")) == 1
        assert (source.said("UID STORE"), source.said("UID EXPUNGE")) == ([], [])
        assert ended.answer["removal"]["removed"] == 0
        assert ended.exit_code != 0


# Mail files


class Busy(MboxSource):
    """A mail file into which a message comes right before the call with the number ``at``."""

    def __init__(self, path: Path, at: int | None = None) -> None:
        super().__init__(path)
        self.calls, self._at = 0, at

    def _count(self) -> None:
        if self.calls == self._at:
            with self.path.open("ab") as file:
                file.write(b"From b@c Wed Dec  2 05:53:22 1992\nSubject: late\n\nlate\n\n")
        self.calls += 1

    def folders(self):
        self._count()
        return super().folders()

    def scan(self, requests):
        self._count()
        return super().scan(requests)

    def set_aside(self) -> Path:
        self._count()
        return super().set_aside()


def set_aside(it: World, ledgers: MemoryLedgers, source: Busy, **policy: object) -> AccountResult:
    choices = replace(CHOICES, verify=VerifyLevel.DIGEST, sets_aside=True, policy=CopyPolicy(**policy))  # type: ignore[arg-type]
    account = replace(it.account, open_source=lambda: source)
    return carry(account, ledgers, choices, RecordingSink(), NeverStop())


@pytest.mark.parametrize(
    ("field", "left_out", "words", "all_of_it"),
    [
        (b"", {"wanted": MessageFilter(since=1_000_000_000)}, "2 filtered", {}),
        (b"", {"wanted": MessageFilter(biggest_bytes=1)}, "2 filtered", {}),
        (b"X-Status: D\n", {}, "1 marked_deleted", {"copy_deleted": True}),
    ],
)
def test_a_file_of_which_something_stays_behind_is_left_as_it_is(
    tmp_path: Path, field: bytes, left_out: dict, words: str, all_of_it: dict
) -> None:
    it, ledgers, file = distinct("john", messages=0), MemoryLedgers(), tmp_path / "held"
    begun = b"From a@b Wed Dec  2 05:53:22 1992\n"
    file.write_bytes(begun + b"Subject: one\n\n1\n\n" + begun + b"Subject: two\n" + field + b"\n2\n\n")
    content = file.read_bytes()
    result = set_aside(it, ledgers, Busy(file), **left_out)
    assert result.error is not None
    assert (result.error.code, result.error.reply) == ("removal.not_all_there", words)
    assert (result.exit_code, result.set_aside, file.read_bytes()) == (Exit.PERSON, None, content)
    assert os.listdir(tmp_path) == ["held"]  # noqa: PTH208
    result = set_aside(it, ledgers, Busy(file), **all_of_it)
    assert (result.error, file.read_bytes()) == (None, b"")
    assert len(it.target["INBOX"].messages) == 2


def test_mail_that_comes_to_a_file_at_any_call_is_copied_or_stays(tmp_path: Path) -> None:
    file = tmp_path / "held"
    write_mbox(file, [letter(number) for number in range(3)])
    content, clean = file.read_bytes(), Busy(file)
    assert set_aside(distinct("john", messages=0), MemoryLedgers(), clean).set_aside is not None
    for at in range(clean.calls):
        it = distinct("john", messages=0)
        file.write_bytes(content)
        result = set_aside(it, MemoryLedgers(), Busy(file, at))
        is_copied = any(b"late" in message.body for message in it.target["INBOX"].messages.values())
        assert file.read_bytes().startswith(content) or is_copied, at
        assert (result.set_aside is None) is bool(file.read_bytes()), at


def test_setting_aside_is_for_mail_files_and_compares_all_octets(mailferry, passwords, tmp_path) -> None:
    box = tmp_path / "held"
    box.write_bytes(b"")
    for words, sentence in (
        (["imap://a@127.0.0.1:1", "imap://b@127.0.0.1:2", *passwords], "is for a mail file"),
        ([f"mbox:{box}", "imap://b@127.0.0.1:2", *passwords[2:], "--verify", "counts"], "compares all octets"),
        ([f"mbox:{box}", "smtp://b@127.0.0.1:2"], "cannot be read there"),
    ):
        ended = mailferry("copy", *words, "--set-aside")
        assert (ended.exit_code, sentence in ended.err) == (2, True), ended.err
