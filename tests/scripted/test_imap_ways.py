"""Servers that know no BODY.PEEK[], and servers that give only one message at a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from migrator.errors import MigratorError
from migrator.mail import FolderPath, Message
from migrator.stores.base import ReadRequest, Trouble
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_ways import NO_PEEK, OLD_PEEK, PEEK, Way, Ways
from migrator.stores.manners import USUAL, Manners
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Act, Answers, Command, Conversation, Peer, cut

INBOX = FolderPath(b"INBOX")
OPEN = "* 9 EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK [READ-ONLY] done"
UIDS = range(1, 10)


def body(uid: int) -> bytes:
    return b"Subject: %d\r\n\r\nbody\r\n" % uid


WHOLE = [(uid, body(uid)) for uid in UIDS]


class Old:
    """A server that understands only some items, and only some numbers of messages; it keeps the marks of the read."""

    def __init__(self, items: tuple[bytes, ...], *, most: int = 100, refusal: str | Act = "$ BAD no") -> None:
        self.items, self.most, self.refusal = items, most, refusal
        self.unseen: set[int] = set()
        self.heeds_examine = False
        self.bad: set[int] = set()
        self.is_open_to_write = False

    def answers(self) -> Answers:
        return {"EXAMINE": self.examine, "SELECT": self.select, "UID FETCH": self.fetch, "UID STORE": self.store}

    def examine(self, conversation: Conversation, command: Command) -> None:
        self.is_open_to_write = False
        conversation.say(OPEN, command)

    def select(self, conversation: Conversation, command: Command) -> None:
        self.is_open_to_write = True
        conversation.say(OPEN, command)

    def store(self, conversation: Conversation, command: Command) -> None:
        assert self.is_open_to_write
        assert command.words.endswith(rb"-FLAGS.SILENT (\Seen)")
        self.unseen.add(int(command.words.split()[2]))
        conversation.say("$ OK done", command)

    def fetch(self, conversation: Conversation, command: Command) -> None:
        asked = re.fullmatch(rb"UID FETCH (\S+) \(UID (\S+)\)", command.words)
        assert asked is not None, command.words
        uids, item = _uids(asked[1]), asked[2]
        if item == b"FLAGS":
            flags = b"" if uids[0] in self.unseen else rb"\Seen"
            conversation.send(b"* 1 FETCH (UID %d FLAGS (%s))\r\n" % (uids[0], flags))
        elif item not in self.items or len(uids) > self.most:
            conversation.say(self.refusal, command) if isinstance(self.refusal, str) else self.refusal(
                conversation, command
            )
            return
        else:
            for uid in uids:
                if uid in self.bad:
                    conversation.say("$ NO cannot read it", command)
                    return
                self._give(conversation, uid, item)
        conversation.say("$ OK done", command)

    def _give(self, conversation: Conversation, uid: int, item: bytes) -> None:
        if item == NO_PEEK and not self.heeds_examine:
            self.unseen.discard(uid)
        told = item.replace(b".PEEK", b"")
        conversation.send(b"* 1 FETCH (UID %d %s {%d}\r\n%s)\r\n" % (uid, told, len(body(uid)), body(uid)))


def _uids(words: bytes) -> list[int]:
    first, _, last = words.partition(b":")
    return list(range(int(first), int(last or first) + 1))


def read(
    old: Old, manners: Manners = USUAL, folders: tuple[FolderPath, ...] = (INBOX,), *, tries: int = 1
) -> tuple[list[tuple[int, bytes] | Trouble], list[bytes]]:
    """Read everything; return what came, and the words of the commands that asked for bodies."""
    with Peer(old.answers()) as peer:
        endpoint = replace(peer.endpoint(), manners=manners)
        with ImapSource(endpoint, QUICK) as source:
            requests = [ReadRequest(path, UIDS, known_uids=UIDS) for path in folders]
            for left in reversed(range(tries)):
                try:
                    found = [_taken(item) for item in source.read(requests)]
                    break
                except MigratorError:
                    if not left:
                        raise
    return found, [words for words in peer.said("UID FETCH") if b"FLAGS" not in words]


def _taken(item: Message | Trouble) -> tuple[int, bytes] | Trouble:
    if isinstance(item, Trouble):
        return item
    return item.uid, item.whole if item.whole is not None else b"".join(item.stream or ())


@pytest.mark.req("D-42", "C-29")
@pytest.mark.parametrize(
    "words",
    ["Error in IMAP command FETCH: Too long argument.", "Command Error. 10", "maximum request size exceeded"],
)
def test_a_server_that_finds_a_command_too_long_is_asked_for_less_in_the_same_way(words: str) -> None:
    found, asked = read(Old((PEEK, OLD_PEEK, NO_PEEK), most=4, refusal=f"$ BAD {words}"))
    assert found == WHOLE
    assert {asking.rpartition(b" ")[2] for asking in asked} == {b"BODY.PEEK[])"}


@pytest.mark.req("S-64")
def test_a_server_can_be_asked_for_rfc822_peek_from_the_start() -> None:
    found, asked = read(Old((OLD_PEEK,)), Manners(fetches_rfc822=True))
    assert found == WHOLE
    assert asked == [b"UID FETCH 1:9 (UID RFC822.PEEK)"]


@pytest.mark.req("S-64", "D-50")
def test_a_server_that_knows_no_body_peek_is_asked_for_rfc822_peek_and_only_once_in_vain() -> None:
    other = FolderPath(b"other")
    found, asked = read(Old((OLD_PEEK,)), folders=(INBOX, other))
    assert found == WHOLE * 2
    # what was on its way is answered BAD as well; nothing is lost, nothing comes twice
    assert asked[-2:] == [b"UID FETCH 1:9 (UID RFC822.PEEK)"] * 2
    assert set(asked[:-2]) == {b"UID FETCH 1:9 (UID BODY.PEEK[])"}


def test_a_server_that_knows_no_rfc822_peek_is_asked_for_body_peek() -> None:
    found, asked = read(Old((PEEK,)), Manners(fetches_rfc822=True))
    assert found == WHOLE
    assert asked[-1] == b"UID FETCH 1:9 (UID BODY.PEEK[])"


@pytest.mark.req("D-50")
@pytest.mark.parametrize("heeds_examine", [False, True])
def test_where_nothing_peeks_the_mark_of_a_message_that_was_unread_is_taken_off_again(heeds_examine: bool) -> None:
    old = Old((NO_PEEK,))
    old.unseen = {2, 3, 9}
    old.heeds_examine = heeds_examine
    found, asked = read(old)
    assert found == WHOLE
    assert asked[-9:] == [b"UID FETCH %d (UID RFC822)" % uid for uid in UIDS]
    assert old.unseen == {2, 3, 9}


@pytest.mark.req("S-65")
def test_messages_can_be_asked_for_one_by_one_from_the_start() -> None:
    found, asked = read(Old((PEEK,), most=1), Manners(reads_one_by_one=True))
    assert found == WHOLE
    assert asked == [b"UID FETCH %d (UID BODY.PEEK[])" % uid for uid in UIDS]


@pytest.mark.req("S-65")
@pytest.mark.parametrize(
    ("refusal", "tries"), [("$ NO too much", 1), ("$ BAD too much", 1), ("$ NO [SERVERBUG] oh", 1), (cut, 3)]
)
def test_a_server_that_fails_at_more_than_one_message_is_asked_one_by_one(refusal: str | Act, tries: int) -> None:
    other = FolderPath(b"other")
    found, asked = read(Old((PEEK,), most=1, refusal=refusal), folders=(INBOX, other), tries=tries)
    assert found == WHOLE * 2
    singly = [b"UID FETCH %d (UID BODY.PEEK[])" % uid for uid in UIDS]
    assert asked[-9:] == singly
    assert asked.count(b"UID FETCH 1 (UID BODY.PEEK[])") == 2


@pytest.mark.req("D-51")
def test_one_message_that_cannot_be_read_keeps_nothing_else_back() -> None:
    old = Old((PEEK,))
    old.bad = {3, 7}
    found, asked = read(old, folders=(INBOX, FolderPath(b"other")))
    assert found == [one for one in WHOLE if one[0] not in old.bad] * 2
    # it was not the number: the next folder is asked as a whole again
    assert asked.count(b"UID FETCH 1:9 (UID BODY.PEEK[])") >= 2


def test_a_folder_of_which_nothing_can_be_read_is_given_up_soon() -> None:
    old = Old((PEEK,))
    old.bad = set(UIDS)
    found, asked = read(old)
    assert [type(item) for item in found] == [Trouble]
    assert len(asked) == 4


def test_a_server_that_understands_nothing_is_not_asked_for_ever() -> None:
    found, asked = read(Old(()))
    assert [type(item) for item in found] == [Trouble]
    assert len(asked) < 12


def _falls(ways: Ways) -> list[Way]:
    taken = [ways.now]
    while ways.fall():
        taken.append(ways.now)
    return taken


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda ways: None, [Way(PEEK, False), Way(OLD_PEEK, False), Way(PEEK, True), Way(OLD_PEEK, True),
                             Way(NO_PEEK, True)]),
        (lambda ways: ways.prove(), [Way(PEEK, False)]),
        (lambda ways: ways.go_one_by_one(), [Way(PEEK, True), Way(OLD_PEEK, True), Way(NO_PEEK, True)]),
    ],
)  # fmt: skip
def test_the_way_that_marks_messages_as_read_is_the_last(prepare: Callable[[Ways], None], expected: list[Way]) -> None:
    ways = Ways(USUAL)
    prepare(ways)
    assert _falls(ways) == expected
