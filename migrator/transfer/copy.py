"""run_pass(): one walk over an account that copies what is missing and says where every message ended.

The same road serves the first copy, a delta, a catch-up, and going on after a crash: list, compare with the ledger,
look where the ledger cannot know, journal, stream, record.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, cast

from migrator.errors import MigratorError, Patience, Side
from migrator.events import (
    DatesFromHeaders,
    EventSink,
    FlagsLost,
    FlagsRenamed,
    FolderFailed,
    OrderMixed,
    Reconnecting,
    RoomShort,
    Silence,
)
from migrator.limits import Clock, Limits, NeverStop, StopSignal, SystemClock
from migrator.mail import DateOrigin, Flags, Folder, FolderPath, NewFolder, Outcome
from migrator.stores.base import QuotaStore, SourceStore, TargetStore, Trouble
from migrator.transfer import dates, grants, notes, several
from migrator.transfer.dates import Sample
from migrator.transfer.folder_pass import COMMIT_RECORDS, FolderPass, FolderResult
from migrator.transfer.inject import Injection
from migrator.transfer.labels import LabelBook
from migrator.transfer.ledger import Ledger
from migrator.transfer.listing import UNSPEAKABLE_NAME, LeftOutFolder, plan_pass
from migrator.transfer.look import look
from migrator.transfer.plan import CopyPolicy, Depth, kept_flags
from migrator.transfer.room import shortages
from migrator.transfer.several import OpenMore
from migrator.transfer.stream import Stream
from migrator.transfer.terms import PassMemory, Terms

FLAGS_AT_ONCE: Final = 4000  # changes in one send
RECONNECT_SECONDS: Final = (0.0, 1.0, 5.0)  # before the first, second, every further attempt without progress


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass did, and where all messages of the account stand after it."""

    folders: Sequence[FolderResult] = ()
    seconds: float = 0.0
    error: MigratorError | None = None  # what ended the pass early
    is_stopped: bool = False
    is_dry_run: bool = False
    left_out: Sequence[LeftOutFolder] = ()  # folders that are not copied, each with its reason

    @property
    def totals(self) -> Mapping[Outcome, int]:
        """How many messages ended where, over all folders and passes."""
        sums: Counter[Outcome] = Counter()
        for folder in self.folders:
            sums.update(folder.totals)
        return {outcome: count for outcome, count in sorted(sums.items()) if count}

    @property
    def listed(self) -> int:
        """How many messages the source has."""
        return sum(folder.listed for folder in self.folders)

    @property
    def removed(self) -> int:
        """How many recorded messages the source no longer has."""
        return sum(folder.removed for folder in self.folders)

    @property
    def appended(self) -> int:
        """How many messages this pass stored on the target."""
        return sum(folder.appended for folder in self.folders)

    @property
    def size_bytes(self) -> int:
        """How many bytes of messages this pass stored on the target."""
        return sum(folder.appended_bytes for folder in self.folders)

    @property
    def flag_changes(self) -> int:
        """How many messages got other flags on the target."""
        return sum(folder.flag_changes for folder in self.folders)

    @property
    def is_complete(self) -> bool:
        """True when the pass reached its end in every folder."""
        return (
            self.error is None
            and not self.is_stopped
            and not self.is_dry_run
            and all(folder.error is None for folder in self.folders)
        )

    @property
    def is_balanced(self) -> bool:
        """True when every message of the source has exactly one named outcome. Anything else is not done."""
        return self.is_complete and all(folder.is_balanced for folder in self.folders)


