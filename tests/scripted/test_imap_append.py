"""Appending by every rung of the ladder, and what servers answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from migrator.errors import MigratorError, Patience, Radius, Side, Stopped
from migrator.limits import Limits
from migrator.mail import FolderPath, Message
from migrator.stores.base import Receipt
from migrator.stores.imap_target import ImapTarget
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Command, Conversation, Peer, close, then

INBOX = FolderPath(b"INBOX")
INSTANT = 837596665  # 17 July 1996
WORK = FolderPath(b"Work")
BEST = "IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS"
_PART = re.compile(rb' ?(\([^)]*\))? ?("[^"]*")? ?\{(\d+)\+?\}\r\n')


def message(uid: int, body: bytes | None = None, *, target: FolderPath = INBOX, **more: object) -> Message:
    octets = body if body is not None else b"Subject: %d\r\n\r\nbody\r\n" % uid
    return Message(FolderPath(b"source"), uid, len(octets), octets, target=target, **more)  # type: ignore[arg-type]


def streamed(uid: int, body: bytes, *, piece: int = 60_000) -> Message:
    pieces = (body[start : start + piece] for start in range(0, len(body), piece))
    return Message(FolderPath(b"source"), uid, len(body), stream=pieces, target=INBOX)


def parts(command: Command) -> list[tuple[bytes, bytes, bytes]]:
    """Flags, date and body of every message in one APPEND."""
    words = command.words.split(b" ", 2)[2]
    found, position = [], 0
    while position < len(words):
        head = _PART.match(words, position)
        assert head is not None, words[position : position + 80]
        end = head.end() + int(head[3])
        found.append((head[1] or b"", head[2] or b"", words[head.end() : end]))
        position = end
    return found


class Mailbox:
    """Answers APPEND as a server with UIDPLUS does, and keeps what it got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def append(self, conversation: Conversation, command: Command) -> None:
        bodies = [body for _, _, body in parts(command)]
        first = len(self.bodies) + 1
        self.bodies += bodies
        uids = f"{first}:{len(self.bodies)}" if len(bodies) > 1 else str(first)
        conversation.say(f"* {len(self.bodies)} EXISTS\n$ OK [APPENDUID 7 {uids}] done", command)


def serve(mailbox: Mailbox, capabilities: str = BEST, **more: object) -> Peer:
    answers: Answers = {"APPEND": mailbox.append, "SELECT": "* 0 EXISTS\n$ OK done"}
    return Peer(answers, capabilities=capabilities, **more)  # type: ignore[arg-type]


def send(peer: Peer, messages: list[Message], limits: Limits = QUICK, **more: int) -> list[Receipt]:
    with ImapTarget(peer.endpoint(), limits) as target:
        return list(target.append(messages, **more))


def sent(receipts: list[Receipt]) -> list[tuple[int, int]]:
    """Source and target UIDs of everything that was stored."""
    return [
        (one.uid, uid)
        for receipt in receipts
        if receipt.error is None
        for one, uid in zip(receipt.messages, receipt.target_uids or (), strict=True)
    ]


def codes(receipts: list[Receipt]) -> list[str | None]:
    return [receipt.error.code if receipt.error else None for receipt in receipts]


# Bundles


def test_messages_go_in_bundles_and_come_back_with_their_uids() -> None:
    mailbox = Mailbox()
    with serve(mailbox) as peer:
        receipts = send(peer, [message(uid) for uid in range(1, 1201)])
        assert [len(receipt.messages) for receipt in receipts] == [500, 500, 200]
        assert sent(receipts) == [(uid, uid) for uid in range(1, 1201)]
        assert mailbox.bodies == [b"Subject: %d\r\n\r\nbody\r\n" % uid for uid in range(1, 1201)]
        assert {receipt.target_uidvalidity for receipt in receipts} == {7}
        assert peer.verbs()[:4] == ["LOGIN", "APPEND", "APPEND", "APPEND"]
        assert all(one.whole is None and one.stream is None for receipt in receipts for one in receipt.messages)


