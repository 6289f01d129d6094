"""Read a live target again and compare it with what a ledger or a manifest says it got. The source is not needed.

People work there meanwhile: what they removed or received is named and counted, and is not a fault of the copy. That a
message which is there is another one than was copied is.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from migrator.errors import N_, MigratorError
from migrator.events import EventSink, Progress, Silence
from migrator.mail import Folder, FolderPath, MessageMeta, Outcome
from migrator.packed import Column
from migrator.scratch import Hashes
from migrator.stores.base import ReadRequest, ScanRequest, Store, Trouble
from migrator.transfer.ledger import FolderState, Leaf
from migrator.transfer.match import identities
from migrator.transfer.uid_map import UidMap
from migrator.transfer.verify import VerifyLevel

MOST_FINDINGS: Final = 1000  # that are named one by one; all are counted


class Change(StrEnum):
    """How a target differs from what was copied there."""

    GONE = "gone"
    EXTRA = "extra"
    FOLDER_GONE = "folder_gone"
    RENUMBERED = "renumbered"
    UNPLACED = "unplaced"
    DATE = "date"
    CONTENT = "content"
    UNREADABLE = "unreadable"


SENTENCES: Final[Mapping[Change, str]] = {
    Change.GONE: N_("Message {uid} is not there any more."),
    Change.EXTRA: N_("Message {uid} was not copied there: it came since, or was there before."),
    Change.FOLDER_GONE: N_("The folder is not there any more."),
    Change.RENUMBERED: N_("The folder was made anew or numbered anew: its messages cannot be told apart any more."),
    Change.UNPLACED: N_("Of {uid} copied messages nobody knows which they are."),
    Change.DATE: N_("Message {uid} has another date than the one that was copied."),
    Change.CONTENT: N_("Message {uid} has another content than the one that was copied."),
    Change.UNREADABLE: N_("Message {uid} cannot be read."),
}
# What the people may have done whose mailbox it is.
BY_PEOPLE: Final = frozenset({Change.GONE, Change.EXTRA, Change.FOLDER_GONE, Change.RENUMBERED, Change.UNPLACED})


class Difference(NamedTuple):
    """One difference. ``uid`` is the target message's; for UNPLACED it is how many."""

    folder: FolderPath
    change: Change
    uid: int = 0
    error: MigratorError | None = None

    @property
    def sentence(self) -> str:
        """What differs, for people; with the server's own words where it spoke."""
        text = SENTENCES[self.change].format(uid=self.uid)
        return f"{text} {self.error.sentence} [{self.error.reply}]" if self.error else text


