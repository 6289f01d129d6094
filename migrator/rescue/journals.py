"""How a night writes its rescue folder: a journal on an account's file, and one that keeps a journal and a file equal.

The journal comes first and the file after it, both before the effect. So a file is at most one write behind; a file
that knows more than its journal shows a journal from a backup, which must not be trusted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.entries import Values
from migrator.errors import MigratorError
from migrator.journal import Entry, EntryStatus, Journal, StepKey
from migrator.rescue.folder import Account, RescueFolder

_NEXT: Final = {
    None: (EntryStatus.BEGUN,),
    EntryStatus.BEGUN: (EntryStatus.DONE, EntryStatus.UNDONE),
    EntryStatus.DONE: (EntryStatus.UNDONE, EntryStatus.BEGUN),
    EntryStatus.UNDONE: (EntryStatus.BEGUN,),
}


class FileJournal:
    """A Journal in an account's file. ``account`` is what the file is to say beside the steps."""

    def __init__(self, folder: RescueFolder, account: Account) -> None:
        self._folder = folder
        self._account = account

    def entries(self) -> list[Entry]:
        """Return the steps of this run. Raises ``rescue.differs`` when another run is not over."""
        found = self._folder.account(self._account.name)
        if found is None:
            return []
        if found.run == self._account.run:
            return list(found.entries)
        if any(entry.status is not EntryStatus.UNDONE for entry in found.entries):
            raise MigratorError("rescue.differs")
        return []

    def begin(self, key: StepKey, saved: Values) -> None:
        self._put(Entry(key, EntryStatus.BEGUN, dict(saved)))

    def done(self, key: StepKey) -> None:
        self._put(replace(self._entry(key), status=EntryStatus.DONE))

    def undone(self, key: StepKey) -> None:
        self._put(replace(self._entry(key), status=EntryStatus.UNDONE))

    def keep_up(self, known: list[Entry]) -> None:
        """Bring the file to what a journal knows. Raises ``rescue.differs`` when the file knows more than that."""
        written = self.entries()
        if written and not _is_current(known, written):
            raise MigratorError("rescue.differs")
        if known != written:
            self.write(known)

    def write(self, entries: list[Entry]) -> None:
        """Put all steps as they stand."""
        self._folder.write_account(replace(self._account, entries=tuple(entries)))

    def _entry(self, key: StepKey) -> Entry:
        return next(entry for entry in self.entries() if entry.key == key)

    def _put(self, changed: Entry) -> None:
        entries = {entry.key: entry for entry in self.entries()}
        self.write(list({**entries, changed.key: changed}.values()))


class PairedJournal:
    """A Journal that writes to ``journal``, which decides, and then to ``file``."""

    def __init__(self, journal: Journal, file: FileJournal) -> None:
        self._journal = journal
        self._file = file

    def entries(self) -> list[Entry]:
        """Return the steps; bring the file up to date. Raises ``rescue.differs`` when the file knows more."""
        known = self._journal.entries()
        self._file.keep_up(known)
        return known

    def begin(self, key: StepKey, saved: Values) -> None:
        self._journal.begin(key, saved)
        self._file.begin(key, saved)

    def done(self, key: StepKey) -> None:
        self._journal.done(key)
        self._file.done(key)

    def undone(self, key: StepKey) -> None:
        self._journal.undone(key)
        self._file.undone(key)


def adopt(account: Account, journal: Journal) -> None:
    """Bring ``journal``, which may come from a backup, to what the rescue folder says of ``account``. Idempotent."""
    known = {entry.key: entry.status for entry in journal.entries()}
    for entry in account.entries:
        status = known.get(entry.key)
        if status is entry.status:
            continue
        if status is not EntryStatus.BEGUN:
            journal.begin(entry.key, entry.saved)
        if entry.status is EntryStatus.DONE:
            journal.done(entry.key)
        elif entry.status is EntryStatus.UNDONE:
            journal.undone(entry.key)


def _is_current(known: list[Entry], written: list[Entry]) -> bool:
    """Tell whether what is written is what is known, or one write behind."""
    now = {entry.key: entry.status for entry in known}
    then = {entry.key: entry.status for entry in written}
    changed = [key for key in now.keys() | then.keys() if now.get(key) is not then.get(key)]
    return not changed or (len(changed) == 1 and now.get(changed[0]) in _NEXT[then.get(changed[0])])
