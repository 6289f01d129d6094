"""One message that a server lists and does not hand out is asked for in every other way, and never taken in part."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from migrator.mail import FolderPath, Message
from migrator.stores.base import ReadRequest
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Act, Answers, Command, Conversation, Peer

INBOX = FolderPath(b"INBOX")
OPEN = "* 9 EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK [READ-ONLY] done"
BODY = b"Subject: x\r\n\r\n" + b"a line of the message\r\n" * 20
HEAD, TEXT = BODY[:14], BODY[14:]


def server(ways: Mapping[bytes, bytes], size: int = len(BODY), *, seen: list[bytes] | None = None) -> Act:
    """Answers each way of asking with its octets; what is not in ``ways`` is completed without data."""

    def answer(conversation: Conversation, command: Command) -> None:
        asked = re.sub(rb".*\(UID (.*)\)$", rb"\1", command.words)
        if asked == b"RFC822.SIZE":
            conversation.say(b"* 1 FETCH (UID 5 RFC822.SIZE %d)" % size)
        elif asked == b"FLAGS":
            conversation.say(b"* 1 FETCH (UID 5 FLAGS (%s))" % b" ".join(seen or ()))
        elif asked in ways:
            conversation.send(b"* 1 FETCH (UID 5 %s)\r\n" % ways[asked])
        if asked == b"RFC822" and seen is not None:
            seen.append(b"\\Seen")
        conversation.say("$ OK FETCH completed", command)

    return answer


def literal(name: bytes, octets: bytes) -> bytes:
    return b"%s {%d}\r\n%s" % (name, len(octets), octets)


def read(fetch: Act, *, greeting: str = "") -> tuple[list[bytes], Peer]:
    answers: Answers = {"EXAMINE": OPEN, "SELECT": OPEN, "UID FETCH": fetch, "UID STORE": "$ OK done"}
    more = {"greeting": greeting} if greeting else {}
    with Peer(answers, **more) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        found = []
        for item in source.read([ReadRequest(INBOX, [5], 7, otherwise=True)]):
            assert isinstance(item, Message)
            found.append(item.whole if item.whole is not None else b"".join(item.stream or ()))
            assert len(found[-1]) == item.size_bytes
        return found, peer


def asked(peer: Peer) -> list[bytes]:
    said = [re.sub(rb".*\(UID (.*)\)$", rb"\1", words) for words in peer.said("UID FETCH")]
    return [words for words in said if words not in (b"FLAGS", b"RFC822.SIZE")]


RFC822 = {b"RFC822": literal(b"RFC822", BODY)}
HALVES = {b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]": literal(b"BODY[HEADER]", HEAD) + b" " + literal(b"BODY[TEXT]", TEXT)}
SLICE = {b"BODY.PEEK[]<0.65536>": literal(b"BODY[]<0>", BODY)}
USUAL = {b"BODY.PEEK[]": literal(b"BODY[]", BODY)}


@pytest.mark.req("D-46")
@pytest.mark.parametrize(
    ("ways", "tries", "connections"), [(RFC822, 1, 1), (HALVES, 2, 1), (SLICE, 3, 1), (USUAL, 4, 2)]
)
def test_the_ways_are_tried_in_order_and_the_last_is_a_new_session(ways, tries: int, connections: int) -> None:
    found, peer = read(server(ways))
    assert found == [BODY]
    assert asked(peer) == [
        b"RFC822", b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]", b"BODY.PEEK[]<0.65536>", b"BODY.PEEK[]"
    ][:tries]  # fmt: skip
    assert peer.connections == connections


@pytest.mark.req("D-46")
@pytest.mark.parametrize(
    "ways",
    [
        {},
        {b"RFC822": b"RFC822 NIL"},
        {b"RFC822": literal(b"RFC822", BODY[:-1])},
        {b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]": literal(b"BODY[HEADER]", b"") + b" " + literal(b"BODY[TEXT]", BODY)},
        {b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]": literal(b"BODY[HEADER]", HEAD) + b" BODY[TEXT] NIL"},
        {b"BODY.PEEK[]<0.65536>": literal(b"BODY[]<0>", BODY[:100])},
        {b"BODY.PEEK[]<0.65536>": literal(b"BODY[]<7>", BODY)},
    ],
)
def test_a_part_of_a_message_is_not_the_message(ways) -> None:
    assert read(server(ways))[0] == []


@pytest.mark.req("D-46")
def test_a_big_message_comes_in_slices_only() -> None:
    body = b"Subject: big\r\n\r\n" + bytes(range(256)) * 20_000
    ways = {
        b"BODY.PEEK[]<%d.65536>" % at: literal(b"BODY[]<%d>" % at, body[at : at + 65_536])
        for at in range(0, len(body) + 1, 65_536)
    }
    found, peer = read(server(ways, len(body)))
    assert found == [body]
    assert asked(peer) == list(ways)


@pytest.mark.req("D-46")
def test_the_notice_of_exchange_is_no_message_in_any_way() -> None:
    notice = b"Subject: x\r\n\r\nRetrieval using the IMAP4 protocol failed for the following message: 12\r\n"
    ways = {b"RFC822": literal(b"RFC822", notice), b"BODY.PEEK[]<0.65536>": literal(b"BODY[]<0>", notice)}
    greeting = "* OK The Microsoft Exchange IMAP4 service is ready."
    assert read(server(ways, len(notice)), greeting=greeting)[0] == []


def test_a_server_that_marks_the_message_as_read_gets_its_mark_taken_off() -> None:
    found, peer = read(server(RFC822, seen=[]))
    assert found == [BODY]
    assert peer.said("UID STORE") == [b"UID STORE 5 -FLAGS.SILENT (\\Seen)"]
