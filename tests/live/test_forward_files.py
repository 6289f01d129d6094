"""Mail held in files by people's .forward, by a real Postfix that delivers by them, and fetched into a real Dovecot."""

from __future__ import annotations

import contextlib
import errno
import mailbox
import os
import pwd
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Account, AllowedAddress, Batch, BatchHeld, Connector, Run
from campaigns.services import batches, campaigns, confirmations, held_mail
from migrator.entries import Values, open_connector
from migrator.errors import MigratorError, Radius, Side
from migrator.holds import HOLDS
from migrator.holds.forward_file import ForwardFileHold
from migrator.journal import StepKey, StepKind
from migrator.limits import Limits, SystemClock
from migrator.steps.copying import Mail
from migrator.steps.flow import ReleaseStep
from migrator.steps.held import HeldImport, Mark
from migrator.steps.replacement import pair
from migrator.stores.imap_target import ImapTarget
from migrator.stores.mbox import MboxSource
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.verify import VerifyReport, verify
from tests.campaigns.crossings import give_password
from tests.campaigns.factories import make_user
from tests.contracts.entries import ANNA
from tests.contracts.hold import HoldContract, PostOffice, settles, waits_for
from tests.live.crossing import endpoint
from tests.live.test_commands import Shell
from tests.live.test_kinds import set_up
from tests.live.test_runs import work_to_the_end
from tests.rigs import check
from tests.rigs.base import HOST, temporary_root, users
from tests.rigs.dovecot import Dovecot
from tests.rigs.forwards import USER, Forwards
from tests.rigs.panel import eventually
from tests.rigs.postfix import Exchanger

NAMES = ("anna", "bert", "clara")
QUICK = Limits(quiet_seconds=0.2)
BODY = b"Subject: x\r\n\r\nx\r\n"


class Office:
    """A Postfix that looks at .forward files, the old mailboxes as mbox files, and the new server."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.mx = Exchanger("error:nobody is here", more="mailbox_size_limit = 0\n")
        self.spool = folder / "mailboxes"
        self.forwards = Forwards(self.mx, folder, NAMES, lambda user: f"{self.spool}/{user}\n")
        for user in NAMES:
            self.empty(user)
        stack.enter_context(self.mx)
        self.target = stack.enter_context(Dovecot(users(3)))
        self.users = dict(zip(NAMES, self.target.passwords, strict=True))

    def hold(self) -> ForwardFileHold:
        opened: ForwardFileHold = open_connector(HOLDS, "forward_file", self.forwards.options())
        return opened

    def empty(self, user: str) -> None:
        Forwards.write(self.spool / user, "")
        (self.spool / user).chmod(0o600)

    def mail(self, address: str, limits: Limits = QUICK) -> Mail:
        """The mailboxes of somebody, as a night opens them."""
        user = address.partition("@")[0]
        return Mail(
            open_source=lambda: MboxSource(self.spool / user),
            open_target=lambda: ImapTarget(endpoint(self.target.admin(self.users[user])), limits),
            ledger=MemoryLedger(),
            limits=limits,
        )

    def fetch(self, hold: ForwardFileHold, address: str) -> None:
        bring = HeldImport(hold, address, self.mail(address))
        bring(bring.mark())

    def titles(self, user: str, folder: bytes = b"INBOX") -> list[str]:
        found = check.read(self.target.account(self.users[user])).folders[folder]
        return [seen.title for seen in found.messages]

    def arrived(self, address: str, side: Side) -> int:
        user = address.partition("@")[0]
        eventually(self.mx.is_queue_empty, self.mx.last_words)
        if side is Side.TARGET:
            return len(self.titles(user))
        return len(subjects(self.spool / user))


def subjects(path: Path) -> list[str]:
    """The titles in an mbox file."""
    with contextlib.closing(mailbox.mbox(path)) as box:
        return [message["Subject"] for message in box]


@pytest.fixture(scope="module")
def standing() -> Iterator[Office]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="forwards-", dir=temporary_root()))
        yield Office(Path(folder), stack)


@pytest.fixture
def office(standing: Office) -> Office:
    """Nobody is held, and nobody has mail."""
    for user in NAMES:
        (standing.forwards.homes / user / ".forward").unlink(missing_ok=True)
        standing.empty(user)
        standing.target.doveadm("expunge", "-u", standing.users[user], "mailbox", "INBOX", "all")
    for file in standing.forwards.held.iterdir():
        file.unlink()
    return standing


class TestForwardFile(HoldContract):
    @pytest.fixture
    def place(self, office: Office) -> PostOffice:
        def meddle(address: str) -> None:
            Forwards.write(office.forwards.homes / address.partition("@")[0] / ".forward", "elsewhere@example.org\n")

        def deliver(address: str, body: bytes) -> None:
            office.mx.send([address], body)
            eventually(office.mx.is_queue_empty, office.mx.last_words)

        self.office = office
        return PostOffice(office.hold, meddle, deliver, office.arrived)

    def release(self, place: PostOffice, address: str, held: Values, before: Values, side: Side) -> None:
        super().release(place, address, held, before, side)
        if side is Side.TARGET:
            self.office.fetch(self.office.hold(), address)


def held(office: Office, *titles: str) -> tuple[ForwardFileHold, Values]:
    """Hold Anna's mail and have some come; return the hold, and what was there before."""
    hold = office.hold()
    before = hold.find(ANNA)
    assert before is not None
    hold.replace(ANNA, before, hold.holding(before))
    assert settles(hold, ANNA)
    for title in titles:
        office.mx.send([ANNA], f"Subject: {title}\r\n\r\nx\r\n".encode())
    assert waits_for(hold, ANNA, len(titles)), office.mx.last_words()
    return hold, before


