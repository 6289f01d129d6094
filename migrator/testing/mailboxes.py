"""One account's mail in memory, with the manners of the server it lives on, and what others do to it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import NO_FLAGS, Flags, FolderPath, Grant, Message
from migrator.stores.base import Features, Removing

ANY_FLAG: Final[Flags] = frozenset({"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "\\*"})


@dataclass(slots=True)
class StoredMessage:
    """A message as a mailbox holds it."""

    uid: int
    body: bytes
    flags: Flags = NO_FLAGS
    internal_date: int | None = 0
    zone_minutes: int = 0
    modseq: int = 1
    told_bytes: int | None = None  # RFC822.SIZE, where the server lies
    is_readable: bool = True  # False: the server does not hand it out
    is_removable: bool = True  # False: the server keeps it whatever it is told


@dataclass(slots=True)
class MemoryFolder:
    """A folder of a mailbox in memory. Its fields may be set by tests as they like."""

    path: FolderPath
    uidvalidity: int
    uidnext: int = 1
    messages: dict[int, StoredMessage] = field(default_factory=dict)  # ascending UIDs
    selectable: bool = True
    subscribed: bool = False
    special_use: str | None = None
    no_inferiors: bool = False
    permanent_flags: Flags | None = None  # None: those of the mailbox
    highestmodseq: int = 1
    grants: list[Grant] = field(default_factory=list)
    notes: dict[str, bytes] = field(default_factory=dict)
    counted: int | None = None  # what the server says it has, where that is not the truth

    def add(self, body: bytes, flags: Flags, internal_date: int | None, zone_minutes: int) -> int:
        """Store a message under the next UID and return that."""
        uid = self.uidnext
        self.uidnext += 1
        self.messages[uid] = StoredMessage(uid, body, flags, internal_date, zone_minutes, self.touch())
        return uid

    def touch(self) -> int:
        """Count one change and return its mod-sequence (RFC 7162 §3.1)."""
        self.highestmodseq += 1
        return self.highestmodseq

    def set_flags(self, uid: int, flags: Flags) -> None:
        """Replace the flags of a message; nothing happens when it is gone or has them."""
        message = self.messages.get(uid)
        if message is not None and message.flags != flags:
            message.flags, message.modseq = flags, self.touch()

    def expunge(self, uid: int) -> None:
        """Remove a message."""
        del self.messages[uid]
        self.touch()

    def renumber(self) -> None:
        """Give the folder a new UIDVALIDITY and its messages new UIDs, in the same order."""
        self.uidvalidity += 1
        kept = list(self.messages.values())
        self.messages, self.uidnext = {}, 1
        for message in kept:
            self.add(message.body, message.flags, message.internal_date, message.zone_minutes)


class MemoryMailbox:
    """One account's mail, and the manners of the server it lives on."""

    def __init__(
        self,
        *,
        separator: str | None = "/",
        prefix: str = "",
        condstore: bool = True,
        uidplus: bool = True,
        special_use: bool = True,
        acl: bool = False,
        metadata: bool = False,
        strangers: Container[str] = (),
        multiappend: bool = True,
        canonicalise: bool = False,
        append_limit_bytes: int | None = None,
        quota_bytes: int | None = None,
        permanent_flags: Flags | None = None,
        refuse: Callable[[Message, bytes], MigratorError | None] | None = None,
        removing: Removing | None = Removing.AT_ONCE,
        uidvalidity: int = 1000,
    ) -> None:
        self.separator = separator
        self.prefix = prefix
        self.features = Features(
            condstore=condstore,
            uidplus=uidplus,
            append_limit_bytes=append_limit_bytes,
            special_use=special_use,
            acl=acl,
            has_quota=quota_bytes is not None,
            tells_allowance=True,
            metadata=metadata,
            product="memory",
            removing=removing,
        )
        self.multiappend = multiappend
        self.canonicalise = canonicalise
        self.quota_bytes = quota_bytes
        self.permanent_flags = permanent_flags
        self.refuse = refuse
        self.strangers = strangers  # names that nobody has here: no grant is taken for them
        self._uidvalidity = uidvalidity
        self._by_raw: dict[bytes, MemoryFolder] = {}
        self.add_folder("INBOX", subscribed=True)

    def path(self, name: str) -> FolderPath:
        """Return the path of a name whose levels are joined by this mailbox's separator."""
        levels = name.split(self.separator) if self.separator else [name]
        return FolderPath.of(tuple(levels), self.separator)

    def add_folder(
        self,
        name: str | FolderPath,
        *,
        subscribed: bool = False,
        special_use: str | None = None,
        selectable: bool = True,
        permanent_flags: Flags | None = None,
    ) -> MemoryFolder:
        """Create a folder, with a UIDVALIDITY no folder had before, or return the one that is there."""
        path = self.path(name) if isinstance(name, str) else name
        found = self.find(path)
        if found is None:
            self._uidvalidity += 10
            found = MemoryFolder(
                path,
                self._uidvalidity,
                subscribed=subscribed,
                special_use=special_use,
                selectable=selectable,
                permanent_flags=permanent_flags,
            )
            self._by_raw[path.raw] = found
        elif selectable and not found.selectable:  # RFC 3501 §6.3.3: CREATE makes a folder of a mere name
            self._uidvalidity += 10
            found.selectable, found.uidvalidity = True, self._uidvalidity
        return found

    def remove_folder(self, name: str) -> None:
        """Remove a folder with its messages."""
        del self._by_raw[self[name].path.raw]

    def __getitem__(self, name: str) -> MemoryFolder:
        found = self.find(self.path(name))
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[MemoryFolder]:
        return iter(list(self._by_raw.values()))

    def find(self, path: FolderPath) -> MemoryFolder | None:
        """Return the folder at ``path``, or None."""
        return self._by_raw.get(b"INBOX" if path.is_inbox else path.raw)

    def deliver(
        self,
        name: str,
        body: bytes,
        flags: Iterable[str] = (),
        *,
        internal_date: int | None = 1_000_000_000,
        zone_minutes: int = 0,
    ) -> int:
        """Store a message, as a delivery agent or another tool would, and return its UID. Creates the folder."""
        return self.add_folder(name).add(body, frozenset(flags), internal_date, zone_minutes)

    def kept_flags(self, folder: MemoryFolder, flags: Flags) -> Flags:
        """Return what the folder keeps of ``flags``."""
        permanent = self.permanent_flags_of(folder)
        return frozenset(flag for flag in flags if flag in permanent or (flag[0] != "\\" and "\\*" in permanent))

    def permanent_flags_of(self, folder: MemoryFolder) -> Flags:
        """Return the PERMANENTFLAGS of a folder."""
        own = folder.permanent_flags if folder.permanent_flags is not None else self.permanent_flags
        return own if own is not None else ANY_FLAG

    @property
    def size_bytes(self) -> int:
        """How much the mailbox holds."""
        return sum(len(message.body) for folder in self for message in folder.messages.values())

    def contents(self) -> dict[str, list[tuple[bytes, Flags, int | None]]]:
        """Return body, flags and date of every message in order, by the display name of its folder."""
        return {
            folder.path.display: [(m.body, m.flags, m.internal_date) for m in folder.messages.values()]
            for folder in self
        }
