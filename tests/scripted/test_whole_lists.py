"""Lists that servers cut, big ones, and mail whose headers would like to be commands."""

from __future__ import annotations

import re
import tracemalloc

import pytest

from migrator.limits import Limits
from migrator.mail import FolderPath, MessageMeta
from migrator.stores.base import ScanRequest
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.memory_ledger import MemoryLedger
from tests.rigs.communigate import CommuniGate
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Command, Conversation, Peer

LIMITS = Limits(io_seconds=10, bundle_messages=50)


def letter(number: int) -> bytes:
    return b"Subject: %d\r\n\r\nbody %d\r\n" % (number, number)


def cross(old: CommuniGate, new: CommuniGate, ledger: MemoryLedger | None = None) -> PassResult:
    with (
        ImapSource(old.peer.endpoint(user="anna"), LIMITS) as source,
        ImapTarget(new.peer.endpoint(user="anna"), LIMITS) as target,
    ):
        return run_pass(source, target, ledger or MemoryLedger(), limits=LIMITS)


class Cutting(CommuniGate):
    """Lists no more than ``most`` messages in one answer, and finds nothing by SEARCH."""

    most = 100

    def uid_fetch(self, talk: Conversation, command: Command) -> None:
        found = re.match(rb"UID FETCH (\d+):\* ", command.words)
        if found is not None:
            first = int(found[1])
            words = command.words.replace(found[0], b"UID FETCH %d:%d " % (first, first + self.most - 1))
            command = command._replace(words=words)
        super().uid_fetch(talk, command)


@pytest.mark.req("D-35")
def test_a_list_that_is_cut_is_asked_for_to_its_end_and_search_is_not_believed() -> None:
    with Cutting("anna") as old, CommuniGate("anna") as new:
        old.put("anna", "INBOX", *map(letter, range(450)))
        old.put("anna", "Short", *map(letter, range(7)))
        ledger = MemoryLedger()
        result = cross(old, new, ledger)
        assert (result.is_balanced, result.listed) == (True, 457)
        assert new.holds("anna") == old.holds("anna")
        lists = [words for words in old.peer.said("UID FETCH") if b"FLAGS" in words]
        assert [words.split()[2] for words in lists] == [b"1:*", b"1:*", b"101:*", b"201:*", b"301:*", b"401:*"]
        assert "SEARCH" not in old.peer.verbs()
        assert "UID SEARCH" not in old.peer.verbs()
        again = cross(old, new, ledger)
        assert (again.appended, again.is_balanced, again.listed) == (0, True, 457)


@pytest.mark.req("D-35")
def test_a_list_that_stays_short_is_not_asked_for_for_ever() -> None:
    class Hiding(CommuniGate):
        def uid_fetch(self, talk: Conversation, command: Command) -> None:
            if b"FLAGS" in command.words:
                first = int(command.words.split()[2].split(b":")[0])
                command = command._replace(words=b"UID FETCH %d:7 (UID FLAGS)" % min(first, 8))
            super().uid_fetch(talk, command)

    with Hiding("anna") as old, CommuniGate("anna") as new:
        old.put("anna", "INBOX", *map(letter, range(9)))
        result = cross(old, new)
        assert (result.error, result.listed, result.appended) == (None, 7, 7)
        assert len([words for words in old.peer.said("UID FETCH") if b"FLAGS" in words]) == 2


@pytest.mark.long
@pytest.mark.req("D-41")
def test_a_big_folder_is_listed_in_flat_memory() -> None:
    # by hand with 500,000; what is held does not depend on the number
    count, row = (
        60_000,
        b'* %d FETCH (UID %d FLAGS (\\Seen) INTERNALDATE "01-Jan-2020 00:00:00 +0000" RFC822.SIZE 9)\r\n',
    )

    def flood(conversation: Conversation, command: Command) -> None:
        for start in range(1, count, 1000):
            conversation.send(b"".join(row % (uid, uid) for uid in range(start, start + 1000)))
        conversation.say("$ OK done", command)

    opened = f"* {count} EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK [READ-ONLY] done"
    with Peer({"EXAMINE": opened, "UID FETCH": flood}) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        tracemalloc.start()
        last = listed = 0
        for meta in source.scan([ScanRequest(FolderPath(b"INBOX"))]):
            assert isinstance(meta, MessageMeta)
            listed, last = listed + 1, meta.uid
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (listed, last) == (count, count)
    assert peak < 12_000_000, peak  # 20,000 rows are held to be sorted


