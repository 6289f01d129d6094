"""Decide what a pass does: which folders need a scan, and what each message needs. Pure: no socket, no clock."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from migrator.mail import DELETED, Flags, Folder, MessageMeta, Outcome
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import FolderState
from migrator.transfer.repairs import LONGEST_LINE, SHORTEST_LIMIT, Repair


class Mode(StrEnum):
    """What a pass may do at the target."""

    STAGE = "stage"  # nobody works on the target yet: flags follow the source
    CATCH_UP = "catch-up"  # the target is live: add what is missing, touch nothing


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
    # names and addresses of the person on the source; None: nobody asks whose mail the target holds (kinship.py)
    kin: frozenset[str] | None = None
    wanted: MessageFilter = ALL_MESSAGES  # the others stay behind, counted; what was copied before stays copied
    compare_all_flags: bool = False  # look at every flag, whatever the counters of the source say
    repairs: frozenset[Repair] = frozenset()  # done to what the target refuses as it is, and to nothing else
    repairs_ahead: frozenset[Repair] = frozenset()  # done to every message with the fault, before it is sent
    longest_line: int = LONGEST_LINE  # for the repair of long lines

    def __post_init__(self) -> None:
        if self.longest_line < SHORTEST_LIMIT:
            raise ValueError(f"lines cannot be made shorter than {SHORTEST_LIMIT} octets")


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
    left_behind: Mapping[int, Outcome],
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
    """The messages of one folder that wait to be copied, ascending by UID. Packed: 30 octets a message."""

    def __init__(self, table: FlagTable) -> None:
        self._table = table
        self.uids = array("Q")
        self._sizes = array("Q")
        self._dates = array("q")
        self._zones = array("h")
        self._flags = array("L")

    def __len__(self) -> int:
        return len(self.uids)

    def add(self, meta: MessageMeta) -> None:
        """Add one message; UIDs must ascend."""
        self.uids.append(meta.uid)
        self._sizes.append(meta.size_bytes)
        self._dates.append(_NO_DATE if meta.internal_date is None else meta.internal_date)
        self._zones.append(meta.zone_minutes)
        self._flags.append(self._table.number(meta.flags))

    def extend(self, metas: Sequence[MessageMeta]) -> None:
        """Add many; UIDs must ascend. Column by column: a fifth of the time of one by one."""
        _, uids, sizes, dates, zones, flags = zip(*metas, strict=True)
        self.uids.extend(uids)
        self._sizes.extend(sizes)
        self._dates.extend(_NO_DATE if date is None else date for date in dates)
        self._zones.extend(zones)
        self._flags.extend(map(self._table.number, flags))

    def size_bytes(self, at: int) -> int:
        """Return the size the server gave for the message at position ``at``."""
        return self._sizes[at]

    def total_bytes(self) -> int:
        """Return the sum of all sizes."""
        return sum(self._sizes)

    def flags(self, at: int) -> Flags:
        """Return the flags of the message at position ``at``."""
        return self._table.flags(self._flags[at])

    def date(self, at: int) -> tuple[int | None, int]:
        """Return internal date and zone of the message at position ``at``."""
        date = self._dates[at]
        return (None if date == _NO_DATE else date), self._zones[at]


_NO_DATE = -(2**63)


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
