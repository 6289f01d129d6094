"""One message in many folders (Gmail's labels): which of its places is copied, and which are only counted.

The server tells what is one message, so nothing is guessed from content. All that is found out is found out anew in
each attempt, from lists of all folders; the ledger only knows that a place is counted elsewhere. That is written when
the message itself has its outcome, never before.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final, cast

from migrator.errors import MigratorError, Side
from migrator.events import LabelsHidden, LabelsUnseen
from migrator.mail import Folder, Outcome
from migrator.packed import Column
from migrator.stores.base import LabellingSource, ScanRequest, SourceStore, Trouble
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.folders import FolderRules
from migrator.transfer.ledger import Ledger
from migrator.transfer.plan import CopyPolicy, Depth, LabelPolicy
from migrator.transfer.terms import Terms

ALL: Final = "\\All"
ARCHIVE: Final = "\\Archive"
# What Gmail's settings offer as the most messages that a folder shows by IMAP.
SIZE_LIMITS: Final = frozenset((1000, 2000, 5000, 10_000))
_PART: Final = 4000  # places counted in one commit
_MIX: Final = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio, as Knuth hashes
_ALL_BITS: Final = 2**64 - 1


def as_archive(folders: Sequence[Folder], rules: FolderRules) -> list[Folder]:
    """Let the folder of all mail be the archive: what lies nowhere else was archived. Unless a rule leaves it out."""
    if ALL in rules.skip_roles or any(folder.special_use == ARCHIVE for folder in folders):
        return list(folders)
    return [replace(folder, special_use=ARCHIVE) if folder.special_use == ALL else folder for folder in folders]


def system_prefix(folders: Sequence[Folder]) -> str:
    """Return what the names of the system's own folders begin with (``[Gmail]/``, in some countries another)."""
    for folder in folders:
        if folder.special_use in (ALL, ARCHIVE) and folder.path.separator and len(folder.path.segments) == 2:
            return folder.path.segments[0] + folder.path.separator
    return ""


class IdSet:
    """A set of numbers from 1 to 2**64 - 1, packed: 11 to 22 octets each, where a set of Python takes some 70."""

    def __init__(self) -> None:
        self._bits = 10
        self._slots = array("Q", bytes(8 << self._bits))
        self._count = 0

    def __contains__(self, number: int) -> bool:
        return self._slots[self._slot(number)] == number

    def add(self, number: int) -> None:
        """Add a number; one that is there already stays."""
        at = self._slot(number)
        if self._slots[at] == number:
            return
        self._slots[at] = number
        self._count += 1
        if self._count * 4 > 3 << self._bits:
            self._grow()

    def _slot(self, number: int) -> int:
        """Return where ``number`` stands, or may be put. Numbers that follow each other lie apart."""
        slots, mask = self._slots, (1 << self._bits) - 1
        at = (number * _MIX & _ALL_BITS) >> (64 - self._bits)
        while slots[at] and slots[at] != number:
            at = at + 1 & mask
        return at

    def _grow(self) -> None:
        numbers, self._bits = self._slots, self._bits + 1
        self._slots = array("Q", bytes(8 << self._bits))
        for number in numbers:
            if number:
                self._slots[self._slot(number)] = number


