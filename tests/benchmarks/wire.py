"""A minimal IMAP client of the benchmark's own: what it measures and checks the engine with shares no code with it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tests.rigs.base import Account

LITERAL: Final = re.compile(rb"\{(\d+)\}\r\n$")
READ_BYTES: Final = 64 * 1024  # more costs time over TLS: Python makes it ready for each record
PATIENCE_SECONDS: Final = 600.0


class Copy(NamedTuple):
    """One message as the server tells it: the attributes' text without the literal, and the literal."""

    attributes: bytes
    body: bytes


def quoted(name: str) -> bytes:
    """Return a folder name as a quoted string; the names of the corpora need no more."""
    return b'"' + name.encode("ascii") + b'"'


def dial(account: Account, *, tls: bool = False) -> socket.socket:
    """Connect without Nagle's delay; with ``tls``, to whoever answers: these servers are the benchmark's own."""
    line = socket.create_connection((account.host, account.port), PATIENCE_SECONDS)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not tls:
        return line
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(line)


def login(account: Account) -> bytes:
    """Return the command that signs in."""
    return f'login LOGIN "{account.user}" "{account.password}"\r\n'.encode()


class Dialogue:
    """One signed-in connection for questions and answers in turn."""

    def __init__(self, account: Account) -> None:
        self._line = dial(account)
        self._reader = self._line.makefile("rb", READ_BYTES)
        self._reader.readline()
        self.ask(login(account).split(b" ", 1)[1].strip())

    def ask(self, command: bytes) -> list[bytes]:
        """Send a command whose answer has no literals; return the untagged lines. Raises RuntimeError on NO and BAD."""
        self._line.sendall(b"x " + command + b"\r\n")
        lines = []
        while not (line := self._reader.readline()).startswith(b"x "):
            if not line:
                raise RuntimeError(f"the line dropped after {command[:60]!r}")
            lines.append(line.rstrip())
        if not line.startswith(b"x OK"):
            raise RuntimeError(f"{command[:60]!r}: {line!r}")
        return lines

    def folders(self, command: bytes = b'LIST "" *') -> list[str]:
        """Return the names of a LIST or LSUB answer, sorted."""
        names = [line.rsplit(b' "." ', 1)[1].strip(b'"').decode("ascii") for line in self.ask(command)]
        return sorted(names)

    def messages(self, folder: str) -> Iterator[Copy]:
        """Yield every message of a folder by sequence number."""
        counts = [line for line in self.ask(b"EXAMINE " + quoted(folder)) if line.endswith(b" EXISTS")]
        if int(counts[0].split()[1]) == 0:
            return
        self._line.sendall(b"x FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])\r\n")
        while not (line := self._reader.readline()).startswith(b"x "):
            if (literal := LITERAL.search(line)) is None:
                continue
            body = self._reader.read(int(literal[1]))
            yield Copy(line[: literal.start()] + self._reader.readline(), body)

    def close(self) -> None:
        """Sign off."""
        self.ask(b"LOGOUT")
        self._reader.close()
        self._line.close()


def warm(account: Account) -> None:
    """Let the server build its indexes: dates and sizes are cached from now on, as in a mailbox that is used."""
    line = Dialogue(account)
    for folder in line.folders():
        if any(
            answer.endswith(b" EXISTS") and answer != b"* 0 EXISTS" for answer in line.ask(b"SELECT " + quoted(folder))
        ):
            line.ask(b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)")
    line.close()


def drink(line: socket.socket) -> int:
    """Read to the end of the line and throw everything away. Return the number of bytes."""
    kept = bytearray(READ_BYTES)
    total = 0
    while count := line.recv_into(kept):
        total += count
    return total


def fetch_all(account: Account, folders: Sequence[str]) -> bytes:
    """Return the whole dialogue that makes a server send every body, in one piece."""
    parts = [login(account)]
    for folder in folders:
        parts.append(b"e EXAMINE " + quoted(folder) + b"\r\nf UID FETCH 1:* (UID BODY.PEEK[])\r\n")
    return b"".join([*parts, b"l LOGOUT\r\n"])