@pytest.mark.req("D-67", "D-76")
def test_flags_dates_and_octets_go_as_they_are_given() -> None:
    mailbox = Mailbox()
    given = [
        message(
            1, b"no final line end", flags=frozenset(("\\Seen", "$Label")), internal_date=837596665, zone_minutes=-420
        ),
        message(2, b"bare\nlf\0nul\rcr", internal_date=837596665 - 10 * 86400),
        message(3, b"\r\n.\r\n{3+}\r\nabc"),
        message(4, b"x", internal_date=10**15),
    ]
    with serve(mailbox) as peer:
        send(peer, given)
        (command,) = [command for command in peer.commands if command.verb == "APPEND"]
        assert parts(command) == [
            (b"($Label \\Seen)", b'"17-Jul-1996 02:44:25 -0700"', b"no final line end"),
            (b"", b'" 7-Jul-1996 09:44:25 +0000"', b"bare\nlf\0nul\rcr"),
            (b"", b"", b"\r\n.\r\n{3+}\r\nabc"),
            (b"", b"", b"x"),
        ]
        assert b"  " not in command.words.replace(b'" 7-Jul', b"")


def test_a_bundle_ends_with_its_folder_its_number_or_its_octets() -> None:
    mailbox = Mailbox()
    limits = Limits(connect_seconds=2, io_seconds=2, bundle_bytes=100)
    given = [message(1), message(2), message(3, target=WORK), message(4, b"x" * 90), message(5), message(6, b"y" * 300)]
    with serve(mailbox) as peer:
        receipts = send(peer, given, limits)
        assert [[one.uid for one in receipt.messages] for receipt in receipts] == [[1, 2], [3], [4], [5], [6]]
        assert [receipt.target.raw for receipt in receipts] == [b"INBOX", b"Work", b"INBOX", b"INBOX", b"INBOX"]
        assert peer.said("SELECT") == []  # only single messages gain by an open folder


def test_the_caller_may_ask_for_smaller_bundles() -> None:
    with serve(Mailbox()) as peer:
        assert [
            len(receipt.messages) for receipt in send(peer, [message(uid) for uid in range(5)], bundle_messages=2)
        ] == [2, 2, 1]


def test_no_messages_send_nothing_at_all() -> None:
    with serve(Mailbox()) as peer:
        assert send(peer, []) == []
        assert peer.connections == 0


def test_at_most_a_window_is_unanswered() -> None:
    answered: list[int] = []
    fed: list[int] = []

    def append(conversation: Conversation, command: Command) -> None:
        answered.append(len(parts(command)))
        conversation.say("$ OK done", command)

    limits = Limits(connect_seconds=2, io_seconds=2, bundle_messages=10, window_messages=40)

    def feed() -> Iterator[Message]:
        for uid in range(1, 501):
            fed.append(uid)
            assert uid - confirmed[0] <= 40 + 1
            yield message(uid)

    confirmed = [0]
    with (
        Peer({"APPEND": append, "SELECT": "$ OK"}, capabilities=BEST) as peer,
        ImapTarget(peer.endpoint(), limits) as target,
    ):
        for receipt in target.append(feed()):
            confirmed[0] += len(receipt.messages)
    assert confirmed == [500]


def test_a_big_message_passes_in_pieces() -> None:
    mailbox = Mailbox()
    body = bytes(range(256)) * 4000
    with serve(mailbox) as peer:
        receipts = send(peer, [message(1), streamed(2, body), message(3)])
        assert mailbox.bodies == [b"Subject: 1\r\n\r\nbody\r\n", body, b"Subject: 3\r\n\r\nbody\r\n"]
        assert sent(receipts) == [(1, 1), (2, 2), (3, 3)]


# The ladder


def test_without_multiappend_single_messages_follow_each_other_without_waiting() -> None:
    mailbox = Mailbox()
    with serve(mailbox, "IMAP4rev1 LITERAL+ UIDPLUS") as peer:
        receipts = send(peer, [message(uid) for uid in range(1, 151)])
        assert sent(receipts) == [(uid, uid) for uid in range(1, 151)]
        assert len(peer.flights) < 30