@dataclass(slots=True, eq=False)
class _Places:
    """The messages of one folder, ascending by UID. Packed: 16 octets a message."""

    uids: array[int] = field(default_factory=lambda: array("Q"))
    identities: array[int] = field(default_factory=lambda: array("Q"))
    elsewhere: bytearray = field(default_factory=bytearray)  # 1: the message is copied at another of its places
    deleted: set[int] = field(default_factory=set)  # UIDs that are marked so, and so are no place to copy from

    def at(self, uid: int) -> int | None:
        """Return where ``uid`` stands; None for one that the server did not name."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def is_elsewhere(self, uid: int) -> bool:
        """True when the message with ``uid`` is copied at another of its places."""
        at = self.at(uid)
        return at is not None and bool(self.elsewhere[at])

    def order(self) -> None:
        """Put them in order, where the server did not."""
        if any(a >= b for a, b in pairwise(self.uids)):
            pairs = dict(zip(self.uids, self.identities, strict=True))
            self.uids = array("Q", sorted(pairs))
            self.identities = array("Q", (pairs[uid] for uid in self.uids))
        self.elsewhere = bytearray(len(self.uids))


class LabelBook:
    """Where every message of an account lies, for one attempt."""

    def __init__(self, folders: Sequence[FolderPass], policy: CopyPolicy) -> None:
        self._policy = policy
        self._folders = sorted(folders, key=_rank)
        self._places = {folder.key: _Places() for folder in folders}
        self._unseen: Counter[bytes] = Counter()  # labels without a folder -> messages only in the archive

    def fill(self, source: LabellingSource, listed: Sequence[Folder], terms: Terms) -> None:
        """Ask what lies where, choose the places to copy from, and tell what Gmail's settings hide."""
        by_path = {folder.key: folder for folder in self._folders}
        requests = [ScanRequest(f.source.path, f.state.source_uidvalidity or None) for f in self._folders]
        archived: dict[int, tuple[bytes, ...]] = {}
        names = {folder.path.raw for folder in listed}
        for item in source.identities(requests):
            folder = by_path[item.path.raw]
            if isinstance(item, Trouble):
                folder.error = item.error
                continue
            places = self._places[folder.key]
            places.uids.append(item.uid)
            places.identities.append(item.identity)
            if item.is_deleted and not self._policy.copy_deleted:
                places.deleted.add(item.uid)
            if is_archive(folder) and (unseen := _unseen(item.labels, names)):
                archived[item.uid] = unseen
        self._choose()
        for folder in self._folders:
            folder.lies_elsewhere = self._places[folder.key].is_elsewhere
        self._tell(archived, terms)

    def _choose(self) -> None:
        taken = IdSet()
        for folder in self._folders:
            places = self._places[folder.key]
            places.order()
        left = self._left_behind()
        for folder in self._folders:
            for identity in self._recorded(folder, self._places[folder.key], left):
                taken.add(identity)
        for folder in self._folders:
            places = self._places[folder.key]
            keeps_all = self._policy.labels is LabelPolicy.FOLDERS and not is_archive(folder)
            for at, identity in enumerate(places.identities):
                if identity in taken and not keeps_all:
                    places.elsewhere[at] = 1
                elif places.uids[at] not in places.deleted:
                    taken.add(identity)

    def _left_behind(self) -> IdSet:
        """Return what earlier passes left behind at one of its places, or brought to a target folder that is no more:
        its others are counted, and nowhere is it.
        """
        left = IdSet()
        for folder in self._folders:
            places, gone = self._places[folder.key], folder.knowledge.elsewhere if folder.knowledge else ()
            if not len(folder.left_behind) and not len(gone):
                continue
            for uid, identity in zip(places.uids, places.identities, strict=True):
                if uid in folder.left_behind or uid in gone:
                    left.add(identity)
        return left

    def _recorded(self, folder: FolderPass, places: _Places, left: IdSet) -> Iterator[int]:
        """Yield what earlier passes brought over, or counted at another place that they brought over."""
        known = folder.knowledge
        if known is None:
            return
        for uid, identity in zip(places.uids, places.identities, strict=True):
            if known.is_on_target(uid) or (uid in known.represented and identity not in left):
                yield identity

    def _tell(self, archived: dict[int, tuple[bytes, ...]], terms: Terms) -> None:
        archive = next((folder for folder in self._folders if is_archive(folder)), None)
        if archive is None:
            return
        places = self._places[archive.key]
        for uid, labels in archived.items():
            if not places.is_elsewhere(uid):
                self._unseen.update(labels)
        for label, messages in sorted(self._unseen.items()):
            terms.sink.emit(LabelsUnseen(label=label.decode("utf-8", "replace"), messages=messages))
        biggest = max((folder.source.messages or 0 for folder in self._folders), default=0)
        if biggest in SIZE_LIMITS:
            terms.sink.emit(LabelsHidden(messages=biggest))

    def settle(self, folder: FolderPass) -> Iterator[None]:
        """Count the places of ``folder`` whose messages are copied elsewhere; part by part, for the caller to commit.

        Nothing is counted while another folder is not finished. Where a message vanished from the place that it was to
        be copied from, the folder ends with an error that a new attempt mends.
        """
        others = [other for other in self._folders if other is not folder]
        if any(other.error is not None or other.has_work for other in others):
            return
        if self._is_lost(folder):
            folder.error = MigratorError("folder.changed", side=Side.SOURCE)
            return
        waiting, folder.elsewhere = folder.elsewhere, Column()
        for start in range(0, len(waiting), _PART):
            folder.settle_represented(waiting[start : start + _PART], Outcome.BY_LABEL)
            yield

    def _is_lost(self, folder: FolderPass) -> bool:
        """True when a message that ``folder`` leaves to others is told of by none of them."""
        told = IdSet()
        for other in self._folders:
            if other is not folder:
                self._note_told(other, told)
        places = self._places[folder.key]
        positions = (places.at(uid) for uid in folder.elsewhere)
        return any(at is None or places.identities[at] not in told for at in positions)

    def _note_told(self, folder: FolderPass, told: IdSet) -> None:
        """Add the messages whose outcome ``folder`` tells."""
        places, known = self._places[folder.key], folder.knowledge
        listed = folder.listed if folder.listed is not None else ()
        for uid, identity, elsewhere in zip(places.uids, places.identities, places.elsewhere, strict=True):
            is_recorded = known is not None and known.is_accounted(uid)
            is_gone = folder.left_behind.get(uid) in (Outcome.VANISHED, Outcome.MARKED_DELETED)
            if is_recorded or (not elsewhere and not is_gone and _holds(listed, uid)):
                told.add(identity)


def _holds(uids: Sequence[int], uid: int) -> bool:
    at = bisect_left(uids, uid)
    return at < len(uids) and uids[at] == uid


def is_archive(folder: FolderPass) -> bool:
    """True for the folder of all mail, which ``as_archive`` renamed: Gmail has no archive of its own."""
    return folder.source.special_use == ARCHIVE


def _rank(folder: FolderPass) -> int:
    """INBOX, then what programs show first, then a person's own labels, and all mail last."""
    if folder.source.path.is_inbox:
        return 0
    if is_archive(folder):
        return 3
    return 1 if folder.source.special_use else 2


def _unseen(labels: Sequence[bytes], names: Container[bytes]) -> tuple[bytes, ...]:
    return tuple(label for label in labels if not label.startswith(b"\\") and label not in names)


def open_book(
    source: SourceStore, listed: Sequence[Folder], folders: Sequence[FolderPass], ledger: Ledger, terms: Terms
) -> LabelBook | None:
    """Return the book of an account with labels; None where there are none, or nothing changed anywhere.

    One folder that changed makes all be listed: what it holds may lie in any other.
    """
    if not source.features.has_labels or all(folder.depth is Depth.NONE for folder in folders):
        return None
    if not any(folder.special_use == ALL for folder in listed):
        terms.sink.emit(LabelsHidden(messages=0))
    if terms.policy.labels is LabelPolicy.FOLDERS and not any(map(is_archive, folders)):
        return None  # each folder has its own messages
    for folder in folders:
        folder.depth = Depth.FULL
        folder.recall(ledger)
    book = LabelBook(folders, terms.policy)
    book.fill(cast(LabellingSource, source), listed, terms)
    return book
