"""Compressed lines: asked for only when wanted, bounded whatever they hold, and told when they are damaged."""

from __future__ import annotations

import zlib

import pytest

from migrator.errors import MigratorError, Patience, Side
from migrator.mail import FolderPath, Message
from migrator.stores.base import ReadRequest
from migrator.stores.imap_deflate import DeflatedLine
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_source import ImapSource
from tests.rigs.listener import QUICK
from tests.rigs.scripted import Answers, Command, Conversation, Peer

OFFERED = "IMAP4rev1 COMPRESS=DEFLATE"


class Line:
    """A socket in memory: gives what it is made of, in the pieces given."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent = b""

    def recv(self, size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def sendall(self, octets: bytes) -> None:
        self.sent += octets


def squeezed(octets: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(octets) + squeeze.flush(zlib.Z_SYNC_FLUSH)


def line_of(*pieces: bytes, ahead: bytes = b"") -> DeflatedLine:
    return DeflatedLine(Line(*pieces), Side.SOURCE, ahead)  # type: ignore[arg-type]


def start(conversation: Conversation, command: Command) -> None:
    conversation.say("$ OK go", command)
    deflated = DeflatedLine(conversation.line, Side.SOURCE, bytes(conversation.received))
    conversation.received.clear()
    conversation.line = deflated  # type: ignore[assignment]


@pytest.mark.req("D-94")
def test_a_line_is_compressed_only_where_that_is_wanted() -> None:
    with Peer({"COMPRESS": start}, capabilities=OFFERED) as peer:
        session = ImapSession(peer.endpoint(), Side.SOURCE, QUICK)
        assert peer.verbs() == ["LOGIN"]
        session.drop()
    with Peer(capabilities="IMAP4rev1") as peer:
        ImapSession(peer.endpoint(compresses=True), Side.SOURCE, QUICK).drop()
        assert peer.verbs() == ["LOGIN"]


@pytest.mark.req("D-94")
def test_mail_crosses_a_compressed_line() -> None:
    body = b"a line like many others\r\n" * 40_000

    def bodies(conversation: Conversation, command: Command) -> None:
        conversation.send(b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%b)\r\n" % (len(body), body))
        conversation.say("$ OK done", command)

    answers: Answers = {"COMPRESS": start, "EXAMINE": "* 1 EXISTS\n$ OK done", "UID FETCH": bodies}
    with Peer(answers, capabilities=OFFERED) as peer, ImapSource(peer.endpoint(compresses=True), QUICK) as source:
        messages = source.read([ReadRequest(FolderPath(b"INBOX"), [1])])
        message = next(messages)
        assert isinstance(message, Message)
        assert b"".join(message.stream or ()) == body
        assert list(messages) == []
        assert peer.verbs()[:2] == ["LOGIN", "COMPRESS"]


@pytest.mark.req("D-94")
def test_a_server_that_refuses_goes_on_as_it_was() -> None:
    with Peer({"COMPRESS": "$ NO not now"}, capabilities=OFFERED) as peer:
        session = ImapSession(peer.endpoint(compresses=True), Side.SOURCE, QUICK)
        assert session.ask((b"NOOP\r\n",)).is_ok
        session.drop()


@pytest.mark.req("D-94")
def test_a_server_that_agrees_and_then_speaks_plainly_is_told_for_what_it_is() -> None:
    with Peer({"COMPRESS": "$ OK go\n* OK but not really"}, capabilities=OFFERED) as peer:
        session = ImapSession(peer.endpoint(compresses=True), Side.SOURCE, QUICK)
        with pytest.raises(MigratorError) as caught:
            session.ask((b"NOOP\r\n",))
        session.drop()
        assert (caught.value.code, caught.value.patience) == ("line.compression", Patience.NEVER)


@pytest.mark.req("D-94")
def test_little_that_says_much_is_taken_out_bit_by_bit() -> None:
    bomb = squeezed(b"\0" * 50_000_000)
    assert len(bomb) < 60_000
    line = line_of(bomb)
    total = 0
    while octets := line.recv(1000):
        assert len(octets) <= 1000
        total += len(octets)
        if total > 3_000_000:
            break
        assert len(line._ready) <= 1000
    assert total > 3_000_000


@pytest.mark.parametrize("piece", [1, 2, 7, 5000])
def test_octets_are_the_same_however_they_arrive(piece: int) -> None:
    words = b"".join(b"%d " % number for number in range(20_000))
    octets = squeezed(words)
    line = line_of(*(octets[at : at + piece] for at in range(3, len(octets), piece)), ahead=octets[:3])
    found = b""
    while part := line.recv(333):
        found += part
    assert found == words


def test_what_stands_ready_needs_no_socket() -> None:
    line = line_of(squeezed(b"hello there"))
    assert line.pending() == 0
    assert line.recv(5) == b"hello"
    assert line.pending() == 6
    assert line.recv(100) == b" there"
    assert line.pending() == 0
    assert line.recv(100) == b""


def test_a_stream_that_says_its_end_is_the_end_of_the_line() -> None:
    squeeze = zlib.compressobj(wbits=-15)
    line = line_of(squeeze.compress(b"bye") + squeeze.flush(zlib.Z_FINISH), b"and more")
    assert line.recv(10) == b"bye"
    assert line.recv(10) == b""
