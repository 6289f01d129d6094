"""SMTP and LMTP servers: what goes out to them is what the source had, and what they say is understood."""

from __future__ import annotations

import itertools
import os
import random
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from migrator.errors import MigratorError, OutcomeUnknown, Patience, Radius, Side
from migrator.limits import Limits
from migrator.mail import FolderPath, Message, NewFolder
from migrator.stores.base import Receipt, Trouble
from migrator.stores.lmtp import LmtpTarget
from migrator.stores.smtp import INBOX, MARKER, SmtpTarget
from migrator.stores.smtp_session import return_path
from tests.rigs.base import own_certificate
from tests.rigs.listener import QUICK, Gone
from tests.rigs.postbox import OFFERS, Postbox
from tests.rigs.text_peer import Act, TextConversation, TextPeer, close, cut, hang, then

RECIPIENT: Final = "anna@example.test"


def message(body: bytes, uid: int = 1, *, piece: int | None = None, target: FolderPath = INBOX) -> Message:
    """A message on its way, as a stream of pieces where wanted."""
    stream = None if piece is None else iter([body[at : at + piece] for at in range(0, len(body), piece)])
    return Message(FolderPath(b"INBOX"), uid, len(body), None if stream else body, stream, target)


def delivered(box: Postbox, *messages: Message, limits: Limits = QUICK) -> list[Receipt]:
    """Deliver to a postbox; return the receipts."""
    store = LmtpTarget if box.is_local else SmtpTarget
    with box.server() as peer, store(peer.endpoint(), limits, recipient=RECIPIENT) as target:
        return list(target.append(iter(messages)))


BODIES: Final = [
    b"Subject: 1\r\n\r\nplain\r\n",
    b".\r\n..\r\n.a\r\n\r\n.\r\n",
    b"Subject: \xff\x80 8bit\r\n\r\n\x00nul\r\n",
    b"no line end",
    b"X: " + b"y" * 5000 + b"\r\n\r\n.",
    b"\r\n",
]


@pytest.mark.req("S-46")
@pytest.mark.parametrize("is_local", [False, True])
@pytest.mark.parametrize("piece", [None, 1, 2, 3, 1000])
def test_every_octet_arrives_as_it_was_and_one_line_is_added_by_smtp_only(piece: int | None, is_local: bool) -> None:
    box = Postbox(is_local=is_local)
    receipts = delivered(box, *(message(body, uid, piece=piece) for uid, body in enumerate(BODIES, 1)))
    assert [receipt.error for receipt in receipts] == [None] * len(BODIES)
    expected = [body if body.endswith(b"\r\n") else body + b"\r\n" for body in BODIES]
    assert [got for _, _, got in box.mail] == [(b"" if is_local else MARKER) + body for body in expected]


def test_line_ends_go_out_in_pairs_so_that_no_message_can_smuggle_another() -> None:
    hidden = b"Subject: x\n\nend\n.\nMAIL FROM:<evil@x>\r\n.\rRCPT\r\r\n"
    for piece in (None, 1, 5):
        box = Postbox(is_local=True)
        delivered(box, message(hidden, piece=piece))
        assert [got for _, _, got in box.mail] == [
            hidden.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        ]


@pytest.mark.req("S-46")
@pytest.mark.parametrize(
    ("head", "sender"),
    [
        (b"Return-Path: <jim@old.test>\r\n", b"jim@old.test"),
        (b"Received: x\r\nreturn-path:<jim@old.test> \r\n", b"jim@old.test"),
        (b"Return-Path: <>\r\n", b""),
        (b"Subject: none\r\n", b""),
        (b"Return-Path: <a@b> SIZE=0\r\n", b""),
        (b"Return-Path: <a@b>\r\n RCPT TO:<c@d>\r\n", b"a@b"),
        (b"Return-Path: <a b@c>\r\n", b""),
        (b"Return-Path: <\xc3\xa4@b>\r\n", b""),
        (b"Return-Path: <first@x>\r\nReturn-Path: <second@x>\r\n", b"first@x"),
    ],
)
def test_the_sender_is_that_of_the_return_path_or_nobody(head: bytes, sender: bytes) -> None:
    box = Postbox()
    delivered(box, message(head + b"\r\nReturn-Path: <body@x>\r\n"))
    mail, recipient, _ = box.mail[0]
    assert mail.startswith(b"MAIL FROM:<%b> " % sender)
    assert recipient == b"RCPT TO:<anna@example.test>"


