"""The listeners: every event has its sentence, the bar follows the plan, and a board counts many accounts."""

from __future__ import annotations

import io

import pytest

from migrator import events
from migrator.cli.accounts import AccountResult, Exit, VerifyBegun
from migrator.cli.terminal import Terminal
from migrator.cli.watch import RENAMINGS, AccountWatch, Board, sentence_of
from migrator.events import (
    ClassesAbsent,
    ClassesCopied,
    ClassLeftBehind,
    CountsDiffer,
    DatesFromHeaders,
    DatesNotKept,
    Event,
    FieldsMissing,
    FileSkipped,
    FlagsLost,
    FlagsRenamed,
    FolderFailed,
    FolderLeftOut,
    FolderRenamed,
    GrantLost,
    LabelsHidden,
    LabelsUnseen,
    MailRemoved,
    MessageAltered,
    MessageLeftBehind,
    MessageRepaired,
    NoteLost,
    OrderMixed,
    PassPlanned,
    PopReaders,
    PopReadersUnknown,
    Progress,
    RecentCopied,
    Reconnecting,
    RoomShort,
    ScriptFolderRenamed,
    ScriptLeftBehind,
    ScriptRenamed,
    ScriptsAbsent,
    ScriptsCopied,
    StoreExposed,
    UidlFormat,
)
from migrator.mail import Outcome
from migrator.testing import FakeClock
from tests.migrator.cli.worlds import error, world

