"""A scripted server of a text protocol (POP3, SMTP, LMTP) on loopback: says exactly what a test wants to hear.

    with TextPeer({"UIDL": "-ERR no", "RETR": [dotted(b"..."), hang]}) as peer: ...

An answer is text (its lines get CRLF), octets as they are, or a function of the conversation and the command. Several
answers in a list are given one after the other, the last one again and again.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.rigs.listener import Gone, Listener


@dataclass
class TextConversation:
    """One connection, seen from the server."""

    peer: TextPeer
    line: socket.socket
    received: bytearray = field(default_factory=bytearray)
    commands: list[bytes] = field(default_factory=list)  # of this connection alone

    def say(self, words: str | bytes) -> None:
        """Send lines, or octets as they are."""
        if isinstance(words, str):
            words = "".join(f"{line}\r\n" for line in words.split("\n")).encode("utf-8")
        self.line.sendall(words)

    def read_line(self) -> bytes:
        """Read a line without its CRLF."""
        while (end := self.received.find(b"\r\n")) < 0:
            self._receive()
        line = bytes(self.received[:end])
        del self.received[: end + 2]
        return line

    def read_message(self) -> bytes:
        """Read a message up to its dot, dots taken away."""
        lines = []
        while (line := self.read_line()) != b".":
            lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")
        return b"".join(lines)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS."""
        self.line = context.wrap_socket(self.line, server_side=True)

    def wait_for_end(self) -> None:
        """Read until the other side gives up."""
        while True:
            self._receive()

    def _receive(self) -> None:
        octets = self.line.recv(65536)
        if not octets:
            raise Gone
        self.peer.flights.append(octets)
        self.received += octets


Act = Callable[[TextConversation, bytes], None]
Answer = str | bytes | Act
Answers = Mapping[str, Answer | Sequence[Answer]]


def hang(conversation: TextConversation, command: bytes) -> None:
    """Say nothing more until the other side gives up."""
    conversation.wait_for_end()


def close(conversation: TextConversation, command: bytes) -> None:
    """Close the line without a word."""
    conversation.line.shutdown(socket.SHUT_WR)
    raise Gone


def cut(conversation: TextConversation, command: bytes) -> None:
    """Reset the line."""
    conversation.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conversation.line.close()
    raise Gone


def then(*acts: Answer) -> Act:
    """Do several things in answer to one command."""

    def act(conversation: TextConversation, command: bytes) -> None:
        for each in acts:
            conversation.say(each) if isinstance(each, str | bytes) else each(conversation, command)

    return act


def dotted(body: bytes) -> bytes:
    """A message as POP3 sends it."""
    stuffed = b"".join(b"." + line if line.startswith(b".") else line for line in body.splitlines(keepends=True))
    return b"+OK\r\n" + stuffed + b".\r\n"


class TextPeer(Listener):
    """The server. What it has no answer for gets ``unknown``."""

    def __init__(
        self,
        answers: Answers,
        *,
        greeting: str | bytes | Act = "+OK ready",
        unknown: str = "-ERR not in the script",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__()
        self._answers = {
            verb: list(answer) if isinstance(answer, list | tuple) else [answer] for verb, answer in answers.items()
        }
        self._greeting, self._unknown, self._tls = greeting, unknown, tls
        self.commands: list[bytes] = []
        self.messages: list[bytes] = []  # what acts put there

    def verbs(self) -> list[str]:
        """The commands so far, by name."""
        return [_verb(command) for command in self.commands]

    def converse(self, line: socket.socket) -> None:
        """See Listener."""
        conversation = TextConversation(self, line)
        try:
            if self._tls is not None:
                conversation.start_tls(self._tls)
            self._do(self._greeting, conversation, b"")
            while True:
                command = conversation.read_line()
                self.commands.append(command)
                conversation.commands.append(command)
                answers = self._answers.get(_verb(command), [self._unknown])
                self._do(answers.pop(0) if len(answers) > 1 else answers[0], conversation, command)
        finally:
            conversation.line.close()

    def _do(self, answer: Answer, conversation: TextConversation, command: bytes) -> None:
        if isinstance(answer, str | bytes):
            conversation.say(answer)
        else:
            answer(conversation, command)


def _verb(command: bytes) -> str:
    return command.split(b" ")[0].split(b":")[0].decode("ascii", "replace").upper()
