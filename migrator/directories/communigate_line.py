"""One line to CommuniGate Pro's command line interface (the PWD module, TCP port 106): sign in, ask, change.

The line is not encrypted: use it on a trusted network or through a tunnel. With APOP at least the password does not
cross it. The server hangs up after five minutes of silence, so a line that was silent for four is not trusted.

Source: the guide's page CLI (versions 5.1 to 6.1); RFC 1939 §7 for the digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from migrator.directories.communigate_data import Datum, read
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

T = TypeVar("T")

PORT: Final = 106
IDLE_SECONDS: Final = 240.0
ANSWER_BYTES: Final = 16 * 1024 * 1024  # of one answer: the settings and mailboxes of one account are far below
_STAMP: Final = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_DONE, _INLINE, _PASSWORD = 200, 201, 300
_NO_ACCOUNT: Final = 513
_UNKNOWN_ACCOUNT: Final = re.compile(
    r"unknown (user )?account|no such account|account .*not (exist|found)", re.IGNORECASE
)
_FORBIDDEN: Final = re.compile(r"permission|not allowed|access right|no right", re.IGNORECASE)
_EXISTS: Final = re.compile(r"already exists", re.IGNORECASE)


class Reply(NamedTuple):
    """The first line of an answer."""

    code: int
    text: str

    @property
    def is_done(self) -> bool:
        """The first digit is the rule, whatever the others are."""
        return self.code // 100 == 2

    @property
    def is_missing(self) -> bool:
        """The account is not there."""
        return self.code == _NO_ACCOUNT or (self.code // 100 == 5 and bool(_UNKNOWN_ACCOUNT.search(self.text)))

    @property
    def exists(self) -> bool:
        """The account is there already."""
        return self.code == 520 or (self.code // 100 == 5 and bool(_EXISTS.search(self.text)))

    def error(self) -> MigratorError:
        """Return what a refusal is."""
        words = f"{self.code} {self.text}"
        if self.is_missing:
            return MigratorError("directory.missing", reply=words)
        code = "directory.no_permission" if _FORBIDDEN.search(self.text) else "directory.invalid"
        return MigratorError(code, reply=words)


@dataclass(frozen=True, slots=True)
class CommuniGateServer:
    """Where the interface is, who signs in, and whether the password crosses the line (``plain``) or not (``apop``)."""

    host: str
    port: int
    login: str
    password: Secret
    sign_in: str
    connect_seconds: float
    answer_seconds: float

    @classmethod
    def of(cls, options: Options, secret: Secret | None) -> CommuniGateServer:
        """Read host, port, login, sign_in, connect_seconds and answer_seconds. Raises ``ValueError``."""
        if secret is None or not secret.reveal():
            raise ValueError("CommuniGate needs the password of the account that signs in.")
        if "\r" in secret.reveal() or "\n" in secret.reveal():
            raise ValueError("A password for CommuniGate is one line.")
        login = options.text("login", "postmaster")
        if not login.isprintable():
            raise ValueError("The option login is one line.")
        return cls(
            host=options.text("host"),
            port=options.port("port", PORT),
            login=login,
            password=secret,
            sign_in=options.choice("sign_in", ("apop", "plain"), "apop"),
            connect_seconds=options.seconds("connect_seconds", 10),
            answer_seconds=options.seconds("answer_seconds", 30),
        )


class CommuniGateLine:
    """A line that is made at the first call, and anew when it was lost. Not thread-safe."""

    def __init__(self, server: CommuniGateServer) -> None:
        self._server = server
        self._open: _Conversation | None = None
        self._spoke_at = 0.0

    def ask(self, command: str) -> tuple[Reply, Datum]:
        """Send a command that changes nothing; return the answer and its data. Asked again on a new line, once."""
        try:
            return self._converse(lambda open_: open_.ask(command))
        except (OSError, EOFError):
            try:
                return self._converse(lambda open_: open_.ask(command))
            except (OSError, EOFError) as error:
                raise MigratorError("directory.unreachable", reply=str(error)) from None

    def change(self, command: str) -> Reply:
        """Send a command that changes something, once.

        Raises ``directory.lost`` when the line dropped: it may have happened or not.
        """
        try:
            return self._converse(lambda open_: open_.ask(command)[0])
        except (OSError, EOFError) as error:
            raise MigratorError("directory.lost", reply=str(error)) from None

    def close(self) -> None:
        """Let go of the line."""
        if self._open is not None:
            self._open.leave()
            self._open = None

    def _converse(self, talk: Callable[[_Conversation], T]) -> T:
        if self._open is not None and time.monotonic() - self._spoke_at > IDLE_SECONDS:
            self.close()
        if self._open is None:
            self._open = _signed_in(self._server)
        try:
            found = talk(self._open)
        except ValueError as error:  # an answer that says nothing: what follows on this line cannot be trusted
            self._drop()
            raise MigratorError("directory.invalid", reply=str(error)) from None
        except BaseException:
            self._drop()
            raise
        self._spoke_at = time.monotonic()
        return found

    def _drop(self) -> None:
        if self._open is not None:
            self._open.drop()
            self._open = None


def _signed_in(server: CommuniGateServer) -> _Conversation:
    """Return a conversation that is signed in. Raises ``MigratorError``."""
    try:
        line = socket.create_connection((server.host, server.port), server.connect_seconds)
    except OSError as error:
        raise MigratorError("directory.unreachable", reply=str(error)) from None
    line.settimeout(server.answer_seconds)
    conversation = _Conversation(line)
    try:
        conversation.sign_in(server)
    except (OSError, EOFError, ValueError) as error:
        conversation.drop()
        raise MigratorError("directory.unreachable", reply=str(error)) from None
    except BaseException:
        conversation.drop()
        raise
    return conversation


class _Conversation:
    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._stream = line.makefile("rb")
        self._is_inline = False

    def sign_in(self, server: CommuniGateServer) -> None:
        greeting = self._reply()
        if not greeting.is_done:
            raise MigratorError("directory.unreachable", reply=f"{greeting.code} {greeting.text}")
        stamp = _STAMP.search(greeting.text)
        if server.sign_in == "apop" and stamp is None:
            raise MigratorError("directory.refused", reply="The server offers no APOP.")
        if server.sign_in == "apop" and stamp is not None:
            secret = (stamp.group() + server.password.reveal()).encode()
            digest = hashlib.md5(secret, usedforsecurity=False).hexdigest()  # what APOP is
            answer = self._say(f"APOP {server.login} {digest}")
        else:
            answer = self._say(f"USER {server.login}")
            if answer.code == _PASSWORD:
                answer = self._say(f"PASS {server.password.reveal()}")
        if not answer.is_done:
            raise MigratorError("directory.refused", reply=f"{answer.code} {answer.text}")
        self._is_inline = self._say("INLINE").is_done

    def ask(self, command: str) -> tuple[Reply, Datum]:
        answer = self._say(command)
        if answer.code == _INLINE:
            return answer, read(answer.text)
        if answer.is_done and not self._is_inline and answer.text.strip().lower() == "data follow":
            return answer, self._following()
        return answer, None

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            self._line.settimeout(1.0)
            self._line.sendall(b"QUIT\r\n")
        self.drop()

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._line.close()

    def _say(self, command: str) -> Reply:
        self._line.sendall(command.encode() + b"\r\n")
        return self._reply()

    def _reply(self) -> Reply:
        line = self._read_line()
        if not re.match(r"[0-9]{3}(?: |$)", line, re.ASCII):
            raise ValueError(f"The answer {line[:80]!r} is none of CommuniGate's.")
        return Reply(int(line[:3]), line[4:])

    def _following(self) -> Datum:
        """Read data that an old server sends on lines of their own, up to where it is whole."""
        text = ""
        while True:
            text += self._read_line() + "\n"
            if text.count("(") + text.count("{") + text.count("[") <= text.count(")") + text.count("}") + text.count(
                "]"
            ):
                with contextlib.suppress(ValueError):
                    return read(text)
            if len(text) > ANSWER_BYTES:
                raise ValueError("The answer has no end.")

    def _read_line(self) -> str:
        line = self._stream.readline(ANSWER_BYTES)
        if not line.endswith(b"\n"):
            raise EOFError("the server closed the line" if len(line) < ANSWER_BYTES else "a line without an end")
        return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
