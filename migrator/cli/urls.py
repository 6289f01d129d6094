"""The URL that names a mailbox or a server on the command line, and every sentence for one that does not work.

    imap://USER@HOST[:PORT]               no encryption, port 143
    imaps://USER@HOST[:PORT]              TLS from the start, port 993
    imap+starttls://USER@HOST[:PORT]      encryption asked for by STARTTLS, port 143
    imap://ADMIN;authzid=USER@HOST        sign in as ADMIN, open the mailbox of USER (RFC 4616 §2: SASL PLAIN)
    smtp://RECIPIENT@HOST[:PORT]          deliver to RECIPIENT; nobody signs in
    mbox:PATH                             a file or folder of this machine; a list puts the user's name for the *

Left of the last ``@`` everything names people, so ``john@example.org@imap.example.org`` needs no escape. Characters
that mean something in a URL (``: / ? # ; %``) are written in a name as %3A and so on, in UTF-8. A password never stands
in a URL: other users of the machine see it in the list of programs, and the shell keeps it in its history.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from migrator.cli.places import SCHEMES, BadUrl, FileUrl, Scheme, ServerUrl, Url
from migrator.errors import Side
from migrator.stores import STORES, Address

FORMS: Final = "imap://USER@HOST, imaps://USER@HOST or imap+starttls://USER@HOST, with :PORT where it is unusual"
SERVER_FORMS: Final = "imap://HOST, imaps://HOST or imap+starttls://HOST, with :PORT where it is unusual"
_HOST: Final = re.compile(r"(?!-)[\w.-]{1,253}", re.UNICODE)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY: Final = re.compile(r"[^/?#]*")
_ONLY: Final = {Side.SOURCE: "delivered", Side.TARGET: "read"}  # what a kind does that cannot stand on a side


def parse_mailbox(text: str, side: Side = Side.SOURCE) -> Url:
    """Parse a URL that names a mailbox on a side. Raises ``BadUrl``."""
    url = _parse(text, FORMS, side)
    if isinstance(url, FileUrl) and url.is_pattern:
        raise BadUrl("In a path, * stands for the user's name of a list; here it names no mailbox.")
    if isinstance(url, ServerUrl) and url.user is None:
        raise BadUrl(f"The URL does not say whose mailbox it is. Write {FORMS}.")
    return url


def parse_server(text: str, side: Side = Side.SOURCE) -> Url:
    """Parse a URL that names a server without a user, as a list of accounts needs it. Raises ``BadUrl``."""
    url = _parse(text, SERVER_FORMS, side)
    if isinstance(url, FileUrl) and not url.is_pattern:
        raise BadUrl(f"A list needs a path with * where the user's name stands: {url.kind}:/var/mail/*.")
    if isinstance(url, ServerUrl) and url.user is not None:
        raise BadUrl(f"The URL names a user, but here the list names them. Write {SERVER_FORMS}.")
    return url


def _parse(text: str, forms: str, side: Side) -> Url:
    file = re.match(r"([A-Za-z]+):(?!//)(.+)", text, re.DOTALL)
    if file and _stands(file[1].casefold(), side, Address.FILE):
        return _file(file[1].casefold(), file[2])
    scheme, rest = _scheme(text, forms, side)
    authority = _authority(rest)
    names, at, place = authority.rpartition("@")
    host, port = _place(place)
    user, authzid = _names(names) if at else (None, None)
    if authzid and STORES[scheme.kind].address is Address.RECIPIENT:
        raise BadUrl(f"Nobody signs in where mail is only delivered to: write {scheme.kind}://RECIPIENT@HOST.")
    return ServerUrl(scheme.security, host, port or scheme.port, user, authzid, scheme.kind)


def _stands(kind: str, side: Side, *addresses: Address) -> bool:
    store = STORES.get(kind)
    return store is not None and store.address in addresses and getattr(store, side) is not None


def _file(kind: str, path: str) -> FileUrl:
    if _CONTROL.search(path):
        raise BadUrl("The path in the URL holds a control character.")
    return FileUrl(kind, path)


def _scheme(text: str, forms: str, side: Side) -> tuple[Scheme, str]:
    word, mark, rest = text.partition("://")
    if not mark:
        raise BadUrl(f"The URL does not say how to connect. Write {forms}.")
    scheme = SCHEMES.get(word.casefold())
    if scheme is not None and _stands(scheme.kind, side, Address.SIGN_IN, Address.RECIPIENT):
        return scheme, rest
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,20}", word):
        raise BadUrl(f"The URL does not begin with a known way to connect. Write {forms}.")
    if scheme is not None and scheme.kind in STORES:
        raise BadUrl(f"{word}:// cannot be the {side.upper()}: mail is only {_ONLY[side]} there. Write {forms}.")
    raise BadUrl(f"{word}:// is not a way to connect that this program knows. Write {forms}.")


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
