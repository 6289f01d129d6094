"""What the ledger knows of one folder pair, loaded for the numbering (UIDVALIDITY of both sides) that holds now.

Records of another numbering claim nothing, but their digests spare reading what they name.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from migrator.mail import Outcome
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Leaf, Record


@dataclass(slots=True)
class Knowledge:
    """The records of one folder pair. Packed: 16 octets a message."""

    above_watermark: set[int] = field(default_factory=set)  # recorded source UIDs beyond the watermark
    foreign: dict[int, bytes] = field(default_factory=dict)  # target UIDs nobody claims -> canonical digest
    unplaced: dict[int, Record] = field(default_factory=dict)  # on the target, but the server did not say where
    elsewhere: array[int] = field(default_factory=lambda: array("Q"))  # recorded for another target numbering, ordered
    _uids: array[int] = field(default_factory=lambda: array("Q"))
    _targets: array[int] = field(default_factory=lambda: array("Q"))

    @classmethod
    def load(cls, state: FolderState, leaves: Iterable[Leaf]) -> Knowledge:
        """Read the leaves of ``state.source``, oldest first; a later record of the same UID replaces the earlier."""
        known = cls()
        for leaf in leaves:
            if leaf.target_uidvalidity != state.target_uidvalidity:
                if leaf.source_uidvalidity == state.source_uidvalidity:
                    known.elsewhere.extend(record.uid for record in leaf.records())
            elif leaf.source_uidvalidity == state.source_uidvalidity:
                known._take(leaf, state.watermark)
            else:
                known.foreign.update((r.target_uid, r.canonical) for r in leaf.records() if r.target_uid)
        known._order()
        if known.foreign:
            for target_uid in known._targets:
                known.foreign.pop(target_uid, None)
        return known

    def _take(self, leaf: Leaf, watermark: int) -> None:
        for record in leaf.records():
            if record.uid == FOREIGN_UID:
                self.foreign[record.target_uid] = record.canonical
                continue
            if record.uid > watermark:
                self.above_watermark.add(record.uid)
            if record.target_uid:
                self._uids.append(record.uid)
                self._targets.append(record.target_uid)
                self.unplaced.pop(record.uid, None)
            elif record.outcome in (Outcome.COPIED, Outcome.REPAIRED):
                self.unplaced[record.uid] = record

    def _order(self) -> None:
        self.elsewhere = array("Q", sorted(set(self.elsewhere)))
        uids = self._uids
        if all(uids[at] < uids[at + 1] for at in range(len(uids) - 1)):
            return  # nearly always: mail is copied in ascending order
        pairs = dict(zip(uids, self._targets, strict=True))
        self._uids = array("Q", sorted(pairs))
        self._targets = array("Q", (pairs[uid] for uid in self._uids))

    def claimed(self, from_uid: int) -> set[int]:
        """Return the target UIDs from ``from_uid`` on that records claim."""
        return {uid for uid in self._targets if uid >= from_uid}

    def target_uid(self, uid: int) -> int:
        """Return where source message ``uid`` is on the target, 0 when it is not or nobody knows."""
        at = bisect_left(self._uids, uid)
        return self._targets[at] if at < len(self._uids) and self._uids[at] == uid else 0

    def without_record(self, uids: Sequence[int], *, counts_elsewhere: bool) -> set[int]:
        """Return which of ascending ``uids`` were never placed on the target. Whether they were left behind is not
        known here. ``counts_elsewhere``: a record for another numbering of the target counts as well.
        """
        missing = set(uids).difference(self.unplaced, _between(self._uids, uids[0], uids[-1]))
        return missing.difference(_between(self.elsewhere, uids[0], uids[-1])) if counts_elsewhere else missing

    def placed(self) -> Iterator[tuple[int, int]]:
        """Yield (source UID, target UID), ascending by source UID."""
        return zip(self._uids, self._targets, strict=True)


def _between(uids: array[int], first: int, last: int) -> array[int]:
    return uids[bisect_left(uids, first) : bisect_right(uids, last)]
