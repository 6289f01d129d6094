"""How an alarm leaves the panel: by a webhook, a program of the host, or a mail server that is not being moved.

An alarm names campaigns, batches, numbers and times: no person, no address, nothing of anybody's mail. Each way is
bounded in time as a whole, whatever the other side does, follows no redirection, and goes only where an administrator
has allowed it.
"""

from __future__ import annotations

import http.client
import json
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import urlsplit

from campaigns.bridge import host_files, lines_out
from campaigns.bridge.connect import require_allowed
from migrator import command
from migrator.command import Command
from migrator.errors import MigratorError
from migrator.secret import Secret

SECONDS: Final = 10.0
_WORDS: Final = 500
_ANSWER_BYTES: Final = 2000
_LINES: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Message:
    """What leaves. ``facts`` are codes and numbers, for programs."""

    subject: str
    text: str
    link: str
    facts: Mapping[str, str | int]


class NotSent(Exception):
    """It did not leave, or nobody knows. ``words`` are the other side's, or the system's."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = " ".join(words.split())[:_WORDS] or "no answer"


Send = Callable[[Mapping[str, Any], Secret | None, Message], None]


def send_webhook(options: Mapping[str, Any], secret: Secret | None, message: Message) -> None:
    """POST the message as JSON to ``options["url"]``; ``secret`` goes along as a bearer token. Raises ``NotSent``.

    Any answer from 200 to 299 is a yes; a redirection is none.
    """
    parts = urlsplit(str(options["url"]))
    body = json.dumps({"subject": message.subject, "text": message.text, "link": message.link, **message.facts})
    heads = {"Content-Type": "application/json", "User-Agent": "Mailferry", "Connection": "close"}
    if secret is not None:
        heads["Authorization"] = f"Bearer {secret.reveal()}"
    with _in_time() as cut:
        line = _http(cut, parts.scheme, _allowed(parts.hostname or ""), parts.port or _LINES[parts.scheme])
        with _closing(line):
            line.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, heads)
            answer = line.getresponse()
            if not 200 <= answer.status <= 299:
                raise NotSent(f"{answer.status} {answer.reason} {_text(answer.read(_ANSWER_BYTES))}")


def _http(cut: _Cut, scheme: str, host: str, port: int) -> http.client.HTTPConnection:
    """Return a line that is open."""
    is_encrypted = scheme == "https"
    kind = http.client.HTTPSConnection if is_encrypted else http.client.HTTPConnection
    line = kind(host, port, timeout=SECONDS)
    line.sock = _line(cut, host, port, is_encrypted)
    return line


def _line(cut: _Cut, host: str, port: int, is_encrypted: bool) -> socket.socket:
    """Open a line of which ``cut`` knows from its first moment on."""
    line = lines_out.open_line(host, port, SECONDS, cut.see)
    if is_encrypted:
        line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
        cut.see(line)
    return line


def send_mail(options: Mapping[str, Any], secret: Secret | None, message: Message) -> None:
    """Send the message by SMTP to all of ``options["to"]``. Raises ``NotSent``, also when one of them is refused."""
    mail = _mail(options, message)
    host = _allowed(str(options["host"]))
    with _in_time() as cut:
        line = _Smtp(cut, host, int(options["port"]), options["security"] == "tls")
        with _closing(line):
            if options["security"] == "starttls":
                line.starttls(context=ssl.create_default_context())
                cut.see(line.sock)
            if options.get("login") and secret is not None:
                line.login(str(options["login"]), secret.reveal())
            refused = line.send_message(mail)
            if refused:
                raise NotSent("; ".join(f"{to}: {code} {_text(words)}" for to, (code, words) in refused.items()))


def _mail(options: Mapping[str, Any], message: Message) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = " ".join(message.subject.split())  # a name with a line end in it is no second header
    mail["From"] = str(options["sender"])
    mail["To"] = ", ".join(options["to"])
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence notice answers it
    mail["X-Priority"] = "1"
    mail.set_content(f"{message.text}\n\n{message.link}\n")
    return mail


def send_program(options: Mapping[str, Any], _: Secret | None, message: Message) -> None:
    """Run the host's program ``options["program"]`` with subject, text and link as its words. Raises ``NotSent``.

    It is one of those in the folder that we cannot write (bridge.host_files); 0 is a yes.
    """
    words = host_files.resolved({"program": options["program"]})["program"]
    assert isinstance(words, list)
    spoken = [command.argument(_printable(text)) for text in (message.subject, message.text, message.link)]
    answer = command.run(Command(tuple(map(str, words)), timeout_seconds=SECONDS), spoken)
    if answer.code != 0:
        raise NotSent(f"exit code {answer.code}: {answer.err.strip() or answer.out.strip()}")


def _printable(text: str) -> str:
    """Return ``text`` in one line, without what is no letter: names may hold anything."""
    return "".join(letter if letter.isprintable() else " " for letter in text).lstrip("- ")


SENDERS: Final[Mapping[str, Send]] = {"webhook": send_webhook, "program": send_program, "mail": send_mail}


def send(kind: str, options: Mapping[str, Any], secret: Secret | None, message: Message) -> None:
    """Send ``message`` by a channel of ``kind``. Raises ``NotSent``, whatever went wrong on the way."""
    try:
        SENDERS[kind](options, secret, message)
    except NotSent as error:
        words = error.words
    except MigratorError as error:
        words = f"{error.sentence} {error.reply}"
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        words = str(error) or type(error).__name__
    else:
        return
    raise NotSent(_without_code(message, _without(secret, words)))


def _without_code(message: Message, words: str) -> str:
    """Return ``words`` without the code of a test, or the page of the test would tell what only its message may.

    No other long number is kept, either: words that are cut off may end in the middle of the code.
    """
    code = str(message.facts.get("code", ""))
    if not code:
        return words
    return re.sub(rf"{'[^0-9]{0,3}'.join(code)}|[0-9]{{4,}}", "***", words)


def _without(secret: Secret | None, words: str) -> str:
    """Return ``words`` without the secret: peers repeat what they refuse, and so do libraries, which write it in
    escapes.
    """
    shown = secret.reveal() if secret is not None else ""
    for one in filter(None, (shown, repr(shown)[1:-1], repr(shown.encode())[2:-1])):
        words = words.replace(one, "***")
    return words


def _allowed(host: str) -> str:
    require_allowed(host)
    return host


class _Cut:
    """Cuts a line when its time is over: a server that answers by single letters is no answer."""

    def __init__(self) -> None:
        self.line: socket.socket | None = None
        self.is_over = False

    def __call__(self) -> None:
        self.is_over = True
        self._cut()

    def see(self, line: socket.socket | None) -> None:
        """Remember the line that is to be cut; one that comes too late is cut at once."""
        self.line = line
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)


@contextmanager
def _in_time() -> Iterator[_Cut]:
    """Give all that is done within SECONDS; whoever opens a line says so to what this yields."""
    cut = _Cut()
    timer = threading.Timer(SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield cut
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        if cut.is_over:
            raise NotSent(f"no whole answer within {SECONDS:.0f} s") from error
        raise
    finally:
        timer.cancel()


class _Smtp(smtplib.SMTP):
    """Tells a line to what cuts it before the server says a word."""

    def __init__(self, cut: _Cut, host: str, port: int, is_encrypted: bool) -> None:
        self._cut, self._is_encrypted = cut, is_encrypted
        super().__init__(host, port, local_hostname=socket.gethostname(), timeout=SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return _line(self._cut, host, port, self._is_encrypted)


@contextmanager
def _closing(line: http.client.HTTPConnection | smtplib.SMTP) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):
            line.close()


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")