@pytest.mark.req("S-46")
def test_size_and_eight_bits_are_told_where_they_are_offered() -> None:
    box = Postbox()
    delivered(box, message(b"x" * 100))
    assert box.mail[0][0] == b"MAIL FROM:<> SIZE=%d BODY=8BITMIME" % (100 + len(MARKER))
    box = Postbox(offers=())
    delivered(box, message(b"x" * 100))
    assert box.mail[0][0] == b"MAIL FROM:<>"


@pytest.mark.parametrize("piece", [None, 50])
def test_what_a_server_without_eight_bits_would_break_is_not_sent_and_the_next_is(piece: int | None) -> None:
    box = Postbox(offers=("SIZE",))
    bad = message(b"Subject: x\r\n\r\n" + b"y" * 500 + b"\xff\r\n", piece=piece)
    first, second = delivered(box, bad, message(b"Subject: y\r\n\r\n", 2))
    assert first.error is not None
    assert (first.error.code, first.error.radius) == ("message.eight_bit", Radius.MESSAGE)
    assert second.error is None
    assert len(box.mail) == 1


def test_the_limit_of_the_server_is_known_before_anything_is_sent() -> None:
    with Postbox().server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        features = target.features
        assert features.append_limit_bytes == 1_000_000 - len(MARKER)
        assert (features.reads_back, features.keeps_internal_date, features.has_flags) == (False, False, False)
        assert peer.verbs() == ["EHLO"]
    for offers in (("SIZE",), ("SIZE 0",), ()):
        with Postbox(offers).server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
            assert target.features.append_limit_bytes is None


def test_an_old_server_is_greeted_in_its_way() -> None:
    box = Postbox(answers={"EHLO": "502 5.5.2 what?", "HELO": "250 box"})
    assert delivered(box, message(b"x\r\n"))[0].error is None


def test_only_inbox_can_be_filled() -> None:
    with Postbox().server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        made, trouble = target.ensure_folders(
            [NewFolder(path, True, True, None) for path in (INBOX, FolderPath(b"Sent"))]
        )
        assert not isinstance(made, Trouble)
        assert isinstance(trouble, Trouble)
        assert trouble.error.code == "folder.only_inbox"
        (receipt,) = target.append([message(b"x", target=FolderPath(b"Sent"))])
        assert receipt.error is not None
        assert receipt.error.code == "folder.only_inbox"


@pytest.mark.parametrize("recipient", ["a\r\nDATA", "a b@c", "<a@b>", "", "a\0@b"])
def test_a_recipient_that_would_be_a_command_is_refused(recipient: str) -> None:
    box = Postbox()
    with box.server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=recipient) as target:
        with pytest.raises(MigratorError) as caught:
            list(target.append([message(b"x")]))
        assert caught.value.code == "address.bad"
    assert box.mail == []


# refusals

REFUSED: Final = [
    ("RCPT", "550 5.1.1 <anna>: User unknown", "sign_in.unknown_user", Radius.ACCOUNT, Patience.NEVER),
    ("RCPT", "550 No such user here", "sign_in.unknown_user", Radius.ACCOUNT, Patience.NEVER),
    ("RCPT", "554 5.7.1 Relay access denied", "delivery.refused", Radius.ACCOUNT, Patience.NEVER),
    ("RCPT", "450 4.2.0 Greylisted, try again in 300 seconds", "server.throttled", Radius.ACCOUNT, Patience.LATER),
    ("RCPT", "452 4.2.2 Mailbox full", "target.full", Radius.ACCOUNT, Patience.LATER),
    ("MAIL", "421 4.7.0 Too many connections", "server.too_many_connections", Radius.ACCOUNT, Patience.LATER),
    ("MAIL", "452 4.3.1 Insufficient system storage", "server.full", Radius.SERVER, Patience.LATER),
    ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", "sign_in.needs_tls", Radius.CONFIG, Patience.NEVER),
    ("MAIL", "552 5.3.4 Message size exceeds fixed limit", "message.too_big", Radius.MESSAGE, Patience.NEVER),
    ("DATA", "451 4.3.0 try later", "server.unavailable", Radius.ACCOUNT, Patience.LATER),
    ("BODY", "554 5.7.1 message contains a virus", "message.virus", Radius.MESSAGE, Patience.NEVER),
    ("BODY", "554 5.6.0 header too ugly", "message.refused", Radius.MESSAGE, Patience.NEVER),
    ("BODY", "552 5.2.2 Over quota", "target.full", Radius.ACCOUNT, Patience.LATER),
    ("BODY", "552 5.2.3 Message too large", "message.too_big", Radius.MESSAGE, Patience.NEVER),
    ("BODY", "451 4.3.0 queue file write error", "server.unavailable", Radius.ACCOUNT, Patience.LATER),
    ("BODY", "599 nobody knows", "unknown", Radius.ACCOUNT, Patience.NEVER),
]


