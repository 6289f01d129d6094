"""Lists of folders as servers give them, and how many round trips they cost."""

from __future__ import annotations

import tracemalloc

import pytest

from migrator.errors import MigratorError
from migrator.mail import Folder
from migrator.stores.imap_listing import MOST_NAMES
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Command, Conversation, Peer, raw, then

FULL = "IMAP4rev1 ID NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE CONDSTORE"
PERSONAL = '* NAMESPACE (("" "/")) NIL NIL\n$ OK done'


def listed(answers: Answers, capabilities: str = "IMAP4rev1") -> tuple[list[Folder], tuple[str, str | None], Peer]:
    with Peer(answers, capabilities=capabilities) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        return source.folders(), source.prefix(), peer


def test_a_capable_server_is_asked_everything_in_one_send() -> None:
    answers: Answers = {
        "NAMESPACE": PERSONAL,
        "LIST": '* LIST (\\HasNoChildren \\Subscribed) "/" INBOX\n'
        "* STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 12)\n"
        '* LIST (\\HasNoChildren \\Sent) "/" "Sent Mail"\n'
        '* STATUS "Sent Mail" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 8 HIGHESTMODSEQ 0)\n$ OK done',
    }
    folders, prefix, peer = listed(answers, FULL)
    assert [(f.display_name, f.subscribed, f.special_use) for f in map(_Seen, folders)] == [
        ("INBOX", True, None),
        ("Sent Mail", False, "\\Sent"),
    ]
    inbox, sent = folders
    assert (inbox.messages, inbox.uidnext, inbox.uidvalidity, inbox.highestmodseq) == (3, 9, 7, 12)
    assert (sent.messages, sent.highestmodseq) == (0, None)
    assert prefix == ("", "/")
    assert peer.verbs()[:4] == ["LOGIN", "ID", "NAMESPACE", "LIST"]
    # the sign-in, all questions at once, the farewell
    assert len(peer.flights) == 3


class _Seen:
    def __init__(self, folder: Folder) -> None:
        self.display_name = folder.path.display
        self.subscribed = folder.subscribed
        self.special_use = folder.special_use


@pytest.mark.req("D-29")
def test_a_poor_server_is_asked_in_two_sends_however_many_folders_it_has() -> None:
    names = [f"f{number:03d}" for number in range(300)]
    lists = "\n".join(f'* LIST () "/" {name}' for name in names)

    def status(conversation: Conversation, command: Command) -> None:
        conversation.say(
            b"* STATUS " + command.words.split()[1] + b" (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\n$ OK", command
        )

    answers: Answers = {
        "LIST": f'* LIST () "/" INBOX\n{lists}\n$ OK done',
        "LSUB": '* LSUB () "/" f007\n* LSUB () "/" gone\n$ OK done',
        "STATUS": status,
    }
    folders, _, peer = listed(answers)
    assert [folder.path.raw.decode() for folder in folders] == ["INBOX", *names]
    assert {folder.path.raw for folder in folders if folder.subscribed} == {b"f007"}
    assert all(folder.messages == 1 for folder in folders)
    assert len(peer.flights) == 4


