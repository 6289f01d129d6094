"""Doors that greet: one that hears nothing, and plays any daemon of mail; one of SMTP that lets one person in."""

from __future__ import annotations

import base64
import socket

from tests.rigs.listener import Listener


class Greeter(Listener):
    """Greets every caller with ``words``, which may change while it runs; without words it is silent."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def converse(self, line: socket.socket) -> None:
        with line:
            if self.words:
                line.sendall(self.words.encode() + b"\r\n")
            while line.recv(1024):
                pass


class Submission(Listener):
    """Speaks enough SMTP to let ``user`` in by AUTH PLAIN. ``tried`` counts the passwords that were sent."""

    def __init__(self, user: str, password: str, mechanisms: str = "PLAIN LOGIN") -> None:
        super().__init__()
        self._right = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self._mechanisms = mechanisms
        self.tried = 0

    def converse(self, line: socket.socket) -> None:
        with line, line.makefile("rb") as lines:
            line.sendall(b"220 new.example.test ESMTP\r\n")
            for octets in lines:
                line.sendall(self._answer(octets.decode().rstrip()))

    def _answer(self, asked: str) -> bytes:
        verb = asked.upper()
        if verb.startswith("EHLO"):
            return f"250-new.example.test\r\n250 AUTH {self._mechanisms}\r\n".encode()
        if verb.startswith("AUTH PLAIN "):
            self.tried += 1
            is_right = asked[11:] == self._right
            return b"235 2.7.0 let in\r\n" if is_right else b"535 5.7.8 authentication failed\r\n"
        return b"221 bye\r\n" if verb == "QUIT" else b"502 no\r\n"
