"""The contracts of stores. Requests name many folders at once: no round trip may depend on one folder or one message.

All methods raise ``MigratorError``: radius *account* or wider ends the session's work, what concerns a single folder
is handed out in the stream as ``Trouble`` instead, so that the other folders go on. A store connects on first use;
after an error of radius account or wider, or after :meth:`Store.drop`, the next call connects anew.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from migrator.errors import MigratorError
from migrator.events import EventSink
from migrator.mail import (
    Flags,
    Folder,
    FolderPath,
    Grant,
    LostNote,
    Message,
    MessageMeta,
    NewFolder,
    Note,
)


class Removing(StrEnum):
    """When a source that can remove single messages for good does it."""

    AT_ONCE = "at_once"
    AT_END = "at_end"  # with the end of the session: all of them, or none when the line drops before


@dataclass(frozen=True, slots=True)
class Features:
    """Optional abilities of a store, known after the first call; asked for, never guessed."""

    condstore: bool = False  # scan(changed_since) works and Folder.highestmodseq is told
    uidplus: bool = False  # receipts carry target UIDs
    append_limit_bytes: int | None = None
    waits_for_each: bool = False  # target: every message costs a round trip, whatever is sent meanwhile
    loses_flagged_on_append: bool = False  # \\Flagged must be set again by set_flags
    special_use: bool = False  # CREATE can set a role
    has_quota: bool = False  # the store is a QuotaStore, too
    reads_otherwise: bool = False  # what was not handed out can be asked for in other ways
    acl: bool = False  # folders can be opened to others (RFC 4314)
    metadata: bool = False  # folders carry notes (RFC 5464); the store is a NotedSource or NotedTarget
    keeps_internal_date: bool = True  # for certain; else it is looked for after the first copy
    case_insensitive_names: bool = False
    root: str = ""  # an administrator sees the mailbox as folders below this prefix: ``~anna/``, ``user.anna.``
    product: str = ""  # as ID or the greeting tells, for people and profiles
    has_flags: bool = True  # without: nothing is known of flags, so nobody's are set by them
    has_dates: bool = True  # without: a message brings its date when it is read, a scan tells none
    has_news: bool = False  # people should know something of it: see TellingSource
    tells_allowance: bool = False  # what a folder takes can be asked before anything is written: see AllowingStore
    lists_others: bool = False  # folders of others are seen beside those of the account: see SharingStore
    names_messages: bool = False  # numbers of messages are remembered by the caller: see NamingSource
    merges_equal: bool = False  # target: equal messages in one folder become one there
    searches: bool = False  # messages can be searched for: see SearchingSource
    has_labels: bool = False  # one message lies in many folders: see LabellingSource
    # target: what was stored can be listed and read. Without, nothing whose answer was lost is ever sent again unasked.
    reads_back: bool = True
    # of a POP3 server's names for messages, as Dovecot's pop3_uidl_format spells it; None: not read by POP3
    uidl_format: str | None = None
    sets_aside: bool = False  # source: it is a SettingAsideSource, too
    removing: Removing | None = None  # source: it is a RemovingSource, too; None: nothing is ever removed there


class MessageName(NamedTuple):
    """The lasting name of a message on a server that has no numbers, and the number it was given here."""

    folder: bytes  # raw name
    uidvalidity: int
    uid: int  # 0: no message, only the mark that this numbering was begun
    name: bytes


class Quota(NamedTuple):
    """A limit of a mailbox: of its STORAGE in bytes, or of its number of messages (MESSAGE)."""

    resource: str
    used: int
    limit: int

    @property
    def free(self) -> int:
        """What may still come."""
        return max(0, self.limit - self.used)


class Allowance(NamedTuple):
    """What a folder takes, as far as its server tells before anything is written; None: it does not."""

    permanent_flags: Flags | None = None  # with "\\*" where new keywords are allowed
    append_limit_bytes: int | None = None
    most_keywords: int | None = None  # different ones in one folder
    kept_keywords: int | None = None  # of these, so many outlast the loss of an index


class ScanRequest(NamedTuple):
    """Metadata of messages with UID > ``after_uid``; with ``changed_since`` only those changed after that modseq."""

    path: FolderPath
    uidvalidity: int | None = None  # when given and no longer true, the folder ends in Trouble
    after_uid: int = 0
    changed_since: int | None = None


class Identity(NamedTuple):
    """What a message is, wherever it lies: messages of several folders with one ``identity`` are one message."""

    path: FolderPath
    uid: int
    identity: int
    is_deleted: bool  # marked \\Deleted in this folder
    labels: tuple[bytes, ...] = ()  # names of other folders it lies in, raw; the server's own begin with a backslash


class Found(NamedTuple):
    """The UIDs of a folder that a search hit, ascending."""

    path: FolderPath
    uids: Sequence[int]


class ReadRequest(NamedTuple):
    """Bodies of ``uids`` (ascending). ``known_uids`` are all UIDs that the folder holds, so that runs become ranges."""

    path: FolderPath
    uids: Sequence[int]
    uidvalidity: int | None = None
    known_uids: Sequence[int] | None = None
    otherwise: bool = False  # they were not handed out in the usual way: try others, where the store has any


class Trouble(NamedTuple):
    """The rest of one folder's request could not be done. ``reply`` of the error holds the server's words."""

    path: FolderPath
    error: MigratorError


class Receipt(NamedTuple):
    """The server's answer to one append command: a bundle that is stored (``error`` None) or refused as a whole.

    ``target_uids`` are in the order of ``messages``; None when stored but the server does not tell (no UIDPLUS).
    """

    target: FolderPath
    messages: Sequence[Message]  # bodies dropped
    target_uids: Sequence[int] | None
    error: MigratorError | None = None
    target_uidvalidity: int | None = None


class Store(Protocol):
    """One login, one account. Not thread-safe."""

    @property
    def features(self) -> Features:
        """What this store can do; connects when it has not yet."""
        ...

    def folders(self) -> list[Folder]:
        """List the personal namespace: attributes, subscription, role and counters of every folder.

        Folders that exist only as names are there with ``selectable`` False. Reads only; repeatable.
        """
        ...

    def prefix(self) -> tuple[str, str | None]:
        """Return the personal namespace's prefix and separator, for example ``("INBOX.", ".")``. Connects if needed."""
        ...

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        """Yield metadata folder by folder in the order of ``requests``, UIDs ascending in a folder; flat memory.

        Reads only, sets no flag, repeatable. UIDs below or at ``after_uid`` never come out.
        """
        ...

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        """Yield bodies folder by folder in the order of ``requests``, UIDs ascending in a folder; flat memory.

        Never sets ``\\Seen``. UIDs that no longer exist, or that the server does not hand out, are left out: the caller
        compares. A server's refusal ends the folder with ``Trouble`` after what was delivered.
        """
        ...

    def drop(self) -> None:
        """Forget the connection without manners; the next call connects anew. Safe at any time, even mid-iteration."""
        ...

    def close(self) -> None:
        """Sign off politely when idle, else drop. Idempotent; never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Closing(abc.ABC):
    """What every store does as a context manager: whoever leaves it closes it."""

    @abc.abstractmethod
    def close(self) -> None:
        """See Store."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class SourceStore(Store, Protocol):
    """A store that mail is read from."""

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        """Return for each folder, in order, what others than its owner may do there; one send. Asked with ACL only.

        What has no counterpart elsewhere (the server's own administrators) is left out. Reads only; repeatable.
        """
        ...


