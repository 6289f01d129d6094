"""One session with an SMTP or LMTP server (RFC 5321, 2033): greeting, TLS, what it offers, and messages one by one.

Whatever fails before the dot that ends a message was sent has stored nothing. From that dot on until its answer nobody
knows: then the error is ``OutcomeUnknown``.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from migrator.errors import MigratorError, OutcomeUnknown, Side
from migrator.limits import Limits
from migrator.replies import clean
from migrator.stores import smtp_replies
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_wire import shown
from migrator.stores.lines import TextLine, stuffed

MOST_LINES: Final = 1000  # of one reply
_LINE: Final = re.compile(rb"(\d{3})(?:([ -])(.*))?", re.DOTALL)
_RETURN_PATH: Final = re.compile(rb".{12}\s*<([^\s<>\x00-\x20\x7f]{1,256}@[^\s<>\x00-\x20\x7f]{1,255})>\s*")


class Reply(NamedTuple):
    """A server's reply: its code, and the words of all its lines."""

    code: int
    words: list[str]

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Envelope(NamedTuple):
    """Whom a message is from, empty for nobody (bounces then go nowhere), whom it is for, and its length about."""

    sender: str
    recipient: str
    size_bytes: int

    @property
    def is_ascii(self) -> bool:
        return (self.sender + self.recipient).isascii()