@pytest.mark.req("S-113")
def test_a_forward_of_ones_own_rests_meanwhile_and_comes_back_with_its_owner_and_mode(office: Office) -> None:
    forward = office.forwards.homes / "anna" / ".forward"
    Forwards.write(forward, "bert@example.test\n# \xe9\n")
    forward.chmod(0o640)
    hold, before = held(office, "for anna")
    assert (office.forwards.held / "anna.forward").read_text() == "bert@example.test\n# \xe9\n"
    about = forward.stat()
    assert (about.st_uid, about.st_mode & 0o777) == (pwd.getpwnam(USER).pw_uid, 0o600)
    office.hold().replace(ANNA, hold.holding(before), before)
    about = forward.stat()
    assert (forward.read_text(), about.st_uid, about.st_mode & 0o777) == (
        "bert@example.test\n# \xe9\n", pwd.getpwnam(USER).pw_uid, 0o640,
    )  # fmt: skip
    assert not (office.forwards.held / "anna.forward").exists()
    assert os.listdir(forward.parent) == [".forward"]  # noqa: PTH208  names


@pytest.mark.req("S-113")
def test_a_forward_that_is_a_link_or_shared_with_another_name_is_left_alone(office: Office) -> None:
    home = office.forwards.homes / "anna"
    secret = office.spool / "bert"
    for lay in (home.joinpath(".forward").symlink_to, home.joinpath(".forward").hardlink_to):
        lay(secret)
        with pytest.raises(MigratorError, match=r"hold\.forward_unfit"):
            office.hold().find(ANNA)
        home.joinpath(".forward").unlink()


@pytest.mark.req("S-113", "S-121")
def test_what_waited_is_on_the_new_server_once_before_the_file_is_emptied_and_whoever_repeats_it_doubles_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, before = held(office, "one", "two")
    bring = HeldImport(hold, ANNA, office.mail(ANNA))
    mark = bring.mark()
    with monkeypatch.context() as patched:
        patched.setattr(MboxSource, "set_aside", _dies)
        with pytest.raises(KeyboardInterrupt):
            bring(mark)
    assert (hold.held(ANNA).messages, office.titles("anna")) == (2, ["one", "two"])
    office.mx.send([ANNA], b"Subject: three\r\n\r\nx\r\n")
    assert waits_for(hold, ANNA, 3)
    hold.replace(ANNA, hold.holding(before), before)
    bring(mark)
    assert (hold.held(ANNA).messages, office.titles("anna")) == (0, ["one", "two", "three"])
    assert subjects(office.forwards.held / "anna.imported") == ["one", "two", "three"]
    about = (office.forwards.held / "anna").stat()  # a delivery agent may have it open
    assert (about.st_size, about.st_uid) == (0, pwd.getpwnam(USER).pw_uid)