class NamingSource(SourceStore, Protocol):
    """A source with ``names_messages``: UIDs are its own invention, and last only as long as the caller keeps them.

    The caller hands back what it kept before it lists the folders, and keeps what is fresh before it relies on a UID.
    """

    def recall(self, names: Iterable[MessageName]) -> None:
        """Take what ``take_fresh_names`` told in earlier sessions, all of it."""
        ...

    def take_fresh_names(self) -> Sequence[MessageName]:
        """Return the names that were numbered since the last call."""
        ...


class TellingSource(SourceStore, Protocol):
    """A source with ``has_news``: what people should know of it comes out when its folders are listed."""

    def tell_news(self, sink: EventSink) -> None:
        """Tell what was found since the last call; nothing is told twice."""
        ...


class LabellingSource(SourceStore, Protocol):
    """A source with ``has_labels``: its folders are labels of messages, and it tells which are the same message."""

    def identities(self, requests: Sequence[ScanRequest]) -> Iterator[Identity | Trouble]:
        """Yield what each message is, folder by folder in the order of ``requests``; flat memory.

        Reads only, sets no flag, repeatable. All messages of a folder come out, in the order of the server.
        """
        ...


def offers(thing: object, method: str) -> bool:
    """True when ``thing`` has ``method``, itself or by whatever it stands for.

    What some stores and connectors have beyond their contract is asked for so, and not by ``isinstance``: from Python
    3.12 on that sees nothing that a stand-in hands through.
    """
    return callable(getattr(thing, method, None))