EVENTS: list[tuple[Event, str]] = [
    (PassPlanned(folders=2, messages=1000, size_bytes=5_000_000, flag_changes=1),
     "Both mailboxes are listed: 1,000 messages to copy, 5.0 MB, in 2 folders, 1 change of flags."),
    (VerifyBegun(messages=7), "Comparing 7 messages."),
    (FolderRenamed(folder="A.B", target="A_B", reason="collision"),
     "Folder A.B is called A_B on the new server: another folder has that name there."),
    (FolderLeftOut(folder="X", reason="virtual", messages=3),
     "Folder X (3 messages) is left out: it only shows messages of other folders."),
    (MailRemoved(folder="X", messages=2), "Folder X: 2 messages removed from the old mailbox."),
    (FolderFailed(folder="X", error=error("folder.no_permission", reply="[NOPERM]")), "Folder X is not finished. The"),
    (MessageLeftBehind(folder="X", uid=3, outcome=Outcome.TOO_BIG),
     "Folder X, UID 3: left behind: bigger than the new server allows."),
    (MessageRepaired(folder="X", uid=3, repairs="nul"), "Folder X, UID 3: copied after repair (nul)."),
    (MessageAltered(folder="X", uid=3, what="date"), "Folder X, UID 3: copied, but its date could not be kept."),
    (
        RoomShort(resource="MESSAGE", needed=1100, free=7),
        "The new mailbox may become full: what waits needs 1,100 messages with a margin, 7 messages are free.",
    ),
    (
        FlagsRenamed(folder="X", flag="\\Junk", target="$Junk", messages=2),
        "Folder X: the flag \\Junk of 2 messages is called $Junk there.",
    ),
    (FlagsLost(folder="X", flag="$Work", messages=1), "Folder X: the flag $Work of 1 message is not kept."),
    (
        DatesFromHeaders(folder="X", received=2, date=0, now=1),
        (
            "Folder X: the source keeps no dates of arrival. Stored: 2 messages with that of the last Received line; "
            "1 message with that of this copy, for the header tells none."
        ),
    ),
    (
        UidlFormat(form="%v.%u"),
        (
            "The source names messages of the form %v.%u (in Dovecot: pop3_uidl_format). Programs that read by POP3 "
            "fetch all mail again from the new server, unless it gives the same names."
        ),
    ),
    (GrantLost(folder="X", who="user anna", rights="lrs", reply="no such user"),
     "Folder X: what user anna may (lrs) in the old mailbox is not set on the new server. [no such user]"),
    (PopReaders(messages=0, kept=0, again=0, mixed=0, form="%u", target_form=""), "By POP3 the new mailbox is empty"),
    (PopReaders(messages=5, kept=5, again=0, mixed=0, form="%u", target_form="%u"),
     "Programs that read by POP3 know all messages that are on the new server, and fetch none again."),
    (PopReaders(messages=5, kept=1, again=3, mixed=1, form="%f", target_form=""),
     ("Programs that read by POP3 fetch 3 of 5 messages again: the old server names them %f, the new one in a form "
      "that is not known. They take 1 message for others that they have")),
    (PopReadersUnknown(error=error("server.unreachable")), "Whether programs that read by POP3 will fetch "),
    (NoteLost(folder="X", entry="/private/comment", reply="no"),
     "Folder X: the note /private/comment is not set on the new server. [no]"),
    (NoteLost(folder="X", entry="/a", is_taken=True), "Folder X: the new server has another note /a, which stays."),
    (NoteLost(folder="X", entry=""), "Folder X: the old server does not tell what is noted on it."),
    (FieldsMissing(folder="X", messages=2),
     "Folder X: nothing says of 2 messages whether they were read; they count as unread."),
    (StoreExposed(path="/m", is_writable=False), "Warning: everybody on this machine may read the mail in /m."),
    (StoreExposed(path="/m", is_writable=True), "Warning: everybody on this machine may read and change the mail in"),
    (FileSkipped(path="/m/link", error=error("file.escapes", reply="to /etc")),
     "/m/link is left out. The old server: A link leads"),
    (RecentCopied(days=30, messages=5), "The mail of the last 30 days is there (5 messages); older mail follows."),
    (DatesNotKept(folder="X", given=1, kept=2), "Folder X: the new server keeps another date for messages than they"),
    (LabelsUnseen(label="Secret", messages=1), "The old server shows no folder for the label Secret: what lies under"),
    (LabelsHidden(messages=0), "The old server does not show the folder of all mail"),
    (LabelsHidden(messages=1000), "The biggest folder shows exactly 1,000 messages"),
    (ClassesCopied(folders=2, copied=1), "2 folders with a class (calendar, contacts), 1 set by this run."),
    (ClassesCopied(folders=1, copied=1, is_rehearsal=True),
     "1 folder with a class (calendar, contacts), 1 would be set."),
    (ClassesAbsent(side="source", error=error("classes.unreachable", reply="refused")),
     "No classes of folders are copied. The old server: CommuniGate's command line cannot be reached"),
    (ClassLeftBehind(folder="X", kind="IPF.Task", reason="other_there", there="IPF.Contact"),
     "Class IPF.Task of folder X: the folder has another class on the new server, which stays (IPF.Contact)."),
    (ClassLeftBehind(folder="X", kind="IPF.Task", reason="refused", error=error("classes.refused", reply="501 no")),
     "Class IPF.Task of folder X: the new server does not take it. The old server: CommuniGate does not tell or does"),
    (ScriptsCopied(scripts=2, copied=1, active="a"), "2 Sieve scripts, 1 copied by this run; a is active."),
    (ScriptsAbsent(side="source", error=error("server.unreachable", reply="refused")),
     "No Sieve scripts are copied. The old server: The server cannot be reached. [refused]"),
    (ScriptsCopied(scripts=2, copied=1, active="", is_rehearsal=True), "2 Sieve scripts, 1 would be copied."),
    (ScriptLeftBehind(script="a", reason="refused", is_active=True, missing="x",
                      error=error("sieve.refused", reply="1")),
     "Sieve script a (the active one): the new server does not take it. It needs what is not offered there: x. [1]"),
    (ScriptLeftBehind(script="a", reason="refused", is_active=False, error=error("sieve.full", reply="32 KB")),
     "Sieve script a: the new server does not take it. The old server: The server has no room for this Sieve script"),
    (ScriptLeftBehind(script="a", reason="other_there", is_active=False),
     "Sieve script a: the new mailbox has another of this name, which stays."),
    (ScriptRenamed(script="a", target="b"), "Sieve script a is called b on the new server."),
    (ScriptFolderRenamed(script="a", folder="X/Y", target="X.Y"),
     "Sieve script a files into X/Y, which is called X.Y on the new server. It was copied as it is"),
    (OrderMixed(folder="X", messages=2), "Folder X: 2 messages came to the new server before the old mail."),
    (CountsDiffer(folder="X", counted=5, listed=4), "Folder X: the server counts 5 messages and lists 4."),
    (Reconnecting(error=error("line.lost"), attempt=1), "The old server: The line to the server dropped."),
]  # fmt: skip


@pytest.mark.req("S-47", "S-53")
@pytest.mark.parametrize(("event", "sentence"), EVENTS, ids=lambda value: getattr(value, "name", ""))
def test_every_event_has_its_sentence(event, sentence) -> None:
    assert (sentence_of(event) or "").startswith(sentence)
    stream = io.StringIO()
    AccountWatch(Terminal(stream), FakeClock(), verbose=True).emit(event)
    assert stream.getvalue().startswith(sentence)