@pytest.mark.req("D-66")
def test_with_literal_minus_only_small_messages_go_without_asking() -> None:
    mailbox = Mailbox()
    with serve(mailbox, "IMAP4rev1 LITERAL- UIDPLUS") as peer:
        send(peer, [message(1), message(2, b"x" * 4096), message(3, b"y" * 4097), message(4)])
        appends = [
            command.words[: command.words.index(b"\r\n") + 2] for command in peer.commands if command.verb == "APPEND"
        ]
        assert [words.rsplit(b" ", 1)[1] for words in appends] == [
            b"{20+}\r\n",
            b"{4096+}\r\n",
            b"{4097}\r\n",
            b"{20+}\r\n",
        ]
        assert [len(body) for body in mailbox.bodies] == [20, 4096, 4097, 20]


@pytest.mark.req("D-66")
@pytest.mark.parametrize("capabilities", ["IMAP4rev1 UIDPLUS", "IMAP4rev1 UIDPLUS MULTIAPPEND"])
def test_without_literal_plus_no_plus_is_ever_sent_and_one_round_trip_is_spent_on_each(capabilities: str) -> None:
    mailbox = Mailbox()
    with serve(mailbox, capabilities) as peer:
        receipts = send(peer, [message(uid) for uid in range(1, 51)])
        assert sent(receipts) == [(uid, uid) for uid in range(1, 51)]
        assert not any(b"+}" in command.words for command in peer.commands)
        # sign-in, first head, then body and next head together, farewell
        assert len(peer.flights) <= 50 + 4


@pytest.mark.req("D-66", "C-34")
def test_a_huge_message_is_asked_for_where_no_limit_is_known_and_its_refusal_costs_nothing() -> None:
    def refuse(conversation: Conversation, command: Command) -> None:
        conversation.say("$ NO [TOOBIG] Message too large.", command)

    mailbox = Mailbox()
    huge = 40 * 1024 * 1024
    taken: list[bytes] = []

    def body() -> Iterator[bytes]:
        taken.append(b"")
        yield b"x" * huge

    given = [message(1), Message(FolderPath(b"source"), 2, huge, stream=body(), target=INBOX), message(3)]
    with serve(mailbox, BEST, literal=refuse) as peer:
        receipts = send(peer, given)
        assert codes(receipts) == [
            None,
            "message.too_big",
            None,
        ]
        assert taken == []
        assert sum(map(len, peer.flights)) < 100_000
    with serve(mailbox, f"{BEST} APPENDLIMIT=99999999", literal=refuse) as peer:
        given = [Message(FolderPath(b"source"), 2, huge, stream=body(), target=INBOX)]
        assert send(peer, given)[0].error is None


def test_a_name_that_must_be_asked_for_is_asked_for() -> None:
    odd = FolderPath("Entwürfe".encode())
    for capabilities in ("IMAP4rev1 UIDPLUS", "IMAP4rev1 LITERAL- UIDPLUS", BEST):
        mailbox = Mailbox()

        def append(conversation: Conversation, command: Command, mailbox: Mailbox = mailbox) -> None:
            name, _, rest = command.words.removeprefix(b"APPEND ").partition("Entwürfe".encode())
            assert name.startswith(b"{9")
            mailbox.append(conversation, command._replace(words=b"APPEND x" + rest))

        with Peer({"APPEND": append, "SELECT": "$ OK"}, capabilities=capabilities) as peer:
            receipts = send(peer, [message(uid, target=odd) for uid in (1, 2, 3)])
            assert sent(receipts) == [(1, 1), (2, 2), (3, 3)]


# Refusals


@pytest.mark.req("D-65", "C-39")
def test_a_refused_bundle_is_refused_as_a_whole_and_the_next_go_on() -> None:
    mailbox = Mailbox()

    def append(conversation: Conversation, command: Command) -> None:
        if any(b"\0" in body for _, _, body in parts(command)):
            conversation.say("$ NO Message contains NUL characters", command)
        else:
            mailbox.append(conversation, command)

    with Peer({"APPEND": append, "SELECT": "$ OK"}, capabilities=BEST) as peer:
        given = [message(1), message(2), message(3, b"a\0b"), message(4), message(5), message(6)]
        receipts = send(peer, given, bundle_messages=2)
    assert codes(receipts) == [None, "message.nul", None]
    assert [one.uid for one in receipts[1].messages] == [3, 4]
    assert receipts[1].target_uids is None
    assert receipts[1].error is not None
    assert receipts[1].error.reply == "Message contains NUL characters"
    assert receipts[1].error.side is Side.TARGET