class ReplicatedStore(Protocol):
    """A store whose server may be several, which need not hold the same at the same moment."""

    def stay_with(self, other: object) -> None:
        """Go to where ``other`` is, a store of the same side, before anywhere else. To be called before all else."""
        ...


class SettingAsideSource(SourceStore, Protocol):
    """A source with ``sets_aside``: one file, whose content can be moved to another beside it."""

    def set_aside(self) -> Path:
        """Do so, when the file is as it was last listed, and return where its content is now.

        Raises ``MigratorError`` (``file.changing``) when it is not; then nothing was done.
        """
        ...


class RemovingSource(SourceStore, Protocol):
    """A source with ``removing``: the named messages can be removed for good, and no others.

    The numbering is looked at again before each effect; where it is another than ``uidvalidity``, ``folder.changed`` is
    raised and nothing was done. Whoever calls it noted first what shall go. An error that is raised leaves open whether
    anything happened: look, never repeat it blindly. UIDs are ascending; those that are gone are passed over.
    """

    def mark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """Mark messages for removal. They are all still there, and ``unmark`` takes it back."""
        ...

    def unmark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """Take the marks off. Idempotent. Where removing waits for the end of a session, a dropped line does it too."""
        ...

    def remove_marked(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        """Remove marked messages. Whether they are gone is not told: a scan afterwards shows it."""
        ...


class SearchingSource(SourceStore, Protocol):
    """A source with ``searches``."""

    def search(self, requests: Sequence[ScanRequest], keys: str) -> Iterator[Found | Trouble]:
        """Yield which messages the operator's ``keys`` hit, folder by folder. Reads only; repeatable.

        Raises ``MigratorError("filter.refused")`` where the server refuses to search so.
        """
        ...


class QuotaStore(Protocol):
    """A store that tells its limits; Features.has_quota says so."""

    def quotas(self) -> list[Quota]:
        """Return the limits of the account, none where it has none; one send. Reads only."""
        ...


class AllowingStore(Protocol):
    """A store that tells what its folders take; Features.tells_allowance says so."""

    def allowance(self, folder: Folder) -> Allowance:
        """Return what ``folder`` takes, which was just listed. Changes nothing: a filled folder is only examined."""
        ...


class SharingStore(Protocol):
    """A store that lists folders of others, too, beside those of the account."""

    def folders_of_others(self) -> list[FolderPath]:
        """Return the folders of others and of all that the last listing showed, without asking again."""
        ...


class PopNamed(Protocol):
    """A source that is read by POP3, and knows the names by which other programs know its messages."""

    def pop_name_of(self, uidvalidity: int, uid: int, size_bytes: int) -> bytes | None:
        """Return the name of a message that was just read, None where it has none that lasts."""
        ...


class NotedSource(Protocol):
    """A source whose folders carry notes of people and programs; Features.metadata says so."""

    def notes(self, paths: Sequence[FolderPath]) -> list[Sequence[Note] | Trouble]:
        """Return what is noted on each folder, in order, but for what a server notes for itself; one send."""
        ...


class NotedTarget(Protocol):
    """A target that takes notes; asked on every IMAP server, for it tells what it cannot keep."""

    def annotate(self, wanted: Sequence[tuple[FolderPath, Sequence[Note]]]) -> list[list[LostNote]]:
        """Set notes that are not there yet; return for each folder those that it did not get. Idempotent.

        Other notes of the same name stay. May have half happened if it raises.
        """
        ...


class TargetStore(Store, Protocol):
    """A store that mail is written to. Its read side serves matching, verify and recovery."""

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        """Create, subscribe and give roles to all of them in one send; return each freshly selected, in order.

        The returned folders carry UIDVALIDITY, UIDNEXT, the number of messages and PERMANENTFLAGS. Idempotent: a folder
        that is already there is success; a role that is already taken is left off. ``grants`` are given after all
        folders are made, for new ones may inherit; those refused, or all without ACL, come back as ``lost_grants``.
        What others were given before stays. Denials are set first: where one fails, the folder gets no grant at all.
        May have half happened if it raises.
        """
        ...

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        """Store what it is fed, over many folders, order kept; yield a receipt per command as the server confirms.

        Flags and dates are sent as given (the caller has filtered flags). At most one window is unconfirmed.
        ``bundle_messages`` caps a bundle below the usual size. Not idempotent. When it raises, everything fed and not
        yet confirmed is of unknown outcome: look before sending it again. When ``messages`` raises in the middle of a
        body the connection is dropped and that error passes through.
        """
        ...

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        """Replace the flags of target UIDs. Idempotent; UIDs that are gone are skipped. May have half happened."""
        ...
