"""A line to a real server on which, at a chosen octet, one thing goes wrong, as servers and networks fail in life.

It stands between a client and a server on loopback, passes everything on, and knows where in an IMAP dialogue it is: at
the begin of a response, within a line, within a literal. It shares no code with the engine.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Self

from tests.rigs.base import HOST

Way = Literal["up", "down"]  # up: from the client to the server

_LITERAL: Final = re.compile(rb"\{(\d{1,12})\+?\}\r\n$")
_LONGEST_MARK: Final = 20
_PIECE: Final = 64 * 1024
_BYE: Final = b"* BYE Server shutting down.\r\n"
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # of SO_LINGER


class Fault(StrEnum):
    """What goes wrong."""

    FIN = "end of the stream"
    RST = "reset"
    STALL = "stall"  # nothing more comes or goes, and the connection stays
    BYE = "BYE between responses"
    BYE_WITHIN = "BYE within a response"
    HALF_LITERAL = "half a literal"  # the next one, then a reset


class _Piece(NamedTuple):
    """Some octets of one line, or of one literal."""

    octets: bytes
    is_begin: bool = False  # of a response or command
    literal: int = 0  # how many octets of literal this line announces


class FaultLine:
    """Listens on ``port``; what befalls its connections is told to it by :meth:`arm`, once each time."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self._lock = threading.Lock()
        self._pairs: list[_Pair] = []
        self._fault: Fault | None = None
        self._way: Way = "up"
        self._left = self.struck = 0
        self._passed = {"up": 0, "down": 0}
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def up_bytes(self) -> int:
        """How many octets went from clients to the server since :meth:`clear`."""
        return self._passed["up"]

    @property
    def down_bytes(self) -> int:
        """How many octets went from the server to clients since :meth:`clear`."""
        return self._passed["down"]

    def arm(self, fault: Fault, way: Way, after_bytes: int) -> None:
        """Let ``fault`` happen to the connection on which the octet ``after_bytes`` from now on goes ``way``."""
        with self._lock:
            self._fault, self._way, self._left = fault, way, after_bytes

    def disarm(self) -> None:
        """Let nothing happen."""
        with self._lock:
            self._fault = None

    def clear(self) -> None:
        """Let nothing happen, count from 0, and end what stalls."""
        with self._lock:
            self._fault, self.struck = None, 0
            self._passed = {"up": 0, "down": 0}
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            pair.end()

    def close(self) -> None:
        """Listen no more, and end what goes through here."""
        self._listener.close()
        self.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def due(self, way: Way, piece: _Piece) -> tuple[int, Fault] | None:
        """Count ``piece``. None: all of it may go; else how much of it, and what happens then."""
        size = len(piece.octets)
        with self._lock:
            fault = self._fault if way == self._way else None
            before = self._left
            self._left -= size if way == self._way else 0
            if fault is None or not _is_time(fault, piece, before):
                self._passed[way] += size
                return None
            if fault is not Fault.HALF_LITERAL:
                size = 0 if fault is Fault.BYE else max(0, before)
            self._passed[way] += size
            self._fault = None
            self.struck += 1
            return size, fault

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                with suppress(OSError):
                    server = socket.create_connection((HOST, self.target_port))
                    pair = _Pair(self, client, server)
                    with self._lock:
                        self._pairs.append(pair)
                    pair.start()
                    continue
                client.close()  # the server is down just now


def _is_time(fault: Fault, piece: _Piece, left: int) -> bool:
    if fault is Fault.BYE:
        return piece.is_begin and left <= 0
    if fault is Fault.HALF_LITERAL:
        return piece.literal > 1 and left <= 0
    return left < len(piece.octets)


class _Pair:
    """One connection and its continuation to the server."""

    def __init__(self, line: FaultLine, client: socket.socket, server: socket.socket) -> None:
        self._line, self._client, self._server = line, client, server
        self._is_over = threading.Event()
        self._stalls = False
        self._lock = threading.Lock()
        self._running = 2
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self) -> None:
        """Pass on in both directions, each in a thread of its own."""
        threading.Thread(target=self._run, args=(self._client, self._server, "up"), daemon=True).start()
        threading.Thread(target=self._run, args=(self._server, self._client, "down"), daemon=True).start()

    def end(self) -> None:
        """End both directions, also where it stalls."""
        self._is_over.set()
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RD)  # wakes who waits there, and sends nothing

    def _run(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        with suppress(OSError):
            self._pass_on(source, target, way)
            if not self._is_over.is_set():
                target.shutdown(socket.SHUT_WR)
        with self._lock:
            self._running -= 1
            if not self._running:
                self._client.close()
                self._server.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, way: Way) -> None:
        stop_after = 0  # so many octets of a literal that never comes whole
        for piece in _pieces(source):
            if self._stalls:
                self._is_over.wait()
            if self._is_over.is_set():
                return
            if stop_after:
                target.sendall(piece.octets[:stop_after])
                stop_after -= min(stop_after, len(piece.octets))
                if not stop_after:
                    self._strike(Fault.RST, target)
                    return
                continue
            struck = self._line.due(way, piece)
            if struck is None:
                target.sendall(piece.octets)
                continue
            size, fault = struck
            target.sendall(piece.octets[:size])
            if fault is not Fault.HALF_LITERAL:
                self._strike(fault, target)
                return
            stop_after = piece.literal // 2

    def _strike(self, fault: Fault, target: socket.socket) -> None:
        if fault is Fault.STALL:
            self._stalls = True
            self._is_over.wait()
            return
        if fault in (Fault.BYE, Fault.BYE_WITHIN):
            target.sendall(_BYE)
        for end in (self._client, self._server):
            if fault in (Fault.RST, Fault.HALF_LITERAL):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            else:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_WR)
        self.end()


def _pieces(source: socket.socket) -> Iterator[_Piece]:
    """Cut what comes from ``source`` at the ends of its lines and literals."""
    literal, tail, is_begin = 0, b"", True
    while octets := source.recv(_PIECE):
        at = 0
        while at < len(octets):
            if literal:
                end = min(len(octets), at + literal)
                literal -= end - at
                yield _Piece(octets[at:end])
            else:
                end = octets.find(b"\n", at) + 1 or len(octets)
                line = octets[at:end]
                tail = (tail + line)[-_LONGEST_MARK:]
                found = _LITERAL.search(tail)
                literal = int(found[1]) if found else 0
                yield _Piece(line, is_begin, literal)
                is_line_end = tail.endswith(b"\n")
                is_begin = is_line_end and not found
                tail = b"" if is_line_end else tail
            at = end
