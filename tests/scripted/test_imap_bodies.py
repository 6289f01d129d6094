"""Bodies from servers that reorder, cut, quote, lie about sizes, or hand out something else."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from migrator.errors import MigratorError, Patience, Side
from migrator.limits import Limits
from migrator.mail import FolderPath, Message
from migrator.stores.base import ReadRequest, Trouble
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Act, Answer, Answers, Command, Conversation, Peer, close, cut, hang, raw, then

INBOX = FolderPath(b"INBOX")
BIG = QUICK.whole_bytes + 5000
OPEN: Final = "* 9 EXISTS\n* OK [UIDVALIDITY 7] ok\n$ OK [READ-ONLY] done"


def literal(uid: int, body: bytes, *, number: int = 1) -> bytes:
    return b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (number, uid, len(body), body)


def bodies(*octets: bytes) -> Act:
    return then(*map(raw, octets), "$ OK done")


def taken(found: Iterator[Message | Trouble]) -> list[tuple[int, bytes] | Trouble]:
    """Take every body in full, as it comes."""
    return [(one.uid, body_of(one)) if isinstance(one, Message) else one for one in found]


def body_of(message: Message) -> bytes:
    body = message.whole if message.whole is not None else b"".join(message.stream or ())
    assert len(body) == message.size_bytes
    return body


def read(
    fetch: Answer | Sequence[Answer],
    requests: Sequence[ReadRequest] = (ReadRequest(INBOX, range(1, 10)),),
    *,
    examine: Answer | Sequence[Answer] = OPEN,
    limits: Limits = QUICK,
    capabilities: str = "IMAP4rev1",
) -> tuple[list[tuple[int, bytes] | Trouble], Peer]:
    answers: Answers = {"EXAMINE": examine, "UID FETCH": fetch}
    with Peer(answers, capabilities=capabilities) as peer, ImapSource(peer.endpoint(), limits) as source:
        return taken(source.read(requests)), peer


@pytest.mark.req("D-30")
def test_bodies_are_peeked_at_in_an_examined_folder() -> None:
    found, peer = read(bodies(literal(1, b"abc"), literal(2, b"\r\n)\r\n* 3 FETCH (UID 3 BODY[] {1}\r\n")))
    assert found == [(1, b"abc"), (2, b"\r\n)\r\n* 3 FETCH (UID 3 BODY[] {1}\r\n")]
    assert peer.said("UID FETCH") == [b"UID FETCH 1:9 (UID BODY.PEEK[])"]
    assert peer.said("EXAMINE") == [b'EXAMINE "INBOX"']


def test_all_folders_are_asked_in_one_send_and_one_fetch_at_a_time_is_outstanding_in_each() -> None:
    requests = [ReadRequest(FolderPath(b"f%d" % number), [3, 4]) for number in range(10)]
    found, peer = read(bodies(literal(3, b"x"), literal(4, b"y")), requests)
    assert found == [(3, b"x"), (4, b"y")] * 10
    assert len(peer.flights) == 3
    # EXAMINE is the barrier between any two FETCHes
    assert peer.verbs()[1:-1] == ["EXAMINE", "UID FETCH"] * 10


@pytest.mark.req("D-42")
def test_many_scattered_messages_are_asked_for_in_short_commands_in_order() -> None:
    uids = range(10, 40_000, 7)

    def answer(conversation: Conversation, command: Command) -> None:
        asked = command.words.split()[2].split(b",")
        conversation.send(b"".join(literal(int(uid), uid) for uid in asked))
        conversation.say("$ OK done", command)

    found, peer = read(answer, [ReadRequest(INBOX, uids)])
    assert found == [(uid, b"%d" % uid) for uid in uids]
    assert max(map(len, peer.said("UID FETCH"))) < 1050
    assert len(peer.flights) < len(peer.said("UID FETCH"))


@pytest.mark.req("D-45")
def test_the_length_of_the_literal_decides() -> None:
    found, _ = read(bodies(b"* 1 FETCH (UID 1 RFC822.SIZE 999 BODY[] {3}\r\nabc)\r\n", literal(2, b"x" * 70_000)))
    assert found == [(1, b"abc"), (2, b"x" * 70_000)]


@pytest.mark.req("D-49")
@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (BODY[] {3}\r\nabc UID 5)\r\n",
        b"* 1 FETCH (FLAGS (\\Seen) UID 5 BODY[] {3}\r\nabc)\r\n",
        b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc FLAGS (\\Seen))\r\n",
        b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc X-NOTE {4}\r\n)\r\n( MODSEQ (3))\r\n",
        b'* 1 FETCH (UID 5 X-GM-LABELS ({6}\r\nUID 77 "a b") BODY[] {3}\r\nabc)\r\n',
        b'* 1 FETCH (UID 5 BODY[] "abc")\r\n',
        b"* 1 fetch (uid 5 body[] {3}\r\nabc)\r\n",
        b"* 1 FETCH (UID 5 BODY[] {3}\r\nabc)\n",
    ],
)
def test_a_body_is_found_wherever_it_stands(answer: bytes) -> None:
    found, _ = read(bodies(literal(4, b"before"), answer, literal(6, b"after")))
    assert found == [(4, b"before"), (5, b"abc"), (6, b"after")]


@pytest.mark.req("D-49")
@pytest.mark.parametrize(
    ("head", "tail"),
    [
        (b"* 1 FETCH (UID 5 BODY[] {%d}\r\n", b")\r\n"),
        (b"* 1 FETCH (FLAGS (\\Seen) UID 5 BODY[] {%d}\r\n", b" MODSEQ (3))\r\n"),
        (b"* 1 FETCH (BODY[] {%d}\r\n", b" UID 5)\r\n"),
        (b"* 1 FETCH (X-A {3}\r\n(() BODY[] {%d}\r\n", b" X-B {3}\r\n(() UID 5)\r\n"),
    ],
)
def test_a_big_body_is_found_wherever_it_stands(head: bytes, tail: bytes) -> None:
    body = bytes(range(256)) * (BIG // 256 + 1)
    found, _ = read(bodies(literal(4, b"before"), head % len(body) + body + tail, literal(6, b"after")))
    assert found == [(4, b"before"), (5, body), (6, b"after")]


def test_a_quoted_body_may_hold_quotes() -> None:
    found, _ = read(bodies(b'* 1 FETCH (UID 5 BODY[] "a \\"b\\" \\\\ )")\r\n'))
    assert found == [(5, b'a "b" \\ )')]


@pytest.mark.req("C-44", "D-53")
@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"* 1 FETCH (UID 5 BODY[] NIL)\r\n",
        b"* 1 FETCH (UID 5 BODY[] {0}\r\n)\r\n",
        b'* 1 FETCH (UID 5 BODY[] "")\r\n',
    ],
)
def test_what_the_server_does_not_hand_out_is_left_out(answer: bytes) -> None:
    found, _ = read(bodies(literal(4, b"before"), answer, literal(6, b"after")))
    assert found == [(4, b"before"), (6, b"after")]


@pytest.mark.req("D-47", "C-44")
def test_a_notice_in_place_of_a_message_is_not_the_message() -> None:
    notice = b"Subject: x\r\n\r\nRetrieval using the IMAP4 protocol failed for the following message: 12\r\n"
    quoting = b"Subject: y\r\n\r\n" + b"Look at this:\r\n" * 400 + notice
    greeting = "* OK The Microsoft Exchange IMAP4 service is ready."
    answers: Answers = {"EXAMINE": OPEN, "UID FETCH": bodies(literal(4, notice), literal(5, quoting))}
    with Peer(answers, greeting=greeting) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        assert taken(source.read([ReadRequest(INBOX, [4, 5])])) == [(5, quoting)]


@pytest.mark.req("D-38")
def test_only_what_was_asked_for_is_taken_and_only_once() -> None:
    noise = b"* 5 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (UID 3 FLAGS ())\r\n* 9 EXISTS\r\n"
    unasked = literal(8, b"unasked"), literal(77, b"x" * BIG), b"* 4 FETCH (BODY[] {2}\r\nno)\r\n", literal(0, b"zero")
    found, _ = read(
        bodies(noise, literal(3, b"c"), *unasked, noise, literal(3, b"again"), literal(4, b"d")),
        [ReadRequest(INBOX, [3, 4])],
    )
    assert found == [(3, b"c"), (4, b"d")]


@pytest.mark.req("D-39", "C-45")
def test_messages_that_vanish_meanwhile_are_left_out() -> None:
    fetch = then(
        raw(b"* 2 EXPUNGE\r\n* VANISHED 2\r\n" + literal(1, b"a")), "$ NO [EXPUNGEISSUED] Some messages are gone"
    )
    found, _ = read([fetch, bodies(literal(1, b"b"))], [ReadRequest(INBOX, [1, 2]), ReadRequest(FolderPath(b"x"), [1])])
    assert found == [(1, b"a"), (1, b"b")]


def test_bodies_in_another_order_all_arrive() -> None:
    found, _ = read(bodies(literal(3, b"c"), literal(1, b"a"), literal(2, b"b"), literal(1, b"again")))
    assert found == [(3, b"c"), (1, b"a"), (2, b"b")]


def test_a_refusal_ends_that_folder_alone_after_what_came() -> None:
    requests = [ReadRequest(FolderPath(name), [1, 2]) for name in (b"a", b"b")]
    fetch = [then(raw(literal(1, b"x")), "$ NO [SERVERBUG] Internal error"), bodies(literal(1, b"y"), literal(2, b"z"))]
    found, _ = read(fetch, requests)
    assert found[0] == (1, b"x")
    assert isinstance(found[1], Trouble)
    assert found[1].path.raw == b"a"
    assert found[2:] == [(1, b"y"), (2, b"z")]


@pytest.mark.req("C-26")
def test_a_server_that_slows_us_down_ends_everything() -> None:
    requests = [ReadRequest(FolderPath(name), [1]) for name in (b"a", b"b")]
    with pytest.raises(MigratorError) as caught:
        read("$ NO [LIMIT] UID FETCH Rate limit hit.", requests)
    assert (caught.value.code, caught.value.patience) == ("server.throttled", Patience.LATER)


@pytest.mark.req("D-31")
def test_a_renumbered_folder_gives_nothing() -> None:
    requests = [ReadRequest(INBOX, [1], uidvalidity=6), ReadRequest(INBOX, [1], uidvalidity=7)]
    found, _ = read(bodies(literal(1, b"x" * BIG)), requests)
    assert isinstance(found[0], Trouble)
    assert found[0].error.code == "folder.changed"
    assert found[1:] == [(1, b"x" * BIG)]


def test_a_folder_that_does_not_open_gives_nothing_even_if_bodies_come() -> None:
    requests = [ReadRequest(FolderPath(b"phantom"), range(1, 4000, 2)), ReadRequest(INBOX, [1])]

    def examine(conversation: Conversation, command: Command) -> None:
        conversation.say("$ NO [NONEXISTENT] gone" if b"phantom" in command.words else OPEN, command)

    found, peer = read(bodies(literal(1, b"x")), requests, examine=examine)
    assert len(peer.said("UID FETCH")) > 2
    assert isinstance(found[0], Trouble)
    assert found[1:] == [(1, b"x")]


@pytest.mark.req("C-19", "D-89")
@pytest.mark.parametrize("end", [cut, close])
@pytest.mark.parametrize("size", [50, BIG])
def test_a_line_cut_in_the_middle_of_a_body_is_lost_and_the_body_not_handed_out_as_whole(end: Act, size: int) -> None:
    half = literal(2, b"x" * size)[: size // 2]
    with (
        Peer({"EXAMINE": OPEN, "UID FETCH": then(raw(literal(1, b"a") + half), end)}) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
    ):
        found = source.read([ReadRequest(INBOX, [1, 2])])
        first = next(found)
        assert isinstance(first, Message)
        assert first.whole == b"a"
        with pytest.raises(MigratorError) as caught:
            taken(found)
        assert (caught.value.code, caught.value.side) == ("line.lost", Side.SOURCE)


@pytest.mark.req("C-20", "D-89")
def test_a_server_that_falls_silent_in_the_middle_of_a_body_is_given_up() -> None:
    limits = Limits(connect_seconds=2.0, io_seconds=0.3)
    with pytest.raises(MigratorError) as caught:
        read(then(raw(literal(1, b"x" * 100)[:60]), hang), limits=limits)
    assert caught.value.code == "line.silent"


def test_a_stream_that_is_not_taken_is_read_over() -> None:
    big = literal(2, b"y" * BIG)
    answers: Answers = {
        "EXAMINE": OPEN,
        "UID FETCH": bodies(literal(1, b"a"), big, literal(3, b"c"), big.replace(b"UID 2", b"UID 4")),
    }
    with Peer(answers) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        seen = []
        for message in source.read([ReadRequest(INBOX, [1, 2, 3, 4])]):
            assert isinstance(message, Message)
            seen.append(message.uid)
            if message.uid == 2:
                assert message.stream is not None
                assert len(next(message.stream)) > 0
        assert seen == [1, 2, 3, 4]


def test_an_abandoned_read_does_not_spoil_the_next() -> None:
    answers: Answers = {
        "EXAMINE": OPEN,
        "UID FETCH": bodies(literal(1, b"a"), literal(2, b"y" * BIG), literal(3, b"c")),
    }
    with Peer(answers) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        first = source.read([ReadRequest(INBOX, [1, 2, 3])])
        next(first)
        next(first)
        assert len(taken(source.read([ReadRequest(INBOX, [1, 2, 3])]))) == 3
        first.close()
        assert len(taken(source.read([ReadRequest(INBOX, [1, 2, 3])]))) == 3
        assert peer.connections == 2


@pytest.mark.req("D-52")
def test_a_message_of_a_hundred_megabytes_passes_in_pieces() -> None:
    piece, count = bytes(range(256)) * 256, 1600

    def flood(conversation: Conversation, command: Command) -> None:
        conversation.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % (len(piece) * count))
        for _ in range(count):
            conversation.send(piece)
        conversation.say(")\n$ OK done", command)

    with Peer({"EXAMINE": OPEN, "UID FETCH": flood}) as peer, ImapSource(peer.endpoint(), QUICK) as source:
        found = source.read([ReadRequest(INBOX, [1])])
        message = next(found)
        assert isinstance(message, Message)
        digest = hashlib.sha256()
        tracemalloc.start()
        for part in message.stream or ():
            assert len(part) <= 64 * 1024
            digest.update(part)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert message.size_bytes == len(piece) * count
    assert digest.digest() == hashlib.sha256(piece * count).digest()
    assert peak < 2 * 1024 * 1024


def test_an_endless_response_around_a_body_ends_in_an_error() -> None:
    def flood(conversation: Conversation, command: Command) -> None:
        conversation.send(b"* 1 FETCH (UID 1")
        while True:
            conversation.send(b" X {100000}\r\n" + b"x" * 100_000)

    with pytest.raises(MigratorError) as caught:
        read(flood)
    assert caught.value.code == "server.nonsense"


def test_answers_in_crumbs_are_read_as_well_as_in_one_piece() -> None:
    octets = b"".join(literal(uid, b"%d" % uid * uid) for uid in range(1, 10))

    def crumble(conversation: Conversation, command: Command) -> None:
        for start in range(0, len(octets), 5):
            conversation.send(octets[start : start + 5])
        conversation.say("$ OK done", command)

    found, _ = read(crumble)
    assert found == [(uid, b"%d" % uid * uid) for uid in range(1, 10)]


@pytest.mark.req("C-47")
@pytest.mark.parametrize("size", [4, BIG])
def test_a_literal_shorter_than_its_message_is_nonsense_and_no_message(size: int) -> None:
    body = b"Subject: a secret\r\n\r\n" + b"of nobody's business\r\n" * (size // 20)
    octets = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n" % (size, body)
    with (
        Peer({"EXAMINE": OPEN, "UID FETCH": then(raw(octets), "$ OK done")}) as peer,
        ImapSource(peer.endpoint(), QUICK) as source,
    ):
        found = source.read([ReadRequest(INBOX, range(1, 10))])
        whole: list[bytes] = []
        with pytest.raises(MigratorError) as caught:
            whole.extend(body_of(message) for message in found if isinstance(message, Message))
    assert whole == []
    assert (caught.value.code, caught.value.patience) == ("server.nonsense", Patience.NOW)


@pytest.mark.parametrize("length", [b"{18446744073709551616}", b"{33309M", b"{-1}", b"{}", b"word"])
def test_a_length_that_is_none_is_nonsense_and_no_message(length: bytes) -> None:
    octets = b"* 1 FETCH (UID 1 BODY[] %s\r\nSubject: 1\r\n\r\n)\r\n" % length
    with pytest.raises(MigratorError) as caught:
        read(then(raw(octets), "$ OK done"))
    assert (caught.value.code, caught.value.patience) == ("server.nonsense", Patience.NOW)


def test_mail_is_not_quoted_in_errors() -> None:
    octets = literal(1, b"abc") + b"Dear lawyer, a secret\r\n"
    with pytest.raises(MigratorError) as caught:
        read(then(raw(octets), "$ OK done"))
    assert caught.value.code == "server.nonsense"
    assert "lawyer" not in repr(caught.value)