def test_only_progress_is_told_by_the_bar_alone() -> None:
    kinds = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)}
    assert kinds - {type(event) for event, _ in EVENTS} == {Event, Progress}


def test_every_reason_to_rename_is_told_in_words() -> None:
    assert all(" " in words for words in RENAMINGS.values())


def watched(*, verbose: bool = False) -> tuple[AccountWatch, FakeClock, io.StringIO]:
    clock, stream = FakeClock(), io.StringIO()
    return AccountWatch(Terminal(stream, clock=clock), clock, verbose=verbose), clock, stream


def test_a_server_that_counts_more_than_it_lists_is_told_without_being_asked() -> None:
    event = CountsDiffer(folder="X", counted=99, listed=10)
    watch, _, stream = watched()
    watch.emit(event)
    assert "counts 99 messages and lists 10" in stream.getvalue()
    it, _, stream = board(1)
    it.listen(world("u1", line=2).account).emit(event)
    assert "u1" in stream.getvalue()
    assert "counts 99 messages and lists 10" in stream.getvalue()


def test_the_bar_follows_the_plan() -> None:
    watch, clock, stream = watched()
    watch.emit(PassPlanned(folders=1, messages=100, size_bytes=1_000_000, flag_changes=0))
    for _ in range(10):
        clock.wait(1)
        watch.emit(Progress(messages=5, size_bytes=50_000))
    told = stream.getvalue().splitlines()
    assert told[1].startswith(" 25%  25 of 100 messages, 250 kB of 1.0 MB, 5/s, 50.0 kB/s, 15 s left")
    assert told[2].startswith(" 50%  50 of 100 messages")


def test_what_is_planned_anew_after_a_lost_line_does_not_take_back_what_is_done() -> None:
    watch, clock, stream = watched()
    watch.emit(PassPlanned(folders=1, messages=100, size_bytes=0, flag_changes=0))
    watch.emit(Progress(messages=40, size_bytes=0))
    watch.emit(PassPlanned(folders=1, messages=60, size_bytes=0, flag_changes=0))
    clock.wait(10)
    watch.emit(Progress(messages=10, size_bytes=0))
    assert stream.getvalue().splitlines()[-1].startswith(" 50%  50 of 100 messages")


def test_a_check_has_a_bar_of_its_own() -> None:
    watch, clock, stream = watched()
    watch.emit(PassPlanned(folders=1, messages=100, size_bytes=0, flag_changes=0))
    watch.emit(Progress(messages=100, size_bytes=0))
    watch.emit(VerifyBegun(messages=10))
    clock.wait(10)
    watch.emit(Progress(messages=5, size_bytes=0))
    assert stream.getvalue().splitlines()[-1].startswith(" 50%  5 of 10 messages")


def board(accounts: int, *, verbose: bool = False) -> tuple[Board, FakeClock, io.StringIO]:
    clock, stream = FakeClock(), io.StringIO()
    return Board(Terminal(stream, clock=clock), clock, accounts=accounts, verbose=verbose), clock, stream


def test_a_board_counts_accounts_and_tells_of_those_that_failed() -> None:
    it, clock, stream = board(4)
    for number, exit_code in enumerate((Exit.ALL_THERE, Exit.LEFT_BEHIND, Exit.PERSON)):
        account = world(f"u{number}", line=number + 2).account
        clock.wait(2)
        it.listen(account).emit(Progress(messages=100, size_bytes=1_000_000))
        failure = error("sign_in.refused") if exit_code is Exit.PERSON else None
        it.tell(AccountResult(account, exit_code, error=failure))
    told = stream.getvalue().splitlines()
    assert told == [
        " 50%  2 of 4 accounts, 300 messages, 3.0 MB, 50/s, 500 kB/s, 6.0 s left",
        "line 4, u2: not done: The old server: The name or the password for this mailbox is not accepted.",
    ]


def test_a_verbose_board_puts_the_account_beside_each_event() -> None:
    it, _, stream = board(1, verbose=True)
    it.listen(world("u1", line=2).account).emit(CountsDiffer(folder="\x1b[2J", counted=1, listed=2))
    it.tell(AccountResult(world("u1", line=2).account, Exit.ALL_THERE))
    assert stream.getvalue().splitlines() == [
        "line 2, u1: Folder \\x1b[2J: the server counts 1 messages and lists 2.",
        "line 2, u1: all there",
    ]
