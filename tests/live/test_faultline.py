"""The line that fails: each fault happens once, where it was ordered, and is what it is called."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.rigs.base import HOST, users
from tests.rigs.dovecot import Dovecot
from tests.rigs.faultline import Fault, FaultLine, Way

BODY = b"Subject: x\r\n\r\n" + b"y" * 1000 + b"\r\n"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(users(1)) as server:
        yield server


@pytest.fixture
def connect(faulty: FaultLine) -> Iterator[Callable[[], Client]]:
    """Makes clients, and closes them."""
    with ExitStack() as stack:

        def client() -> Client:
            made = Client(faulty)
            stack.callback(made.socket.close)
            return made

        yield client


@pytest.fixture
def faulty(dovecot: Dovecot) -> Iterator[FaultLine]:
    with FaultLine(dovecot.imap) as line:
        yield line


class Client:
    """As plain as possible."""

    def __init__(self, line: FaultLine) -> None:
        self.socket = socket.create_connection((HOST, line.port), timeout=10)
        self.read_to(b"\n")
        assert b"a OK" in self.ask(b"a LOGIN u0000 pw\r\n", b"a OK")

    def ask(self, words: bytes, until: bytes) -> bytes:
        self.socket.sendall(words)
        return self.read_to(until)

    def read_to(self, mark: bytes) -> bytes:
        """Read until ``mark`` came and its line is over, or the stream ends."""
        came = b""
        while not (mark in came and came.endswith(b"\n")):
            piece = self.socket.recv(4096)
            if not piece:
                break
            came += piece
        return came


def test_without_orders_all_octets_pass_and_are_counted(faulty: FaultLine, connect: Callable[[], Client]) -> None:
    client = connect()
    append = b"b APPEND INBOX {%d+}\r\n%s\r\n" % (len(BODY), BODY)
    before = faulty.up_bytes
    assert b"b OK" in client.ask(append, b"b OK")
    assert faulty.up_bytes - before == len(append)
    assert BODY in client.ask(b"c SELECT INBOX\r\nd FETCH 1 BODY.PEEK[]\r\n", b"d OK")
    assert faulty.struck == 0


def test_bye_between_responses_comes_instead_of_the_next(faulty: FaultLine, connect: Callable[[], Client]) -> None:
    client = connect()
    faulty.arm(Fault.BYE, "down", 0)
    assert client.ask(b"b NOOP\r\n", b"never") == b"* BYE Server shutting down.\r\n"
    assert faulty.struck == 1
    connect()  # once


def test_bye_within_a_response_comes_at_its_octet(faulty: FaultLine, connect: Callable[[], Client]) -> None:
    client = connect()
    faulty.arm(Fault.BYE_WITHIN, "down", 3)
    assert client.ask(b"b NOOP\r\n", b"never") == b"b O* BYE Server shutting down.\r\n"


def test_a_reset_is_one_and_an_end_is_none(faulty: FaultLine, connect: Callable[[], Client]) -> None:
    client = connect()
    faulty.arm(Fault.FIN, "down", 3)
    assert client.ask(b"b NOOP\r\n", b"never") == b"b O"
    client = connect()
    faulty.arm(Fault.RST, "down", 3)
    with pytest.raises(ConnectionResetError):
        client.ask(b"b NOOP\r\n", b"never")


@pytest.mark.parametrize("way", ["up", "down"])
def test_of_a_literal_one_half_comes(faulty: FaultLine, connect: Callable[[], Client], way: Way) -> None:
    append = b"b APPEND INBOX {%d+}\r\n%s\r\n" % (len(BODY), BODY)
    client = connect()
    client.ask(append, b"b OK")
    client.ask(b"c SELECT INBOX\r\n", b"c OK")
    before = _count(connect())
    faulty.arm(Fault.HALF_LITERAL, way, 0)
    client.socket.sendall(append if way == "up" else b"f FETCH 1 BODY.PEEK[]\r\n")
    came = _until_reset(client.socket)
    assert came == b"" if way == "up" else came.partition(b"}\r\n")[2] == BODY[: len(BODY) // 2]
    assert _count(connect()) == before


def test_a_stall_lets_nothing_through_until_it_is_cleared(faulty: FaultLine, connect: Callable[[], Client]) -> None:
    client = connect()
    faulty.arm(Fault.STALL, "down", 0)
    client.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.ask(b"b NOOP\r\n", b"b OK")
    other = connect()  # one connection stalls, not the line
    assert b"b OK" in other.ask(b"b NOOP\r\n", b"b OK")
    faulty.clear()
    assert client.read_to(b"b OK") == b""


def _count(client: Client) -> bytes:
    return client.ask(b"c STATUS INBOX (MESSAGES)\r\n", b"c OK").partition(b"\r\n")[0]


def _until_reset(line: socket.socket) -> bytes:
    came = b""
    try:
        while piece := line.recv(4096):
            came += piece
    except ConnectionResetError:
        return came
    raise AssertionError("the stream ended without a reset")