@pytest.mark.req("C-32")
def test_a_full_mailbox_is_told_with_the_words_of_the_server() -> None:
    words = "[OVERQUOTA] Quota exceeded (mailbox for user is full)"
    with Peer({"APPEND": f"$ NO {words}", "SELECT": "$ OK"}, capabilities=BEST) as peer:
        (receipt,) = send(peer, [message(1)])
    assert receipt.error is not None
    assert (receipt.error.code, receipt.error.reply, receipt.error.radius) == ("target.full", words, Radius.ACCOUNT)


@pytest.mark.req("D-69", "C-54")
def test_a_folder_that_is_missing_is_said_to_be() -> None:
    answers: Answers = {"APPEND": "$ NO [TRYCREATE] Mailbox doesn't exist: Work", "SELECT": "$ NO [NONEXISTENT] no"}
    with Peer(answers, capabilities=BEST) as peer:
        (receipt,) = send(peer, [message(1, target=WORK)])
    assert receipt.error is not None
    assert receipt.error.code == "folder.missing"


@pytest.mark.parametrize("refusal", ["$ NO [TOOBIG] no", "$ BAD no"])
def test_a_body_is_not_sent_after_a_refusal_in_place_of_a_plus(refusal: str) -> None:
    def answer(conversation: Conversation, command: Command) -> None:
        conversation.say(refusal, command)

    with serve(Mailbox(), "IMAP4rev1", literal=answer) as peer:
        receipts = send(peer, [message(uid, b"DELETE INBOX\r\n") for uid in (1, 2, 3)])
        assert [receipt.error is not None for receipt in receipts] == [True] * 3
        assert peer.verbs()[:5] == ["LOGIN", "SELECT", "APPEND", "APPEND", "APPEND"]
        assert not any(b"DELETE" in flight for flight in peer.flights)


def test_noise_between_the_answers_does_no_harm() -> None:
    # Cyrus reads the rest of a refused empty literal as a command
    def append(conversation: Conversation, command: Command) -> None:
        conversation.say(
            "* 3 EXISTS\n* BAD Invalid tag\n* OK still here\n$ NO Zero-length message literal\n* BAD Invalid tag",
            command,
        )

    with Peer({"APPEND": append, "SELECT": "$ OK"}, capabilities=BEST) as peer:
        receipts = send(peer, [message(1, b""), message(2)], bundle_messages=1)
    assert codes(receipts) == ["message.empty"] * 2


def test_an_answer_to_another_command_ends_the_dialogue() -> None:
    # Mail that is run as commands is answered with its own words as tags.
    answers: Answers = {"APPEND": "Subject: BAD Error in IMAP command", "SELECT": "$ OK"}
    with Peer(answers, capabilities=BEST) as peer, pytest.raises(MigratorError) as caught:
        send(peer, [message(1)])
    assert caught.value.code == "server.nonsense"


@pytest.mark.req("D-63")
@pytest.mark.parametrize(
    ("code", "uids"),
    [("[APPENDUID 7 5:7]", [5, 6, 7]), ("[APPENDUID 7 7:5]", [5, 6, 7]), ("[APPENDUID 7 7,6,5]", None), ("", None)],
)
def test_uids_that_are_not_certain_are_not_told(code: str, uids: list[int] | None) -> None:
    with Peer({"APPEND": f"$ OK {code} done", "SELECT": "$ OK"}, capabilities=BEST) as peer:
        (receipt,) = send(peer, [message(uid) for uid in (1, 2, 3)])
    assert receipt.error is None
    assert receipt.target_uids == uids


# Lines that break


@pytest.mark.req("D-62", "C-19")
def test_a_lost_answer_is_an_error_and_what_was_confirmed_before_is_told() -> None:
    mailbox = Mailbox()
    answers: Answers = {
        "APPEND": [mailbox.append, mailbox.append, then("* BYE Server shutting down", close)],
        "SELECT": "$ OK",
    }
    with Peer(answers, capabilities=BEST) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        receipts = []
        with pytest.raises(MigratorError) as caught:
            receipts.extend(target.append([message(uid) for uid in range(1, 41)], bundle_messages=10))
    assert (caught.value.code, caught.value.patience, caught.value.side) == ("line.closed", Patience.NOW, Side.TARGET)
    assert sent(receipts) == [(uid, uid) for uid in range(1, 21)]


