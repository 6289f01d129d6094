"""A journal in memory that outlives those who write it, and insists on the order of things."""

from __future__ import annotations

import json
from typing import Final

from migrator.entries import Values
from migrator.journal import Entry, EntryStatus, Owner, StepKey, owner_by
from migrator.testing.faults import FaultPlan

Entries = dict[StepKey, Entry]
_MAY_FOLLOW: Final = {
    EntryStatus.BEGUN: (None, EntryStatus.UNDONE, EntryStatus.DONE),
    EntryStatus.DONE: (EntryStatus.BEGUN,),
    EntryStatus.UNDONE: (EntryStatus.BEGUN, EntryStatus.DONE),
}


class MemoryJournal:
    """A Journal on a dict; what is saved goes through JSON, as it does elsewhere."""

    def __init__(self, rows: Entries | None = None, faults: FaultPlan | None = None) -> None:
        self.rows: Entries = {} if rows is None else rows
        self._faults = faults or FaultPlan()

    @property
    def owner(self) -> Owner:
        """Whose the mailbox is."""
        return owner_by(self.rows.values())

    def entries(self) -> list[Entry]:
        return self._faults.run("journal.entries", lambda: list(self.rows.values()))

    def begin(self, key: StepKey, saved: Values) -> None:
        kept = json.loads(json.dumps(dict(saved)))
        self._faults.run(f"journal.begin.{key.kind}", lambda: self._put(Entry(key, EntryStatus.BEGUN, kept)))

    def done(self, key: StepKey) -> None:
        self._faults.run(f"journal.done.{key.kind}", lambda: self._turn(key, EntryStatus.DONE))

    def undone(self, key: StepKey) -> None:
        self._faults.run(f"journal.undone.{key.kind}", lambda: self._turn(key, EntryStatus.UNDONE))

    def _turn(self, key: StepKey, status: EntryStatus) -> None:
        self._put(Entry(key, status, self.rows[key].saved))

    def _put(self, entry: Entry) -> None:
        before = self.rows.get(entry.key)
        assert (before and before.status) in _MAY_FOLLOW[entry.status], f"{entry.status} after {before}"
        self.rows[entry.key] = entry
