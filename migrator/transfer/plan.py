"""Decide what a pass does: which folders need a scan, and what each message needs. Pure: no socket, no clock."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from migrator.mail import DELETED, Flags, Folder, MessageMeta, Outcome
from migrator.packed import Column
from migrator.rosters.grantees import GranteeMap
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import FolderState
from migrator.transfer.pop_names import PopNamer
from migrator.transfer.repairs import LONGEST_LINE, SHORTEST_LIMIT, Repair


class Mode(StrEnum):
    """What a pass may do at the target."""

    STAGE = "stage"  # nobody works on the target yet: flags follow the source
    CATCH_UP = "catch-up"  # the target is live: add what is missing, touch nothing


class DuplicatePolicy(StrEnum):
    """What becomes of equal messages in one folder."""

    KEEP = "keep"  # two in the source are two on the target
    ONCE = "once"  # the first is stored, the others are counted


class LabelPolicy(StrEnum):
    """What becomes of a message that lies in many folders at once, where the source tells which are one (Gmail)."""

    FOLDERS = "folders"  # a copy in each of its folders; from the folder of all mail only what lies nowhere else
    FIRST = "first"  # one copy, in the first of its folders
    KEYWORDS = "keywords"  # the same, and the names of the other folders as keywords


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages are wanted: by internal date (seconds since the epoch) and size. None: no bound.

    What the source tells no date of passes: nobody can say that it is too old.
    """

    since: int | None = None  # from this instant on
    before: int | None = None  # up to, and without, this instant
    smallest_bytes: int = 0
    biggest_bytes: int | None = None

    def leaves_out(self, meta: MessageMeta) -> bool:
        """True for a message that is not wanted."""
        date, size_bytes = meta.internal_date, meta.size_bytes
        return (
            (date is not None and self.since is not None and date < self.since)
            or (date is not None and self.before is not None and date >= self.before)
            or size_bytes < self.smallest_bytes
            or (self.biggest_bytes is not None and size_bytes > self.biggest_bytes)
        )


ALL_MESSAGES: Final = MessageFilter()


@dataclass(frozen=True, slots=True)
class CopyPolicy:
    """The choices of one copy."""

    mode: Mode = Mode.STAGE
    copy_deleted: bool = False  # messages marked \Deleted are left behind and counted, unless asked for
    dry_run: bool = False
    retry_left_behind: bool = False  # try messages again that an earlier pass left behind
    rules: FolderRules = field(default_factory=FolderRules)
    # what the target calls another user of the source, None for one nobody there is; without it no grants are copied
    name_of: Callable[[str], str | None] | None = None
    grantees: GranteeMap | None = None  # for those whom it knows, in place of name_of; groups, too
    # names and addresses of the person on the source; None: nobody asks whose mail the target holds (kinship.py)
    kin: frozenset[str] | None = None
    copies_notes: bool = False  # what is noted on folders (METADATA), and roles of folders that are there already
    wanted: MessageFilter = ALL_MESSAGES  # the others stay behind, counted; what was copied before stays copied
    duplicates: DuplicatePolicy = DuplicatePolicy.KEEP
    labels: LabelPolicy = LabelPolicy.FOLDERS
    newest_days: int | None = None  # the mail of so many days of all folders goes first, then older mail (windows.py)
    search: str = ""  # keys of an IMAP SEARCH: what it does not hit stays behind (searching.py)
    compare_all_flags: bool = False  # look at every flag, whatever the counters of the source say
    # by which name POP3 programs know a message of INBOX: it is put into a line X-UIDL
    pop_name_of: PopNamer | None = None
    repairs: frozenset[Repair] = frozenset()  # done to what the target refuses as it is, and to nothing else
    repairs_ahead: frozenset[Repair] = frozenset()  # done to every message with the fault, before it is sent
    longest_line: int = LONGEST_LINE  # for the repair of long lines

    def __post_init__(self) -> None:
        if self.longest_line < SHORTEST_LIMIT:
            raise ValueError(f"lines cannot be made shorter than {SHORTEST_LIMIT} octets")
        if self.newest_days is not None and self.newest_days < 1:
            raise ValueError("recent mail is that of one day at least")