def _dies(source: MboxSource) -> Path:
    raise KeyboardInterrupt


def test_what_the_new_server_does_not_take_stays_in_the_file(office: Office) -> None:
    hold, _ = held(office, "one")
    office.mx.send([ANNA], b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 4000)
    assert waits_for(hold, ANNA, 2)
    office.target.set_quota(office.users["anna"], "10K")
    with pytest.raises(MigratorError, match=r"target\.full"):
        office.fetch(hold, ANNA)
    assert hold.held(ANNA).messages == 2
    office.target.set_quota(office.users["anna"], "10M")
    eventually(lambda: fetched(office, hold), office.target.last_words)
    assert (hold.held(ANNA).messages, office.titles("anna")) == (0, ["one", "big"])


def test_what_their_owner_does_with_held_mail_while_it_comes_neither_ends_the_release_nor_brings_it_again(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, _ = held(office, "read", "filed", "removed")
    user, doveadm = office.users["anna"], office.target.doveadm
    doveadm("mailbox", "create", "-u", user, "Filed")

    def at_work(*words: Any, **named: Any) -> VerifyReport:
        """Their mail program looks in between the copy and the comparison."""
        doveadm("flags", "add", "-u", user, "\\Seen $NotJunk", "mailbox", "INBOX", "subject", "read")
        doveadm("move", "-u", user, "Filed", "mailbox", "INBOX", "subject", "filed")
        doveadm("expunge", "-u", user, "mailbox", "INBOX", "subject", "removed")
        return verify(*words, **named)

    bring = HeldImport(hold, ANNA, office.mail(ANNA))
    mark = bring.mark()
    with monkeypatch.context() as patched:
        patched.setattr("migrator.steps.held.verify", at_work)
        patched.setattr(MboxSource, "set_aside", _dies)
        with pytest.raises(KeyboardInterrupt):
            bring(mark)
    HeldImport(office.hold(), ANNA, office.mail(ANNA))(mark)
    try:
        assert (hold.held(ANNA).messages, office.titles("anna")) == (0, ["read"])
        assert office.titles("anna", b"Filed") == ["filed"]
        assert sorted(file.name for file in office.forwards.held.iterdir() if "import" in file.name) == [
            "anna.imported"
        ]
    finally:
        doveadm("mailbox", "delete", "-u", user, "Filed")


def test_what_came_before_the_mailbox_was_full_does_not_come_again_though_it_was_filed_meanwhile(
    office: Office,
) -> None:
    hold, _ = held(office, "small")
    office.mx.send([ANNA], b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 4000)
    assert waits_for(hold, ANNA, 2)
    user, doveadm = office.users["anna"], office.target.doveadm
    doveadm("mailbox", "create", "-u", user, "Filed")
    office.target.set_quota(user, "10K")
    eventually(lambda: " Limit=10 " in doveadm("-f", "flow", "quota", "get", "-u", user), office.target.last_words)
    bring = HeldImport(hold, ANNA, office.mail(ANNA, replace(QUICK, bundle_messages=1)))
    mark = bring.mark()
    with pytest.raises(MigratorError, match=r"target\.full"):
        bring(mark)
    assert office.titles("anna") == ["small"]
    doveadm("move", "-u", user, "Filed", "mailbox", "INBOX", "all")
    office.target.set_quota(user, "10M")
    try:
        eventually(lambda: _repeated(bring, mark) and not hold.held(ANNA).messages, office.target.last_words)
        assert (office.titles("anna"), office.titles("anna", b"Filed")) == (["big"], ["small"])
    finally:
        doveadm("mailbox", "delete", "-u", user, "Filed")


def _repeated(bring: HeldImport, mark: Mark) -> bool:
    """Repeat it, until the server has heard of the room that there is now."""
    with contextlib.suppress(MigratorError):
        bring(mark)
        return True
    return False


def test_mail_that_comes_while_the_copy_is_compared_is_copied_before_the_file_is_emptied(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, _ = held(office, "one")
    file = office.forwards.held / "anna"

    def late(*words: Any, **named: Any) -> VerifyReport:
        if "Subject: two" not in file.read_text():
            with file.open("a") as box:
                box.write("From x@example.org  Sat Nov 28 19:47:42 2026\nSubject: two\n\nx\n\n")
        return verify(*words, **named)

    monkeypatch.setattr("migrator.steps.held.verify", late)
    office.fetch(hold, ANNA)
    assert (hold.held(ANNA).messages, office.titles("anna")) == (0, ["one", "two"])


def test_a_file_into_which_mail_goes_on_coming_is_told_as_that_and_keeps_all_of_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, _ = held(office, "one")
    file = office.forwards.held / "anna"
    bring = HeldImport(hold, ANNA, office.mail(ANNA))
    mark = bring.mark()

    def late(*words: Any, **named: Any) -> VerifyReport:
        with file.open("a") as box:
            box.write("From x@example.org  Sat Nov 28 19:47:42 2026\nSubject: more\n\nx\n\n")
        return verify(*words, **named)

    with monkeypatch.context() as patched:
        patched.setattr("migrator.steps.held.verify", late)
        with pytest.raises(MigratorError) as caught:
            bring(mark)
    assert caught.value.code == "hold.restless"
    assert "locked out" not in caught.value.sentence  # the user works on the new server by now
    assert hold.held(ANNA).messages == 11
    bring(mark)
    assert hold.held(ANNA).messages == 0
    assert office.titles("anna") == ["one", *["more"] * 10]


@pytest.mark.parametrize(
    "fields",
    [
        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\r\nX-IMAP: 7 42",
        "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA",
    ],
)
def test_a_message_that_looks_like_the_state_of_a_mailbox_is_mail_like_any_other(office: Office, fields: str) -> None:
    hold, _ = held(office)
    office.mx.send([ANNA], f"{fields}\r\n\r\nx\r\n".encode())
    assert waits_for(hold, ANNA, 1)
    office.mx.send([ANNA], b"Subject: two\r\n\r\nx\r\n")
    assert waits_for(hold, ANNA, 2)
    office.fetch(hold, ANNA)
    titles = office.titles("anna")
    assert (len(titles), titles[1]) == (2, "two")
    assert hold.held(ANNA).messages == 0


def fetched(office: Office, hold: ForwardFileHold) -> bool:
    """Fetch what waits, if the server has heard of the room that there is now."""
    with contextlib.suppress(MigratorError):
        office.fetch(hold, ANNA)
    return not hold.held(ANNA).messages


@pytest.mark.parametrize("octets", [0, 1, 100, None])
def test_mail_goes_back_into_the_old_mailbox_once_however_far_an_earlier_attempt_came(
    office: Office, octets: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.mx.send([ANNA], b"Subject: before\r\n\r\nx\r\n")
    assert office.arrived(ANNA, Side.SOURCE) == 1
    hold, before = held(office, "one", "two")
    hold.replace(ANNA, hold.holding(before), before)
    box = office.spool / "anna"
    whole, size = box.read_bytes() + (office.forwards.held / "anna").read_bytes(), box.stat().st_size
    with monkeypatch.context() as patched:
        patched.setattr("migrator.holds.put_back.os.ftruncate", _end)
        with pytest.raises(KeyboardInterrupt):
            hold.flush(ANNA, Side.SOURCE)
    if octets is not None:
        os.truncate(box, size + octets)
    office.hold().flush(ANNA, Side.SOURCE)
    assert box.read_bytes() == whole
    assert hold.held(ANNA).messages == 0
    hold.flush(ANNA, Side.SOURCE)
    assert box.read_bytes() == whole


def test_mail_that_may_be_back_in_part_is_left_to_a_person_when_its_mailbox_changed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, before = held(office, "one")
    hold.replace(ANNA, hold.holding(before), before)
    with monkeypatch.context() as patched:
        patched.setattr("migrator.holds.put_back.os.ftruncate", _end)
        with pytest.raises(KeyboardInterrupt):
            hold.flush(ANNA, Side.SOURCE)
    Forwards.write(office.spool / "anna", "From x@example.org  Sat Nov 28 19:47:42 2026\nSubject: other\n\nx\n\n")
    with pytest.raises(MigratorError, match=r"hold\.half_put_back"):
        hold.flush(ANNA, Side.SOURCE)
    assert hold.held(ANNA).messages == 1


def test_an_undo_that_died_when_the_file_was_empty_does_not_stand_in_the_way_of_the_next(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, before = held(office, "first night")
    hold.replace(ANNA, hold.holding(before), before)
    unlink = Path.unlink

    def dies(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == ".anna.back":
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", dies)
        with pytest.raises(KeyboardInterrupt):
            hold.flush(ANNA, Side.SOURCE)
    assert (hold.held(ANNA).messages, subjects(office.spool / "anna")) == (0, ["first night"])
    assert (office.forwards.held / ".anna.back").exists()
    hold, before = held(office, "second night")
    hold.replace(ANNA, hold.holding(before), before)
    hold.flush(ANNA, Side.SOURCE)
    assert (hold.held(ANNA).messages, subjects(office.spool / "anna")) == (0, ["first night", "second night"])


def test_what_a_sender_wrote_into_lines_of_status_marks_nothing(office: Office) -> None:
    hold, _ = held(office)
    for status in ("X-Status: D\r\nStatus: RO", "X-Status: AF"):
        office.mx.send([ANNA], f"{status}\r\nSubject: x\r\n\r\nx\r\n".encode())
    assert waits_for(hold, ANNA, 2)
    office.fetch(hold, ANNA)
    inbox = check.read(office.target.account(office.users["anna"])).folders[b"INBOX"]
    assert [seen.flags for seen in inbox.messages] == [frozenset(), frozenset()]
    assert hold.held(ANNA).messages == 0


@pytest.mark.parametrize("octets", [0, 100])
def test_a_disk_that_is_full_leaves_the_old_mailbox_without_a_torn_message_for_the_next_delivery_to_come_behind(
    office: Office, octets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, before = held(office, "one", "two")
    hold.replace(ANNA, hold.holding(before), before)
    office.mx.send([ANNA], b"Subject: before\r\n\r\nx\r\n")
    assert office.arrived(ANNA, Side.SOURCE) == 1
    box = office.spool / "anna"
    whole = box.read_bytes()

    write = os.pwrite

    def full(file: int, data: bytes, at: int) -> int:
        if not octets or at != len(whole):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, data[:octets], at)

    with monkeypatch.context() as patched:
        patched.setattr("migrator.holds.put_back.os.pwrite", full)
        with pytest.raises(MigratorError) as refusal:
            hold.flush(ANNA, Side.SOURCE)
    assert refusal.value.reply == f"No space left on device: {box}"
    assert box.read_bytes() == whole
    office.mx.send([ANNA], b"Subject: meanwhile\r\n\r\nx\r\n")
    assert office.arrived(ANNA, Side.SOURCE) == 2
    hold.flush(ANNA, Side.SOURCE)
    assert (subjects(box), hold.held(ANNA).messages) == (["before", "meanwhile", "one", "two"], 0)


def test_a_part_that_a_killed_attempt_left_before_other_mail_is_told_with_its_place(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, before = held(office, "one")
    hold.replace(ANNA, hold.holding(before), before)
    box, mail = office.spool / "anna", (office.forwards.held / "anna").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("migrator.holds.put_back.os.ftruncate", _end)
        with pytest.raises(KeyboardInterrupt):
            hold.flush(ANNA, Side.SOURCE)
    place = next(at for at in range(100, len(mail)) if mail[at : at + 1] != b"F")
    torn = mail[:place] + b"From x@example.org  Sat Nov 28 19:47:42 2026\nSubject: other\n\nx\n\n"
    box.write_bytes(torn)
    with pytest.raises(MigratorError) as refusal:
        hold.flush(ANNA, Side.SOURCE)
    assert refusal.value.code == "hold.half_put_back"
    assert f"from octet 0 of the mailbox on {place} of {len(mail)} are there" in refusal.value.reply
    assert (box.read_bytes(), hold.held(ANNA).messages) == (torn, 1)


def test_a_second_name_that_one_gives_to_their_held_mail_is_a_matter_of_this_one_alone(
    office: Office,
) -> None:
    hold, before = held(office, "one")
    hold.replace(ANNA, hold.holding(before), before)
    file = office.forwards.held / "anna"
    second = office.forwards.homes / "anna" / "x"
    second.hardlink_to(file)
    try:
        for act in (lambda: hold.flush(ANNA, Side.SOURCE), lambda: hold.replace(ANNA, before, hold.holding(before))):
            with pytest.raises(MigratorError) as refusal:
                act()
            assert (refusal.value.code, refusal.value.radius, refusal.value.reply) == (
                "hold.file_in_the_way", Radius.ACCOUNT, str(file),
            )  # fmt: skip
    finally:
        second.unlink()


def test_a_held_file_that_a_killed_process_did_not_give_away_is_given_to_its_user(office: Office) -> None:
    file = office.forwards.held / "anna"
    file.touch(mode=0o600)
    hold, _ = held(office, "one")
    assert (file.stat().st_uid, hold.held(ANNA).messages) == (pwd.getpwnam(USER).pw_uid, 1)


def test_a_file_of_root_that_holds_something_is_given_to_nobody(office: Office) -> None:
    file = office.forwards.held / "anna"
    file.write_text("x")
    with pytest.raises(MigratorError, match=r"hold\.file_in_the_way"):
        held(office)
    assert file.stat().st_uid == 0


def test_held_mail_never_goes_back_into_a_mailbox_that_somebody_else_made_under_its_owners_name(office: Office) -> None:
    hold, before = held(office, "for anna alone")
    hold.replace(ANNA, hold.holding(before), before)
    box = office.spool / "anna"
    os.chown(box, pwd.getpwnam("nobody").pw_uid, -1)
    with pytest.raises(MigratorError) as refusal:
        hold.flush(ANNA, Side.SOURCE)
    assert (refusal.value.code, refusal.value.reply) == ("hold.file_in_the_way", str(box))
    assert (box.read_bytes(), hold.held(ANNA).messages) == (b"", 1)
    box.unlink()
    hold.flush(ANNA, Side.SOURCE)
    assert (subjects(box), hold.held(ANNA).messages) == (["for anna alone"], 0)
    assert box.stat().st_uid == pwd.getpwnam(USER).pw_uid


def _end(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_folder_that_others_may_write_to_and_a_postfix_that_delivers_to_no_file_are_named(office: Office) -> None:
    assert list(office.hold().trouble()) == []
    office.forwards.held.chmod(0o777)
    office.mx.run("postconf", "-e", "allow_mail_to_files = alias")
    try:
        found = [error.reply for error in office.hold().trouble()]
    finally:
        office.forwards.held.chmod(0o711)
        office.mx.run("postconf", "-e", "allow_mail_to_files = alias, forward")
    assert found == [f"chmod 711 {office.forwards.held}", "allow_mail_to_files = alias"]


def test_mail_for_the_new_server_is_never_said_to_be_sent(office: Office) -> None:
    hold, before = held(office, "one")
    hold.replace(ANNA, hold.holding(before), before)
    with pytest.raises(MigratorError, match=r"hold\.kept_in_file"):
        hold.flush(ANNA, Side.TARGET)
    assert hold.held(ANNA).messages == 1
    assert hold.kept(ANNA, Limits()).path == office.forwards.held / "anna"


def test_who_follows_the_advice_on_mail_that_nothing_sends_can_finish_the_release(
    office: Office, tmp_path: Path
) -> None:
    hold, before = held(office, "one", "two")
    saved = pair(before, hold.holding(before))
    # As a rescue does it, which opens no mailbox.
    release = ReleaseStep(StepKey(0, StepKind.RELEASE), office.hold(), ANNA, clock=SystemClock(), held=lambda: saved)
    noted = release.prepare()
    with pytest.raises(MigratorError) as refusal:
        release.apply(noted)
    words = re.search(r"mailferry (copy mbox:FILE TARGET [-a-z]+)", refusal.value.hint)
    assert refusal.value.code == "hold.kept_in_file"
    assert words is not None, refusal.value.hint
    target = office.target.account(office.users["anna"])
    places = {"FILE": refusal.value.reply, "TARGET": target.url}
    shell = Shell(tmp_path)
    advice = [re.sub("FILE|TARGET", lambda found: places[found[0]], word) for word in words[1].split()]
    shell.run(*advice, *shell.passwords("", target.password)[2:])
    release.apply(noted)
    assert release.is_done(noted)
    assert (hold.held(ANNA).messages, office.titles("anna")) == (0, ["one", "two"])


@pytest.mark.req("S-97", "S-113")
@pytest.mark.django_db(transaction=True)
def test_a_night_of_the_panel_holds_new_mail_in_the_file_and_brings_it_behind_the_old_and_the_late_one_behind_both(
    office: Office, tmp_path: Path, settings: Any
) -> None:
    settings.PROGRAMS, settings.MAIL_FOLDERS = tmp_path / "programs", (office.spool,)
    settings.PROGRAMS.mkdir(mode=0o755)
    for name in ("homes", "held", "mailboxes"):
        (settings.PROGRAMS / f"{name}.folder").symlink_to(office.forwards.folder / name)
    (settings.PROGRAMS / "postfix-here").write_text((office.mx.dir / "through").read_text())
    (settings.PROGRAMS / "postfix-here").chmod(0o755)
    admin = Client(headers={"host": "localhost"})
    person = make_user(is_administrator=True, is_operator=True)
    admin.force_login(person)
    form = {"name": "forwards", "homes": "homes.folder", "held": "held.folder", "mailboxes": "mailboxes.folder"}
    page = admin.post("/connectors/new?kind=hold-forward-file-postfix", {**form, "through": "postfix-here"})
    assert page.status_code == 302, page.context["form"].errors
    old = set_up(admin, "mbox", folder=str(office.spool), below="*")
    AllowedAddress.objects.create(host=HOST)
    new = set_up(admin, "imap", port=str(office.target.imap))
    steps = [["hold", "", ""], ["person", "", ""], *([one, "", ""] for one in ("delta", "verify", "switch", "release"))]
    campaign = campaigns.create(
        "the move", source=old, target=new, actor="test", hold=Connector.objects.get(), steps=steps
    )
    user = office.users["anna"]
    (batch,) = batches.cut(campaign, [Account(source_login="anna", target_login=user)], actor="test")
    give_password(batch.accounts.get(), office.target.passwords[user], "target")
    office.mx.send([ANNA], b"Subject: old\r\n\r\nx\r\n")
    assert office.arrived(ANNA, Side.SOURCE) == 1
    batches.start(batch, actor="test")
    Batch.objects.filter(pk=batch.pk).update(go_at=timezone.now())
    work_to_the_end()
    account = batch.accounts.get()
    assert (account.state, account.waiting_for, account.error_code) == ("cutting_over", "person", "")
    office.mx.send([ANNA], b"Subject: held\r\n\r\nx\r\n")
    eventually(office.mx.is_queue_empty, office.mx.last_words)
    held_mail.count(batch.pk)
    assert BatchHeld.objects.get().messages == 1
    confirmations.record_by_hand(batch, 1, "a person did it", actor=person)
    work_to_the_end()
    account.refresh_from_db()
    assert (account.state, account.error_code) == ("done", "")
    assert office.titles("anna") == ["old", "held"]
    assert office.hold().held(ANNA).messages == 0
    assert os.listdir(office.forwards.homes / "anna") == []  # noqa: PTH208  names
    # A mail server that had tried in vain before now delivers by the .forward that it read then.
    with (office.forwards.held / "anna").open("a") as box:
        box.write("From x@example.org  Sat Nov 28 19:47:42 2026\nSubject: late\n\nx\n\n")
    for _ in range(2):
        Account.objects.update(not_before=timezone.now(), catch_up_until=timezone.now() + timedelta(hours=1))
        work_to_the_end()
        account.refresh_from_db()
        assert (account.state, account.error_code) == ("done", "")
        assert office.titles("anna") == ["old", "held", "late"]
        assert office.hold().held(ANNA).messages == 0
    looks = Run.objects.filter(kind="catch_up").order_by("pk")
    assert [run.figures["appended"] for run in looks][-2:] == [1, 0]
