"""The names that programs reading by POP3 know messages by (UIDL), for the messages of an IMAP source.

Servers that have both make the names of UIDVALIDITY and UID. So the name of a message is made here in the same way,
and believed only where the server's own list has it, for a message of that size. Names of other forms tell nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.stores.pop3_listing import PopListing, is_same_size

PopNamer = Callable[[int, int, int], bytes | None]  # of UIDVALIDITY, UID and size
_FIT: Final = re.compile(rb"[\x21-\x7e]{1,70}")  # RFC 1939 §7


class _Spelling(NamedTuple):
    """How a name is made of UIDVALIDITY and UID, and how it looks."""

    pattern: re.Pattern[bytes]
    make: Callable[[int, int], bytes]


_SPELLINGS: Final = (
    _Spelling(re.compile(rb"[0-9a-f]{16}"), lambda validity, uid: b"%08x%08x" % (uid, validity)),  # Dovecot
    _Spelling(re.compile(rb"[0-9A-F]{16}"), lambda validity, uid: b"%08X%08X" % (uid, validity)),
    _Spelling(re.compile(rb"\d{1,10}\.\d{1,10}"), lambda validity, uid: b"%d.%d" % (validity, uid)),  # Cyrus
    _Spelling(re.compile(rb"UID\d+-\d+"), lambda validity, uid: b"UID%d-%d" % (uid, validity)),  # Courier
    _Spelling(re.compile(rb"\d{1,10}"), lambda validity, uid: b"%d" % uid),
)


def namer(listing: PopListing) -> PopNamer:
    """Return what names the messages of INBOX as ``listing`` does, None for one that it does not have.

    Raises ``MigratorError("pop.names_unknown")`` where the names are not made of IMAP's numbers.
    """
    sizes = listing.size_by_name or {}
    make = _made_by(sizes)
    if make is None and listing.messages:
        raise MigratorError("pop.names_unknown", side=Side.SOURCE, reply=listing.form)

    def name_of(uidvalidity: int, uid: int, size_bytes: int) -> bytes | None:
        name = make(uidvalidity, uid) if make is not None else b""
        return name if name in sizes and is_same_size(size_bytes, sizes[name]) else None

    return name_of


def _made_by(names: Collection[bytes]) -> Callable[[int, int], bytes] | None:
    for spelling in _SPELLINGS:
        if names and all(map(spelling.pattern.fullmatch, names)):
            return spelling.make
    return None


def is_fit(name: bytes) -> bool:
    """True for a name that RFC 1939 allows, so that it can stand in a header line, too."""
    return _FIT.fullmatch(name) is not None