@pytest.mark.req("D-29")
def test_thousands_of_folders_neither_deadlock_nor_cost_a_round_trip_each() -> None:
    count = 3000
    lists = "\n".join(f'* LIST () "/" folder-with-a-longer-name-{number}' for number in range(count))

    asked: list[Command] = []
    bunch = 20  # answered together and not sooner: who waits for each answer never gets one

    def status(conversation: Conversation, command: Command) -> None:
        asked.append(command)
        if len(asked) % bunch == 0 or len(asked) == count + 1:
            for each in asked[(len(asked) - 1) // bunch * bunch :]:
                conversation.say(b"* STATUS " + each.words.split()[1] + b" (MESSAGES 1)\n$ OK", each)

    folders, _, _ = listed({"LIST": lists + "\n$ OK done", "LSUB": "$ OK", "STATUS": status})
    assert len(folders) == len(asked) == count + 1
    assert all(folder.messages == 1 for folder in folders)


@pytest.mark.req("D-20")
@pytest.mark.parametrize("refusal", ["$ BAD Unknown argument RETURN", "$ NO not here"])
def test_a_server_that_refuses_its_own_extension_is_asked_plainly(refusal: str) -> None:
    answers: Answers = {
        "NAMESPACE": PERSONAL,
        "LIST": [refusal, '* LIST () "/" INBOX\n$ OK done'],
        "LSUB": '* LSUB () "/" INBOX\n$ OK done',
        "STATUS": "* STATUS INBOX (MESSAGES 4)\n$ OK done",
    }
    with Peer(answers, capabilities=FULL) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        for _ in range(2):
            (inbox,) = source.folders()
            assert (inbox.messages, inbox.subscribed) == (4, True)
        # remembered: the second time it is not tried again
        assert sum(b"RETURN" in words for words in peer.said("LIST")) == 1


@pytest.mark.req("D-1")
def test_separators_may_differ_and_be_absent() -> None:
    lists = '* LIST () NIL INBOX\n* LIST () "/" a/b\n* LIST () "." a.b\n* LIST () "\\\\" a\\b\n$ OK done'
    folders, _, _ = listed({"LIST": lists, "LSUB": "$ OK", "STATUS": "$ OK"})
    assert [folder.path.segments for folder in folders] == [("INBOX",), ("a", "b"), ("a", "b"), ("a", "b")]


@pytest.mark.req("D-4", "D-7", "D-14")
def test_odd_names_come_and_go_with_the_octets_they_have() -> None:
    names = [b'"R&D"', b'"a \\"b\\" \\\\c"', b"{3}\r\nd\xffe", "{2}\r\né".encode(), b'"NIL"', b"Entw&APw-rfe", b'" x "']
    raws = [b"R&D", b'a "b" \\c', b"d\xffe", "é".encode(), b"NIL", b"Entw&APw-rfe", b" x "]
    lists = b"".join(b'* LIST () "/" ' + name + b"\r\n" for name in names)
    answers: Answers = {"LIST": then(raw(lists), "$ OK done"), "LSUB": "$ OK", "STATUS": "$ OK"}
    for capabilities in ("IMAP4rev1 LITERAL+", "IMAP4rev1"):
        folders, _, peer = listed(answers, capabilities)
        assert [folder.path.raw for folder in folders] == [b"INBOX", *raws]
        asked = b"\n".join(peer.said("STATUS"))
        assert b'"NIL"' in asked
        assert b"d\xffe" in asked
        assert len(peer.said("STATUS")) == len(raws) + 1


@pytest.mark.req("D-8")
def test_a_name_with_a_line_end_is_listed_but_never_sent() -> None:
    lists = b'* LIST () "/" INBOX\r\n* LIST () "/" {13}\r\na\r\nx DELETE a\r\n* LIST () "/" {3}\r\na\0b\r\n'
    folders, _, peer = listed({"LIST": then(raw(lists), "$ OK done"), "LSUB": "$ OK", "STATUS": "$ OK"})
    assert [folder.selectable for folder in folders] == [True, False, False]
    assert peer.said("STATUS") == [b'STATUS "INBOX" (MESSAGES UIDNEXT UIDVALIDITY)']


@pytest.mark.req("D-17", "D-18")
def test_names_without_a_folder_are_not_to_be_opened() -> None:
    lists = (
        '* LIST (\\Noselect) "/" a\n* LIST (\\NonExistent \\Subscribed) "/" b\n* LIST (\\NoInferiors) "/" c\n$ OK done'
    )
    folders, _, peer = listed({"LIST": lists, "LSUB": "$ OK", "STATUS": "$ OK"})
    assert [(f.path.raw, f.selectable, f.no_inferiors) for f in folders[1:]] == [
        (b"a", False, False),
        (b"b", False, False),
        (b"c", True, True),
    ]
    assert len(peer.said("STATUS")) == 2


@pytest.mark.req("D-9")
def test_inbox_is_there_in_any_spelling_and_even_unlisted() -> None:
    answers: Answers = {
        "LIST": '* LIST () "/" Inbox\n$ OK',
        "LSUB": '* LSUB () "/" INBOX\n$ OK',
        "STATUS": "* STATUS inbox (MESSAGES 2)\n$ OK",
    }
    (inbox,), _, _ = listed(answers)
    assert (inbox.path.is_inbox, inbox.subscribed, inbox.messages) == (True, True, 2)
    (absent,), _, _ = listed({"LIST": "$ OK", "LSUB": "$ OK", "STATUS": "$ OK"})
    assert absent.path.raw == b"INBOX"


@pytest.mark.req("D-24")
@pytest.mark.parametrize(
    ("namespace", "personal"),
    [
        ('(("" ".")) (("user." ".")) (("shared." "."))', [b"INBOX", b"INBOX.a", b"work"]),
        # Cyrus: what has no prefix is shared
        ('(("INBOX." ".")) (("user." ".")) (("" "."))', [b"INBOX", b"INBOX.a"]),
        ('(("" ".")) NIL NIL', [b"INBOX", b"INBOX.a", b"work", b"user", b"user.x", b"shared.team"]),
        ("NIL NIL NIL", [b"INBOX", b"INBOX.a", b"work", b"user", b"user.x", b"shared.team"]),
    ],
)
def test_folders_of_others_are_left_out(namespace: str, personal: list[bytes]) -> None:
    names = ("INBOX", "INBOX.a", "work", "user", "user.x", "shared.team")
    lists = "\n".join(f'* LIST () "." {name}' for name in names)
    answers: Answers = {
        "NAMESPACE": f"* NAMESPACE {namespace}\n$ OK done",
        "LIST": f"{lists}\n$ OK done",
        "LSUB": "$ OK",
        "STATUS": "$ OK",
    }
    folders, _, _ = listed(answers, "IMAP4rev1 NAMESPACE")
    assert [folder.path.raw for folder in folders] == personal


@pytest.mark.req("D-2")
@pytest.mark.parametrize(
    ("names", "prefix"),
    [
        (("INBOX", "INBOX.Sent", "INBOX.a.b"), ("INBOX.", ".")),
        (("INBOX", "INBOX.Sent", "Other"), ("", ".")),
        (("INBOX",), ("", ".")),
    ],
)
def test_without_namespace_the_prefix_is_inferred(names: tuple[str, ...], prefix: tuple[str, str]) -> None:
    lists = "\n".join(f'* LIST () "." {name}' for name in names)
    _, found, _ = listed({"LIST": f"{lists}\n$ OK done", "LSUB": "$ OK", "STATUS": "$ OK"})
    assert found == prefix


@pytest.mark.long
@pytest.mark.req("D-19")
def test_a_list_beyond_all_reason_is_refused() -> None:
    def flood(conversation: Conversation, command: Command) -> None:
        number = 0
        while True:
            conversation.send(b"".join(b'* LIST () "/" f%d\r\n' % (number + n) for n in range(1000)))
            number += 1000

    with Peer({"LIST": flood}) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        with pytest.raises(MigratorError) as caught:
            source.folders()
        assert caught.value.params == {"limit": MOST_NAMES}


@pytest.mark.long
@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", [b"* STATUS f%d (MESSAGES 1)\r\n", b"* OK still at it %d\r\n"])
def test_an_endless_answer_ends_in_an_error(line: bytes) -> None:
    def flood(conversation: Conversation, command: Command) -> None:
        number = 0
        while True:
            conversation.send(b"".join(line % (number + n) for n in range(1000)))
            number += 1000

    with Peer({"LIST": flood}) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        with pytest.raises(MigratorError) as caught:
            source.folders()
        assert caught.value.code in ("folder.too_many", "server.nonsense")


@pytest.mark.timeout(60)
def test_names_without_an_end_do_not_fill_the_memory() -> None:
    def flood(conversation: Conversation, command: Command) -> None:
        for number in range(1000):
            conversation.send(b'* LIST () "/" f%d-%s\r\n' % (number, b"x" * 1_000_000))

    with Peer({"LIST": flood}) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        tracemalloc.start()
        with pytest.raises(MigratorError):
            source.folders()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100_000_000


def test_counters_that_are_refused_are_unknown() -> None:
    lists = '* LIST () "/" INBOX\n* LIST () "/" a\n$ OK done'
    status = ["* STATUS INBOX (MESSAGES 1)\n$ OK", "$ NO [NOPERM] no"]
    folders, _, _ = listed({"LIST": lists, "LSUB": "$ NO none", "STATUS": status})
    assert [folder.messages for folder in folders] == [1, None]


def test_a_refused_list_is_an_error() -> None:
    with pytest.raises(MigratorError) as caught:
        listed({"LIST": "$ NO [UNAVAILABLE] try later", "LSUB": "$ OK"})
    assert caught.value.code == "server.unavailable"


def test_what_the_server_calls_itself_is_told() -> None:
    answers: Answers = {
        "ID": '* ID ("name" "Dovecot" "version" "2.4")\n$ OK',
        "LIST": "$ OK",
        "LSUB": "$ OK",
        "STATUS": "$ OK",
    }
    with Peer(answers, capabilities="IMAP4rev1 ID") as peer, ImapSource(peer.endpoint(), QUICK) as source:
        assert source.features.product == "ready"
        source.folders()
        assert source.features.product == "Dovecot 2.4"


@pytest.mark.parametrize(("told", "limit"), [("APPENDLIMIT=35651584", 35651584), ("APPENDLIMIT", None), ("", None)])
def test_the_limit_of_a_message_is_read_where_it_is_told(told: str, limit: int | None) -> None:
    with Peer(capabilities=f"IMAP4rev1 {told}") as peer, ImapSource(peer.endpoint(), QUICK) as source:
        assert source.features.append_limit_bytes == limit
