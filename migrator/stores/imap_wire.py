"""One line to an IMAP server: the socket, and the one read buffer that imapclient's dialogues and the fast path share.

imaplib reads through a file object of its own. Two buffers on one socket would lose bytes between them, so everything
that reads or writes is replaced here, and the fast path works on ``buffer`` itself: messages are cut out of it once.
Every failure of the line leaves as ``MigratorError``.
"""

from __future__ import annotations

import imaplib
import re
import select
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final, cast

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.replies import classify, classify_exception, clean
from migrator.stores.imap_deflate import DeflatedLine
from migrator.stores.imap_parse import LITERAL_END, text

READ_BYTES: Final = 64 * 1024  # more per call costs an ssl socket three times the CPU: it allocates the whole of it
LONGEST_LINE: Final = 8 * 1024 * 1024  # a SEARCH over half a million messages is 4 MB
LONGEST_RESPONSE: Final = 16 * 1024 * 1024
Address = tuple[int, int, int, str, Any]
SHOWN_OCTETS: Final = 200
FAREWELL_SECONDS: Final = 5.0
SHORT_SECONDS: Final = 4.0  # for an address when the name has others: an IPv6 route into nowhere is a known trap
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux
_BYE: Final = re.compile(rb"^\* BYE ([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_IMAPLIB_ANSWER: Final[Any] = re.compile(rb"(?P<tag>IMAPLIB\d+) (?P<type>[A-Z]+) (?P<data>.*)", re.ASCII)
_GREETING: Final = re.compile(rb"\* (OK|PREAUTH|BYE)(?: |\Z)", re.IGNORECASE)


class Wire(imaplib.IMAP4):
    """A connection past its greeting. ``buffer[position:]`` is what has been received and not yet been read.

    ``context`` given: TLS from the first octet. ``first`` is the address that is tried before the others of the name.
    Raises ``MigratorError`` when there is no IMAP server.
    """

    def __init__(
        self,
        host: str,
        port: int,
        side: Side,
        limits: Limits,
        context: ssl.SSLContext | None,
        first: Address | None = None,
    ) -> None:
        self.address = first  # once connected: the one that answered
        self.side = side
        self.limits = limits
        self.context = context
        self.buffer = b""
        self.position = 0
        self.bye: str | None = None
        self.is_private = False  # mail is on the line: errors quote nothing of it
        self.secrets: tuple[bytes, ...] = ()  # just sent: some servers repeat what they refuse
        self.refusal: MigratorError | None = None  # the first of a row of errors: what a BYE after them is about
        self._is_encrypted = False
        self._tags = 0
        self._has_put = False  # since something was last received
        super().__init__(host, port, limits.connect_seconds)

    # What imaplib calls

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        """Connect, and begin TLS when it is wanted from the start."""
        self.host, self.port = host, port
        addresses = resolve(host, port, self.side)
        if self.address is not None:
            addresses = [self.address, *(address for address in addresses if address != self.address)]
        self.sock = dial(addresses, self.limits.connect_seconds, self.side)
        peer = self.sock.getpeername()
        self.address = next((address for address in addresses if address[4] == peer), None)
        if self.context is not None:
            self._begin_tls(self.context)

    def _connect(self) -> None:
        """Take the greeting. imaplib would also ask for the capabilities, which costs a round trip."""
        self.tagpre = "IMAPLIB"
        self.tagre = _IMAPLIB_ANSWER
        self.PROTOCOL_VERSION = "IMAP4REV1"
        self.welcome = self._greeting()
        self.state = "AUTH" if self.welcome[:9].upper() == b"* PREAUTH" else "NONAUTH"
        self.sock.settimeout(self.limits.io_seconds)

    def _new_tag(self) -> bytes:
        tag = b"IMAPLIB%d" % self.tagnum
        self.tagnum += 1
        self.tagged_commands[tag] = None
        return tag

    def _log(self, line: object) -> None:
        """Keep nothing: imaplib would hold the last commands, passwords among them."""

    def read(self, size: int) -> bytes:
        """Read exactly ``size`` octets."""
        return self.exact(size)

    def readline(self) -> bytes:
        """Read a line with its CRLF."""
        return self.line() + b"\r\n"

    def send(self, data: bytes) -> None:  # type: ignore[override]
        """Send all of ``data``; waits at most the time limit."""
        self.put(data)

    def shutdown(self) -> None:
        """Close the socket, whatever state it is in."""
        self.state = "LOGOUT"
        self.sock.close()

    # What the fast path uses

    @property
    def is_encrypted(self) -> bool:
        """True once TLS protects the line."""
        return self._is_encrypted

    def tag(self) -> bytes:
        """Return a tag that was not used before on this line."""
        self._tags += 1
        return b"m%d" % self._tags

    def put(self, octets: bytes) -> None:
        """Send all of ``octets``."""
        try:
            self.sock.sendall(octets)
            self._has_put = True
        except OSError as error:
            self._overhear()
            raise self._failed(error) from error

    def receive(self) -> bytes:
        """Receive what is there, at least one octet, at most ``READ_BYTES``; does not look into the buffer."""
        try:
            if self._has_put and _QUICKACK is not None:
                # Courier leaves Nagle on: its second small write waits for our acknowledgement of the first, 40 ms.
                # Answers only, not the bulk of bodies: acknowledging at once costs 70 us.
                self._has_put = False
                self.sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            octets = self.sock.recv(READ_BYTES)
        except OSError as error:
            raise self._failed(error) from error
        if not octets:
            raise self.lost()
        return octets

    def pull(self) -> None:
        """Receive more into the buffer, and forget what has been read. For a line that is not complete yet."""
        if len(self.buffer) - self.position > LONGEST_LINE:
            raise self.nonsense(self.buffer[self.position :], "a line without an end")
        octets = self.receive()
        self.buffer = self.buffer[self.position :] + octets if self.position < len(self.buffer) else octets
        self.position = 0

    def line(self) -> bytes:
        """Read a line without its end. A line over ``LONGEST_LINE`` is an error, not a hole in the memory."""
        end = self.buffer.find(b"\n", self.position)
        if end < 0:
            self._complete_line()
            end = self.buffer.index(b"\n")
        line = self.buffer[self.position : end]
        self.position = end + 1
        return line[:-1] if line.endswith(b"\r") else line

    def _complete_line(self) -> None:
        parts = [self.buffer[self.position :]]
        length = len(parts[0])
        try:
            while b"\n" not in parts[-1]:
                if length > LONGEST_LINE:
                    raise self.nonsense(parts[0], "a line without an end")
                parts.append(self.receive())
                length += len(parts[-1])
        finally:
            self.buffer, self.position = b"".join(parts), 0

    def first_line(self) -> bytes:
        """Read the first line of a response, and note a BYE."""
        line = self.line()
        if line[:6].upper() == b"* BYE ":
            self._note_bye(line)
        return line

    def gather(self) -> bytes:
        """Read one whole response: its lines with their literals, without the last line's end. Notes a BYE."""
        line = self.first_line()
        return self._with_literals([line]) if line.endswith(b"}") else line

    def _with_literals(self, parts: list[bytes]) -> bytes:
        total = 0
        while found := LITERAL_END.search(parts[-1]):
            total += int(found[1]) + len(parts[-1])
            if total > LONGEST_RESPONSE:
                raise self.nonsense(parts[0], "an endless response")
            parts += (b"\r\n", self.exact(int(found[1])), self.line())
        return b"".join(parts)

    def exact(self, size: int) -> bytes:
        """Read exactly ``size`` octets, copied once out of what arrives."""
        end = self.position + size
        if end <= len(self.buffer):
            octets = self.buffer[self.position : end]
            self.position = end
            return octets
        return b"".join(Pieces(self, size))

    def is_readable(self) -> bool:
        """True when something can be read without waiting."""
        if self.position < len(self.buffer):
            return True
        pending = getattr(self.sock, "pending", None)
        if pending is not None and pending():
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Begin TLS after the server agreed to STARTTLS.

        Octets that came in the clear after its answer were put there by someone else (RFC 9051 §11.1): an error.
        """
        if self.position < len(self.buffer):
            raise MigratorError("tls.injected", side=self.side)
        self.sock.settimeout(self.limits.connect_seconds)
        self._begin_tls(context)
        self.sock.settimeout(self.limits.io_seconds)

    def compress(self) -> None:
        """Go on compressed, after the server agreed to COMPRESS: all that it sent behind its answer is, too."""
        ahead, self.buffer, self.position = self.buffer[self.position :], b"", 0
        self.sock = cast(socket.socket, DeflatedLine(self.sock, self.side, ahead))

    # Failures

    def lost(self) -> MigratorError:
        """Return the error for a line that has ended: with the server's BYE, and the first error before it if any."""
        if self.bye is None:
            return MigratorError("line.lost", side=self.side)
        error = classify("BYE", self.bye, side=self.side, command="", tls=self.is_encrypted)
        error.say(self.discreet(self.bye) or error.reply)
        if self.refusal is not None and error.code == "server.too_many_errors":
            # Exchange, Dovecot and Courier hang up after some errors in a row: the first of them is the reason.
            error.reply, error.__cause__ = f"{self.refusal.reply} ... {self.bye}", self.refusal
        return error

    def nonsense(self, response: bytes, what: str = "not an answer") -> MigratorError:
        """Return the error for something that no IMAP server says here; the dialogue cannot go on after it."""
        if self.is_private:
            return MigratorError("server.nonsense", side=self.side, reply=what)
        words = shown((self.discreet(text(response)) or text(response)).encode("utf-8", "replace"))
        return MigratorError("server.nonsense", side=self.side, reply=f"{what}: {words}")

    def discreet(self, words: str) -> str:
        """Return ``words`` without the secrets just sent, as one line; empty when none is in them."""
        octets = words.encode("utf-8", "replace")
        for secret in self.secrets:
            octets = octets.replace(secret, b"***")
        found = text(octets)
        return clean(found) if found != words else ""

    def _failed(self, error: OSError) -> MigratorError:
        return self.lost() if self.bye else classify_exception(error, side=self.side, phase="talk")

    def _overhear(self) -> None:
        """Take what a server that hung up on us had sent before: answers, and the reason. All of it stays unread."""
        try:
            self.sock.settimeout(SHORT_SECONDS)
            while len(self.buffer) < LONGEST_LINE and (octets := self.sock.recv(READ_BYTES)):
                self.buffer += octets
        except OSError:
            pass
        if found := _BYE.search(self.buffer, self.position):
            self.bye = text(found[1])

    def _note_bye(self, line: bytes) -> None:
        self.bye = text(line[6:])
        self.sock.settimeout(FAREWELL_SECONDS)

    def _greeting(self) -> bytes:
        try:
            line = self.line()
        except MigratorError as error:
            if self.buffer and error.code != "line.silent":
                raise MigratorError("server.not_imap", side=self.side, reply=shown(self.buffer)) from error
            raise
        found = _GREETING.match(line)
        if found is None:
            raise MigratorError("server.not_imap", side=self.side, reply=shown(line))
        if found[1].upper() == b"BYE":
            raise classify("BYE", text(line[6:]), side=self.side, command="GREETING", tls=self.is_encrypted)
        return line

    def _begin_tls(self, context: ssl.SSLContext) -> None:
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)
            self._is_encrypted = True
        except OSError as error:
            self.sock.close()
            raise classify_exception(error, side=self.side, phase="tls") from error


