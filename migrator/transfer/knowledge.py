"""What the ledger knows of one folder pair, loaded for the numbering (UIDVALIDITY of both sides) that holds now.

Records of another numbering claim nothing, but their digests spare reading what they name.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import lt

from migrator.mail import Outcome
from migrator.scratch import Scratch, scratch_of_bytes
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Leaf, Record
from migrator.transfer.uid_map import UidMap


def unplaced_records() -> Scratch[Record]:
    """Return a place for records of messages that are on the target, nobody knows where; by source UID."""
    return Scratch(Record.pack, Record.unpack)


@dataclass(slots=True)
class Knowledge:
    """The records of one folder pair. Packed: 8 octets a message."""

    above_watermark: UidMap = field(default_factory=lambda: UidMap("B"))  # recorded source UIDs beyond the watermark
    foreign: Scratch[bytes] = field(default_factory=scratch_of_bytes)  # target UIDs nobody claims -> canonical digest
    unplaced: Scratch[Record] = field(default_factory=unplaced_records)  # on the target, the server did not say where
    elsewhere: UidMap = field(default_factory=lambda: UidMap("B"))  # source UIDs recorded for another target numbering
    represented: UidMap = field(default_factory=lambda: UidMap("B"))  # source UIDs others stand for on the target
    _places: UidMap = field(default_factory=UidMap)  # source UID -> target UID

    @classmethod
    def load(cls, state: FolderState, leaves: Iterable[Leaf]) -> Knowledge:
        """Read the leaves of ``state.source``, oldest first; a later record of the same UID replaces the earlier."""
        known = cls()
        for leaf in leaves:
            if leaf.target_uidvalidity != state.target_uidvalidity:
                if leaf.source_uidvalidity == state.source_uidvalidity:
                    for record in leaf.records():
                        known.elsewhere.put(record.uid, 1)
            elif leaf.source_uidvalidity == state.source_uidvalidity:
                known._take(leaf, state.watermark)
            else:
                for record in leaf.records():
                    if record.target_uid:
                        known.foreign[record.target_uid] = record.canonical
        if known.foreign:
            for target_uid in known._places.numbers():
                known.foreign.pop(target_uid, None)
        return known

    def _take(self, leaf: Leaf, watermark: int) -> None:
        uids, targets, *_ = leaf.columns()
        is_plain = FOREIGN_UID not in uids and all(targets) and _ascend(uids) and not self.unplaced
        if is_plain and uids and uids[-1] <= watermark and self._places.put_ascending(uids, targets):
            return  # as nearly all are
        for record in leaf.records():
            if record.uid == FOREIGN_UID:
                self.foreign[record.target_uid] = record.canonical
                continue
            if record.uid > watermark:
                self.above_watermark.put(record.uid, 1)
            if record.target_uid:
                self._places.put(record.uid, record.target_uid)
                self.unplaced.pop(record.uid, None)
            elif record.outcome in (Outcome.COPIED, Outcome.REPAIRED):
                self.unplaced[record.uid] = record
            elif record.outcome is not None and record.outcome.is_represented:
                self.represented.put(record.uid, 1)

    def claimed(self, from_uid: int) -> UidMap:
        """Return the target UIDs from ``from_uid`` on that records claim."""
        found = UidMap("B")
        for target_uid in self._places.numbers():
            if target_uid >= from_uid:
                found.put(target_uid, 1)
        return found

    def target_uid(self, uid: int) -> int:
        """Return where source message ``uid`` is on the target, 0 when it is not or nobody knows."""
        return self._places.get(uid) or 0

    def is_accounted(self, uid: int) -> bool:
        """True when source message ``uid`` is on the target, or another stands for it there."""
        return self.is_on_target(uid) or uid in self.represented

    def is_on_target(self, uid: int) -> bool:
        """True when source message ``uid`` is on the target, at a place that is known or not."""
        return bool(self.target_uid(uid)) or uid in self.unplaced

    def without_record(self, uids: Sequence[int], *, counts_elsewhere: bool) -> set[int]:
        """Return which of ascending ``uids`` were never placed on the target. Whether they were left behind is not
        known here. ``counts_elsewhere``: a record for another numbering of the target counts as well.
        """
        missing = set(uids).difference(
            _between(self._places.uids(), uids[0], uids[-1]), _between(self.represented.uids(), uids[0], uids[-1])
        )
        if counts_elsewhere:
            missing.difference_update(_between(self.elsewhere.uids(), uids[0], uids[-1]))
        return {uid for uid in missing if uid not in self.unplaced}

    def placed(self) -> Iterator[tuple[int, int]]:
        """Yield (source UID, target UID), ascending by source UID."""
        return self._places.items()


def _ascend(uids: Sequence[int]) -> bool:
    return all(map(lt, uids, uids[1:]))


def _between(uids: array[int], first: int, last: int) -> array[int]:
    return uids[bisect_left(uids, first) : bisect_right(uids, last)]
