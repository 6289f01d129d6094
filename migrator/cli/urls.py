"""The URL that names a mailbox or a server on the command line, and every sentence for one that does not work.

    imap://USER@HOST[:PORT]               no encryption, port 143
    imaps://USER@HOST[:PORT]              TLS from the start, port 993
    imap+starttls://USER@HOST[:PORT]      encryption asked for by STARTTLS, port 143
    imap://ADMIN;authzid=USER@HOST        sign in as ADMIN, open the mailbox of USER (RFC 4616 §2: SASL PLAIN)

Left of the last ``@`` everything names people, so ``john@example.org@imap.example.org`` needs no escape. Characters
that mean something in a URL (``: / ? # ; %``) are written in a name as %3A and so on, in UTF-8. A password never stands
in a URL: other users of the machine see it in the list of programs, and the shell keeps it in its history.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import quote, unquote_to_bytes


class Security(StrEnum):
    """How a connection is protected; the value is the URL's scheme."""

    PLAIN = "imap"
    TLS = "imaps"
    STARTTLS = "imap+starttls"


DEFAULT_PORTS: Final = {Security.PLAIN: 143, Security.STARTTLS: 143, Security.TLS: 993}
FORMS: Final = "imap://USER@HOST, imaps://USER@HOST or imap+starttls://USER@HOST, with :PORT where it is unusual"
SERVER_FORMS: Final = "imap://HOST, imaps://HOST or imap+starttls://HOST, with :PORT where it is unusual"
_HOST: Final = re.compile(r"(?!-)[\w.-]{1,253}", re.UNICODE)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY: Final = re.compile(r"[^/?#]*")


class BadUrl(ValueError):
    """A URL that cannot be used; the text is the sentence for the operator. It never repeats what may be a password."""


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A server, and who signs in there. ``user`` is None for a server alone; ``authzid`` None without admin access."""

    security: Security
    host: str
    port: int
    user: str | None = None
    authzid: str | None = None

    @property
    def mailbox(self) -> str | None:
        """Whose mail is meant: the user that an administrator opens, else who signs in."""
        return self.authzid or self.user

    def identity_of(self, user: str) -> str:
        """A mailbox of this server as a ledger knows it, whichever way in is taken: ``imap://john%40a@host:143``."""
        return f"imap://{quote(user, safe='')}@{self.place}"

    @property
    def place(self) -> str:
        """``host:port``, the host in lower case and IPv6 in brackets."""
        host = self.host.casefold()
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def is_same_server(self, other: ServerUrl) -> bool:
        """True for one host and port, or the usual ports of one host: 143 and 993 are two doors of one house."""
        usual = set(DEFAULT_PORTS.values())
        same_door = self.port == other.port or {self.port, other.port} <= usual
        return self.host.casefold() == other.host.casefold() and same_door


def parse_mailbox(text: str) -> ServerUrl:
    """Parse a URL that names a mailbox. Raises ``BadUrl``."""
    url = _parse(text, FORMS)
    if url.user is None:
        raise BadUrl(f"The URL does not say whose mailbox it is. Write {FORMS}.")
    return url


def parse_server(text: str) -> ServerUrl:
    """Parse a URL that names a server without a user, as a list of accounts needs it. Raises ``BadUrl``."""
    url = _parse(text, SERVER_FORMS)
    if url.user is not None:
        raise BadUrl(f"The URL names a user, but here the list names them. Write {SERVER_FORMS}.")
    return url


def _parse(text: str, forms: str) -> ServerUrl:
    security, rest = _scheme(text, forms)
    authority = _authority(rest)
    names, at, place = authority.rpartition("@")
    host, port = _place(place)
    user, authzid = _names(names) if at else (None, None)
    return ServerUrl(security, host, port or DEFAULT_PORTS[security], user, authzid)


def _scheme(text: str, forms: str) -> tuple[Security, str]:
    scheme, mark, rest = text.partition("://")
    if not mark:
        raise BadUrl(f"The URL does not say how to connect. Write {forms}.")
    try:
        return Security(scheme.casefold()), rest
    except ValueError:
        pass
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", scheme):
        raise BadUrl(f"The URL does not begin with a known way to connect. Write {forms}.")
    raise BadUrl(f"{scheme}:// is not a way to connect that this program knows. Write {forms}.")


def _authority(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    authority = found.group() if found else ""
    if rest[len(authority) :] not in ("", "/"):
        raise BadUrl(
            "The URL goes on after the name of the server, but a whole mailbox is copied, never one folder. "
            "If '/', '?' or '#' belongs to the user's name, write %2F, %3F or %23."
        )
    return authority


def _place(place: str) -> tuple[str, int | None]:
    if place.startswith("["):
        inside, bracket, after = place[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise BadUrl("The IPv6 address in the URL is not closed. Write it as [::1] or [::1]:143.")
        return _ipv6(inside), _port(after[1:]) if after else None
    if place.count(":") > 1:
        raise BadUrl("An IPv6 address stands in brackets in a URL: [::1] or [::1]:143.")
    host, colon, port = place.partition(":")
    if not host:
        raise BadUrl("The URL does not name a server.")
    if not _HOST.fullmatch(host) or ".." in host:
        raise BadUrl("The name of the server in the URL holds characters that no server's name has.")
    return host, _port(port) if colon else None


def _ipv6(text: str) -> str:
    # RFC 6874 §2: inside a URL the % before a zone is written %25
    address = text.replace("%25", "%", 1)
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        raise BadUrl("What stands in brackets in the URL is not an IPv6 address.") from None
    return address


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise BadUrl("The port in the URL, after the colon, must be a number from 1 to 65535.")
    return int(text)


def _names(text: str) -> tuple[str, str | None]:
    if ":" in text:
        raise BadUrl(
            "A password does not belong in the URL: others on this machine can read it, and the shell keeps it in "
            "its history. Leave it out; it is asked for, or read from a password file. If ':' belongs to the user's "
            "name, write %3A."
        )
    user, *parameters = text.split(";")
    if not parameters:
        return _name(user), None
    name, equals, authzid = parameters[0].partition("=")
    if len(parameters) > 1 or name.casefold() != "authzid" or not equals:
        raise BadUrl(
            "After ';' the URL takes only authzid=USER, the mailbox that an administrator opens: "
            "imap://ADMIN;authzid=USER@HOST. If ';' belongs to the user's name, write %3B."
        )
    return _name(user), _name(authzid)


def _name(text: str) -> str:
    if not text:
        raise BadUrl("The URL leaves the name of the user empty.")
    if _BAD_ESCAPE.search(text):
        raise BadUrl("A '%' in the URL begins an escape of two hexadecimal digits. A real '%' is written %25.")
    try:
        name = unquote_to_bytes(text).decode("utf-8")
    except UnicodeError:
        raise BadUrl("The escapes in the name of the user are not UTF-8: 'ü' is %C3%BC.") from None
    if _CONTROL.search(name):
        raise BadUrl("The name of the user holds a control character, which no server takes.")
    return name