@dataclass(slots=True)
class Recheck:
    """What was looked at, and what differs."""

    level: VerifyLevel
    folders: int = 0
    expected: int = 0  # messages that should be there
    found: int = 0  # of these
    read: int = 0  # of these, every byte
    counts: Counter[Change] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True when nothing differs."""
        return not self.counts

    @property
    def is_faithful(self) -> bool:
        """True when nothing differs but what people may have done."""
        return set(self.counts) <= BY_PEOPLE

    def find(self, difference: Difference, count: int = 1) -> None:
        """Note a difference."""
        self.counts[difference.change] += count
        if len(self.differences) < MOST_FINDINGS:
            self.differences.append(difference)


def recheck(
    target: Store,
    folders: Iterable[tuple[FolderState, Iterable[Leaf]]],
    *,
    level: VerifyLevel,
    sink: EventSink | None = None,
) -> Recheck:
    """Compare ``target`` with the leaves of each folder; write nothing. Folders are taken one by one: flat memory.

    Level *counts* compares numbers of messages alone, *ledger* each message's presence and date, *digest* its content
    too. Raises ``MigratorError`` of radius account or wider.
    """
    there = {folder.path.raw: folder for folder in target.folders()}
    report = Recheck(level)
    for state, leaves in folders:
        if state.target:
            _Folder(target, state, there.get(state.target), report, sink or Silence()).run(leaves)
    return report


class _Folder:
    """One folder: what should be there (packed: 17 octets a message), and what is."""

    def __init__(
        self, target: Store, state: FolderState, there: Folder | None, report: Recheck, sink: EventSink
    ) -> None:
        self._target, self._state, self._there, self._report, self._sink = target, state, there, report, sink
        self._path = there.path if there else FolderPath(state.target)
        self._places = UidMap()  # target UID -> position in what follows
        self._dates = Column("i")
        self._is_dated = bytearray()
        self._hashes = Hashes()
        self._unplaced: set[int] = set()

    def run(self, leaves: Iterable[Leaf]) -> None:
        self._load(leaves)
        expected = len(self._places)
        self._report.folders += 1
        self._report.expected += expected + len(self._unplaced)
        if not expected and not self._unplaced:
            return
        if self._there is None or self._there.uidvalidity != self._state.target_uidvalidity:
            change = Change.RENUMBERED if self._there else Change.FOLDER_GONE
            self._report.find(Difference(self._path, change), expected + len(self._unplaced))
            return
        if self._unplaced:
            self._report.find(Difference(self._path, Change.UNPLACED, len(self._unplaced)), len(self._unplaced))
        if self._report.level is VerifyLevel.COUNTS:
            self._count(expected)
            return
        found = self._scan()
        if self._report.level is VerifyLevel.DIGEST:
            self._read(found)

    def _load(self, leaves: Iterable[Leaf]) -> None:
        now = (self._state.source_uidvalidity, self._state.target_uidvalidity)
        for leaf in leaves:
            if (leaf.source_uidvalidity, leaf.target_uidvalidity) != now:
                continue
            for record in leaf.records():
                if record.outcome is None or not record.outcome.is_on_target:
                    continue
                if not record.target_uid:
                    self._unplaced.add(record.uid)
                    continue
                self._unplaced.discard(record.uid)
                self._places.put(record.target_uid, len(self._dates))
                self._is_dated.append(record.outcome is not Outcome.ALREADY_THERE and record.internal_date is not None)
                self._dates.append(record.internal_date or 0)
                self._hashes.append(record.canonical)

    def _count(self, expected: int) -> None:
        there = (self._there.messages if self._there else None) or 0
        self._report.found += min(there, expected)
        if there < expected:
            self._report.find(Difference(self._path, Change.GONE), expected - there)

    def _scan(self) -> array[int]:
        """Look at every message; return the target UIDs of those that should be there and are."""
        found = array("Q")
        for item in self._target.scan([ScanRequest(self._path, self._state.target_uidvalidity)]):
            if isinstance(item, Trouble):
                self._report.find(Difference(self._path, Change.UNREADABLE, 0, item.error))
                return found
            self._look(item, found)
        self._report.found += len(found)
        present = iter(found)
        next_there = next(present, 0)
        for uid in self._places.uids():
            if uid == next_there:
                next_there = next(present, 0)
            else:
                self._report.find(Difference(self._path, Change.GONE, uid))
        return found

    def _look(self, meta: MessageMeta, found: array[int]) -> None:
        at = self._places.get(meta.uid)
        if at is None:
            self._report.find(Difference(self._path, Change.EXTRA, meta.uid))
            return
        found.append(meta.uid)
        if self._is_dated[at] and self._dates[at] != meta.internal_date:
            self._report.find(Difference(self._path, Change.DATE, meta.uid))

    def _read(self, found: array[int]) -> None:
        waiting = 0
        if not found:
            return
        for item in self._target.read([ReadRequest(self._path, found, self._state.target_uidvalidity, found)]):
            if isinstance(item, Trouble):
                self._report.find(Difference(self._path, Change.UNREADABLE, 0, item.error))
                break
            while waiting < len(found) and found[waiting] < item.uid:
                self._report.find(Difference(self._path, Change.UNREADABLE, found[waiting]))
                waiting += 1
            waiting += 1
            self._compare(item.uid, identities(item))
            self._sink.emit(Progress(messages=1, size_bytes=item.size_bytes))
        for uid in found[waiting:]:
            self._report.find(Difference(self._path, Change.UNREADABLE, uid))

    def _compare(self, uid: int, canonicals: tuple[bytes, ...]) -> None:
        at = self._places.get(uid)
        if at is None:
            return
        self._report.read += 1
        if self._hashes[at] not in canonicals:
            self._report.find(Difference(self._path, Change.CONTENT, uid))