class SmtpSession:
    """Constructing it connects and greets; raises ``MigratorError``. ``is_local``: it speaks LMTP."""

    def __init__(self, endpoint: Endpoint, limits: Limits, *, is_local: bool) -> None:
        self.side = Side.TARGET
        self.is_local = is_local
        self.is_over = False  # the line is of no use any more
        self.extensions: dict[str, str] = {}
        self._endpoint = endpoint
        self.line = TextLine(endpoint, self.side, limits)
        try:
            self.greeting = self._greet()
            self.line.be_patient()
            self._introduce()
            if endpoint.security == "starttls":
                self._start_tls()
        except BaseException:
            self.drop()
            raise

    @property
    def size_limit(self) -> int | None:
        """The biggest message the server takes, where it says (RFC 1870); None for no limit."""
        told = self.extensions.get("SIZE", "")
        return int(told) if told.isdigit() and len(told) < 20 and int(told) else None

    def send(self, envelope: Envelope, pieces: Iterable[bytes]) -> MigratorError | None:
        """Hand over one message; return its refusal, None when the server took it.

        Raises ``OutcomeUnknown`` when the answer to the whole message was lost, else ``MigratorError`` when the line
        was lost before.
        """
        refusal = self._open(envelope)
        if refusal is not None:
            return refusal
        is_eight_bit = "8BITMIME" in self.extensions
        last = b""
        for octets in stuffed(pieces):
            if not is_eight_bit and not last.isascii():
                # Without the last dot nothing is stored; the line is of no use any more.
                self.drop()
                return MigratorError("message.eight_bit", side=self.side)
            if last and (refusal := self._put_part(last)) is not None:
                return refusal
            last = octets
        return self._finish(last)

    def try_recipient(self, recipient: str) -> MigratorError | None:
        """Return why mail for ``recipient`` would be refused, None when it would not; nothing is sent to anybody."""
        answers = {"MAIL": self._ask(b"MAIL FROM:<>\r\n")}
        if answers["MAIL"].is_ok:
            answers["RCPT"] = self._ask(f"RCPT TO:<{recipient}>\r\n".encode())
        stage, last = list(answers.items())[-1]
        if not last.is_ok:
            return self._withdraw(last, stage)
        self._ask(b"RSET\r\n")
        return None

    def try_size(self, octets: int) -> MigratorError | None:
        """Return why a message of ``octets`` would be refused now, None when it would not; nothing is sent.

        A server that has no room on its disks says so to whoever announces a size (RFC 1870 §6.1): 452.
        """
        answer = self._ask(b"MAIL FROM:<> SIZE=%d\r\n" % octets)
        if not answer.is_ok:
            return self._withdraw(answer, "MAIL")
        self._ask(b"RSET\r\n")
        return None

    def _put_part(self, octets: bytes) -> MigratorError | None:
        """Send a part of a message; return the refusal of a server that does not want to see the rest and hangs up."""
        try:
            self.line.put(octets)
        except MigratorError as error:
            try:
                answer = self.reply()
            except MigratorError:
                raise error from None
            if answer.code < 400:
                raise
            self.drop()
            return self._refused(answer, "BODY")
        return None

    def drop(self) -> None:
        """Close the line without a word."""
        self.is_over = True
        self.line.close()

    def close(self) -> None:
        """Sign off without waiting for an answer. Never raises."""
        self.line.close(b"QUIT\r\n")

    # One message

    def _open(self, envelope: Envelope) -> MigratorError | None:
        parameters = self._parameters(envelope)
        mail = f"MAIL FROM:<{envelope.sender}>{parameters}\r\n".encode()
        recipient = f"RCPT TO:<{envelope.recipient}>\r\n".encode()
        if "PIPELINING" in self.extensions:
            self.line.put(mail + recipient)
            answers = {"MAIL": self.reply(), "RCPT": self.reply()}
        else:
            answers = {"MAIL": self._ask(mail)}
            if answers["MAIL"].is_ok:
                answers["RCPT"] = self._ask(recipient)
        for stage, answer in answers.items():
            if not answer.is_ok:
                return self._withdraw(answer, stage)
        answer = self._ask(b"DATA\r\n")
        return None if answer.code == 354 else self._withdraw(answer, "DATA")

    def _parameters(self, envelope: Envelope) -> str:
        words = [
            f"SIZE={envelope.size_bytes}" if "SIZE" in self.extensions else "",
            "BODY=8BITMIME" if "8BITMIME" in self.extensions else "",
            "SMTPUTF8" if not envelope.is_ascii and "SMTPUTF8" in self.extensions else "",
        ]
        return "".join(f" {word}" for word in words if word)

    def _withdraw(self, answer: Reply, stage: str) -> MigratorError:
        error = self._refused(answer, stage)
        if answer.code != 421:
            self._ask(b"RSET\r\n")
        return error

    def _finish(self, last: bytes) -> MigratorError | None:
        try:
            self.line.put(last)
            answer = self.reply()
            return None if answer.is_ok else self._refused(answer, "BODY")
        except MigratorError as error:
            unknown = OutcomeUnknown("line.lost", side=self.side, reply=error.reply, patience=error.patience)
            raise unknown from error

    # Dialogue

    def reply(self) -> Reply:
        """Read one reply with all its lines."""
        words: list[str] = []
        for _ in range(MOST_LINES):
            line = self.line.line()
            found = _LINE.fullmatch(line)
            if found is None:
                raise self.line.nonsense(line, "not an answer")
            words.append((found[3] or b"").decode("utf-8", "replace"))
            if found[2] != b"-":
                return Reply(int(found[1]), words)
        raise self.line.nonsense(line, "an endless answer")

    def _ask(self, command: bytes) -> Reply:
        self.line.put(command)
        return self.reply()

    def _refused(self, answer: Reply, stage: str) -> MigratorError:
        if not 400 <= answer.code < 600:
            raise self.line.nonsense(f"{answer.code} {answer.text}".encode(), "not an answer to this")
        return smtp_replies.refusal(answer.code, answer.text, stage)

    def _greet(self) -> str:
        try:
            answer = self.reply()
        except MigratorError as error:
            if error.code != "server.nonsense":
                raise
            raise MigratorError("server.not_smtp", side=self.side, reply=error.reply) from error
        if answer.code >= 400:
            raise self._refused(answer, "GREETING")
        if answer.code != 220:
            raise MigratorError("server.not_smtp", side=self.side, reply=shown(answer.text.encode()))
        return clean(answer.text)

    def _introduce(self) -> None:
        name = _own_name().encode("ascii")
        answer = self._ask((b"LHLO " if self.is_local else b"EHLO ") + name + b"\r\n")
        if 500 <= answer.code < 505 and not self.is_local:
            answer = self._ask(b"HELO " + name + b"\r\n")
            answer = Reply(answer.code, answer.words[:1])
        if not answer.is_ok:
            raise self._refused(answer, "EHLO")
        offers = [words.strip().partition(" ") for words in answer.words[1:]]
        self.extensions = {word.upper(): arguments.strip() for word, _, arguments in offers}

    def _start_tls(self) -> None:
        answer = self._ask(b"STARTTLS\r\n") if "STARTTLS" in self.extensions else None
        if answer is None or answer.code != 220:
            raise MigratorError("tls.not_offered", side=self.side, reply=answer.text if answer else "")
        self.line.encrypt()
        self._introduce()  # what was told in the clear does not count (RFC 3207 §4.2)


def _own_name() -> str:
    """This machine's name as a server may see it, or a literal that says nothing (RFC 5321 §4.1.3)."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name) else "[127.0.0.1]"


def return_path(beginning: bytes) -> str:
    """Return the address in the Return-Path line at the head of a message, empty when there is none to be used."""
    for line in _head_lines(beginning):
        if line[:12].lower() == b"return-path:":
            found = _RETURN_PATH.fullmatch(line)
            return found[1].decode("ascii") if found is not None and found[1].isascii() else ""
    return ""


def _head_lines(beginning: bytes) -> Iterator[bytes]:
    for line in beginning.split(b"\n"):
        line = line.removesuffix(b"\r")
        if not line:
            return
        yield line
