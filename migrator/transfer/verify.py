"""Compare a target with what the ledger says of it, by the same walk that copied.

Three levels: *counts* (every source message has an outcome, the target holds as many as were copied), *ledger* (each
copied message is at its UID, with its date and flags), *digest* (each is read again, every byte).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from migrator.errors import MigratorError
from migrator.events import EventSink, Progress, Silence
from migrator.mail import Flags, Folder, FolderPath, MessageMeta, NewFolder, Outcome
from migrator.packed import Column
from migrator.scratch import Hashes
from migrator.stores.base import ReadRequest, ScanRequest, SourceStore, TargetStore, Trouble
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Ledger, Record
from migrator.transfer.listing import UNSPEAKABLE_NAME, map_account
from migrator.transfer.match import identities
from migrator.transfer.numbering import list_source
from migrator.transfer.plan import FlagTable, kept_flags
from migrator.transfer.uid_map import UidMap


class VerifyLevel(StrEnum):
    """How deep a verify goes; each contains the ones before."""

    COUNTS = "counts"
    LEDGER = "ledger"
    DIGEST = "digest"


class Difference(StrEnum):
    """What can differ."""

    FOLDER_UNKNOWN = "folder_unknown"  # a source folder no pass has seen
    FOLDER_GONE = "folder_gone"  # its target is not there, or was renumbered
    UNCOUNTED = "uncounted"  # source messages without an outcome
    TOO_FEW = "too_few"  # the target holds fewer messages than were copied
    MISSING = "missing"
    DATE = "date"
    FLAGS = "flags"
    CONTENT = "content"
    CHAIN = "chain"  # a leaf of the ledger does not hash to what it says
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference. ``uid`` is the source message's, 0 where a folder as a whole differs."""

    folder: FolderPath
    uid: int
    difference: Difference
    error: MigratorError | None = None


