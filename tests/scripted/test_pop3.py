"""POP3 servers of every kind: what they offer, how they refuse, and how they break the rules."""

from __future__ import annotations

import base64
import itertools
import os
import random
import ssl
import threading
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from migrator.errors import MigratorError, Patience, Side
from migrator.limits import Limits
from migrator.mail import DateOrigin, Message, MessageMeta
from migrator.stores.base import MessageName, ReadRequest, Removing, ScanRequest, Trouble
from migrator.stores.endpoint import Endpoint
from migrator.stores.pop3 import INBOX, Pop3Source
from tests.rigs.base import own_certificate
from tests.rigs.listener import QUICK
from tests.rigs.text_peer import Act, Answers, TextConversation, TextPeer, close, cut, dotted, then

CAPA: Final = "+OK\nTOP\nUIDL\nUSER\nPIPELINING\n."
USUAL: Final[dict[str, str]] = {
    "CAPA": CAPA,
    "USER": "+OK",
    "PASS": "+OK",
    "LIST": "+OK\n1 10\n2 20\n3 30\n.",
    "UIDL": "+OK\n1 a\n2 b\n3 c\n.",
}
BODY: Final = b"Received: by x; Mon, 1 Jun 2020 12:00:00 +0200\r\nSubject: x\r\n\r\n.dot\r\n..\r\n.\r\nend\r\n"


def answers(**other: object) -> Answers:
    return {**USUAL, "RETR": dotted(BODY), **other}  # type: ignore[dict-item]


def taken(message: Message) -> bytes:
    body = message.whole if message.whole is not None else b"".join(message.stream or ())
    assert len(body) == message.size_bytes
    return body


def read(source: Pop3Source, uids: Sequence[int] = (1, 2, 3)) -> list[tuple[int, bytes]]:
    """Read and take everything asked for."""
    found = []
    for item in source.read([ReadRequest(INBOX, uids)]):
        assert isinstance(item, Message)
        found.append((item.uid, taken(item)))
    return found


def refusal(peer: TextPeer, **endpoint: object) -> MigratorError:
    """Return what signing in to ``peer`` comes to."""
    with pytest.raises(MigratorError) as caught:
        Pop3Source(peer.endpoint(**endpoint), QUICK).folders()  # type: ignore[arg-type]
    assert caught.value.side is Side.SOURCE
    return caught.value


def signed_in(endpoint: Endpoint) -> None:
    """Sign in and leave."""
    with Pop3Source(endpoint, QUICK) as source:
        source.folders()


def test_the_mailbox_is_one_folder_with_its_counters() -> None:
    with TextPeer(answers()) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        (folder,) = source.folders()
        assert (folder.path, folder.messages, folder.uidnext, folder.uidvalidity) == (INBOX, 3, 4, 1)
        assert not source.features.has_flags
        assert not source.features.has_dates
        assert source.features.names_messages
        sizes = [item.size_bytes for item in source.scan([ScanRequest(INBOX)]) if not isinstance(item, Trouble)]
        assert sizes == [10, 20, 30]


def quiet(*sizes: int, misfit: int | None = None) -> tuple[TextPeer, list[bytes]]:
    """Make a server with TOP that tells ``sizes``; what it hands out for ``misfit`` is not whole."""
    bodies = [b"Subject: %d\r\n\r\n%b\r\n" % (number, b"x" * 20 * number) for number in range(1, len(sizes) + 1)]

    def hand_out(conversation: TextConversation, command: bytes) -> None:
        number = int(command.split()[1])
        is_cut = command.startswith(b"TOP") and number == misfit
        conversation.say(dotted(bodies[number - 1][:-12] + b"\r\n" if is_cut else bodies[number - 1]))

    listing = "\n".join(
        f"{number} {len(body) + more}" for number, (body, more) in enumerate(zip(bodies, sizes, strict=True), 1)
    )
    names = "\n".join(f"{number} n{number}" for number in range(1, len(sizes) + 1))
    script = answers(LIST=f"+OK\n{listing}\n.", UIDL=f"+OK\n{names}\n.", TOP=hand_out, RETR=hand_out)
    return TextPeer(script), bodies