class Pieces:
    """Exactly ``remaining`` octets, in pieces as they arrive, none bigger than ``READ_BYTES``."""

    __slots__ = ("_wire", "remaining")

    def __init__(self, wire: Wire, size: int) -> None:
        self._wire = wire
        self.remaining = size

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> bytes:
        if not self.remaining:
            raise StopIteration
        wire = self._wire
        if wire.position >= len(wire.buffer):
            wire.buffer, wire.position = wire.receive(), 0
        piece = wire.buffer[wire.position : wire.position + min(self.remaining, READ_BYTES)]
        wire.position += len(piece)
        self.remaining -= len(piece)
        return piece


def shown(octets: bytes) -> str:
    """Return the beginning of what a server sent, printable, for people."""
    return "".join(mark if mark.isprintable() else "?" for mark in text(octets[:SHOWN_OCTETS]).strip())


def resolve(host: str, port: int, side: Side) -> list[Address]:
    """Return the addresses of ``host``, IPv6 and IPv4. Raises ``MigratorError``."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        raise classify_exception(error, side=side, phase="connect") from error
    except UnicodeError as error:  # a label that IDNA cannot write
        raise MigratorError("server.no_address", side=side, reply=str(error)) from error


def dial(addresses: Sequence[Address], seconds: float, side: Side) -> socket.socket:
    """Connect to the first address that answers. One that does not must not use up the time of the others."""
    share = min(SHORT_SECONDS, seconds / len(addresses))
    for number, (family, kind, protocol, _, address) in enumerate(addresses, 1):
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(share if number < len(addresses) else seconds - share * (number - 1))
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
            continue
        line.settimeout(seconds)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return line
    raise classify_exception(failure, side=side, phase="connect") from failure
