"""The questions of nginx's mail proxy and their answers, octet by octet (ngx_mail_auth_http_module).

A question is a GET without a body; all is in its header. The password that it carries is never looked at: the server
behind checks it. nginx reads ``Auth-Status``, whatever the status, and says its text to the user; an nginx that asks
by way of another one goes by its own file of routes where the status says 503.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from migrator.gates.answers import WAIT_SECONDS, Answer, Later, Never

MOST_OCTETS: Final = 8 * 1024
PROTOCOLS: Final = ("imap", "pop3", "smtp")
_REQUEST: Final = re.compile(rb"GET /auth/(?P<gate>[a-z0-9-]{1,31}) HTTP/1\.(?P<minor>[01])\r\n")
_FIELD: Final = re.compile(
    rb"^(auth-user|auth-protocol|client-ip|x-auth-key|connection):[ \t]*([^\r\n]*?)[ \t]*\r$",
    re.IGNORECASE | re.MULTILINE,
)


class BadQuestion(ValueError):
    """What came is no question of nginx's."""


class Question(NamedTuple):
    """Who wants to sign in. ``user`` is None for a name that is none: not text, or with control characters."""

    gate: str
    key: bytes
    user: str | None
    protocol: str
    client: str
    keeps_line: bool


def question(head: bytes) -> Question:
    """Read a question up to and with its empty line. Raises ``BadQuestion``."""
    request = _REQUEST.match(head)
    if request is None:
        raise BadQuestion
    fields = [(name.lower(), value) for name, value in _FIELD.findall(head)]
    found = dict(fields)
    if len(found) != len(fields):  # said twice is not said
        raise BadQuestion
    protocol = found.get(b"auth-protocol", b"").decode("ascii", "replace")
    if protocol not in PROTOCOLS or b"auth-user" not in found:
        raise BadQuestion
    asks_to_close = found.get(b"connection", b"").lower() == b"close"
    return Question(
        gate=request["gate"].decode("ascii"),
        key=found.get(b"x-auth-key", b""),
        user=_user(found[b"auth-user"]),
        protocol=protocol,
        client=_client(found.get(b"client-ip", b"")),
        keeps_line=request["minor"] == b"1" and not asks_to_close,
    )


def answer(given: Answer, protocol: str, *, is_out_of_order: bool = False) -> bytes:
    """Return the octets of an answer. ``is_out_of_order``: it is so for everybody, and not for this user."""
    if isinstance(given, Later | Never):
        lines = [f"Auth-Status: {given.words}", f"Auth-Wait: {WAIT_SECONDS}"]
        if protocol == "smtp":  # else nginx says 535, and programs ask for another password
            lines.append("Auth-Error-Code: " + ("454 4.7.0" if isinstance(given, Later) else "535 5.7.8"))
    else:
        lines = ["Auth-Status: OK", f"Auth-Server: {given.ip}", f"Auth-Port: {given.port}"]
    return _said("503 Service Unavailable" if is_out_of_order else "200 OK", *lines)


REFUSED: Final = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BAD: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _said(status: str, *lines: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "Content-Length: 0", "", "")).encode("ascii")


def _user(typed: bytes) -> str | None:
    """Return the name that was typed; nginx sends blanks, percent signs and control characters in percent code."""
    try:
        name = unquote_to_bytes(typed).decode()
    except UnicodeDecodeError:
        return None
    return name if name and name.isprintable() else None


def _client(told: bytes) -> str:
    return told.decode("ascii", "replace")[:45] if re.fullmatch(rb"[0-9a-fA-F.:]*", told) else ""