@pytest.mark.parametrize(
    ("sizes", "misfit", "loud"),
    [
        ([0, 0, 0, 0], None, []),  # the sizes are exact: nothing is marked as read
        ([0, -2, 0, 0], None, []),  # a last line end is added to what has none
        ([0, 0, 0, 0], 3, [b"RETR 3"]),  # one does not come whole
        ([5, 5, 5, 5], None, [b"RETR 1", b"RETR 2", b"RETR 3", b"RETR 4"]),  # the sizes say nothing
    ],
)
def test_messages_are_read_without_being_marked_as_long_as_they_come_whole(
    sizes: list[int], misfit: int | None, loud: list[bytes]
) -> None:
    server, bodies = quiet(*sizes, misfit=misfit)
    with server as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert read(source, range(1, len(sizes) + 1)) == list(enumerate(bodies, 1))
        assert [command for command in peer.commands if command.startswith(b"RETR")] == loud


def test_a_blank_line_that_top_adds_is_not_taken_for_the_message() -> None:
    script = answers(LIST="+OK\n1 6\n.", UIDL="+OK\n1 a\n.", TOP=dotted(b"A: b\r\n\r\n"), RETR=dotted(b"A: b\r\n"))
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert read(source, [1]) == [(1, b"A: b\r\n")]


@pytest.mark.req("D-103")
def test_a_session_neither_deletes_nor_says_goodbye() -> None:
    with TextPeer(answers()) as peer:
        with Pop3Source(peer.endpoint(), QUICK) as source:
            assert [uid for uid, _ in read(source)] == [1, 2, 3]
        assert set(peer.verbs()) == {"CAPA", "USER", "PASS", "LIST", "UIDL", "TOP", "RETR"}


def marked(source: Pop3Source) -> None:
    """List the mailbox, and mark its first and third message."""
    source.folders()
    source.mark(INBOX, [1, 3], 1)


def test_what_is_marked_goes_with_the_end_of_the_session_and_nothing_else() -> None:
    with TextPeer(answers(DELE="+OK", QUIT="+OK")) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert source.features.removing is Removing.AT_END
        marked(source)
        source.remove_marked(INBOX, [1, 3], 1)
        assert peer.commands[-3:] == [b"DELE 1", b"DELE 3", b"QUIT"]
        source.folders()
        assert peer.connections == 2  # what is gone, only a new session shows


@pytest.mark.parametrize("end", ["+OK", cut])
def test_mail_that_comes_while_all_other_is_removed_gets_the_next_number(end) -> None:
    script = answers(
        LIST=["+OK\n1 10\n2 20\n3 30\n.", "+OK\n1 40\n."],
        UIDL=["+OK\n1 a\n2 b\n3 c\n.", "+OK\n1 new\n."],
        DELE="+OK",
        QUIT=end,
    )
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.folders()
        source.mark(INBOX, [1, 2, 3], 1)
        with suppress(MigratorError):
            source.remove_marked(INBOX, [1, 2, 3], 1)
        (found,) = source.scan([ScanRequest(INBOX, 1)])
        assert isinstance(found, MessageMeta)
        assert (found.uid, found.size_bytes) == (4, 40)


@pytest.mark.parametrize("answer", ["-ERR some messages were not removed", close, cut])
def test_an_end_without_its_answer_is_an_error_whose_outcome_must_be_looked_at(answer) -> None:
    with TextPeer(answers(DELE="+OK", QUIT=answer)) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        marked(source)
        with pytest.raises(MigratorError):
            source.remove_marked(INBOX, [1, 3], 1)
        source.folders()
        assert peer.connections == 2


def test_a_session_that_was_lost_after_the_marks_removes_nothing() -> None:
    with TextPeer(answers(DELE="+OK", QUIT="+OK")) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        marked(source)
        source.drop()
        source.folders()
        with pytest.raises(MigratorError) as caught:
            source.remove_marked(INBOX, [1, 3], 1)
        assert caught.value.code == "line.lost"
        marked(source)
        source.unmark(INBOX, [1, 3], 1)
        assert "QUIT" not in peer.verbs()


