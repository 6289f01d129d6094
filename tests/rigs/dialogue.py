"""A small IMAP client for the rigs: it shares no code with the engine it judges, and shows exactly what was said."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

from tests.rigs.base import Account

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


class Refused(RuntimeError):
    """The server said NO, BAD or BYE."""


class Reply(NamedTuple):
    """One untagged response: its text with the literals cut out, and the literals."""

    text: bytes
    literals: tuple[bytes, ...]


class Listed(NamedTuple):
    """One line of LIST or LSUB. ``separator`` is empty for NIL."""

    attributes: frozenset[str]
    separator: bytes
    name: bytes


class Dialogue:
    """A connection that is signed in; a context manager."""

    def __init__(self, account: Account, timeout_seconds: float = 60.0) -> None:
        self._line = socket.create_connection((account.host, account.port), timeout=timeout_seconds)
        self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._line.makefile("rb", buffering=1 << 18)
        self._number = 0
        self.capabilities: frozenset[str] = frozenset()
        try:
            self._sign_in(account)
        except BaseException:
            self.close()
            raise

    def command(self, text: bytes) -> list[Reply]:
        """Send one command and return its untagged responses; ``Refused`` when it was not OK."""
        return self.commands([text])[0]

    def commands(self, texts: Sequence[bytes]) -> list[list[Reply]]:
        """Send several commands in one go, one after the other's answer."""
        tags = [self._tag() for _ in texts]
        self._line.sendall(b"".join(tag + b" " + text + b"\r\n" for tag, text in zip(tags, texts, strict=True)))
        return [self._until(tag) for tag in tags]

    def append(self, folder: bytes, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Store ``messages``, pairs of "(flags) date" and body, in as few commands as the server takes."""
        if "MULTIAPPEND" in self.capabilities and "LITERAL+" in self.capabilities:
            for start in range(0, len(messages), 200):
                self._append_together(folder, messages[start : start + 200])
        else:
            for options, body in messages:
                self._append_one(folder, options, body)

    def select(self, folder: bytes) -> frozenset[str]:
        """EXAMINE or, where the rights to write matter, SELECT; return PERMANENTFLAGS in lower case."""
        for reply in self.command(b"SELECT " + quoted(folder)):
            if found := re.search(rb"\[PERMANENTFLAGS \(([^)]*)\)", reply.text):
                return frozenset(found.group(1).decode().lower().split())
        return frozenset()

    def listed(self, verb: bytes = b"LIST") -> list[Listed]:
        """All folders of the personal namespace, or with LSUB the subscribed ones."""
        prefix, _ = self.namespace()
        pattern = quoted(prefix + b"*")
        replies = self.command(verb + b' "" ' + pattern)
        if prefix:
            replies += self.command(verb + b' "" INBOX')
        return list({row.name: row for row in _rows(verb, replies)}.values())

    def namespace(self) -> tuple[bytes, bytes]:
        """Prefix and separator of the personal namespace."""
        if "NAMESPACE" in self.capabilities:
            text = self.command(b"NAMESPACE")[0].text
            if found := re.match(rb'\* NAMESPACE \(\("([^"]*)" "(.)"\)', text):
                return found.group(1), found.group(2)
        found = re.match(rb'\* LIST \([^)]*\) "(.)"', self.command(b'LIST "" ""')[0].text)
        return b"", found.group(1) if found else b""

    def close(self) -> None:
        """Leave without a word."""
        self._stream.close()
        self._line.close()

    def _sign_in(self, account: Account) -> None:
        self._response()
        self.command(b"LOGIN " + quoted(account.user.encode()) + b" " + quoted(account.password.encode()))
        self.capabilities = frozenset(self.command(b"CAPABILITY")[0].text.decode().upper().split()[2:])

    def _append_together(self, folder: bytes, messages: Sequence[tuple[bytes, bytes]]) -> None:
        tag = self._tag()
        parts = [tag + b" APPEND " + quoted(folder)]
        for options, body in messages:
            parts += [b" " + options + b" {%d+}\r\n" % len(body), body]
        self._line.sendall(b"".join([*parts, b"\r\n"]))
        self._until(tag)

    def _append_one(self, folder: bytes, options: bytes, body: bytes) -> None:
        tag = self._tag()
        self._line.sendall(b"%s APPEND %s %s {%d}\r\n" % (tag, quoted(folder), options, len(body)))
        while not (reply := self._response()).text.startswith(b"+"):
            if reply.text.startswith(tag):
                raise Refused(reply.text.decode("utf-8", "replace"))
        self._line.sendall(body + b"\r\n")
        self._until(tag)

    def _until(self, tag: bytes) -> list[Reply]:
        untagged: list[Reply] = []
        while True:
            reply = self._response()
            if reply.text.startswith(tag + b" "):
                if not reply.text.startswith(tag + b" OK"):
                    raise Refused(reply.text.decode("utf-8", "replace").strip())
                return untagged
            untagged.append(reply)

    def _response(self) -> Reply:
        text = b""
        literals: list[bytes] = []
        while True:
            piece = self._stream.readline()
            if not piece:
                raise Refused("the server closed the connection")
            if not (literal := _LITERAL.search(piece)):
                return Reply(text + piece.rstrip(b"\r\n"), tuple(literals))
            text += piece[: literal.start()] + b"{}"
            literals.append(self._stream.read(int(literal.group(1))))

    def _tag(self) -> bytes:
        self._number += 1
        return b"t%d" % self._number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def quoted(text: bytes) -> bytes:
    """A quoted string (RFC 3501 §4.3)."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _rows(verb: bytes, replies: Iterable[Reply]) -> Iterable[Listed]:
    pattern = re.compile(rb"\* " + verb + rb' \(([^)]*)\) (?:"((?:\\.|[^"\\]))"|NIL) (.*)$', re.DOTALL)
    for reply in replies:
        if found := pattern.match(reply.text):
            attributes, separator, name = found.groups(b"")
            if name == b"{}":
                name = reply.literals[0]
            elif name.startswith(b'"'):
                name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
            yield Listed(frozenset(attributes.decode().lower().split()), separator.replace(b"\\\\", b"\\"), name)