def run_pass(
    source: SourceStore,
    target: TargetStore,
    ledger: Ledger,
    *,
    policy: CopyPolicy | None = None,
    sink: EventSink | None = None,
    limits: Limits | None = None,
    stop: StopSignal | None = None,
    clock: Clock | None = None,
    more: OpenMore | None = None,
) -> PassResult:
    """Copy what the target lacks; return where every message stands.

    ``more`` opens one session more on both sides, as often as it is called; a ledger is then used from many threads.
    Safe to repeat at any time: an interrupted pass goes on, a finished one does nothing. Lost lines are taken up again
    a few times; what ends the pass for good stands in ``error``. Raises only what is not a matter of mail servers,
    ``MigratorError`` of the ledger included.
    """
    terms = Terms(
        policy or CopyPolicy(), sink or Silence(), limits or Limits(), stop or NeverStop(), clock or SystemClock()
    )
    memory = PassMemory()
    begun = terms.clock.monotonic()
    in_vain = 0
    planned: _Attempt | None = None
    while True:
        before = memory.settled()
        attempt = _Attempt(source, target, ledger, terms, memory, more)
        error = attempt.run()
        planned = attempt if attempt.folders or planned is None else planned
        in_vain = 0 if memory.settled() > before else in_vain + 1
        is_final = error is None or error.patience is not Patience.NOW or in_vain > terms.limits.reconnects
        is_stopped = attempt.is_stopped or (not is_final and terms.stop.is_set())
        if is_final or is_stopped:
            failure = error if is_final else None  # who stops it need not hear of a line that would be taken up again
            return planned.conclude(failure, is_stopped, terms.clock.monotonic() - begun)
        assert error is not None
        terms.sink.emit(Reconnecting(error=error, attempt=in_vain))
        source.drop()
        target.drop()
        terms.clock.wait(RECONNECT_SECONDS[min(in_vain, len(RECONNECT_SECONDS) - 1)])