def test_a_refused_mark_removes_nothing() -> None:
    with TextPeer(answers(DELE=["+OK", "-ERR read only"])) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        with pytest.raises(MigratorError):
            marked(source)
        assert "QUIT" not in peer.verbs()


@pytest.mark.parametrize("names", ["-ERR what", "+OK\n1 a\n2 b\n3 a\n."])
def test_without_lasting_names_of_its_own_no_message_is_removed(names: str) -> None:
    with TextPeer(answers(UIDL=names)) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.folders()
        assert source.features.removing is None


def test_dots_are_taken_away_and_the_rest_is_as_it_was() -> None:
    with TextPeer(answers()) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert read(source) == [(1, BODY), (2, BODY), (3, BODY)]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7])
def test_dots_are_found_wherever_the_pieces_are_cut(step: int) -> None:
    bodies = [b".\r\n", b"..\r\n.\r\n\r\n..\r\n", b"", b"\r\n.\r\n", b"a\n.\nb\r.\r\n", BODY]

    def drip(conversation: TextConversation, command: bytes) -> None:
        octets = dotted_strictly(bodies[int(command.split()[1]) - 1])
        for start in range(0, len(octets), step):
            conversation.say(octets[start : start + step])

    listing = "\n".join(f"{number} 5" for number in range(1, 7))
    script = answers(LIST=f"+OK\n{listing}\n.", UIDL=f"+OK\n{listing.replace(' ', ' u')}\n.", RETR=drip)
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        # equal names are told apart by their order
        assert read(source, range(1, 7)) == list(enumerate(bodies, 1))


def dotted_strictly(body: bytes) -> bytes:
    """A message whose only line ends are CRLF, as POP3 sends it."""
    return b"+OK\r\n" + (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def test_messages_are_asked_for_ahead_where_that_is_offered() -> None:
    many = "\n".join(f"{number} {number}" for number in range(1, 251))
    script = answers(LIST=f"+OK\n{many}\n.", UIDL=f"+OK\n{many}\n.")
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert len(read(source, range(1, 251))) == 250
        flights = [flight for flight in peer.flights if flight.startswith(b"RETR")]
        assert len(flights) < 20
    with TextPeer(answers(CAPA="+OK\nUIDL\n.")) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert len(read(source)) == 3
        assert [flight for flight in peer.flights if flight.startswith(b"RETR")] == [
            b"RETR 1\r\n",
            b"RETR 2\r\n",
            b"RETR 3\r\n",
        ]


def test_a_line_of_ten_megabytes_is_a_line_and_memory_stays_bounded() -> None:
    size = 40_000_000
    limits = Limits(whole_bytes=64 * 1024, io_seconds=30)

    def big(conversation: TextConversation, command: bytes) -> None:
        conversation.say("+OK")
        for _ in range(size // 1_000_000):
            conversation.say(b"x" * 1_000_000)
        conversation.say(b"\r\n.\r\n")

    with TextPeer(answers(RETR=big)) as peer, Pop3Source(peer.endpoint(), limits) as source:
        source.folders()
        tracemalloc.start()
        try:
            (message,) = source.read([ReadRequest(INBOX, [1])])
            assert isinstance(message, Message)
            assert message.size_bytes == size + 2
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 8_000_000


def test_a_big_message_is_a_stream_with_its_exact_size() -> None:
    body = b"Date: Tue, 2 Jun 2020 00:00:00 +0000\r\n\r\n" + b".line\r\n" * 20_000
    with (
        TextPeer(answers(RETR=dotted(body))) as peer,
        Pop3Source(peer.endpoint(), Limits(whole_bytes=1000, io_seconds=10)) as source,
    ):
        for item in source.read([ReadRequest(INBOX, [1, 2])]):
            assert isinstance(item, Message)
            assert item.whole is None
            assert (item.date_origin, item.internal_date) == (DateOrigin.DATE, 1591056000)
            assert taken(item) == body


def test_a_message_that_is_refused_is_left_out_and_the_rest_comes() -> None:
    script = answers(RETR=[dotted(b"1\r\n"), "-ERR [SYS/PERM] damaged", dotted(b"3\r\n")])
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert read(source) == [(1, b"1\r\n"), (3, b"3\r\n")]


@pytest.mark.parametrize(
    "end",
    [cut, close, then(b"+OK\r\nhalf a mess", close), then(b"+OK\r\n", cut), then(b"+OK 10 octets\r\nx\r\n.", close)],
)
def test_a_line_that_dies_is_lost_and_what_came_before_is_whole(end: Act) -> None:
    with TextPeer(answers(RETR=[dotted(BODY), end])) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        items = source.read([ReadRequest(INBOX, [1, 2, 3])])
        found = [taken(item) for item in itertools.islice(items, 1) if isinstance(item, Message)]
        with pytest.raises(MigratorError) as caught:
            next(items)
        assert (caught.value.code, caught.value.patience) == ("line.lost", Patience.NOW)
        assert found == [BODY]


def test_a_silent_server_is_given_up_after_the_time_and_a_slow_one_is_waited_for() -> None:
    def slowly(conversation: TextConversation, command: bytes) -> None:
        assert not waited.wait(0.6)
        conversation.say(dotted(BODY))

    waited = threading.Event()
    script = answers(RETR=slowly)
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), Limits(io_seconds=0.2)) as source:
        with pytest.raises(MigratorError) as caught:
            read(source, [1])
        assert (caught.value.code, caught.value.patience) == ("line.silent", Patience.NOW)
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), Limits(io_seconds=5)) as source:
        assert read(source, [1]) == [(1, BODY)]


