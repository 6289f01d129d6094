"""A line out is open within its time, whichever of a host's addresses answers, or it is said why not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from campaigns.bridge import lines_out

SECONDS = 2.0


@pytest.fixture
def answering() -> Iterator[int]:
    """The port of somebody who takes calls."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port at which calls get no answer of any kind: its queue of one is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        place = server.getsockname()
        while True:
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(place)
            except TimeoutError:
                break
        yield place[1]


def led_to(monkeypatch: pytest.MonkeyPatch, *places: tuple[int, int]) -> None:
    """The name has these addresses: family and port."""
    found = [(family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for family, port in places]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def opened() -> socket.socket:
    return lines_out.open_line("pager.example.test", 443, SECONDS, lambda line: None)


def test_an_address_that_never_answers_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, black_hole: int, answering: int
) -> None:
    led_to(monkeypatch, (socket.AF_INET, black_hole), (socket.AF_INET, answering))
    begun = time.monotonic()
    with opened() as line:
        assert line.getpeername()[1] == answering
        assert time.monotonic() - begun >= SECONDS / 2 - 0.1, "the first was tried"
        left = line.gettimeout()
        assert left is not None
        assert left > SECONDS / 4, "there is time to say something"


def test_addresses_that_never_answer_end_in_the_time_of_all(monkeypatch: pytest.MonkeyPatch, black_hole: int) -> None:
    led_to(monkeypatch, *[(socket.AF_INET, black_hole)] * 3)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        opened()
    assert time.monotonic() - begun < SECONDS + 0.5


def test_an_address_of_a_family_that_this_machine_has_not_keeps_nobody_from_the_next(
    monkeypatch: pytest.MonkeyPatch, answering: int
) -> None:
    led_to(monkeypatch, (250, answering), (socket.AF_INET, answering))
    with opened() as line:
        assert line.getpeername()[1] == answering


def test_a_line_that_is_refused_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        led_to(monkeypatch, (socket.AF_INET, free.getsockname()[1]))
        seen: list[socket.socket] = []
        with pytest.raises(ConnectionRefusedError):
            lines_out.open_line("pager.example.test", 443, SECONDS, seen.append)
    assert [line.fileno() for line in seen] == [-1]


def test_a_name_that_could_not_be_asked_for_is_asked_for_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="can't start new thread"):
            lines_out.addresses("127.0.0.1", 443, SECONDS)
    assert lines_out.addresses("127.0.0.1", 443, SECONDS)[0][4] == ("127.0.0.1", 443)