@pytest.mark.parametrize(("stage", "words", "code", "radius", "patience"), REFUSED)
def test_a_refusal_is_named_and_nothing_was_stored(
    stage: str, words: str, code: str, radius: Radius, patience: Patience
) -> None:
    box = Postbox(judge=lambda number, body: words) if stage == "BODY" else Postbox(answers={stage: words})
    receipts = delivered(box, message(b"Subject: x\r\n\r\n"))
    error = receipts[0].error
    assert error is not None
    assert (error.code, error.radius, error.patience, error.side) == (code, radius, patience, Side.TARGET)
    assert words[:3] in error.reply
    assert box.mail == []


@pytest.mark.parametrize("offers", [OFFERS, ("8BITMIME",)])
def test_after_a_refused_message_the_next_goes_over_the_same_line(offers: tuple[str, ...]) -> None:
    box = Postbox(offers, judge=lambda number, body: "554 5.6.0 no" if number == 1 else None)
    with box.server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        first, second = target.append([message(b"a\r\n"), message(b"b\r\n", 2)])
        assert (first.error is None, second.error) == (False, None)
        assert peer.connections == 1


def test_a_sender_that_is_refused_becomes_nobody_once() -> None:
    box = Postbox(answers={"MAIL": ["553 5.1.8 Domain of sender does not exist", "250 ok"]})
    body = b"Return-Path: <jim@gone.test>\r\nSubject: x\r\n\r\n"
    assert delivered(box, message(body))[0].error is None
    assert box.mail[0][0].startswith(b"MAIL FROM:<> ")
    assert box.mail[0][2] == MARKER + body
    box = Postbox(answers={"MAIL": "553 5.1.8 Nobody may send"})
    error = delivered(box, message(body))[0].error
    assert error is not None
    assert error.code == "message.sender_refused"


# the line

UNKNOWN: Final[dict[str, Act]] = {"closed": close, "reset": cut, "half": then(b"25", close), "silent": hang}


@pytest.mark.parametrize("end", UNKNOWN.values(), ids=UNKNOWN)
def test_a_message_whose_answer_is_lost_is_of_unknown_outcome(end: Act) -> None:
    box = Postbox(judge=lambda number, body: end if number == 2 else None)
    limits = Limits(connect_seconds=10, io_seconds=0.3)
    with box.server() as peer, SmtpTarget(peer.endpoint(), limits, recipient=RECIPIENT) as target:
        receipts = target.append(message(b"%d\r\n" % uid, uid) for uid in (1, 2, 3))
        assert next(receipts).error is None
        with pytest.raises(OutcomeUnknown) as caught:
            next(receipts)
        assert (caught.value.patience, caught.value.side) == (Patience.NOW, Side.TARGET)


def test_nonsense_after_a_whole_message_is_no_success() -> None:
    for words in ("hello", "999 what", "150 wait", "354 more"):
        box = Postbox(judge=lambda number, body, words=words: words)  # type: ignore[misc]
        with pytest.raises(MigratorError) as caught:
            delivered(box, message(b"x\r\n"))
        assert isinstance(caught.value, OutcomeUnknown), words


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("end", [close, cut, hang], ids=["closed", "reset", "silent"])
def test_a_line_that_dies_before_the_last_dot_stored_nothing(stage: str, end: Act) -> None:
    box = Postbox(offers=("8BITMIME",), answers={stage: end})
    with pytest.raises(MigratorError) as caught:
        delivered(box, message(b"x\r\n"), limits=Limits(connect_seconds=10, io_seconds=0.3))
    assert not isinstance(caught.value, OutcomeUnknown)
    assert caught.value.patience is Patience.NOW


def test_a_body_that_breaks_off_stores_nothing() -> None:
    def breaking() -> object:
        yield b"Subject: x\r\n\r\nhalf\r\n" * 10_000
        raise MigratorError("line.lost", side=Side.SOURCE, reply="the source")

    box = Postbox()
    broken = message(b"", piece=1)
    broken.stream = breaking()  # type: ignore[assignment]
    with box.server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        with pytest.raises(MigratorError, match="the source"):
            list(target.append([broken]))
        assert [one.error for one in target.append([message(b"next\r\n", 2)])] == [None]
        assert peer.connections == 2
    assert [got for _, _, got in box.mail] == [MARKER + b"next\r\n"]