# names


def test_numbers_are_kept_by_name_whatever_comes_and_goes() -> None:
    with TextPeer(answers()) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.folders()
        kept = source.take_fresh_names()
        assert [(one.uid, one.name) for one in kept] == [(0, b""), (1, b"a"), (2, b"b"), (3, b"c")]
        assert source.take_fresh_names() == []
    script = answers(
        LIST="+OK\n1 1\n2 2\n3 3\n.", UIDL="+OK\n1 new\n2 c\n3 b\n.", RETR=lambda c, w: c.say(dotted(w + b"\r\n"))
    )
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.recall(kept)
        (folder,) = source.folders()
        assert (folder.uidvalidity, folder.uidnext, folder.messages) == (1, 5, 3)
        assert read(source, [2, 3, 4]) == [(2, b"RETR 3\r\n"), (3, b"RETR 2\r\n"), (4, b"RETR 1\r\n")]
        assert source.take_fresh_names() == [MessageName(b"INBOX", 1, 4, b"new")]


def test_a_server_that_names_all_its_messages_anew_begins_a_new_numbering() -> None:
    kept = [MessageName(b"INBOX", 4, 0, b""), *(MessageName(b"INBOX", 4, uid, b"old%d" % uid) for uid in (1, 2, 3))]
    with TextPeer(answers()) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.recall(kept)
        assert source.folders()[0].uidvalidity == 5


@pytest.mark.parametrize("uidl", ["-ERR what?", "+OK\n1 a\n3 c\n."])
def test_a_server_without_names_is_numbered_anew_each_time(uidl: str) -> None:
    with TextPeer(answers(UIDL=uidl)) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert source.folders()[0].uidvalidity == 1
        kept = source.take_fresh_names()
    with TextPeer(answers(UIDL=uidl)) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.recall(kept)
        assert source.folders()[0].uidvalidity == 2
        assert len(read(source)) == 3


def test_equal_names_are_told_apart() -> None:
    with TextPeer(answers(UIDL="+OK\n1 a\n2 a\n3 b\n.")) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        source.folders()
        assert [one.uid for one in source.take_fresh_names()] == [0, 1, 2, 3]


# signing in

ODD: Final = ["jps#dhj", 'p"w \\%d ü', " leading and trailing ", "%s%n", "'; rm -rf /", "パスワード", "a\tb"]