@dataclass(eq=False)
class _Attempt:
    """From listing both sides to the last commit, or to the first thing that ends it."""

    source: SourceStore
    target: TargetStore
    ledger: Ledger
    terms: Terms
    memory: PassMemory
    more: OpenMore | None = None
    folders: list[FolderPass] = field(default_factory=list)
    left_out: list[LeftOutFolder] = field(default_factory=list)
    labels: LabelBook | None = None
    is_stopped: bool = False

    def run(self) -> MigratorError | None:
        """Work; return what ended it early, None at the end. Folders with an error of their own do not end it."""
        try:
            plan = plan_pass(self.source, self.target, self.ledger, self.terms, self.memory)
            self.folders, self.left_out, self.labels = plan
            self._compare_room()
            if not self.terms.policy.dry_run:
                self._carry_out()
        except MigratorError as error:
            if error.code.startswith("ledger."):
                raise
            return error
        return self._first_restart()

    def conclude(self, error: MigratorError | None, is_stopped: bool, seconds: float) -> PassResult:
        """Return what the pass came to, and tell of the folders that failed."""
        results = [folder.result() for folder in self.folders]
        results += [_unspeakable(folder) for folder in self.left_out if folder.reason == UNSPEAKABLE_NAME]
        for result in results:
            if result.error is not None:
                self.terms.sink.emit(FolderFailed(folder=result.source.display, error=result.error))
        left_out = [folder for folder in self.left_out if folder.reason != UNSPEAKABLE_NAME]
        return PassResult(results, seconds, error, is_stopped, self.terms.policy.dry_run, left_out)

    def _compare_room(self) -> None:
        """Tell, once a pass, when the target has not the room for what is planned. What fits is copied all the same."""
        waiting = [folder.pending for folder in self.folders if folder.error is None and len(folder.pending)]
        target = self.target
        if not waiting or self.memory.has_compared_room or not target.features.has_quota:
            return
        self.memory.has_compared_room = True
        messages, size_bytes = sum(map(len, waiting)), sum(pending.total_bytes() for pending in waiting)
        for short in shortages(cast(QuotaStore, target).quotas(), messages=messages, size_bytes=size_bytes):
            self.terms.sink.emit(RoomShort(resource=short.resource, needed=short.needed, free=short.free))

    def _carry_out(self) -> None:
        self._open_targets()
        notes.copy(self.source, self.target, self.folders, self.terms, self.memory)
        self._journal()
        is_first = not any(folder.state.totals for folder in self.folders)
        sample = self._stream()
        if is_first and sample is not None and not self.target.features.keeps_internal_date:
            dates.probe(self.target, sample, self.terms.sink)
        if self.terms.stop.is_set() and any(folder.has_work for folder in self.folders):
            self.is_stopped = True
            return
        self._place_copied()
        self._set_flags()
        self._settle_labels()
        self._finish()

    def _stream(self) -> Sample | None:
        """Carry over what waits; return a sample of what was stored last."""
        kind = Stream if self.target.features.reads_back else Injection
        may_share = kind is Stream and not self.source.features.names_messages

        def make(source: SourceStore, target: TargetStore, folders: Sequence[FolderPass], terms: Terms) -> Stream:
            return kind(source, target, self.ledger, folders, terms, self.memory)

        more = self.more if may_share else None
        return several.carry(make, self.source, self.target, self.folders, self.terms, more)

    def _first_restart(self) -> MigratorError | None:
        """Return the error of a folder that a new attempt would mend (renumbered, removed meanwhile)."""
        errors = (folder.error for folder in self.folders if folder.error is not None)
        return next((error for error in errors if error.patience is Patience.NOW), None)

    def _open_targets(self) -> None:
        """Create, subscribe and open in one send every target folder that is missing or will be written to."""
        sound = [folder for folder in self.folders if folder.error is None]
        given = grants.collect(self.source, sound, self.terms, self.memory)
        wanted = [folder for folder in sound if _needs_opening(folder) or given.get(folder.key)]
        requests = [
            NewFolder(
                folder.target_path,
                folder.listed_target is None,
                folder.source.subscribed and not (folder.listed_target and folder.listed_target.subscribed),
                folder.special_use,
                given.get(folder.key, ()),
            )
            for folder in wanted
        ]
        opened = self.target.ensure_folders(requests) if requests else []
        self.memory.grant_tries = 0
        for folder, answer in zip(wanted, opened, strict=True):
            if isinstance(answer, Trouble):
                folder.error = answer.error
            else:
                self.memory.opened[folder.key] = folder.target_path.raw
                grants.tell(folder.source, answer.lost_grants, self.terms.sink)
                _adopt_target(folder, answer)
        refused = next((f.error for f in wanted if f.error is not None and f.error.code == "folder.bad_name"), None)
        if refused is not None and not self.memory.is_cautious:
            # Only CREATE tells what a server really refuses: once more, with names that all servers take.
            self.memory.is_cautious = True
            raise MigratorError("folder.bad_name", reply=refused.reply, side=Side.TARGET, patience=Patience.NOW)

    def _journal(self) -> None:
        """Note where our appends begin, before the first."""
        states = []
        for folder in self.folders:
            if folder.error is None and folder.has_work and folder.target is not None:
                uidnext = folder.target.uidnext or 1
                state = folder.state
                folder.state = replace(
                    state,
                    is_complete=False,
                    intent_uidnext=min(folder.look_from or uidnext, folder.looked_to or uidnext, uidnext),
                    ours_from=uidnext if state.ours_from is None else state.ours_from,
                )
                states.append(folder.state)
        if states:
            self.ledger.begin(states)

    def _place_copied(self) -> None:
        """Find out where copies are whose place the server did not tell."""
        if not self.target.features.reads_back:
            return
        homeless = [folder for folder in self.folders if folder.has_homeless and folder.error is None]
        for folder in homeless:
            folder.look_again(folder.state.intent_uidnext or 1)
        if homeless:
            look(self.target, homeless)

    def _set_flags(self) -> None:
        """Set the flags that differ, of all folders in one send, as long as there are not very many."""
        changes: dict[FolderPath, dict[int, Flags]] = {}
        held = 0
        for folder in self.folders:
            for uid, flags in _flags_to_set(folder):
                if folder.error is not None:
                    break
                changes.setdefault(folder.target_path, {})[uid] = flags
                held += 1
                if held == FLAGS_AT_ONCE:
                    self._send_flags(changes)
                    changes, held = {}, 0
        self._send_flags(changes)

    def _send_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> None:
        by_path = {folder.target_path.raw: folder for folder in self.folders}
        for path, wanted in changes.items():
            by_path[path.raw].tally.flag_changes += len(wanted)
        for trouble in self.target.set_flags(changes) if changes else ():
            by_path[trouble.path.raw].error = trouble.error

    def _settle_labels(self) -> None:
        """Count the messages that are copied at another of their places, now that these have their outcomes."""
        for folder in self.folders if self.labels else ():
            for _ in self.labels.settle(folder) if self.labels and folder.elsewhere and folder.error is None else ():
                leaves, rows, resolved = folder.drain()
                self.ledger.commit(leaves=leaves, states=[folder.state], left_behind=rows, resolved=resolved)

    def _finish(self) -> None:
        """Close every folder whose messages are all settled, and write it down."""
        leaves, rows, resolved, states = [], [], [], []
        for folder in self.folders:
            is_settled = not (folder.has_work or folder.elsewhere)
            if folder.error is not None or not is_settled or (folder.depth is Depth.NONE and not folder.resolved):
                continue
            self._note_foreign(folder)
            more_leaves, more_rows, more_resolved = folder.drain()
            leaves += more_leaves
            rows += more_rows
            resolved += more_resolved
            folder.finish()
            states.append(folder.state)
            for flag, messages in sorted(folder.lost_flags.items()):
                self.terms.sink.emit(FlagsLost(folder=folder.source.path.display, flag=flag, messages=messages))
            for (flag, name), messages in sorted(folder.renamed_flags.items()):
                place = folder.source.path.display
                self.terms.sink.emit(FlagsRenamed(folder=place, flag=flag, target=name, messages=messages))
            self._tell_dates(folder)
        if states:
            self.ledger.commit(leaves=leaves, states=states, left_behind=rows, resolved=resolved)

    def _note_foreign(self, folder: FolderPass) -> None:
        """Write down what nobody claimed, and places that were found; what is too much for one commit, in several."""
        remaining = folder.candidates.remaining() if folder.look_from is not None else iter(())
        is_first, foreign = folder.knowledge is None and folder.tally.appended > 0, 0
        while True:
            part = list(islice(remaining, COMMIT_RECORDS))
            folder.note_foreign(part)
            foreign += len(part)
            if len(part) < COMMIT_RECORDS and not folder.has_many_placed:
                if is_first and foreign:
                    self.terms.sink.emit(OrderMixed(folder=folder.source.path.display, messages=foreign))
                return
            leaves, rows, resolved = folder.drain()
            self.ledger.commit(leaves=leaves, states=[folder.state], left_behind=rows, resolved=resolved)

    def _tell_dates(self, folder: FolderPass) -> None:
        if folder.date_origins:
            numbers = {origin.value: folder.date_origins[origin] for origin in DateOrigin}
            self.terms.sink.emit(DatesFromHeaders(folder=folder.source.path.display, **numbers))


