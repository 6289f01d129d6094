"""Values of mail: folders, messages, flags, digests. Immutable where they are shared, and small, for there are many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from imapclient import imap_utf7

Flags = frozenset[str]
"""Flags of a message: system flags in canonical case (``\\Seen``), keywords as the server has them. No ``\\Recent``."""

NO_FLAGS: Final[Flags] = frozenset()
SYSTEM_FLAGS: Final = {name.casefold(): name for name in ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")}
DELETED: Final = "\\Deleted"
FLAGGED: Final = "\\Flagged"
RECENT: Final = "\\recent"


class Outcome(IntEnum):
    """Where a message of the source ended. Every message has exactly one; the numbers are stored, never reuse one."""

    COPIED = 1
    ALREADY_THERE = 2
    EMPTY = 3
    TOO_BIG = 4
    REFUSED = 5
    UNREADABLE = 6
    VANISHED = 7
    MARKED_DELETED = 8
    REPAIRED = 9
    FILTERED = 10  # outside the dates and sizes that were asked for
    UNCONFIRMED = 12  # sent to where nothing can be looked up, and the answer was lost
    BY_LABEL = 13  # the same message as one in another folder, whose outcome tells where both ended
    DUPLICATE = 14  # equal to one of the same folder, which is on the target and stands for both

    @property
    def is_on_target(self) -> bool:
        """True when the target holds the message, at a place of its own."""
        return self in (Outcome.COPIED, Outcome.ALREADY_THERE, Outcome.REPAIRED)

    @property
    def is_represented(self) -> bool:
        """True when another message of the source stands for this one on the target, too."""
        return self in (Outcome.BY_LABEL, Outcome.DUPLICATE)


class DateOrigin(StrEnum):
    """Where the date of arrival is from, for a message whose server keeps none."""

    RECEIVED = "received"  # the topmost Received line
    DATE = "date"  # the Date line: when it was sent
    NOW = "now"  # neither told a date: that of the copy


@dataclass(frozen=True, slots=True)
class FolderPath:
    """A folder as its own server names it.

    ``raw`` (the unquoted bytes of the name on the wire) is the identity: names that do not decode stay usable.
    ``separator`` is that folder's own hierarchy separator, None for a flat name (NIL).
    """

    raw: bytes
    separator: str | None = field(default=None, compare=False)

    @classmethod
    def of(cls, segments: tuple[str, ...], separator: str | None) -> FolderPath:
        """Build the path of a server with ``separator`` for decoded ``segments`` (modified UTF-7, RFC 3501 §5.1.3)."""
        return cls(_encode((separator or "").join(segments)), separator)

    @property
    def segments(self) -> tuple[str, ...]:
        """The name for people and for mapping, one string per level; raw UTF-8 and broken modified UTF-7 decode too."""
        parts = self.raw.split(self.separator.encode("ascii")) if self.separator else [self.raw]
        return tuple(_decode_segment(part) for part in parts)

    @property
    def display(self) -> str:
        """The name for people, levels joined by ``/``."""
        return "/".join(self.segments)

    @property
    def is_inbox(self) -> bool:
        """INBOX is case-insensitive (RFC 3501 §5.1), every other name is not."""
        return self.raw.upper() == b"INBOX"


# All accounts of a platform have folders of the same few names.
@lru_cache(4096)
def _encode(name: str) -> bytes:
    return bytes(imap_utf7.encode(name))


@lru_cache(4096)
def _decode_segment(part: bytes) -> str:
    try:
        text = imap_utf7.decode(part)
        if imap_utf7.encode(text) == part:
            return str(text)
    except (UnicodeDecodeError, ValueError):
        pass
    try:
        return part.decode("utf-8")
    except UnicodeDecodeError:
        return part.decode("latin-1")


class Grantee(StrEnum):
    """Whom a grant concerns, whatever the server calls them."""

    USER = "user"
    GROUP = "group"
    ANYONE = "anyone"
    AUTHENTICATED = "authenticated"
    ANONYMOUS = "anonymous"


class Grant(NamedTuple):
    """What others than its owner may do in a folder (RFC 4314). ``rights`` are standard letters in their order."""

    grantee: Grantee
    name: str  # of a user or group, else empty
    rights: str
    is_denial: bool = False  # takes rights away that another grant gives

    @property
    def who(self) -> str:
        """For people: ``user anna``, ``anyone``."""
        return f"{self.grantee} {self.name}".rstrip()


class LostGrant(NamedTuple):
    """A grant that a target folder did not get, with the server's words where it spoke."""

    grant: Grant
    reply: str = ""


class Note(NamedTuple):
    """Something noted on a folder (RFC 5464): ``/private/comment``, ``/shared/vendor/acme/color``."""

    entry: str
    value: bytes


class LostNote(NamedTuple):
    """A note that a target folder did not get, with the server's words where it spoke."""

    note: Note
    reply: str = ""
    is_taken: bool = False  # another one is there, and stays


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and what its server says of it. Counters are None where the server did not tell."""

    path: FolderPath
    selectable: bool = True
    subscribed: bool = False
    special_use: str | None = None  # "\\Sent", "\\Trash" ... (RFC 6154)
    no_inferiors: bool = False
    uidvalidity: int | None = None
    uidnext: int | None = None
    messages: int | None = None
    highestmodseq: int | None = None  # None also for NOMODSEQ and 0 (RFC 7162 §3.1.2)
    permanent_flags: Flags | None = (
        None  # target only, after ensure_folders; contains "\\*" when new keywords are allowed
    )
    lost_grants: tuple[LostGrant, ...] = ()  # target only, after ensure_folders


class MessageMeta(NamedTuple):
    """One message as a scan sees it."""

    path: FolderPath
    uid: int
    size_bytes: int  # RFC822.SIZE: good for planning only, servers lie
    internal_date: int | None  # seconds since the epoch; None when the server's date made no sense
    zone_minutes: int  # the zone the server wrote it in
    flags: Flags


class Digest(NamedTuple):
    """The two hashes of a message, and the size of the form that is compared (see canonical form in README.md)."""

    source: bytes  # SHA-256 of the literal as it came
    canonical: bytes  # SHA-256 of its canonical form
    canonical_bytes: int


@dataclass(slots=True, eq=False)
class Message:
    """A message on its way: a body of known length, and, once planned, where it goes.

    Either ``whole`` (small messages) or ``stream`` (pieces, to be taken once and in full before the next message is
    asked for) is set. The sender drops the body after sending it; the rest stays for the receipt.
    """

    path: FolderPath  # in the source
    uid: int
    size_bytes: int  # length of the literal: exactly what the body yields
    whole: bytes | None = None
    stream: Iterator[bytes] | None = None
    target: FolderPath | None = None
    flags: Flags = NO_FLAGS
    internal_date: int | None = None
    zone_minutes: int = 0
    digest: Digest | None = None  # set by whoever hashes the body on its way
    date_origin: DateOrigin | None = None  # None: the date is the server's own


class NewFolder(NamedTuple):
    """What a target folder shall be like. ``create`` is False for one that is already there."""

    path: FolderPath
    create: bool
    subscribe: bool
    special_use: str | None
    grants: Sequence[Grant] = ()