def test_a_server_that_hangs_up_in_the_middle_is_heard() -> None:
    def enough(conversation: TextConversation, command: bytes) -> None:
        conversation.say("354 go on")
        conversation.read_line()
        conversation.say("552 5.3.4 Message too big for me")
        raise Gone

    box = Postbox(offers=("8BITMIME",), answers={"DATA": [enough, "354 go on"]})
    body = b"Subject: x\r\n\r\n" + b"y" * 20_000_000
    with box.server() as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        (receipt,) = target.append([message(body, piece=60_000)])
        assert receipt.error is not None
        assert (receipt.error.code, receipt.error.radius) == ("message.too_big", Radius.MESSAGE)


@pytest.mark.parametrize("greeting", ["+OK POP3", "* OK IMAP", "HTTP/1.1 400 Bad Request", "354 go"])
def test_what_does_not_greet_like_smtp_is_not_smtp(greeting: str) -> None:
    with TextPeer({}, greeting=greeting) as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
        with pytest.raises(MigratorError) as caught:
            target.folders()
        assert caught.value.code == "server.not_smtp"


def test_a_server_that_refuses_when_it_greets_is_named() -> None:
    for greeting, code in (("421 4.3.2 shutting down", "server.unavailable"), ("554 no service", "server.unavailable")):
        with TextPeer({}, greeting=greeting) as peer, SmtpTarget(peer.endpoint(), QUICK, recipient=RECIPIENT) as target:
            with pytest.raises(MigratorError) as caught:
                target.folders()
            assert caught.value.code == code


def endless(conversation: TextConversation, command: bytes) -> None:
    while True:
        conversation.say(b"250-again\r\n" * 10_000)


def test_an_answer_without_an_end_is_given_up() -> None:
    box = Postbox(answers={"EHLO": endless})
    with pytest.raises(MigratorError) as caught:
        delivered(box, message(b"x"))
    assert caught.value.code == "server.nonsense"


# TLS


def test_starttls_is_done_or_nothing_is_sent(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def begin(conversation: TextConversation, command: bytes) -> None:
        conversation.say("220 go")
        conversation.start_tls(context)

    box = Postbox(offers=("STARTTLS", "8BITMIME"), answers={"STARTTLS": begin})
    with box.server() as peer:
        endpoint = peer.endpoint(security="starttls", ca_file=str(certificate))
        with SmtpTarget(endpoint, QUICK, recipient=RECIPIENT) as target:
            assert [one.error for one in target.append([message(b"x\r\n")])] == [None]
        assert peer.verbs()[:3] == ["EHLO", "STARTTLS", "EHLO"]
    for box in (Postbox(), Postbox(offers=("STARTTLS",), answers={"STARTTLS": "454 4.7.0 not now"})):
        with box.server() as peer:
            endpoint = peer.endpoint(security="starttls", ca_file=str(certificate))
            with SmtpTarget(endpoint, QUICK, recipient=RECIPIENT) as target, pytest.raises(MigratorError) as caught:
                list(target.append([message(b"x\r\n")]))
            assert caught.value.code == "tls.not_offered"
            assert box.mail == []
    injected = Postbox(offers=("STARTTLS",), answers={"STARTTLS": b"220 go\r\n250 evil\r\n"})
    with injected.server() as peer:
        endpoint = peer.endpoint(security="starttls", ca_file=str(certificate))
        with SmtpTarget(endpoint, QUICK, recipient=RECIPIENT) as target, pytest.raises(MigratorError) as caught:
            target.folders()
        assert caught.value.code == "tls.injected"


def test_random_answers_never_pass_for_a_stored_message() -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    dice = random.Random(seed)
    for _ in range(60):
        stage = dice.choice(["EHLO", "MAIL", "RCPT", "DATA", "BODY"])
        words = dice.choice([b"", b"2", b"25 ", b"4", b"5x0 ", b"-"]) + dice.randbytes(dice.randrange(20))
        noise = then(words.replace(b"\n", b"") + b"\r\n", close)
        box = Postbox(judge=lambda number, body: noise) if stage == "BODY" else Postbox(answers={stage: noise})  # noqa: B023
        assert not _is_delivered(box), (stage, words)


def _is_delivered(box: Postbox) -> bool:
    try:
        receipts: Sequence[Receipt] = delivered(box, message(b"x\r\n"))
    except MigratorError:
        return False
    return any(receipt.error is None for receipt in itertools.chain(receipts))


def test_a_return_path_is_read_from_the_header_only() -> None:
    assert return_path(b"Subject: x\r\n\r\nReturn-Path: <a@b>\r\n") == ""
    assert return_path(b"Return-Path: <a@b>\n\n") == "a@b"
    assert return_path(b"") == ""
