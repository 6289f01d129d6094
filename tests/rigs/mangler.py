"""A line on which a server's words go wrong: one response is broken on its way to the client, literals stay whole.

It stands between a client and a real server on loopback, passes everything on, and does one thing to the response
line with a given number. Mail itself goes in literals, which are counted through: a line that changed the octets of
mail would be no server's fault.
"""

from __future__ import annotations

import random
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from tests.rigs.base import HOST

_LITERAL: Final = re.compile(rb"\{(\d+)\+?\}\r\n$")
_NUMBER: Final = re.compile(rb"\d+")
_PIECE: Final = 64 * 1024
ENDLESS: Final = 8 * 1024 * 1024

Manner = Callable[[bytes, random.Random], bytes | None]  # None: hang up in the middle of the line

_GARBAGE: Final = (
    b"* 1 FETCH (UID 1 BODY[] {18446744073709551616}\r\n",
    b"* 4294967296 EXISTS\r\n",
    b'* LIST () "/" {9999999999999999999999}\r\n',
    b"* BYE\r\n",
    b"* 0 EXPUNGE\r\n",
    b"* VANISHED 1:4294967295\r\n",
    b"+ go on\r\n",
    b"zzzz9999 OK never asked\r\n",
    b"zzzz9999 BAD never asked\r\n",
    b"* OK [UIDVALIDITY 1] [UIDVALIDITY 2]\r\n",
    b"* CAPABILITY\r\n",
    b"* PREAUTH hello\r\n",
    b"* NO [ALERT] \x1b[2J\x00\r\n",
    b"\r\n",
    b"\xff\xfe\x00\x80\r\n",
    b"* 1 FETCH (FLAGS (((((((((((((((((((((((((((((((((\r\n",
    b'* STATUS "INBOX (MESSAGES -1 UIDNEXT 0 UIDVALIDITY)\r\n',
)


def insert(line: bytes, dice: random.Random) -> bytes:
    """A line stands before it that nobody asked for."""
    return dice.choice(_GARBAGE) + line


def repeat(line: bytes, dice: random.Random) -> bytes:
    """It comes twice; not where a literal follows it, of which there is one."""
    return line if _LITERAL.search(line) else line + line


def cut(line: bytes, dice: random.Random) -> bytes | None:
    """The line drops in the middle of it."""
    return None


def endless(line: bytes, dice: random.Random) -> bytes:
    """It has no end for a long while."""
    return line[:4] + b"x" * ENDLESS + line[4:]


def replace(line: bytes, dice: random.Random) -> bytes:
    """Something else comes in its place."""
    return dice.choice(_GARBAGE)


def drop(line: bytes, dice: random.Random) -> bytes:
    """It never comes; what it announces follows all the same."""
    return b""


def flip(line: bytes, dice: random.Random) -> bytes:
    """One octet of it is another."""
    at = dice.randrange(len(line))
    return line[:at] + bytes([dice.randrange(256)]) + line[at + 1 :]


def renumber(line: bytes, dice: random.Random) -> bytes:
    """One number in it is another."""
    found = list(_NUMBER.finditer(line))
    if not found:
        return flip(line, dice)
    one = dice.choice(found)
    other = dice.choice((b"0", b"-1", b"4294967295", b"18446744073709551616", b"1" * 400, b"7"))
    return line[: one.start()] + other + line[one.end() :]


HONEST: Final[tuple[Manner, ...]] = (insert, repeat, cut, endless)  # all that was meant is still said, or nothing more
LYING: Final[tuple[Manner, ...]] = (*HONEST, replace, drop, flip, renumber)


class Mangler:
    """Listens on ``port``; breaks the response line number ``at`` (from 0, over all connections), once."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self.arm(-1, insert, random.Random(0))
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, at: int, manner: Manner, dice: random.Random) -> None:
        """Break the line number ``at`` from now on, in this manner; -1 breaks none."""
        with self._lock:
            self._at, self._manner, self._dice, self.lines, self.broken = at, manner, dice, 0, ""

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection((HOST, self._target_port))
                threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError, ValueError), server, client, server.makefile("rb") as words:
            while line := words.readline():
                literal = _LITERAL.search(line)
                told = self._told(line)
                if told is None:
                    client.sendall(line[: len(line) // 2])
                    return
                client.sendall(told)
                left = int(literal[1]) if literal else 0
                while left and (piece := words.read(min(left, _PIECE))):
                    client.sendall(piece)
                    left -= len(piece)

    def _told(self, line: bytes) -> bytes | None:
        with self._lock:
            is_hit = self.lines == self._at
            self.lines += 1
            if not is_hit:
                return line
            told = self._manner(line, self._dice)
            self.broken = f"{self._manner.__name__}: {line[:80]!r} came as {(told or b'')[:80]!r}"
            return told

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while piece := client.recv(_PIECE):
            server.sendall(piece)
        server.shutdown(socket.SHUT_WR)
