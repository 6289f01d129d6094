"""Remove from the source what the ledger proves to be on the target, and nothing else. Nothing here is ever implied.

A message goes only when its copy, read again just now, has the digest that the ledger names, and so has the original.
What shall go is journaled on the disk before the first effect; whether it went is never believed of an answer, it is
looked at: right afterwards, and where that was not possible, before anything else is done with the account.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, cast

from migrator.errors import MigratorError, Patience, Radius, Side
from migrator.events import EventSink, MailRemoved, Reconnecting, Silence
from migrator.limits import Clock, NeverStop, StopSignal, SystemClock
from migrator.mail import DELETED, FolderPath, Message, Outcome
from migrator.stores.base import (
    ReadRequest,
    Removing,
    RemovingSource,
    ScanRequest,
    SourceStore,
    Store,
    TargetStore,
    Trouble,
)
from migrator.transfer.digest import RunningDigest, digest_whole
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Ledger, Record, RemovingLedger
from migrator.transfer.match import identities
from migrator.transfer.numbering import list_source
from migrator.transfer.proof import require_sound
from migrator.transfer.uid_map import UidMap

BATCH_MESSAGES: Final = 500
MOST_TRIES: Final = 4  # in a row, without a message removed between them
_UNREAD: Final = bytes(32)  # the digest of a body that was never read


class Kept(StrEnum):
    """Why a message that is on the target stays in the source, too."""

    UNPLACED = "unplaced"  # nobody knows which of the target's messages it is
    MENDED = "mended"  # the target has it in a repaired form: the original is here only
    BEFORE_US = "before_us"  # the target had it already, and nothing proves that the two are not one
    MARKED = "marked"  # its owner marked it as deleted: that is theirs to finish
    NOT_THERE = "not_there"  # the target does not hand it out any more
    DIFFERS = "differs"  # what is there now has another content
    CHANGED = "changed"  # what is here now has another content
    STAYED = "stayed"  # the server did not remove it


@dataclass(slots=True)
class RemovalReport:
    """What went, and what stayed although it is on the target."""

    removed: int = 0
    kept: Counter[Kept] = field(default_factory=Counter)
    folder_errors: list[tuple[FolderPath, MigratorError]] = field(default_factory=list)
    error: MigratorError | None = None  # what ended it early
    is_stopped: bool = False

    @property
    def is_suspicious(self) -> bool:
        """True when a copy is not what the ledger says: a person must look."""
        return bool(self.kept[Kept.NOT_THERE] or self.kept[Kept.DIFFERS] or self.kept[Kept.CHANGED])


def settle_removals(source: SourceStore, ledger: Ledger, *, clock: Clock | None = None) -> int:
    """Look what became of removals whose end nobody saw, and record it; return how many are gone.

    Must come before a pass: a mark of ours would else be taken for its owner's. Marks that are left are taken off.
    Does nothing where nothing is open. Raises ``MigratorError``.
    """
    if not isinstance(ledger, RemovingLedger):
        return 0
    intended = ledger.intended_removals()
    if not intended:
        return 0
    numbers = {folder.path.raw: folder.uidvalidity for folder in list_source(source, ledger)}
    gone = 0
    for (folder, uidvalidity), uids in intended.items():
        if numbers.get(folder) != uidvalidity:
            # Renumbered or removed as a whole: of these numbers nobody can say anything any more.
            ledger.settle_removals(folder, uidvalidity, gone=(), kept=uids, removed_at=0)
            continue
        gone += len(_settle(source, ledger, FolderPath(folder), uids, uidvalidity, clock or SystemClock()))
    return gone


def count_removals(ledger: Ledger) -> int:
    """Return how many of the messages that folders count as removed were removed here, once they were proved."""
    if not isinstance(ledger, RemovingLedger):
        return 0
    numbers = {state.source: state.source_uidvalidity for state in ledger.states() if state.removed}
    if not numbers:
        return 0
    return sum(
        removal.removed_at is not None and numbers.get(removal.folder) == removal.source_uidvalidity
        for removal in ledger.removals()
    )


def remove_proved(
    source: SourceStore,
    target: TargetStore,
    ledger: Ledger,
    folders: Sequence[FolderPath],
    *,
    sink: EventSink | None = None,
    stop: StopSignal | None = None,
    clock: Clock | None = None,
) -> RemovalReport:
    """Remove from ``folders`` of the source what is proved to be on the target.

    Call it after a pass that is complete and balanced. Safe to repeat, and to be killed anywhere. What ends it early
    stands in ``error``; raises ``MigratorError`` of the ledger only. Lost lines are taken up again a few times.
    """
    work = _Removal(source, target, ledger, sink or Silence(), stop or NeverStop(), clock or SystemClock())
    try:
        work.run(folders)
    except MigratorError as error:
        if error.code.startswith("ledger."):
            raise
        work.report.error = error
    return work.report


class _Copies:
    """The records of one folder that may go, packed, by the UID of the source."""

    def __init__(self) -> None:
        self._positions = UidMap("Q")
        self._targets = array("Q")
        self._hashes = bytearray()
        self._outcomes = bytearray()

    def take(self, record: Record) -> None:
        """Take the next record of the chain: the last one of a message holds."""
        self._positions.put(record.uid, len(self._targets))
        self._targets.append(record.target_uid)
        self._hashes += record.source + record.canonical
        self._outcomes.append(record.outcome or 0)

    def uids(self) -> Iterator[tuple[int, Outcome]]:
        """Yield all UIDs with their outcome, ascending."""
        return ((uid, Outcome(self._outcomes[at])) for uid, at in self._positions.items())

    def _at(self, uid: int) -> int:
        at = self._positions.get(uid)
        assert at is not None
        return at

    def target(self, uid: int) -> int:
        """Return the UID of its copy."""
        return self._targets[self._at(uid)]

    def source_digest(self, uid: int) -> bytes:
        """Return the digest of the literal that was copied, zeros when it was matched without being read."""
        at = self._at(uid) * 64
        return bytes(self._hashes[at : at + 32])

    def canonical(self, uid: int) -> bytes:
        """Return the digest of its canonical form."""
        at = self._at(uid) * 64
        return bytes(self._hashes[at + 32 : at + 64])


class _Removal:
    def __init__(
        self,
        source: SourceStore,
        target: TargetStore,
        ledger: Ledger,
        sink: EventSink,
        stop: StopSignal,
        clock: Clock,
    ) -> None:
        self._source, self._target, self._sink, self._stop, self._clock = source, target, sink, stop, clock
        if not isinstance(ledger, RemovingLedger):
            raise MigratorError("ledger.keeps_no_removals")
        self._ledger: RemovingLedger = ledger
        self.report = RemovalReport()

    def run(self, folders: Sequence[FolderPath]) -> None:
        self._require_means()
        require_sound(self._ledger)
        states = {state.source: state for state in self._ledger.states()}
        known = [(path, states[path.raw]) for path in folders if path.raw in states]
        finished = [(path, state) for path, state in known if state.is_complete and state.target_uidvalidity]
        for _, state in finished:
            self._require_two_mailboxes(state)
        for path, state in finished:
            if self.report.is_stopped:
                return
            self._folder(path, state)

    def _require_means(self) -> None:
        if not self._target.features.reads_back:
            raise MigratorError("removal.unproved", side=Side.TARGET)
        removing = self._source.features.removing
        if removing is None:
            raise MigratorError("removal.not_offered", side=Side.SOURCE)
        self._is_at_end = removing is Removing.AT_END

    def _require_two_mailboxes(self, state: FolderState) -> None:
        """Refuse what looks like one mailbox under two names: we copied nothing there, and all numbers are the same."""
        if state.source_uidvalidity != state.target_uidvalidity or not state.totals.get(Outcome.ALREADY_THERE):
            return
        copies = self._load(state)
        there = [(uid, outcome) for uid, outcome in copies.uids() if outcome.is_on_target]
        if all(outcome is Outcome.ALREADY_THERE and uid == copies.target(uid) for uid, outcome in there):
            raise MigratorError("removal.same_mailbox", reply=FolderPath(state.source).display)

    # One folder

    def _folder(self, path: FolderPath, state: FolderState) -> None:
        tries = 0
        while True:
            before = self.report.removed
            kept = Counter[Kept]()
            try:
                self._walk(path, state, kept)
            except MigratorError as error:
                tries = tries + 1 if self.report.removed == before else 1
                self._source.drop()  # marks that wait for the end of a session are gone with it
                self._target.drop()
                if error.code.startswith(("ledger.", "removal.")):
                    raise
                is_of_folder = error.radius in (Radius.FOLDER, Radius.MESSAGE)
                if not is_of_folder and not self._may_go_on(error, tries):
                    raise
                self.report.removed += settle_removals(self._source, self._ledger, clock=self._clock)
                if is_of_folder:
                    self.report.folder_errors.append((path, error))
                    return
                self._sink.emit(Reconnecting(error=error, attempt=tries))
                state = self._state(path)
                continue
            self.report.kept += +kept
            return

    def _may_go_on(self, error: MigratorError, tries: int) -> bool:
        return error.patience is Patience.NOW and tries < MOST_TRIES and not self._stop.is_set()

    def _state(self, path: FolderPath) -> FolderState:
        return next(state for state in self._ledger.states() if state.source == path.raw)

    def _walk(self, path: FolderPath, state: FolderState, kept: Counter[Kept]) -> None:
        """Go through the folder from its end, so that what was looked at lies above the next batch."""
        copies = self._load(state)
        waiting = self._candidates(path, state, copies, kept)
        most = max(1, len(waiting)) if self._is_at_end else BATCH_MESSAGES
        is_first = True
        for end in range(len(waiting), 0, -most):
            if self._stop.is_set():
                self.report.is_stopped = True
                return
            batch = waiting[max(0, end - most) : end]
            try:
                proved = self._proved(path, state, copies, batch, kept)
            except _FolderTrouble as trouble:
                self.report.folder_errors.append((path, trouble.error))
                return
            if proved:
                self._remove(path, state, copies, proved, kept, looks_first=is_first)
                is_first = False

    def _load(self, state: FolderState) -> _Copies:
        copies = _Copies()
        now = (state.source_uidvalidity, state.target_uidvalidity)
        for leaf in self._ledger.leaves(state.source):
            if (leaf.source_uidvalidity, leaf.target_uidvalidity) == now:
                for record in leaf.records():
                    if record.uid != FOREIGN_UID and record.outcome is not None:
                        copies.take(record)
        return copies

    def _candidates(self, path: FolderPath, state: FolderState, copies: _Copies, kept: Counter[Kept]) -> array[int]:
        """Return the UIDs that the source lists and whose copy has a place, ascending."""
        listed = UidMap("B")
        for item in self._source.scan([ScanRequest(path, state.source_uidvalidity)]):
            if isinstance(item, Trouble):
                self.report.folder_errors.append((path, item.error))
                return array("Q")
            listed.put(item.uid, DELETED in item.flags)
        found = array("Q")
        is_doubtful = self._is_at_end and _may_be_one(state)
        for uid, outcome in copies.uids():
            is_marked = listed.get(uid)
            if is_marked is None or not outcome.is_on_target:
                continue
            reason = self._reason_to_keep(outcome, copies.target(uid), is_marked=bool(is_marked))
            reason = Kept.BEFORE_US if reason is None and is_doubtful else reason
            if reason is None:
                found.append(uid)
            else:
                kept[reason] += 1
        return found

    def _reason_to_keep(self, outcome: Outcome, target_uid: int, *, is_marked: bool) -> Kept | None:
        if is_marked:
            return Kept.MARKED
        if outcome is Outcome.REPAIRED:
            return Kept.MENDED
        if outcome is Outcome.ALREADY_THERE and self._is_at_end:
            return Kept.BEFORE_US  # no mark shows at the target whether the two are one: see _require_other
        return None if target_uid else Kept.UNPLACED

    # Proving

    def _proved(
        self, path: FolderPath, state: FolderState, copies: _Copies, batch: Sequence[int], kept: Counter[Kept]
    ) -> array[int]:
        """Read copies and originals of ``batch``; return the UIDs, ascending, of those that are what was recorded."""
        by_target = {copies.target(uid): uid for uid in batch}
        request = ReadRequest(FolderPath(state.target), sorted(by_target), state.target_uidvalidity)
        there: dict[int, bool] = {}
        for message in _messages(self._target, request):
            uid = by_target[message.uid]
            there[uid] = copies.canonical(uid) in identities(message)
        kept[Kept.NOT_THERE] += len(batch) - len(there)
        kept[Kept.DIFFERS] += sum(not is_same for is_same in there.values())
        faithful = sorted(uid for uid, is_same in there.items() if is_same)
        here = array("Q")
        for message in _messages(self._source, ReadRequest(path, faithful, state.source_uidvalidity)):
            if _is_original(message, copies.source_digest(message.uid), copies.canonical(message.uid)):
                here.append(message.uid)
        kept[Kept.CHANGED] += len(faithful) - len(here)
        return here

    # Removing

    def _remove(
        self,
        path: FolderPath,
        state: FolderState,
        copies: _Copies,
        uids: Sequence[int],
        kept: Counter[Kept],
        *,
        looks_first: bool,
    ) -> None:
        source, uidvalidity = cast(RemovingSource, self._source), state.source_uidvalidity
        self._ledger.intend_removal(path.raw, uidvalidity, uids)
        source.mark(path, uids, uidvalidity)
        if looks_first and not self._is_at_end:
            self._require_other(path, state, copies, uids)
        source.remove_marked(path, uids, uidvalidity)
        gone = _settle(self._source, self._ledger, path, uids, uidvalidity, self._clock)
        self.report.removed += len(gone)
        kept[Kept.STAYED] += len(uids) - len(gone)
        self._sink.emit(MailRemoved(folder=path.display, messages=len(gone)))

    def _require_other(self, path: FolderPath, state: FolderState, copies: _Copies, uids: Sequence[int]) -> None:
        """Look whether the marks just made show at the copies, too: then both sides are one mailbox."""
        last = max(copies.target(uid) for uid in uids)
        request = ScanRequest(FolderPath(state.target), state.target_uidvalidity, after_uid=last - 1)
        for item in self._target.scan([request]):
            if isinstance(item, Trouble):
                raise item.error
            if item.uid == last and DELETED in item.flags:
                cast(RemovingSource, self._source).unmark(path, uids, state.source_uidvalidity)
                self._ledger.settle_removals(path.raw, state.source_uidvalidity, gone=(), kept=uids, removed_at=0)
                raise MigratorError("removal.same_mailbox", reply=path.display)


def _may_be_one(state: FolderState) -> bool:
    """True when the target had most of a folder before us: then it may be the source itself under another name.

    What came to it after a copy that was interrupted is taken for ours, though nobody ever sent it.
    """
    return state.totals.get(Outcome.ALREADY_THERE, 0) >= state.totals.get(Outcome.COPIED, 0)


class _FolderTrouble(Exception):
    """A folder that does not let itself be read; the others go on."""

    def __init__(self, error: MigratorError) -> None:
        super().__init__(error)
        self.error = error


def _messages(store: Store, request: ReadRequest) -> Iterator[Message]:
    if not request.uids:
        return
    trouble = None
    for item in store.read([request]):
        if isinstance(item, Trouble):
            trouble = item.error
        else:
            yield item
    if trouble is not None:
        raise _FolderTrouble(trouble)


def _is_original(message: Message, source_digest: bytes, canonical: bytes) -> bool:
    """True when the source gives what was copied. What was matched without being read is known by its content alone."""
    if source_digest == _UNREAD:
        return canonical in identities(message)
    if message.whole is not None:
        return digest_whole(message.whole).source == source_digest
    running = RunningDigest()
    for piece in message.stream or ():
        running.update(piece)
    return running.finish().source == source_digest


def _settle(
    source: SourceStore,
    ledger: RemovingLedger,
    path: FolderPath,
    uids: Sequence[int],
    uidvalidity: int,
    clock: Clock,
) -> Sequence[int]:
    """Look which of ``uids`` (ascending) are gone, take the marks off the others, and record both; return the gone."""
    asked = frozenset(uids)
    there, marked = [], array("Q")
    for item in source.scan([ScanRequest(path, uidvalidity, after_uid=uids[0] - 1)]):
        if isinstance(item, Trouble):
            raise item.error
        if item.uid in asked:
            there.append(item.uid)
            if DELETED in item.flags:
                marked.append(item.uid)
    if marked:
        cast(RemovingSource, source).unmark(path, marked, uidvalidity)
    gone = sorted(asked.difference(there))
    state = next((one for one in ledger.states() if one.source == path.raw), None)
    states = [_without(state, len(gone))] if state and state.source_uidvalidity == uidvalidity and gone else []
    ledger.settle_removals(path.raw, uidvalidity, gone=gone, kept=there, removed_at=int(clock.now()), states=states)
    return gone


def _without(state: FolderState, messages: int) -> FolderState:
    """Count messages as gone from the source: its sums balance without another pass."""
    listed = state.source_messages
    return replace(
        state, removed=state.removed + messages, source_messages=None if listed is None else listed - messages
    )