def _unspeakable(folder: LeftOutFolder) -> FolderResult:
    """A folder whose name cannot go onto the wire is not a matter of taste: its mail waits for a person."""
    error = MigratorError("folder.bad_name", side=Side.SOURCE, reply=repr(folder.source.raw))
    return FolderResult(folder.source, folder.source, folder.messages or 0, {}, 0, error=error)


def _needs_opening(folder: FolderPass) -> bool:
    listed = folder.listed_target
    to_subscribe = folder.source.subscribed and not (listed and listed.subscribed)
    return listed is None or folder.has_work or bool(folder.flag_changes) or to_subscribe


def _adopt_target(folder: FolderPass, opened: Folder) -> None:
    """Take what the opened folder says; one that was renumbered since it was listed must be looked at anew."""
    state = folder.state
    appeared = folder.listed_target is None and opened.messages != 0
    if appeared or (state.target_uidvalidity and state.target_uidvalidity != opened.uidvalidity):
        folder.error = MigratorError("folder.changed")
        return
    if folder.listed_target is None:
        folder.looked_to = opened.uidnext or folder.looked_to
    folder.target = opened
    folder.state = replace(state, target_uidvalidity=opened.uidvalidity or 0)


def _flags_to_set(folder: FolderPass) -> Iterator[tuple[int, Flags]]:
    permanent = folder.target.permanent_flags if folder.target else None
    for uid, change in folder.flag_changes.items():
        flags = kept_flags(change.wanted, permanent)
        if flags != change.present:
            yield uid, flags