@dataclass(slots=True)
class VerifyReport:
    """What a verify looked at and what it found."""

    level: VerifyLevel
    folders: int = 0
    checked: int = 0  # messages compared one by one
    differences: list[Finding] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True when nothing differs."""
        return not self.differences


def verify(
    source: SourceStore,
    target: TargetStore,
    ledger: Ledger,
    *,
    level: VerifyLevel,
    sink: EventSink | None = None,
    rules: FolderRules | None = None,
) -> VerifyReport:
    """Compare; write nothing. Raises ``MigratorError`` of radius account or wider, when a side cannot be asked.

    ``rules`` are those of the copy: nobody expects a folder on the target that the copy left out with a reason.
    A user who works in either mailbox meanwhile makes differences: verify while nobody does.
    """
    return _Verify(source, target, ledger, level, sink or Silence(), rules or FolderRules()).run()


@dataclass(slots=True)
class _Expected:
    """One folder pair as it should be."""

    source: Folder
    target: Folder
    state: FolderState
    copies: _Copies = field(default_factory=lambda: _Copies())


class _Copies:
    """The messages of one folder that are on the target, by their position here. Packed: 31 octets a message."""

    def __init__(self) -> None:
        self.uids = UidMap()  # source UID -> position
        self.places = UidMap()  # target UID -> position
        self.hashes = Hashes()
        self._uids = Column()
        self._dates = Column("i")
        self._is_dated = bytearray()
        self.flags = Column("H")  # number in the table of flags; _UNLISTED, _UNKNOWN
        self.is_seen = bytearray()

    def take(self, record: Record) -> None:
        """Take the next record of the chain: the last one of a message holds."""
        before = self.uids.get(record.uid)
        if before is not None:
            self._uids[before] = _NOBODY  # this position is nobody's any more
        if record.outcome is None or not record.outcome.is_on_target:
            return
        at = len(self._uids)
        self.uids.put(record.uid, at)
        if record.target_uid:
            self.places.put(record.target_uid, at)
        self._uids.append(record.uid)
        self._is_dated.append(record.outcome is not Outcome.ALREADY_THERE and record.internal_date is not None)
        self._dates.append(record.internal_date or 0)
        self.hashes.append(record.canonical)
        self.flags.append(_UNLISTED)
        self.is_seen.append(0)

    def uid(self, at: int) -> int:
        """Return the source UID at a position."""
        return self._uids[at]

    def dates_differ(self, at: int, date: int | None) -> bool:
        """True when the copy should have another date."""
        return bool(self._is_dated[at]) and self._dates[at] != date

    def canonical(self, at: int) -> bytes:
        """Return the hash of the canonical form."""
        return self.hashes[at]

    def wanted(self) -> Iterator[int]:
        """Yield the positions of messages that the source still lists, ascending by UID."""
        return (at for uid, at in self.uids.items() if self._uids[at] == uid and self.flags[at] != _UNLISTED)

    def _is_wanted(self, at: int) -> bool:
        return self._uids[at] != _NOBODY and self.flags[at] != _UNLISTED

    def to_read(self) -> array[int]:
        """Return the target UIDs of messages that the source still lists and that were seen, ascending."""
        return array("Q", (uid for uid, at in self.places.items() if self.is_seen[at] and self._is_wanted(at)))


_NOBODY: Final = 0  # UIDs start at 1
_UNLISTED, _UNKNOWN, _FIRST_FLAGS = 0, 1, 2


class _Verify:
    def __init__(
        self,
        source: SourceStore,
        target: TargetStore,
        ledger: Ledger,
        level: VerifyLevel,
        sink: EventSink,
        rules: FolderRules,
    ) -> None:
        self._source, self._target, self._ledger, self._sink = source, target, ledger, sink
        self._rules = rules
        self._report = VerifyReport(level)
        self._table = FlagTable()

    def run(self) -> VerifyReport:
        pairs = list(self._pairs())
        self._report.folders = len(pairs)
        for pair in pairs:
            self._count(pair)
        if self._report.level is not VerifyLevel.COUNTS:
            self._compare(pairs)
        if self._report.level is VerifyLevel.DIGEST:
            self._read(pairs)
        return self._report

    def _find(self, pair: _Expected, uid: int, difference: Difference, error: MigratorError | None = None) -> None:
        self._report.differences.append(Finding(pair.source.path, uid, difference, error))

    def _pairs(self) -> Iterator[_Expected]:
        states = self._ledger.states()
        by_source = {state.source: state for state in states}
        listed = self._target.folders()
        targets = {folder.path.raw: folder for folder in listed}
        folders = list_source(self._source, self._ledger, keep=False)
        left_out = self._left_out(folders, listed, states)
        for folder in folders:
            if not folder.selectable or folder.path in left_out:
                continue
            state = by_source.get(folder.path.raw)
            if state is None or state.source_uidvalidity != (folder.uidvalidity or 0):
                if state is None or not _is_empty(folder, state):
                    self._report.differences.append(Finding(folder.path, 0, Difference.FOLDER_UNKNOWN))
                continue
            there = targets.get(state.target)
            if there is None or there.uidvalidity != state.target_uidvalidity:
                self._report.differences.append(Finding(folder.path, 0, Difference.FOLDER_GONE))
                continue
            yield _Expected(folder, there, state)

    def _left_out(
        self, folders: Sequence[Folder], listed: Sequence[Folder], states: Sequence[FolderState]
    ) -> frozenset[FolderPath]:
        """Return what the copy leaves out and nobody misses. A name nobody can say stays a matter for a person."""
        mapping = map_account(self._source, self._target, folders, listed, self._ledger, states, self._rules)
        return frozenset(folder.path for folder, reason in mapping.left_out if reason != UNSPEAKABLE_NAME)

    def _count(self, pair: _Expected) -> None:
        recorded = sum(pair.state.totals.values()) - pair.state.removed
        if not pair.state.is_complete or recorded != pair.source.messages:
            self._find(pair, 0, Difference.UNCOUNTED)
        copied = sum(count for outcome, count in pair.state.totals.items() if outcome.is_on_target)
        if pair.target.messages is not None and pair.target.messages < copied:
            self._find(pair, 0, Difference.TOO_FEW)

    def _compare(self, pairs: Sequence[_Expected]) -> None:
        for pair in pairs:
            self._load(pair)
        self._scan_source(pairs)
        permanent = self._permanent_flags(pairs)
        requests = [ScanRequest(pair.target.path, pair.state.target_uidvalidity) for pair in pairs]
        by_path = {pair.target.path.raw: pair for pair in pairs}
        for item in self._target.scan(requests) if requests else ():
            pair = by_path[item.path.raw]
            if isinstance(item, Trouble):
                self._find(pair, 0, Difference.UNREADABLE, item.error)
            else:
                self._compare_message(pair, item, permanent.get(item.path.raw))
        for pair in pairs:
            self._note_missing(pair)

    def _load(self, pair: _Expected) -> None:
        """Take the latest record of every message, checking the chain on the way."""
        previous = None
        for leaf in self._ledger.leaves(pair.state.source):
            if not leaf.is_intact() or (previous is not None and leaf.previous != previous):
                self._find(pair, 0, Difference.CHAIN)
            previous = leaf.digest
            now = (leaf.source_uidvalidity, leaf.target_uidvalidity)
            if now != (pair.state.source_uidvalidity, pair.state.target_uidvalidity):
                continue
            for record in leaf.records():
                if record.uid != FOREIGN_UID:
                    pair.copies.take(record)

    def _scan_source(self, pairs: Sequence[_Expected]) -> None:
        by_path = {pair.source.path.raw: pair for pair in pairs}
        requests = [ScanRequest(pair.source.path, pair.state.source_uidvalidity) for pair in pairs]
        knows_flags = self._source.features.has_flags
        for item in self._source.scan(requests) if requests else ():
            pair = by_path[item.path.raw]
            if isinstance(item, Trouble):
                self._find(pair, 0, Difference.UNREADABLE, item.error)
            else:
                at = pair.copies.uids.get(item.uid)
                if at is not None:
                    number = _FIRST_FLAGS + self._table.number(item.flags) if knows_flags else _UNKNOWN
                    pair.copies.flags[at] = number

    def _permanent_flags(self, pairs: Sequence[_Expected]) -> Mapping[bytes, Flags | None]:
        opened = self._target.ensure_folders([NewFolder(pair.target.path, False, False, None) for pair in pairs])
        return {item.path.raw: item.permanent_flags for item in opened if isinstance(item, Folder)}

    def _compare_message(self, pair: _Expected, meta: MessageMeta, permanent: Flags | None) -> None:
        copies, at = pair.copies, pair.copies.places.get(meta.uid)
        if at is None or copies.uid(at) == _NOBODY:
            return
        uid, number = copies.uid(at), copies.flags[at]
        self._report.checked += 1
        copies.is_seen[at] = 1
        if copies.dates_differ(at, meta.internal_date):
            self._find(pair, uid, Difference.DATE)
        if number >= _FIRST_FLAGS and kept_flags(self._table.flags(number - _FIRST_FLAGS), permanent) != meta.flags:
            self._find(pair, uid, Difference.FLAGS)

    def _note_missing(self, pair: _Expected) -> None:
        """Messages that were not seen: also those that the target took, and that were not found there afterwards."""
        for at in pair.copies.wanted():
            if not pair.copies.is_seen[at]:
                self._find(pair, pair.copies.uid(at), Difference.MISSING)

    def _read(self, pairs: Sequence[_Expected]) -> None:
        by_path = {pair.target.path.raw: pair for pair in pairs}
        waiting = {pair.target.path.raw: pair.copies.to_read() for pair in pairs}
        requests = [
            ReadRequest(pair.target.path, waiting[pair.target.path.raw], pair.state.target_uidvalidity)
            for pair in pairs
            if waiting[pair.target.path.raw]
        ]
        for item in self._target.read(requests) if requests else ():
            pair = by_path[item.path.raw]
            if isinstance(item, Trouble):
                self._find(pair, 0, Difference.UNREADABLE, item.error)
                continue
            at = pair.copies.places.get(item.uid)
            assert at is not None, "a store reads what it was asked for"
            pair.copies.is_seen[at] = 2
            if pair.copies.canonical(at) not in identities(item):
                self._find(pair, pair.copies.uid(at), Difference.CONTENT)
            self._sink.emit(Progress(messages=1, size_bytes=item.size_bytes))
        for pair in pairs:
            for at in pair.copies.wanted():
                if pair.copies.is_seen[at] == 1:
                    self._find(pair, pair.copies.uid(at), Difference.UNREADABLE)


def _is_empty(folder: Folder, state: FolderState) -> bool:
    """Say whether a folder holds nothing and never did.

    A server that keeps the numbering with the first message (mbox) numbers such a folder anew each time.
    """
    return folder.messages == 0 and not any(state.totals.values())
