"""Compare a target with what the ledger says of it, by the same walk that copied.

Three levels: *counts* (every source message has an outcome, the target holds as many as were copied), *ledger* (each
copied message is at its UID, with its date and flags), *digest* (each is read again, every byte).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from migrator.errors import MigratorError
from migrator.events import EventSink, Progress, Silence
from migrator.mail import Flags, Folder, FolderPath, MessageMeta, NewFolder, Outcome
from migrator.stores.base import ReadRequest, ScanRequest, SourceStore, TargetStore, Trouble
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Ledger, Record
from migrator.transfer.listing import UNSPEAKABLE_NAME, map_account
from migrator.transfer.match import identities
from migrator.transfer.numbering import list_source
from migrator.transfer.plan import kept_flags


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
    records: dict[int, Record] = field(default_factory=dict)  # by source UID, what is on the target
    flags: dict[int, Flags | None] = field(default_factory=dict)  # by source UID; None where the source has none
    unread: dict[int, int] = field(default_factory=dict)  # target UID -> source UID


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
        states = {state.source: state for state in self._ledger.states()}
        listed = self._target.folders()
        targets = {folder.path.raw: folder for folder in listed}
        folders = list_source(self._source, self._ledger, keep=False)
        left_out = self._left_out(folders, listed)
        for folder in folders:
            if not folder.selectable or folder.path in left_out:
                continue
            state = states.get(folder.path.raw)
            if state is None or state.source_uidvalidity != (folder.uidvalidity or 0):
                self._report.differences.append(Finding(folder.path, 0, Difference.FOLDER_UNKNOWN))
                continue
            there = targets.get(state.target)
            if there is None or there.uidvalidity != state.target_uidvalidity:
                self._report.differences.append(Finding(folder.path, 0, Difference.FOLDER_GONE))
                continue
            yield _Expected(folder, there, state)

    def _left_out(self, folders: Sequence[Folder], listed: Sequence[Folder]) -> frozenset[FolderPath]:
        """Return what the copy leaves out and nobody misses. A name nobody can say stays a matter for a person."""
        mapping = map_account(self._source, self._target, folders, listed, self._ledger, self._rules)
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
            for uid in sorted(set(pair.records) - set(pair.flags)):
                del pair.records[uid]  # removed from the source since: nobody misses it
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
                if record.uid == FOREIGN_UID:
                    continue
                if record.outcome is not None and record.outcome.is_on_target:
                    pair.records[record.uid] = record
                else:
                    pair.records.pop(record.uid, None)
        pair.unread = {record.target_uid: uid for uid, record in pair.records.items() if record.target_uid}

    def _scan_source(self, pairs: Sequence[_Expected]) -> None:
        by_path = {pair.source.path.raw: pair for pair in pairs}
        requests = [ScanRequest(pair.source.path, pair.state.source_uidvalidity) for pair in pairs]
        knows_flags = self._source.features.has_flags
        for item in self._source.scan(requests) if requests else ():
            pair = by_path[item.path.raw]
            if isinstance(item, Trouble):
                self._find(pair, 0, Difference.UNREADABLE, item.error)
            else:
                pair.flags[item.uid] = item.flags if knows_flags else None

    def _permanent_flags(self, pairs: Sequence[_Expected]) -> Mapping[bytes, Flags | None]:
        opened = self._target.ensure_folders([NewFolder(pair.target.path, False, False, None) for pair in pairs])
        return {item.path.raw: item.permanent_flags for item in opened if isinstance(item, Folder)}

    def _compare_message(self, pair: _Expected, meta: MessageMeta, permanent: Flags | None) -> None:
        uid = pair.unread.get(meta.uid)
        if uid is None:
            return
        record = pair.records[uid]
        self._report.checked += 1
        if record.outcome is not Outcome.ALREADY_THERE and _dates_differ(record, meta):
            self._find(pair, uid, Difference.DATE)
        wanted = pair.flags.get(uid)
        if wanted is not None and kept_flags(wanted, permanent) != meta.flags:
            self._find(pair, uid, Difference.FLAGS)
        pair.unread[meta.uid] = -uid  # seen; stays for the digest level

    def _note_missing(self, pair: _Expected) -> None:
        for uid, record in pair.records.items():
            if not record.target_uid:  # the target took it, and it was not found there afterwards
                self._find(pair, uid, Difference.MISSING)
        for target_uid, uid in list(pair.unread.items()):
            if uid > 0:
                del pair.unread[target_uid]
                if uid in pair.records:
                    self._find(pair, uid, Difference.MISSING)

    def _read(self, pairs: Sequence[_Expected]) -> None:
        by_path = {pair.target.path.raw: pair for pair in pairs}
        requests = [
            ReadRequest(pair.target.path, sorted(pair.unread), pair.state.target_uidvalidity)
            for pair in pairs
            if pair.unread
        ]
        for item in self._target.read(requests) if requests else ():
            pair = by_path[item.path.raw]
            if isinstance(item, Trouble):
                self._find(pair, 0, Difference.UNREADABLE, item.error)
                continue
            uid = -pair.unread.pop(item.uid)
            if uid in pair.records and pair.records[uid].canonical not in identities(item):
                self._find(pair, uid, Difference.CONTENT)
            self._sink.emit(Progress(messages=1, size_bytes=item.size_bytes))
        for pair in pairs:
            for uid in pair.unread.values():
                self._find(pair, -uid, Difference.UNREADABLE)


def _dates_differ(record: Record, meta: MessageMeta) -> bool:
    return record.internal_date is not None and record.internal_date != meta.internal_date
