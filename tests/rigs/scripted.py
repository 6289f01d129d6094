"""A scripted IMAP server on loopback: says exactly what a test wants to hear, however ugly, and keeps what it was told.

    with Peer({"EXAMINE": "* 1 EXISTS\n$ OK [READ-ONLY] opened", "UID FETCH": hang}) as peer: ...

An answer is text (``$`` at the beginning of a line is the tag) or a function of the conversation and the command.
Several answers in a list are given one after the other, the last one again and again.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.rigs.listener import HOST, Gone, Listener

_LITERAL: Final = re.compile(rb"\{(\d+)(\+?)\}\r\n$")
_VERBS: Final = re.compile(rb"UID [A-Z]+|[A-Z]+", re.IGNORECASE)


class Command(NamedTuple):
    """One command with its literals in place, without the last CRLF."""

    tag: bytes
    verb: str
    words: bytes  # all after the tag


@dataclass(eq=False)
class Conversation:
    """One connection, seen from the server."""

    peer: Peer
    line: socket.socket
    received: bytearray = field(default_factory=bytearray)

    def say(self, words: str | bytes, command: Command | None = None) -> None:
        """Send lines; ``$`` at the beginning of one becomes the tag of ``command``."""
        octets = words.encode("utf-8") if isinstance(words, str) else words
        lines = octets.replace(b"\r\n", b"\n").split(b"\n")
        if command is not None:
            lines = [command.tag + line[1:] if line.startswith(b"$") else line for line in lines]
        self.send(b"".join(line + b"\r\n" for line in lines))

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.line.sendall(octets)

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` octets."""
        while len(self.received) < size:
            self._receive()
        octets = bytes(self.received[:size])
        del self.received[:size]
        return octets

    def read_line(self) -> bytes:
        """Read a line with its CRLF."""
        while (end := self.received.find(b"\r\n")) < 0:
            self._receive()
        return self.read(end + 2)

    def read_command(self) -> Command | None:
        """Read one command; None when it was given up because a literal was refused."""
        text = self.read_line()
        tag = text.split(b" ", 1)[0]
        while found := _LITERAL.search(text):
            if not found[2] and not self.peer.allow_literal(self, Command(tag, *_parted(text))):
                return None
            text += self.read(int(found[1])) + self.read_line()
        return Command(tag, *_parted(text))

    def cut(self) -> None:
        """End the line at once, with a reset."""
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.line.close()
        raise Gone

    def close(self) -> None:
        """End the line after all that was sent."""
        self.line.shutdown(socket.SHUT_WR)
        raise Gone

    def cut_softly(self) -> None:
        """End the line so that what was sent still arrives, and what comes now is answered with a reset."""
        self.line.close()
        raise Gone

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS."""
        self.line = context.wrap_socket(self.line, server_side=True)

    def _receive(self) -> None:
        octets = self.line.recv(65536)
        if not octets:
            raise Gone
        self.peer.flights.append(octets)
        self.received += octets


def _parted(text: bytes) -> tuple[str, bytes]:
    words = text.removesuffix(b"\r\n").partition(b" ")[2]
    verb = _VERBS.match(words)
    return (verb[0].decode().upper() if verb else ""), words


Act = Callable[[Conversation, Command], None]
Answer = str | bytes | Act
Answers = Mapping[str, Answer | Sequence[Answer]]


def hang(conversation: Conversation, command: Command) -> None:
    """Say nothing more until the other side gives up."""
    while True:
        conversation._receive()


def cut(conversation: Conversation, command: Command) -> None:
    """Reset the line."""
    conversation.cut()


def close(conversation: Conversation, command: Command) -> None:
    """Close the line without a word."""
    conversation.close()


def then(*acts: Answer) -> Act:
    """Do several things in answer to one command."""

    def act(conversation: Conversation, command: Command) -> None:
        for each in acts:
            conversation.say(each, command) if isinstance(each, str | bytes) else each(conversation, command)

    return act


def raw(octets: bytes) -> Act:
    """Send octets as they are."""
    return lambda conversation, command: conversation.send(octets)


class Peer(Listener):
    """The server. Signs everybody in unless told otherwise; what it has no answer for is ``BAD``."""

    def __init__(
        self,
        answers: Answers | None = None,
        *,
        capabilities: str = "IMAP4rev1",
        greeting: str | bytes | None = None,
        literal: Act | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = HOST,
    ) -> None:
        """``literal``: what to do, in place of saying ``+``, when the client announces a literal and waits."""
        super().__init__(host)
        usual: dict[str, Answer | Sequence[Answer]] = {
            "CAPABILITY": f"* CAPABILITY {capabilities}\n$ OK done",
            "LOGIN": f"$ OK [CAPABILITY {capabilities}] signed in",
            "AUTHENTICATE": f"$ OK [CAPABILITY {capabilities}] signed in",
            "LOGOUT": then("* BYE bye\n$ OK done", close),
            "NOOP": "$ OK done",
            "ID": '* ID ("name" "Scripted")\n$ OK done',
        }
        self._answers = {
            verb: list(answer) if isinstance(answer, list | tuple) else [answer]
            for verb, answer in (usual | dict(answers or {})).items()
        }
        self._greeting = greeting if greeting is not None else f"* OK [CAPABILITY {capabilities}] ready"
        self._literal = literal
        self._tls = tls
        self.commands: list[Command] = []

    def verbs(self) -> list[str]:
        """The commands so far, by name."""
        return [command.verb for command in self.commands]

    def said(self, verb: str) -> list[bytes]:
        """What commands of one name said, without their tags."""
        return [command.words for command in self.commands if command.verb == verb]

    def allow_literal(self, conversation: Conversation, command: Command) -> bool:
        """Ask for a literal; False when it is refused instead."""
        if self._literal is None:
            conversation.say("+ go on")
            return True
        self.commands.append(command)
        self._literal(conversation, command)
        return False

    def converse(self, line: socket.socket) -> None:
        """See Listener."""
        conversation = Conversation(self, line)
        try:
            if self._tls is not None:
                conversation.start_tls(self._tls)
            if isinstance(self._greeting, bytes):
                conversation.send(self._greeting)
            else:
                conversation.say(self._greeting)
            while True:
                command = conversation.read_command()
                if command is not None:
                    self._answer(conversation, command)
        finally:
            conversation.line.close()

    def _answer(self, conversation: Conversation, command: Command) -> None:
        self.commands.append(command)
        answers = self._answers.get(command.verb, ["$ BAD not in the script"])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, str | bytes):
            conversation.say(answer, command)
        else:
            answer(conversation, command)
