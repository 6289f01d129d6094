"""The questions of Postfix's socketmap tables and their answers (socketmap_table(5)): netstrings, one by one."""

from __future__ import annotations

import re
from typing import Final

MOST_OCTETS: Final = 2048
_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,3}):")


class BadRequest(ValueError):
    """What came is no netstring, or too long."""


def take(buffer: bytearray) -> bytes | None:
    """Cut the first netstring out of ``buffer`` and return what it holds; None while it is not whole.

    Raises ``BadRequest``.
    """
    head = _LENGTH.match(buffer)
    if head is None:
        if re.fullmatch(rb"(0|[1-9][0-9]{0,3})?", bytes(buffer)):
            return None
        raise BadRequest
    end = head.end() + int(head[1])
    if int(head[1]) > MOST_OCTETS:
        raise BadRequest
    if len(buffer) <= end:
        return None
    if buffer[end : end + 1] != b",":
        raise BadRequest
    found = bytes(buffer[head.end() : end])
    del buffer[: end + 1]
    return found


def netstring(text: str) -> bytes:
    """Return ``text`` as a netstring."""
    octets = text.encode()
    return b"%d:%s," % (len(octets), octets)


def asked(request: bytes) -> tuple[str, str]:
    """Return the map and the key of a request. Raises ``BadRequest``; the key may be anything that is text."""
    try:
        name, blank, key = request.decode().partition(" ")
    except UnicodeDecodeError:
        raise BadRequest from None
    if not blank or not name:
        raise BadRequest
    return name, key


def found(value: str) -> bytes:
    """Return the answer with ``value``; for an empty one, that there is none."""
    return netstring(f"OK {value}" if value else "NOTFOUND ")


def later(words: str) -> bytes:
    """Return the answer that makes Postfix try again later."""
    return netstring(f"TEMP {words}")
