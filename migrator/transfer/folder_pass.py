"""The bookkeeping of one folder pair during a pass: what waits, what is settled, what goes into the next leaf.

No socket here. Every message of the source is settled exactly once; only then does the watermark pass it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from migrator.errors import MigratorError
from migrator.mail import FLAGGED, DateOrigin, Digest, Flags, Folder, FolderPath, Message, MessageMeta, Outcome
from migrator.transfer.knowledge import Knowledge
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Leaf, LeftBehind, Record
from migrator.transfer.match import Candidates
from migrator.transfer.mending import Course, Mended
from migrator.transfer.plan import Depth, FlagTable, Pending, flag_fates, kept_flags
from migrator.transfer.terms import Tally

NO_DIGEST = Digest(bytes(32), bytes(32), 0)


class FlagChange(NamedTuple):
    """Flags a target message shall have, and what it has now (None: not looked)."""

    wanted: Flags
    present: Flags | None


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
    left_behind: dict[int, LeftBehind] = field(default_factory=dict)  # rows of the numbering that holds now
    resolved: list[tuple[bytes, int, int]] = field(default_factory=list)  # rows to remove
    target: Folder | None = None  # once opened
    pending: Pending = field(init=False)
    listed: array[int] | None = None  # source UIDs, after a full scan
    recorded_listed: int = 0  # scanned UIDs that have a record already
    new_listed: int = 0  # scanned UIDs that have none yet
    decided: list[tuple[int, Outcome]] = field(default_factory=list)  # left behind by the plan, not by a server
    compared: list[tuple[int, int]] = field(default_factory=list)  # (source UID, flags number) of recorded messages
    knowledge: Knowledge | None = None
    candidates: Candidates = field(default_factory=Candidates)
    look_from: int | None = None
    looked_to: int = 0  # target UIDs below are recorded, claimed by this pass, or candidates
    flag_changes: dict[int, FlagChange] = field(default_factory=dict)
    loses_flagged: bool = False  # the target must be told of \\Flagged again after the append
    error: MigratorError | None = None
    tally: Tally = field(default_factory=Tally)
    altered: dict[int, set[str]] = field(default_factory=dict)  # UID -> what its refusal made us change
    asked_otherwise: set[int] = field(default_factory=set)  # UIDs that the usual way did not bring
    courses: dict[int, Course] = field(default_factory=dict)  # UID -> how far its repairs are
    mended: dict[int, Mended] = field(default_factory=dict)  # UID -> what was done to it, before it is settled
    unplaced: dict[int, Record] = field(default_factory=dict)
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
        self._own_uids = array("Q")
        self._kept: dict[Flags, Flags] = {}
        self._has_vanished = False

    @property
    def key(self) -> bytes:
        return self.state.source

    @property
    def has_uncommitted(self) -> bool:
        """True while something waits to be written to the ledger."""
        return bool(self._records or self._rows or self.resolved)

    def restart(self) -> None:
        """Forget what was planned, for a scan of another depth."""
        self.pending = Pending(self.table)
        self.listed = None
        self.compared = []
        self.decided = []
        self.recorded_listed = self.new_listed = 0
        self.error = None

    def compare(self, meta: MessageMeta) -> None:
        """Plan to compare the flags of a message that has a record."""
        self.compared.append((meta.uid, self.table.number(meta.flags)))

    def close_plan(self) -> None:
        """Fix the plan: from here on messages are settled, first those that the plan itself leaves behind."""
        self._settled = bytearray(len(self.pending))
        self._fed = bytearray(len(self.pending))
        for uid, outcome in self.decided:
            self.settle_left(uid, outcome)

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
        at = bisect_right(self.pending.uids, uid)
        return self.pending.uids[at] if at < len(self.pending) else None

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
        return self._settled.count(0) > 0

    def position(self, uid: int) -> int:
        """Return where ``uid`` stands in ``pending``; raises KeyError for a UID that was not planned."""
        at = bisect_left(self.pending.uids, uid)
        if at == len(self.pending.uids) or self.pending.uids[at] != uid:
            raise KeyError(uid)
        return at

    def settle_appended(self, messages: Sequence[Message], target_uids: Sequence[int] | None) -> None:
        """Record a stored bundle."""
        for message, target_uid in zip(messages, target_uids or [0] * len(messages), strict=True):
            assert message.digest is not None
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
        self._own_uids.extend(target_uids or ())
        self.tally.appended += len(messages)

    def settle_found(self, uid: int, target_uid: int, size_bytes: int, digest: Digest) -> None:
        """Record a message that the target holds already: our own, when our appends began before its UID."""
        ours = self.state.ours_from is not None and target_uid >= self.state.ours_from
        mended = self.mended.get(uid)
        outcome = Outcome.ALREADY_THERE if not ours else Outcome.REPAIRED if mended else Outcome.COPIED
        self._settle(uid, outcome, target_uid, mended.size_bytes if mended else size_bytes, digest)
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
        self.left_behind[uid] = row

    def _settle(
        self,
        uid: int,
        outcome: Outcome,
        target_uid: int,
        size_bytes: int,
        digest: Digest,
        read_date: int | None = None,
    ) -> Record:
        at = self._next_to_settle
        if at >= len(self.pending.uids) or self.pending.uids[at] != uid:
            at = self.position(uid)
        assert not self._settled[at], "a message is settled once"
        self._settled[at] = 1
        self._next_to_settle = at + 1
        earlier = self.left_behind.pop(uid, None)
        if earlier is not None:
            self._totals[earlier.outcome] -= 1
            self.resolved.append((self.key, self.state.source_uidvalidity, uid))
        self._totals[outcome] += 1
        scanned_date = self.pending.date(at)[0]
        date = read_date if scanned_date is None else scanned_date
        record = Record(uid, target_uid, size_bytes, date, outcome, digest.source, digest.canonical)
        self._records.append(record)
        return record

    def place(self, record: Record, target_uid: int) -> None:
        """Say where a copied message is, once it is found; replaces its record."""
        self._records.append(record._replace(target_uid=target_uid))
        self._own_uids.append(target_uid)
        self._flag_again(record.uid, target_uid)
        self.unplaced.pop(record.uid, None)

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
        """Seal what was settled since the last call and move the state along; the caller commits both together."""
        leaves: list[Leaf] = []
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
        accounted = self.looked_to
        for uid in sorted(self._own_uids):
            if uid == accounted:
                accounted += 1
        return accounted

    def result(self) -> FolderResult:
        """Return what became of this folder."""
        waiting = [at for at, done in enumerate(self._settled) if not done]
        tally = self.tally
        return FolderResult(
            self.source.path,
            self.target_path,
            self.listed_count,
            self.totals(),
            self.removed,
            tally.appended,
            tally.appended_bytes,
            tally.already_there,
            tally.flag_changes,
            len(waiting),
            sum(self.pending.size_bytes(at) for at in waiting),
            self.error,
        )
