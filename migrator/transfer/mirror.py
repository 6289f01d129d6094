"""A ledger turned round: what a copy knows of both mailboxes, as the way back from target to source needs it.

A message that went from source to target is one that the source has already when mail is carried back. Only what the
ledger cannot place is left to a look at the content, as at every first contact. Nothing of the ledger is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from migrator.mail import Outcome
from migrator.transfer.ledger import FIRST_PREVIOUS, FOREIGN_UID, FolderState, Leaf, Ledger, Record
from migrator.transfer.uid_map import UidMap

LEAF_RECORDS: Final = 512
_UNREAD: Final = bytes(32)  # nobody has read the literal at the target


def mirror(ledger: Ledger, onto: Ledger, present: Collection[bytes]) -> None:
    """Write into the empty ledger ``onto`` what ``ledger`` knows, its source taken for the target.

    ``present`` are the raw names that the source lists now: a folder that was renamed there since is known under both
    names. Raises what the ledgers raise.
    """
    by_target: dict[bytes, list[FolderState]] = {}
    for state in ledger.states():
        if state.target_uidvalidity and state.source in present:
            by_target.setdefault(state.target, []).append(state)
    for states in by_target.values():
        if len(states) == 1:
            _mirror_folder(ledger, onto, states[0])
        else:  # nobody knows whose a message of it is: all of it is compared by content
            onto.commit(states=[_state(states[0], 0, FIRST_PREVIOUS, Counter(), 1)])


def _mirror_folder(ledger: Ledger, onto: Ledger, state: FolderState) -> None:
    places = _Places(state, ledger.leaves(state.source))
    records = _mirrored(ledger, state, places)
    tip, leaves, totals = FIRST_PREVIOUS, 0, Counter[Outcome]()
    reached = 1 if places.has_unplaced else state.watermark + 1
    while some := list(islice(records, LEAF_RECORDS)):
        numbers = (state.target_uidvalidity, state.source_uidvalidity)
        leaf = Leaf.seal(state.target, *numbers, leaves, some, tip)
        tip, leaves = leaf.digest, leaves + 1
        totals.update(record.outcome for record in some if record.outcome is not None)
        onto.commit(leaves=[leaf], states=[_state(state, leaves, tip, totals, reached)])
    if not leaves:
        onto.commit(states=[_state(state, leaves, tip, totals, reached)])


class _Places:
    """Where the messages of one folder are on the target, by the last word of its records."""

    def __init__(self, state: FolderState, leaves: Iterable[Leaf]) -> None:
        self._last = UidMap()
        for leaf in leaves:
            if leaf.source_uidvalidity != state.source_uidvalidity:
                continue
            is_placed = leaf.target_uidvalidity == state.target_uidvalidity
            for record in leaf.records():
                if record.uid != FOREIGN_UID and record.outcome is not None and record.outcome.is_on_target:
                    self._last.put(record.uid, record.target_uid if is_placed else 0)

    @property
    def has_unplaced(self) -> bool:
        """True when a message is on the target, and nobody knows which one it is."""
        return not all(self._last.numbers())

    def holds(self, record: Record) -> bool:
        """True for what is said of a message that is on the target, at this very place."""
        return record.uid != FOREIGN_UID and bool(record.target_uid) and self._last.get(record.uid) == record.target_uid


def _mirrored(ledger: Ledger, state: FolderState, places: _Places) -> Iterator[Record]:
    """Yield what is recorded of the messages that have a place, the other way round, each once."""
    done = UidMap("B")
    now = (state.source_uidvalidity, state.target_uidvalidity)
    for leaf in ledger.leaves(state.source):
        if (leaf.source_uidvalidity, leaf.target_uidvalidity) != now:
            continue
        for record in leaf.records():
            if not places.holds(record) or record.target_uid in done:
                continue
            done.put(record.target_uid, 1)
            yield _turned(record)


def _turned(record: Record) -> Record:
    size, date = record.size_bytes, record.internal_date
    if record.outcome is Outcome.REPAIRED:
        # At the source it is as it was before the repair: that stands for its copy, whose content differs.
        return Record(record.target_uid, 0, size, date, Outcome.DUPLICATE, _UNREAD, record.canonical)
    return Record(record.target_uid, record.uid, size, date, Outcome.ALREADY_THERE, _UNREAD, record.canonical)


def _state(state: FolderState, leaves: int, tip: bytes, totals: Counter[Outcome], reached: int) -> FolderState:
    """Return the turned state. Nothing is taken for complete, and each message of it is looked for in the records.

    The intent makes the next pass wait until its target is quiet: an earlier way back may have been cut off there.
    """
    return FolderState(
        source=state.target,
        target=state.source,
        source_uidvalidity=state.target_uidvalidity,
        target_uidvalidity=state.source_uidvalidity,
        target_uidnext=reached,
        intent_uidnext=reached,
        totals=dict(totals),
        leaves=leaves,
        tip=tip,
    )
