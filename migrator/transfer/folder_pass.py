"""The bookkeeping of one folder pair during a pass: what waits, what is settled, what goes into the next leaf.

No socket here. Every message of the source is settled exactly once; only then does the watermark pass it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import FLAGGED, DateOrigin, Digest, Flags, Folder, FolderPath, Message, MessageMeta, Outcome
from migrator.packed import Column
from migrator.scratch import Scratch, scratch_of_numbers
from migrator.transfer.knowledge import Knowledge, unplaced_records
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Leaf, Ledger, LeftBehind, Record
from migrator.transfer.match import Candidates
from migrator.transfer.mending import Course, Mended
from migrator.transfer.per_message import Compared, FlagChange, FlagChanges, LeftOutcomes
from migrator.transfer.plan import Depth, FlagTable, Pending, flag_fates, kept_flags
from migrator.transfer.terms import Tally
from migrator.transfer.uid_map import UidMap

NO_DIGEST = Digest(bytes(32), bytes(32), 0)
COMMIT_RECORDS: Final = 4000  # that one commit should hold at most, where nobody waits for an answer between them


@dataclass(frozen=True, slots=True)
class FolderResult:
    """What became of one source folder, over all passes so far."""

    source: FolderPath
    target: FolderPath
    listed: int  # messages in the source
    totals: dict[Outcome, int]  # where they ended, removed ones included
    removed: int  # recorded once, and no longer in the source
    appended: int = 0  # by this pass
    appended_bytes: int = 0
    already_there: int = 0  # recognised by this pass
    flag_changes: int = 0
    pending: int = 0  # planned by a dry run
    pending_bytes: int = 0
    error: MigratorError | None = None

    @property
    def is_balanced(self) -> bool:
        """True when every message of the source has one named outcome."""
        return self.error is None and sum(self.totals.values()) - self.removed == self.listed


@dataclass(eq=False)
class FolderPass:
    """One folder pair on its way through a pass."""

    source: Folder
    target_path: FolderPath
    state: FolderState
    depth: Depth
    table: FlagTable
    listed_target: Folder | None  # as the target listed it before anything was done
    special_use: str | None = None
    knows_flags: bool = True  # the source has flags; else those on the target are left as they are
    left_behind: LeftOutcomes = field(default_factory=LeftOutcomes)  # of the numbering that holds now
    resolved: list[tuple[bytes, int, int]] = field(default_factory=list)  # rows to remove
    target: Folder | None = None  # once opened
    pending: Pending = field(init=False)
    listed: Column | None = None  # source UIDs, after a full scan
    recorded_listed: int = 0  # scanned UIDs that have a record already
    new_listed: int = 0  # scanned UIDs that have none yet
    decided: Column = field(default_factory=Column)  # UIDs left behind by the plan, not by a server
    found: Sequence[int] | None = None  # the UIDs that a search hit, where only these are wanted
    lies_elsewhere: Callable[[int], bool] | None = None  # tells of a UID whose message is copied from another folder
    elsewhere: Column = field(default_factory=Column)  # counted, once others have their outcome
    compared: Compared = field(default_factory=Compared)
    knowledge: Knowledge | None = None
    candidates: Candidates = field(default_factory=Candidates)
    look_from: int | None = None
    looked_to: int = 0  # target UIDs below are recorded, claimed by this pass, or candidates
    flag_changes: FlagChanges = field(default_factory=FlagChanges)
    loses_flagged: bool = False  # the target must be told of \\Flagged again after the append
    merged: set[int] | None = None  # UIDs that are taken, on a target that makes one message of equal ones
    error: MigratorError | None = None
    tally: Tally = field(default_factory=Tally)
    altered: dict[int, set[str]] = field(default_factory=dict)  # UID -> what its refusal made us change
    asked_otherwise: set[int] = field(default_factory=set)  # UIDs that the usual way did not bring
    courses: dict[int, Course] = field(default_factory=dict)  # UID -> how far its repairs are
    mended: dict[int, Mended] = field(default_factory=dict)  # UID -> what was done to it, before it is settled
    unplaced: Scratch[Record] = field(default_factory=unplaced_records)
    lost_flags: Counter[str] = field(default_factory=Counter)  # flags the target does not keep -> messages
    renamed_flags: Counter[tuple[str, str]] = field(default_factory=Counter)  # flag, its name there -> messages
    date_origins: Counter[DateOrigin] = field(default_factory=Counter)  # where dates are from that no server keeps

    def __post_init__(self) -> None:
        self.pending = Pending(self.table)
        self._settled = bytearray()
        self._fed = bytearray()
        self._cursor = 0
        self._next_to_feed = self._next_to_settle = 0  # where the next UID most likely stands
        self._records: list[Record] = []
        self._rows: list[LeftBehind] = []
        self._totals = Counter(self.state.totals)
        self._totals_before = sum(self.state.totals.values())
        self._own_uids = Column()
        self._outcomes_decided = Column("B")
        self._next_decided = 0
        self._placed = scratch_of_numbers()  # source UIDs of `unplaced`, and the target UIDs that were found
        self._kept: dict[Flags, Flags] = {}
        self._has_vanished = False

    @property
    def key(self) -> bytes:
        return self.state.source

    @property
    def has_uncommitted(self) -> bool:
        """True while something waits to be written to the ledger."""
        return bool(self._records or self._rows or self.resolved or self._placed)

    def recall(self, ledger: Ledger) -> None:
        """Read what the ledger knows of this folder, once."""
        if self.state.leaves and self.knowledge is None:
            self.knowledge = Knowledge.load(self.state, ledger.leaves(self.key))
            self.unplaced = self.knowledge.unplaced

    def restart(self) -> None:
        """Forget what was planned, for a scan of another depth."""
        self.pending = Pending(self.table)
        self.listed = None
        self.compared.clear()
        self.decided, self._outcomes_decided, self.elsewhere = Column(), Column("B"), Column()
        self.recorded_listed = self.new_listed = 0
        self.error = None

    def compare(self, meta: MessageMeta) -> None:
        """Plan to compare the flags of a message that has a record."""
        self.compared.add(meta.uid, self.table.number(meta.flags))

    def decide(self, uid: int, outcome: Outcome) -> None:
        """Plan to leave a pending message behind."""
        self.decided.append(uid)
        self._outcomes_decided.append(outcome)

    def close_plan(self) -> None:
        """Fix the plan: from here on messages are settled, first those that the plan itself leaves behind."""
        if self.listed is not None and len(self.listed) == len(self.pending):
            self.listed = self.pending.uid_column  # all that is listed waits: the same numbers are held once
        self._settled = bytearray(len(self.pending))
        self._fed = bytearray(len(self.pending))
        self.settle_decided()

    @property
    def undecided(self) -> int:
        """How many messages the plan leaves behind that are not settled yet."""
        return len(self.decided) - self._next_decided

    def settle_decided(self) -> None:
        """Settle the next of the messages that the plan leaves behind: not more than one commit should hold."""
        end = min(len(self.decided), self._next_decided + COMMIT_RECORDS)
        for at in range(self._next_decided, end):
            self.settle_left(self.decided[at], Outcome(self._outcomes_decided[at]))
        self._next_decided = end

    def unsettled(self) -> array[int]:
        """Return the UIDs that still wait, ascending."""
        if not any(self._settled):
            return self.pending.uids
        return array("Q", (uid for uid, done in zip(self.pending.uids, self._settled, strict=True) if not done))

    def is_settled(self, uid: int) -> bool:
        """True when the pending message ``uid`` has its outcome."""
        return bool(self._settled[self.position(uid)])

    def feed(self, uid: int) -> int | None:
        """Mark ``uid`` as fed and return its position; None when nobody waits for it: servers repeat themselves."""
        at, uids = self._next_to_feed, self.pending.uids
        if at >= len(uids) or uids[at] != uid:
            at = bisect_left(uids, uid)
            if at == len(uids) or uids[at] != uid:
                return None
        if self._settled[at] or self._fed[at]:
            return None
        self._fed[at] = 1
        self._next_to_feed = at + 1
        return at

    def address(self, message: Message, at: int) -> None:
        """Say where the pending message at ``at`` goes, with which flags and date."""
        message.target = self.target_path
        message.flags = self.kept(self.pending.flags(at))
        date, zone_minutes = self.pending.date(at)
        if date is not None or message.date_origin is None:
            message.internal_date, message.zone_minutes = date, zone_minutes

    def unfeed(self, uids: Iterable[int]) -> None:
        """The target refused these: they may be fed again."""
        for uid in uids:
            self._fed[self.position(uid)] = 0

    def next_after(self, uid: int) -> int | None:
        """Return the pending UID that follows ``uid``, None after the last."""
        uids = self.pending.uids
        at = bisect_right(uids, uid)
        return uids[at] if at < len(uids) else None

    def kept(self, flags: Flags) -> Flags:
        """Return what the opened target folder keeps of ``flags``; counts what it does not."""
        kept = self._kept.get(flags)
        if kept is None:
            kept = self._kept[flags] = kept_flags(flags, self.target.permanent_flags if self.target else None)
        if kept != flags:
            self._count_fates(flags)
        return kept

    def _count_fates(self, flags: Flags) -> None:
        for flag, name in flag_fates(flags, self.target.permanent_flags if self.target else None).items():
            if name is None:
                self.lost_flags[flag] += 1
            elif name != flag:
                self.renamed_flags[flag, name] += 1

    @property
    def has_work(self) -> bool:
        """True while pending messages wait."""
        return self._settled.count(0) > self.undecided

    def position(self, uid: int) -> int:
        """Return where ``uid`` stands in ``pending``; raises KeyError for a UID that was not planned."""
        uids = self.pending.uids
        at = bisect_left(uids, uid)
        if at == len(uids) or uids[at] != uid:
            raise KeyError(uid)
        return at

    def settle_appended(self, messages: Sequence[Message], target_uids: Sequence[int] | None) -> None:
        """Record a stored bundle."""
        for message, target_uid in zip(messages, target_uids or [0] * len(messages), strict=True):
            assert message.digest is not None
            if self._was_merged(target_uid):
                self.settle_twin(message.uid, message.digest)
                self.tally.appended -= 1
                continue
            mended = self.mended.get(message.uid)
            record = self._settle(
                message.uid,
                Outcome.COPIED if mended is None else Outcome.REPAIRED,
                target_uid,
                message.size_bytes if mended is None else mended.size_bytes,
                message.digest,
                message.internal_date,
            )
            if message.date_origin is not None:
                self.date_origins[message.date_origin] += 1
            if mended is not None:
                self._note_mended(message.uid, mended)
            if not target_uid:
                self.unplaced[message.uid] = record
            elif self.loses_flagged and FLAGGED in message.flags:
                self.flag_changes[target_uid] = FlagChange(message.flags, None)
            self.tally.appended_bytes += message.size_bytes
        if target_uids:
            self._own_uids.extend(target_uids)
        self.tally.appended += len(messages)

    def _was_merged(self, target_uid: int) -> bool:
        """True when the target took a message for one that it has, by its own idea of equal."""
        if self.merged is None or not target_uid:
            return False
        is_known = target_uid in self.merged
        self.merged.add(target_uid)
        return is_known

    def settle_twin(self, uid: int, digest: Digest) -> None:
        """Record a message for which an equal one stands."""
        self._settle(uid, Outcome.DUPLICATE, 0, 0, digest)

    def settle_found(self, uid: int, target_uid: int, size_bytes: int, digest: Digest) -> None:
        """Record a message that the target holds already: our own, when our appends began before its UID."""
        ours = self.state.ours_from is not None and target_uid >= self.state.ours_from
        mended = self.mended.get(uid)
        outcome = Outcome.ALREADY_THERE if not ours else Outcome.REPAIRED if mended else Outcome.COPIED
        self._settle(uid, outcome, target_uid, mended.size_bytes if mended else size_bytes, digest)
        if self.merged is not None:
            self.merged.add(target_uid)
        if mended is not None and ours:
            self._note_mended(uid, mended)
        self._own_uids.append(target_uid)
        self.tally.already_there += 1

    def _note_mended(self, uid: int, mended: Mended) -> None:
        row = (self.key, self.state.source_uidvalidity, uid)
        reply = mended.refusal.reply if mended.refusal else ""
        self._rows.append(LeftBehind(*row, Outcome.REPAIRED, mended.names, reply))

    def settle_sent(self, uid: int, size_bytes: int, digest: Digest) -> None:
        """Record a message that was handed over under an earlier numbering, to where nobody tells its place."""
        self.unplaced[uid] = self._settle(uid, Outcome.COPIED, 0, size_bytes, digest)
        self.tally.already_there += 1

    def settle_left(
        self,
        uid: int,
        outcome: Outcome,
        error: MigratorError | None = None,
        digest: Digest | None = None,
        size_bytes: int = 0,
    ) -> None:
        """Record a message that does not get onto the target."""
        self._settle(uid, outcome, 0, size_bytes, digest or NO_DIGEST)
        self._has_vanished |= outcome is Outcome.VANISHED
        row = LeftBehind(
            self.key,
            self.state.source_uidvalidity,
            uid,
            outcome,
            error.code if error else "",
            error.reply if error else "",
        )
        self._rows.append(row)
        self.left_behind[uid] = outcome

    def settle_represented(self, uids: Iterable[int], outcome: Outcome) -> None:
        """Record messages that another message stands for on the target. They are not among those that wait."""
        nobody = bytes(32)
        records = [Record(uid, 0, 0, None, outcome, nobody, nobody) for uid in uids]
        self._records += records
        self._totals[outcome] += len(records)
        for record in records:
            if (earlier := self.left_behind.pop(record.uid)) is not None:
                self._totals[earlier] -= 1
                self.resolved.append((self.key, self.state.source_uidvalidity, record.uid))

    def _settle(
        self,
        uid: int,
        outcome: Outcome,
        target_uid: int,
        size_bytes: int,
        digest: Digest,
        read_date: int | None = None,
    ) -> Record:
        at, uids = self._next_to_settle, self.pending.uids
        if at >= len(uids) or uids[at] != uid:
            at = self.position(uid)
        assert not self._settled[at], "a message is settled once"
        self._settled[at] = 1
        self._next_to_settle = at + 1
        earlier = None if self.left_behind.is_empty else self.left_behind.pop(uid)
        if earlier is not None:
            self._totals[earlier] -= 1
            self.resolved.append((self.key, self.state.source_uidvalidity, uid))
        self._totals[outcome] += 1
        scanned_date = self.pending.date(at)[0]
        date = read_date if scanned_date is None else scanned_date
        record = Record(uid, target_uid, size_bytes, date, outcome, digest.source, digest.canonical)
        self._records.append(record)
        return record

    def homeless(self) -> Iterator[Record]:
        """Yield the records of copied messages whose place nobody knows."""
        return (record for uid, record in self.unplaced.items() if uid not in self._placed)

    def look_again(self, target_uid: int) -> None:
        """Prepare for a look at what this pass itself has stored from ``target_uid`` on."""
        self.compared.clear()
        self.candidates = Candidates()
        self.look_from = target_uid

    def claimed(self, from_uid: int) -> UidMap:
        """Return the target UIDs that the ledger, from ``from_uid`` on, or this pass knows an owner of."""
        claimed = self.knowledge.claimed(from_uid) if self.knowledge else UidMap("B")
        for target_uid in self._own_uids:
            claimed.put(target_uid, 1)
        return claimed

    @property
    def has_homeless(self) -> bool:
        """True while there are such."""
        return len(self.unplaced) > len(self._placed)

    @property
    def has_many_placed(self) -> bool:
        """True while more places were found than one commit should hold."""
        return len(self._placed) > COMMIT_RECORDS

    def place(self, uid: int, target_uid: int) -> None:
        """Say where a copied message is, once it is found; its record is replaced with the next that is drained."""
        self._placed[uid] = target_uid
        self._own_uids.append(target_uid)
        self._flag_again(uid, target_uid)

    def _record_placed(self) -> None:
        """Move on what :meth:`place` told, as much as one commit should hold."""
        for uid in islice(self._placed, COMMIT_RECORDS):
            self._records.append(self.unplaced.pop(uid)._replace(target_uid=self._placed.pop(uid)))

    def _flag_again(self, uid: int, target_uid: int) -> None:
        """Note that a message appended by this pass must be flagged again, now that its place is found."""
        at = bisect_left(self.pending.uids, uid)
        if self.loses_flagged and at < len(self.pending) and self.pending.uids[at] == uid:
            flags = self.pending.flags(at)
            if FLAGGED in flags:
                self.flag_changes[target_uid] = FlagChange(flags, None)

    def note_foreign(self, remaining: Iterable[tuple[int, bytes]]) -> None:
        """Record target messages that no source message claimed, so that they are read only once."""
        known = self.knowledge.foreign if self.knowledge else {}
        for target_uid, canonical in remaining:
            self._own_uids.append(target_uid)
            if target_uid not in known:
                self._records.append(Record(FOREIGN_UID, target_uid, 0, None, None, bytes(32), canonical))

    def drain(self) -> tuple[list[Leaf], list[LeftBehind], list[tuple[bytes, int, int]]]:
        """Seal what was settled since the last call and move the state along; the caller commits both together.

        Of many messages whose place was found only a part: until nothing is uncommitted.
        """
        leaves: list[Leaf] = []
        if self._placed:
            self._record_placed()
        if self._records:
            leaf = Leaf.seal(
                self.key,
                self.state.source_uidvalidity,
                self.state.target_uidvalidity,
                self.state.leaves,
                self._records,
                self.state.tip,
            )
            leaves.append(leaf)
            self.state = replace(self.state, leaves=leaf.number + 1, tip=leaf.digest)
        rows = self._rows
        put = {(row.folder, row.source_uidvalidity, row.uid) for row in rows}
        resolved = [place for place in self.resolved if place not in put]
        self._records, self._rows, self.resolved = [], [], []
        self.state = replace(self.state, watermark=self._advance(), totals=self.totals())
        return leaves, rows, resolved

    def _advance(self) -> int:
        end = self._settled.find(0, self._cursor)
        self._cursor = len(self._settled) if end < 0 else end
        reached = self.pending.uids[self._cursor - 1] if self._cursor else 0
        return max(self.state.watermark, reached)

    def totals(self) -> dict[Outcome, int]:
        """Return how many recorded messages ended where."""
        return {outcome: count for outcome, count in sorted(self._totals.items()) if count}

    @property
    def removed(self) -> int:
        """How many recorded messages the source no longer lists: counted by the scan, not derived from the sum."""
        if self.listed is None:
            return self.state.removed
        return self._totals_before - self.recorded_listed

    @property
    def listed_count(self) -> int:
        """How many messages the source has, by the most exact word there is."""
        return len(self.listed) if self.listed is not None else self.source.messages or 0

    @property
    def changes_add_up(self) -> bool:
        """True when a scan of changes explains the number of messages: nothing was removed unseen."""
        return self._totals_before + self.new_listed - self.state.removed == self.source.messages

    def finish(self) -> None:
        """Close the folder: everything is settled, so the next pass may start from the counters listed now.

        Where messages vanished meanwhile it starts from none: they are looked for once more.
        """
        source = Folder(self.source.path) if self._has_vanished else self.source
        self.state = replace(
            self.state,
            is_complete=True,
            intent_uidnext=None,
            ours_from=None,
            removed=self.removed,
            totals=self.totals(),
            watermark=max(self.state.watermark, self.listed[-1] if self.listed else 0),
            target_uidnext=self._accounted(),
            source_uidnext=source.uidnext,
            source_messages=source.messages,
            source_modseq=source.highestmodseq,
        )

    def _accounted(self) -> int:
        """Return up to where every target UID has a record: others may have stored mail between ours."""
        is_ours = bytearray(len(self._own_uids) + 1)  # from looked_to on; the last one never is
        for uid in self._own_uids:
            if 0 <= (at := uid - self.looked_to) < len(self._own_uids):
                is_ours[at] = 1
        return self.looked_to + is_ours.find(0)

    def result(self) -> FolderResult:
        """Return what became of this folder."""
        totals, tally = Counter(self.totals()), self.tally
        waiting = self._settled.count(0)
        pending_bytes = sum(self.pending.size_bytes(at) for at, done in enumerate(self._settled) if not done)
        for at in range(self._next_decided, len(self.decided)):
            totals[Outcome(self._outcomes_decided[at])] += 1
            pending_bytes -= self.pending.size_bytes(self.position(self.decided[at]))
        return FolderResult(
            self.source.path,
            self.target_path,
            self.listed_count,
            dict(sorted(totals.items())),
            self.removed,
            tally.appended,
            tally.appended_bytes,
            tally.already_there,
            tally.flag_changes,
            waiting - self.undecided,
            pending_bytes,
            self.error,
        )