class CountingLedger(MemoryLedger):
    """Keeps how many messages each commit wrote down."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[int] = []

    def commit(self, **parts) -> None:
        self.commits.append(sum(len(list(leaf.records())) for leaf in parts.get("leaves", ())))
        super().commit(**parts)


@pytest.mark.req("D-41")
def test_a_big_folder_is_written_down_piece_by_piece() -> None:
    with CommuniGate("anna") as old, CommuniGate("anna") as new:
        old.put("anna", "INBOX", *map(letter, range(1000)))
        ledger = CountingLedger()
        assert cross(old, new, ledger).appended == 1000
        # without UIDPLUS each message is written down when it is stored, and once more when its place is found
        copying = ledger.commits[:-1]
        assert sum(copying) == 1000
        assert max(copying) <= 2 * LIMITS.bundle_messages


# -- mail that would like to be commands

HOSTILE = [
    b'Message-ID: <a"\r\n x9 UID STORE 1:* +FLAGS (\\Deleted)\r\n x10 EXPUNGE>\r\nSubject: "\\{5}\r\n\r\nbody\r\n',
    b"Message-ID: <{18446744073709551616}>\r\nSubject: {3+}\r\n abc\r\n\r\n* 1 EXISTS\r\nt1 OK done\r\n",
    b'Message-ID: \r\nDate: Fri, 99 Foo 0000 99:99:99 +9999\r\nFrom: <<>>, "a (b@c, @d:e@f>\r\n\r\nbody\r\n',
    b"Date:\r\nFrom: =?x?Q?=00?= <a@\xff>\r\nTo: ;;;, group:;\r\nSender: \x01\x02 <NIL>\r\n\r\nbody\r\n",
    b'Subject: )\r\n )\r\n NIL NIL "" (\r\nIn-Reply-To: {0}\r\n\r\n.\r\n',
    b"no header at all\r\n",
]
WORDS = (b"STORE 1:*", b"EXPUNGE", b"18446744073709551616", b"Foo", b"group", b"NIL NIL")


@pytest.mark.req("D-57", "D-58")
def test_headers_of_mail_are_never_searched_for_nor_taken_apart_by_the_server() -> None:
    with CommuniGate("anna") as old, CommuniGate("anna") as new:
        old.put("anna", "INBOX", *HOSTILE, letter(1))
        new.put("anna", "INBOX", letter(1), HOSTILE[3])  # so that something must be matched
        ledger = MemoryLedger()
        result = cross(old, new, ledger)
        assert (result.is_balanced, result.appended) == (True, len(HOSTILE) - 1)
        assert sorted(new.holds("anna")["INBOX"]) == sorted(old.holds("anna")["INBOX"])
        assert cross(old, new, ledger).appended == 0
        for command in (*old.peer.commands, *new.peer.commands):
            assert command.verb in {
                "LOGIN", "LIST", "LSUB", "STATUS", "EXAMINE", "SELECT", "UID FETCH", "CREATE", "SUBSCRIBE", "APPEND",
                "LOGOUT", "ID", "CAPABILITY", "NOOP",
            }, command  # fmt: skip
            said = command.words if command.verb != "APPEND" else command.words.partition(b"}\r\n")[0]
            assert not any(word in said for word in WORDS), command
            assert b"ENVELOPE" not in said
            assert b"BODYSTRUCTURE" not in said
            assert b"HEADER" not in said
