"""One line to a server that is spoken to in lines of text: POP3, SMTP, LMTP, ManageSieve. Socket, TLS, one read buffer.

A status line may be long (no limit of any RFC is held against a server), but not endless; the lines of a message are
never looked at as lines, so they may be of any length. Every failure of the line leaves as ``MigratorError``.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.replies import classify_exception, clean
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_wire import READ_BYTES, dial, resolve, shown

LONGEST_STATUS: Final = 64 * 1024
MOST_LISTED: Final = 2_000_000  # lines of one list
MOST_LISTED_OCTETS: Final = 128 * 1024 * 1024
FAREWELL_SECONDS: Final = 1.0
OVERHEAR_SECONDS: Final = 2.0
_END: Final = b"\r\n.\r\n"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class TextLine:
    """A connection that was opened and, where ``endpoint`` wants it from the start, encrypted; nothing was read yet."""

    def __init__(self, endpoint: Endpoint, side: Side, limits: Limits) -> None:
        self.side = side
        self.secrets: tuple[bytes, ...] = ()  # just sent: some servers repeat what they refuse
        self._endpoint, self._limits = endpoint, limits
        self._buffer, self._position = b"", 0  # what has come, and up to where it has been taken
        self._context = self._tls_settings()
        self._socket = dial(resolve(endpoint.host, endpoint.port, side), limits.connect_seconds, side)
        if endpoint.security == "tls":
            self._begin_tls()

    @property
    def is_encrypted(self) -> bool:
        """True once TLS protects the line."""
        return isinstance(self._socket, ssl.SSLSocket)

    @property
    def sock(self) -> socket.socket:
        """The socket, for whoever looks at its certificate."""
        return self._socket

    def be_patient(self) -> None:
        """From now on wait as long as for any answer, no more as for a greeting."""
        self._socket.settimeout(self._limits.io_seconds)

    def encrypt(self) -> None:
        """Begin TLS after the server agreed to it. Octets that came in the clear after its answer are an error."""
        if self._position < len(self._buffer):
            raise MigratorError("tls.injected", side=self.side)
        self._socket.settimeout(self._limits.connect_seconds)
        self._begin_tls()
        self.be_patient()

    def put(self, octets: bytes) -> None:
        """Send all of ``octets``."""
        try:
            self._socket.sendall(octets)
        except OSError as error:
            self._overhear()
            raise classify_exception(error, side=self.side, phase="talk") from error

    def _overhear(self) -> None:
        """Take what a server that hung up on us had said before: it stays to be read."""
        with suppress(OSError):
            self._socket.settimeout(OVERHEAR_SECONDS)
            while len(self._buffer) < LONGEST_STATUS and (octets := self._socket.recv(READ_BYTES)):
                self._buffer = self._buffer[self._position :] + octets
                self._position = 0

    def receive(self) -> bytes:
        """Take what has come, at least one octet; waits for it."""
        if self._position < len(self._buffer):
            octets = self._buffer[self._position :]
            self._buffer, self._position = b"", 0
            return octets
        try:
            octets = self._socket.recv(READ_BYTES)
        except OSError as error:
            raise classify_exception(error, side=self.side, phase="talk") from error
        if not octets:
            raise MigratorError("line.lost", side=self.side)
        return octets

    def line(self) -> bytes:
        """Read a line without its CRLF. Raises for one that has no end, or ends as no line does here."""
        end = self._buffer.find(b"\n", self._position)
        if end < 0:
            received = self.receive()  # what is there already comes first
            while b"\n" not in received:
                if len(received) > LONGEST_STATUS:
                    raise self.nonsense(received, "a line without an end")
                received += self.receive()
            self._buffer, self._position = received, 0
            end = received.index(b"\n")
        line = self._buffer[self._position : end]
        self._position = end + 1
        if not line.endswith(b"\r"):
            raise self.nonsense(line, "a line that does not end in CRLF")
        return line[:-1]

    def octets(self, count: int) -> bytes:
        """Read exactly ``count`` octets, whatever they are."""
        pieces = []
        while count:
            piece = self.receive()
            if len(piece) > count:
                self._buffer, self._position = piece[count:], 0
                piece = piece[:count]
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def listed(self) -> Iterator[bytes]:
        """Yield the lines of a list up to the dot that ends it."""
        octets = 0
        for _ in range(MOST_LISTED):
            line = self.line()
            if line == b".":
                return
            octets += len(line)
            if octets > MOST_LISTED_OCTETS:
                break
            yield line[1:] if line.startswith(b".") else line
        raise self.nonsense(b"", "an endless list")

    def dotted(self) -> Iterator[bytes]:
        """Yield a message up to the dot that ends it, as pieces, each dot at the beginning of a line that hides another
        taken away. A message that is given up half-way leaves the line unusable.
        """
        held = b"\r\n"  # the message begins on a new line; these two are not of it
        skipped = len(held)
        while True:
            held += self.receive()
            end = held.find(_END)
            if end >= 0:
                self._buffer, self._position = held[end + len(_END) :], 0
                held = held[: end + 2]
                if piece := _unstuffed(held)[skipped:]:
                    yield piece
                return
            cut = _safe_cut(held)
            if cut > skipped:
                yield _unstuffed(held[:cut])[skipped:]
                skipped = 0
                held = held[cut:]

    def discreet(self, words: bytes) -> str:
        """Return ``words`` for people, without the secrets just sent."""
        for secret in filter(None, self.secrets):
            words = words.replace(secret, b"***")
        return clean(words.decode("utf-8", "replace"))

    def nonsense(self, words: bytes, what: str) -> MigratorError:
        """Return the error for what no server says here; the dialogue cannot go on after it."""
        return MigratorError("server.nonsense", side=self.side, reply=f"{what}: {shown(self.discreet(words).encode())}")

    def close(self, farewell: bytes = b"") -> None:
        """End the line, with ``farewell`` if there is one; waits for no answer. Never raises."""
        with suppress(OSError):
            if farewell:
                self._socket.settimeout(FAREWELL_SECONDS)
                self._socket.sendall(farewell)
        self._socket.close()

    def _tls_settings(self) -> ssl.SSLContext | None:
        if self._endpoint.security == "plain":
            return None
        try:
            return self._endpoint.context()
        except OSError as error:
            raise MigratorError("tls.failed", side=self.side, reply=f"{self._endpoint.ca_file}: {error}") from error

    def _begin_tls(self) -> None:
        assert self._context is not None, "an endpoint with security has its settings"
        try:
            self._socket = self._context.wrap_socket(self._socket, server_hostname=self._endpoint.host)
        except OSError as error:
            self._socket.close()
            raise classify_exception(error, side=self.side, phase="tls") from error


def _unstuffed(octets: bytes) -> bytes:
    return octets.replace(b"\r\n..", b"\r\n.")


def _safe_cut(octets: bytes) -> int:
    """Return up to where ``octets`` hold no part of a line's beginning that the next octets might complete."""
    start = octets.rfind(b"\r\n", max(0, len(octets) - 4))
    if start >= 0:
        return start
    return len(octets) - octets.endswith(b"\r")


def stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a message as it goes onto an SMTP line, over pieces of any size: a second dot before each dot that begins
    a line, and the dot that ends it (RFC 5321 §4.5.2).

    CR and LF go out together only: some servers take a dot between lone ones for the end, and what follows for commands
    (RFC 5321 §2.3.8). That is all that is altered.
    """
    begins_line, held = True, b""
    for piece in pieces:
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        piece = _in_pairs(piece[: len(piece) - len(held)])
        if piece:
            dot = b"." if begins_line and piece.startswith(b".") else b""
            begins_line = piece.endswith(b"\r\n")
            yield dot + piece.replace(b"\r\n.", b"\r\n..")
    yield b".\r\n" if begins_line and not held else b"\r\n.\r\n"


def _in_pairs(piece: bytes) -> bytes:
    pairs = piece.count(b"\r\n")
    return piece if piece.count(b"\r") == pairs == piece.count(b"\n") else _LINE_END.sub(b"\r\n", piece)