@pytest.mark.req("S-45")
@pytest.mark.parametrize("password", ODD)
@pytest.mark.parametrize("capabilities", ["USER", "USER\nUTF8 USER", "SASL CRAM-MD5 PLAIN", "USER\nSASL PLAIN"])
def test_a_password_goes_out_exactly_whatever_its_characters(capabilities: str, password: str) -> None:
    script = answers(CAPA=f"+OK\n{capabilities}\n.", AUTH="+OK", UTF8="+OK")
    with TextPeer(script) as peer, Pop3Source(peer.endpoint(user="jürgen", password=password), QUICK) as source:
        source.folders()
        if "PLAIN" in capabilities:
            (said,) = [command for command in peer.commands if command.startswith(b"AUTH PLAIN ")]
            assert base64.b64decode(said.split()[2]) == f"\0jürgen\0{password}".encode()
        else:
            assert b"PASS " + password.encode("utf-8") in peer.commands
            assert "USER jürgen".encode() in peer.commands
        assert ("UTF8" in peer.verbs()) == ("UTF8" in capabilities)


def test_a_long_response_waits_for_its_challenge() -> None:
    def challenge(conversation: TextConversation, command: bytes) -> None:
        assert command == b"AUTH PLAIN"
        conversation.say("+ ")
        conversation.peer.messages.append(conversation.read_line())
        conversation.say("+OK")

    password = "x" * 300
    with TextPeer(answers(CAPA="+OK\nSASL PLAIN\n.", AUTH=challenge)) as peer:
        signed_in(peer.endpoint(password=password))
        assert base64.b64decode(peer.messages[0]) == f"\0u1\0{password}".encode()


def test_an_administrator_opens_a_mailbox_by_plain_or_not_at_all() -> None:
    with TextPeer(answers(CAPA="+OK\nUSER\nSASL PLAIN\n.", AUTH="+OK")) as peer:
        signed_in(peer.endpoint(user="admin", authzid="anna"))
        (said,) = [command for command in peer.commands if command.startswith(b"AUTH")]
        assert base64.b64decode(said.split()[2]) == b"anna\0admin\0pw"
    with TextPeer(answers()) as peer:
        assert refusal(peer, user="admin", authzid="anna").code == "sign_in.no_method"
        assert "PASS" not in peer.verbs()


def test_apop_is_used_where_no_other_way_is_offered() -> None:
    script = answers(CAPA="+OK\nUIDL\n.", APOP="+OK")
    with TextPeer(script, greeting="+OK POP3 <1896.697170952@dbc.mtview.ca.us>") as peer:
        signed_in(peer.endpoint(user="mrose", password="tanstaaf"))
        assert b"APOP mrose c4c9334bac560ecc979e58001b3e22fb" in peer.commands  # the example of RFC 1939 §7


def test_where_passwords_are_taken_only_after_stls_none_is_sent_before() -> None:
    with TextPeer(answers(CAPA="+OK\nSTLS\nUIDL\n.")) as peer:
        assert refusal(peer).code == "sign_in.needs_tls"
        assert "PASS" not in peer.verbs()
    with TextPeer(answers(CAPA="+OK\nTOP\n.")) as peer:
        signed_in(peer.endpoint())
        assert "PASS" in peer.verbs()


def test_a_server_without_capabilities_is_spoken_to_plainly() -> None:
    with TextPeer(answers(CAPA="-ERR Unknown command")) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        assert len(read(source)) == 3


REFUSALS: Final = [
    ("-ERR [AUTH] Authentication failed.", "sign_in.refused", Patience.NEVER),
    ("-ERR Login failed.", "sign_in.refused", Patience.NEVER),
    ("-ERR [AUTH] Invalid login", "sign_in.refused", Patience.NEVER),
    ("-ERR account or password incorrect", "sign_in.refused", Patience.NEVER),
    ("-ERR [SYS/TEMP] Temporary authentication failure.", "sign_in.temporarily_unavailable", Patience.LATER),
    ("-ERR [IN-USE] /var/mail/.u.pop lock busy!  Is another session active?", "server.mailbox_locked", Patience.LATER),
    ("-ERR Can't get lock.  Mailbox in use", "server.mailbox_locked", Patience.LATER),
    ("-ERR [LOGIN-DELAY] Wait 30 seconds", "server.throttled", Patience.LATER),
    ("-ERR POP3 access disabled for this account.", "sign_in.not_allowed", Patience.NEVER),
    (
        "-ERR Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
        "sign_in.needs_tls",
        Patience.NEVER,
    ),
    ("-ERR der Rechner ist müde", "unknown", Patience.NEVER),
]