class Outcomes(Protocol):
    """Outcomes by UID."""

    def get(self, uid: int, /) -> Outcome | None: ...


class Depth(StrEnum):
    """How closely a source folder must be looked at."""

    NONE = "none"
    CHANGES = "changes"  # what changed since the stored mod-sequence
    FULL = "full"


class Append(NamedTuple):
    """Copy this message."""

    meta: MessageMeta


class CompareFlags(NamedTuple):
    """This message is on the target already: its flags may differ."""

    meta: MessageMeta


class Leave(NamedTuple):
    """Leave this message behind, with its outcome."""

    meta: MessageMeta
    outcome: Outcome


Operation = Append | CompareFlags | Leave


def scan_depth(source: Folder, state: FolderState | None, *, condstore: bool, policy: CopyPolicy) -> Depth:
    """Return how much of ``source`` must be scanned, given what the last complete pass saw.

    CONDSTORE's mod-sequence tells that nothing changed (RFC 7162 §3.1.2.1); without it flags can change unseen.
    """
    if state is None or not state.is_complete or policy.retry_left_behind or policy.compare_all_flags:
        return Depth.FULL
    if state.source_uidvalidity != (source.uidvalidity or 0) or state.totals.get(Outcome.FILTERED):
        return Depth.FULL  # who was not wanted may be wanted now
    if policy.copy_deleted and state.totals.get(Outcome.MARKED_DELETED):
        return Depth.FULL  # the same
    same_counters = (source.uidnext, source.messages) == (state.source_uidnext, state.source_messages)
    tells_changes = condstore and source.highestmodseq is not None and state.source_modseq is not None
    if tells_changes:
        unchanged = same_counters and source.highestmodseq == state.source_modseq
        return Depth.NONE if unchanged else Depth.CHANGES
    if policy.mode is Mode.CATCH_UP and same_counters and source.uidnext is not None:
        return Depth.NONE
    return Depth.FULL


def plan_messages(
    metas: Iterable[MessageMeta],
    *,
    watermark: int,
    above_watermark: Container[int],
    left_behind: Outcomes,
    append_limit_bytes: int | None,
    policy: CopyPolicy,
    unrecorded: Container[int] = frozenset(),
) -> Iterator[Operation]:
    """Decide for each message of one folder; ``left_behind`` are the recorded ones that are not on the target.

    ``unrecorded`` are those below the watermark that no record knows: the source did not list them before.
    """
    for meta in metas:
        if (meta.uid <= watermark and meta.uid not in unrecorded) or meta.uid in above_watermark:
            outcome = left_behind.get(meta.uid)
            if outcome is None:
                yield CompareFlags(meta)
                continue
            if not _tries_again(meta, outcome, policy):
                continue
        if DELETED in meta.flags and not policy.copy_deleted:
            yield Leave(meta, Outcome.MARKED_DELETED)
        elif policy.wanted.leaves_out(meta):
            yield Leave(meta, Outcome.FILTERED)
        elif append_limit_bytes is not None and meta.size_bytes > append_limit_bytes:
            yield Leave(meta, Outcome.TOO_BIG)
        else:
            yield Append(meta)


def _tries_again(meta: MessageMeta, outcome: Outcome, policy: CopyPolicy) -> bool:
    if outcome is Outcome.VANISHED:
        return True  # it is listed: it was only out of sight (replicas that disagree)
    if outcome is Outcome.MARKED_DELETED:
        return policy.copy_deleted or DELETED not in meta.flags
    if outcome is Outcome.FILTERED:
        return not policy.wanted.leaves_out(meta)
    return policy.retry_left_behind