def test_what_arrived_before_the_line_broke_under_our_hands_is_told_with_the_reason() -> None:
    mailbox = Mailbox()
    gone = threading.Event()

    def last(conversation: Conversation, command: Command) -> None:
        mailbox.append(conversation, command)
        conversation.say("* BYE [UNAVAILABLE] Temporary problem, please try again later")
        gone.set()
        conversation.cut_softly()

    def feed() -> Iterator[Message]:
        for uid in range(1, 1000):
            if uid == 12:
                assert gone.wait(5)
            yield message(uid, b"x" * 50_000)

    with (
        Peer({"APPEND": last, "SELECT": "$ OK"}, capabilities=BEST) as peer,
        ImapTarget(peer.endpoint(), QUICK) as target,
    ):
        receipts = []
        with pytest.raises(MigratorError) as caught:
            receipts.extend(target.append(feed(), bundle_messages=10))
    assert caught.value.code == "server.unavailable"
    assert sent(receipts) == [(uid, uid) for uid in range(1, 11)]


class Broken(Exception):
    """What a test's own feed raises."""


@pytest.mark.req("D-52")
def test_a_body_that_breaks_off_is_never_padded() -> None:
    mailbox = Mailbox()

    def half() -> Iterator[bytes]:
        yield b"x" * 1000
        raise Broken

    given = [message(1), Message(FolderPath(b"source"), 2, 5000, stream=half(), target=INBOX)]
    with serve(mailbox) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        with pytest.raises(Broken):
            list(target.append(given))
        assert mailbox.bodies == []
        assert sent(list(target.append([message(3)]))) == [(3, 1)]
        assert peer.connections == 2


@pytest.mark.parametrize("octets", [b"x" * 4999, b"x" * 5001])
def test_a_body_that_is_not_as_long_as_it_says_is_never_stored(octets: bytes) -> None:
    mailbox = Mailbox()
    given = [Message(FolderPath(b"source"), 2, 5000, stream=iter((octets,)), target=INBOX)]
    with serve(mailbox) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        with pytest.raises(MigratorError) as caught:
            list(target.append(given))
        assert caught.value.side is Side.SOURCE
        assert mailbox.bodies == []


@pytest.mark.parametrize("error", [Stopped(), MigratorError("line.lost", side=Side.SOURCE)])
def test_when_the_feed_ends_between_two_bodies_everything_sent_is_confirmed_first(error: Exception) -> None:
    mailbox = Mailbox()

    def feed() -> Iterator[Message]:
        yield from (message(uid) for uid in range(1, 8))
        raise error

    receipts = []
    with serve(mailbox) as peer, ImapTarget(peer.endpoint(), QUICK) as target, pytest.raises(type(error)):
        receipts.extend(target.append(feed()))
    assert sent(receipts) == [(uid, uid) for uid in range(1, 8)]
    assert len(mailbox.bodies) == 7


def test_an_abandoned_append_drops_the_line() -> None:
    mailbox = Mailbox()
    with serve(mailbox) as peer, ImapTarget(peer.endpoint(), QUICK) as target:
        receipts = target.append((message(uid) for uid in range(1, 5000)), bundle_messages=1)
        next(receipts)
        receipts.close()
        assert sent(list(target.append([message(1)])))
        assert peer.connections == 2


@pytest.mark.req("D-91")
def test_a_session_worn_out_by_refusals_is_replaced_between_two_calls() -> None:
    greeting = "* OK [CAPABILITY IMAP4rev1 LITERAL+] Courier-IMAP ready."
    with (
        Peer({"APPEND": "$ NO no", "SELECT": "$ OK"}, greeting=greeting) as peer,
        ImapTarget(peer.endpoint(), QUICK) as target,
    ):
        for _ in range(20):
            list(target.append([message(1)]))
        assert peer.connections == 3