@pytest.mark.parametrize(("words", "code", "patience"), REFUSALS)
def test_a_refused_sign_in_is_named_and_a_password_is_tried_once(words: str, code: str, patience: Patience) -> None:
    with TextPeer(answers(PASS=words)) as peer:
        error = refusal(peer)
        assert (error.code, error.patience) == (code, patience)
        assert peer.verbs().count("PASS") == 1


def test_a_server_that_repeats_a_password_is_not_quoted() -> None:
    for script in (answers(PASS="-ERR [AUTH] hunter2 is wrong"), answers(PASS="WRONG hunter2")):
        with TextPeer(script) as peer:
            error = refusal(peer, password="hunter2")
            assert "***" in error.reply
            assert "hunter2" not in str(error)


def test_names_and_passwords_that_would_be_commands_are_not_sent() -> None:
    with TextPeer(answers()) as peer:
        for endpoint in ({"user": "a\r\nDELE 1"}, {"password": "a\nb"}, {"authzid": "x\0y"}):
            assert refusal(peer, **endpoint).code == "sign_in.malformed"
        assert set(peer.verbs()) == {"CAPA"}


# TLS


def test_tls_from_the_start_and_by_stls(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with TextPeer(answers(), tls=context) as peer:
        signed_in(peer.endpoint(security="tls", ca_file=str(certificate)))
        assert refusal(peer, security="tls").code == "server.certificate"
    stls: Act = lambda conversation, _: (conversation.say("+OK"), conversation.start_tls(context))[0]  # noqa: E731
    capabilities = ["+OK\nSTLS\nSASL PLAIN\n.", CAPA]
    with TextPeer(answers(CAPA=capabilities, STLS=stls)) as peer:
        signed_in(peer.endpoint(security="starttls", ca_file=str(certificate)))
        assert peer.verbs()[:4] == ["CAPA", "STLS", "CAPA", "USER"]  # what was offered in the clear does not count


def test_a_line_that_is_to_be_encrypted_and_is_not_carries_no_password() -> None:
    for script in (answers(), answers(CAPA="+OK\nSTLS\n.", STLS="-ERR not now"), answers(CAPA="-ERR")):
        with TextPeer(script) as peer:
            assert refusal(peer, security="starttls").code == "tls.not_offered"
            assert "PASS" not in peer.verbs()
    with TextPeer(answers(CAPA="+OK\nSTLS\n.", STLS=b"+OK\r\n+OK injected\r\n")) as peer:
        assert refusal(peer, security="starttls").code == "tls.injected"


# nonsense

OTHERS: Final = {
    "imap": b"* OK IMAP4rev1\r\n",
    "smtp": b"220 smtp ready\r\n",
    "http": b"HTTP/1.1 400 Bad\r\n",
    "octets": b"\0\xff" * 70_000,
    "no CR": b"+OK no CR\n",
}


@pytest.mark.parametrize("greeting", OTHERS.values(), ids=OTHERS)
def test_what_does_not_greet_like_pop3_is_not_pop3(greeting: bytes) -> None:
    with TextPeer(answers(), greeting=greeting) as peer:
        assert refusal(peer).code == "server.not_pop"


def test_a_server_that_is_busy_when_it_greets_says_so() -> None:
    with TextPeer(answers(), greeting="-ERR too many connections from your host") as peer:
        assert refusal(peer).code == "server.too_many_connections"


def endless(conversation: TextConversation, command: bytes) -> None:
    conversation.say("+OK")
    while True:
        conversation.say(b"1 " + b"9" * 1_000_000)


def flood(conversation: TextConversation, command: bytes) -> None:
    conversation.say("+OK")
    while True:
        conversation.say(b"1 1\r\n" * 100_000)


NONSENSE: Final[dict[str, dict[str, object]]] = {
    "no status": {"LIST": "hello"},
    "no list": {"LIST": "+OK\nnot a list\n."},
    "negative": {"LIST": "+OK\n1 10\n-5 3\n."},
    "no name": {"UIDL": "+OK\n1\n."},
    "undecided": {"UIDL": "maybe"},
    "endless capability": {"CAPA": endless},
    "endless line": {"LIST": endless},
    "no verdict": {"PASS": "perhaps"},
    "lone LF": {"LIST": b"+OK\n1 10\n.\n"},
}


@pytest.mark.parametrize("other", NONSENSE.values(), ids=NONSENSE)
def test_an_answer_that_breaks_the_rules_is_nonsense(other: dict[str, object]) -> None:
    with TextPeer(answers(**other)) as peer:
        assert refusal(peer).code == "server.nonsense"


def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrator.stores.lines.MOST_LISTED", 250_000)
    with TextPeer(answers(LIST=flood)) as peer:
        assert refusal(peer).code == "server.nonsense"


def test_sizes_that_are_lies_do_no_harm() -> None:
    listing = "+OK\n1 18446744073709551616000\n2 0\n3 x\n."
    with TextPeer(answers(LIST=listing)) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        sizes = [one.size_bytes for one in source.scan([ScanRequest(INBOX)]) if not isinstance(one, Trouble)]
        assert sizes == [2**63 - 1, 0, 1]
        assert read(source) == [(1, BODY), (2, BODY), (3, BODY)]


def test_random_answers_end_in_an_error_or_in_mail() -> None:
    seed = int.from_bytes(os.urandom(4))
    print("seed", seed)
    dice = random.Random(seed)
    allowed = {"line.lost", "server.nonsense", "unknown", "server.needs_person", "sign_in.refused"}
    for _ in range(60):
        broken = dice.choice(["CAPA", "USER", "PASS", "LIST", "UIDL", "RETR"])
        words = dice.choice([b"+OK ", b"-ERR ", b"+ ", b"", b".\r\n"]) + dice.randbytes(dice.randrange(32))
        answer = then(words + dice.choice([b"\r\n", b"\r\n.\r\n"]), close)
        with TextPeer(answers(**{broken: answer})) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
            outcome = _outcome(source)
        assert outcome in allowed or (broken == "RETR" and outcome == "mail"), (broken, words, outcome)


def _outcome(source: Pop3Source) -> str:
    try:
        read(source)
    except MigratorError as error:
        return error.code
    return "mail"


# dates

RECEIVED_1 = b"Received: from a (b; c) by d;\r\n\tMon, 01 Jun 2020 12:00:00 +0200 (CEST)\r\n"
RECEIVED_2 = b"Received: from e by f; Sun, 31 May 2020 10:00:00 +0000\r\n"
DATE = b"Date: Sat, 30 May 2020 08:00:00 -0530\r\n"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (RECEIVED_1 + RECEIVED_2 + DATE, (1591005600, 120, DateOrigin.RECEIVED)),
        (DATE + RECEIVED_2, (1590919200, 0, DateOrigin.RECEIVED)),
        (DATE, (1590845400, -330, DateOrigin.DATE)),
        (b"Received: by x; the other day\r\n" + DATE, (1590845400, -330, DateOrigin.DATE)),
        (b"Date: Sat, 30 May 2999 08:00:00 +0000\r\n", (None, 0, DateOrigin.NOW)),
        (b"Date: Sat, 30 May 1960 08:00:00 +0000\r\n", (None, 0, DateOrigin.NOW)),
        (b"Subject: \xff\r\n", (None, 0, DateOrigin.NOW)),
        (b"", (None, 0, DateOrigin.NOW)),
    ],
)
def test_the_date_is_that_of_the_topmost_received_else_of_date_else_none(header: bytes, expected: object) -> None:
    body = header + b"X: y\r\n\r\nDate: Sat, 30 May 2020 08:00:00 +0000\r\n"
    with TextPeer(answers(RETR=dotted(body))) as peer, Pop3Source(peer.endpoint(), QUICK) as source:
        for item in source.read([ReadRequest(INBOX, [1])]):
            assert isinstance(item, Message)
            assert (item.internal_date, item.zone_minutes, item.date_origin) == expected