# Marks that some servers and programs put in the place of system flags, as the others spell them.
SPELLINGS: Final = {
    "\\forwarded": "$Forwarded",
    "\\mdnsent": "$MDNSent",
    "\\junk": "$Junk",
    "\\nonjunk": "$NotJunk",
    "\\notjunk": "$NotJunk",
    "\\phishing": "$Phishing",
}


def kept_flags(flags: Flags, permanent: Flags | None) -> Flags:
    """Return the flags a target folder will keep, by its PERMANENTFLAGS (RFC 3501 §7.1; None: all)."""
    return frozenset(name for name in flag_fates(flags, permanent).values() if name is not None)


def flag_fates(flags: Flags, permanent: Flags | None) -> dict[str, str | None]:
    """Return what becomes of each flag: itself, another spelling of a flag that is none of IMAP, None when it is lost.

    What a folder keeps as it is, is never spelled otherwise.
    """
    known = None if permanent is None else {flag.casefold() for flag in permanent}
    return {flag: _fate(flag, known) for flag in flags}


def _fate(flag: str, known: set[str] | None) -> str | None:
    if known is not None and flag.casefold() in known:
        return flag
    name = SPELLINGS.get(flag.casefold(), flag)
    if known is None or name.casefold() in known or ("\\*" in known and not name.startswith("\\")):
        return name
    return None


class Pending:
    """The messages of one folder that wait to be copied, ascending by UID. Packed: 16 octets a message."""

    def __init__(self, table: FlagTable) -> None:
        self._table = table
        self.uid_column = Column()
        self._sizes = Column()
        self._dates = Column("i")
        self._zones = Column("h")
        self._flags = Column("H")

    def __len__(self) -> int:
        return len(self.uid_column)

    @property
    def uids(self) -> array[int]:
        """All UIDs; to be asked for anew once a message was added."""
        return self.uid_column.packed

    def add(self, meta: MessageMeta) -> None:
        """Add one message; UIDs must ascend."""
        self.extend((meta,))

    def extend(self, metas: Sequence[MessageMeta]) -> None:
        """Add many; UIDs must ascend. Column by column: a fifth of the time of one by one."""
        _, uids, sizes, dates, zones, flags = zip(*metas, strict=True)
        if None in dates:
            zones = tuple(_NO_DATE if date is None else zone for date, zone in zip(dates, zones, strict=True))
            dates = tuple(date or 0 for date in dates)
        self.uid_column.extend(uids)
        self._sizes.extend(sizes)
        self._dates.extend(dates)
        self._zones.extend(zones)
        self._flags.extend(tuple(map(self._table.number, flags)))

    def size_bytes(self, at: int) -> int:
        """Return the size the server gave for the message at position ``at``."""
        return self._sizes.packed[at]

    def total_bytes(self) -> int:
        """Return the sum of all sizes."""
        return sum(self._sizes.packed)

    def flags(self, at: int) -> Flags:
        """Return the flags of the message at position ``at``."""
        return self._table.flags(self._flags.packed[at])

    def date(self, at: int) -> tuple[int | None, int]:
        """Return internal date and zone of the message at position ``at``; without a date there is no zone."""
        zone_minutes = self._zones.packed[at]
        return (None, 0) if zone_minutes == _NO_DATE else (self._dates.packed[at], zone_minutes)


_NO_DATE: Final = -(2**15)  # in place of a zone


class FlagTable:
    """Numbers for distinct sets of flags: a mailbox has few."""

    def __init__(self) -> None:
        self._numbers: dict[Flags, int] = {}
        self._sets: list[Flags] = []

    def number(self, flags: Flags) -> int:
        """Return the number of ``flags``, a new one when it is the first such set."""
        found = self._numbers.get(flags)
        if found is None:
            found = self._numbers[flags] = len(self._sets)
            self._sets.append(flags)
        return found

    def flags(self, number: int) -> Flags:
        """Return the set with ``number``."""
        return self._sets[number]
