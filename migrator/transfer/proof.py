"""The balanced account of every message: what a ledger says, and whether it may be believed.

Nothing is taken on trust. The chain of each folder is hashed again, its records are counted again, and both must agree
with what the folder's state, and the rows of messages left behind, say. Whatever does not is a flaw, and has its place.
One folder is looked at after the other; of a message some 45 octets are held, whatever order records come in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from typing import Final, NamedTuple, Protocol

from migrator.errors import N_, MigratorError
from migrator.mail import FolderPath, Outcome
from migrator.transfer.chain import NO_LEAF, Tip
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Leaf, LeftBehind
from migrator.transfer.uid_map import UidMap

MOST_FLAWS: Final = 100  # of a folder; beyond that it is damaged, and more places say no more
_MOST_BROKEN: Final = 32  # leaves kept to find out whether they only changed places


class Flaw(StrEnum):
    """What can be wrong. The values are stored in manifests."""

    LEAF_CHANGED = "leaf_changed"
    LEAF_MISSING = "leaf_missing"
    LEAF_DOUBLED = "leaf_doubled"
    LEAF_MOVED = "leaf_moved"
    LEAF_REPLACED = "leaf_replaced"
    CHAIN_CUT = "chain_cut"
    CHAIN_LONGER = "chain_longer"
    MISCOUNTED = "miscounted"
    CLAIMED_TWICE = "claimed_twice"
    ROW_MISSING = "row_missing"
    ROW_DIFFERS = "row_differs"
    ROW_UNFOUNDED = "row_unfounded"
    UNFINISHED = "unfinished"
    UNSETTLED = "unsettled"
    UNBALANCED = "unbalanced"


SENTENCES: Final[Mapping[Flaw, str]] = {
    Flaw.LEAF_CHANGED: N_("Part {place} of the ledger was changed after it was written."),
    Flaw.LEAF_MISSING: N_("Part {place} of the ledger is missing."),
    Flaw.LEAF_DOUBLED: N_("Part {place} of the ledger is there twice."),
    Flaw.LEAF_MOVED: N_("Part {place} of the ledger stands where another one belongs."),
    Flaw.LEAF_REPLACED: N_("Part {place} of the ledger was replaced: what follows continues another one."),
    Flaw.CHAIN_CUT: N_("The end of the ledger is missing, from part {place} on."),
    Flaw.CHAIN_LONGER: N_("The ledger goes on after its end, with part {place}."),
    Flaw.MISCOUNTED: N_("The records, counted again, are {place} more or fewer than the sums say."),
    Flaw.CLAIMED_TWICE: N_("Two messages are said to be one and the same on the target, number {place} there."),
    Flaw.ROW_MISSING: N_("Message {place} stays behind, and no row names it with its reason."),
    Flaw.ROW_DIFFERS: N_("Message {place} has one outcome in the records and another in its row."),
    Flaw.ROW_UNFOUNDED: N_("A row names message {place} as left behind, and no record does."),
    Flaw.UNFINISHED: N_("The folder was not gone through to its end yet."),
    Flaw.UNSETTLED: N_("Messages vanished while they were copied; one more pass settles the folder."),
    Flaw.UNBALANCED: N_("{place} messages of the source have no outcome, or more than one."),
}
# Another pass mends these; all others say that the ledger itself is not as it was written.
OPEN: Final = frozenset({Flaw.UNFINISHED, Flaw.UNSETTLED, Flaw.UNBALANCED})


class Found(NamedTuple):
    """One flaw. ``place`` is a leaf's number, a UID, or how many messages, as its sentence says."""

    flaw: Flaw
    place: int = 0

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return SENTENCES[self.flaw].format(place=self.place)


@dataclass(frozen=True, slots=True)
class Balance:
    """Where all messages are. ``listed`` are in the source; outcomes count those removed from it since, too."""

    listed: int = 0
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    removed: int = 0
    size_bytes: int = 0  # of what is on the target, as the source gave it

    def __add__(self, other: Balance) -> Balance:
        outcomes = Counter(self.outcomes)
        outcomes.update(other.outcomes)
        return Balance(
            self.listed + other.listed,
            {outcome: count for outcome, count in sorted(outcomes.items()) if count},
            self.removed + other.removed,
            self.size_bytes + other.size_bytes,
        )

    @property
    def recorded(self) -> int:
        """How many messages have an outcome."""
        return sum(self.outcomes.values())

    @property
    def on_target(self) -> int:
        """How many messages the target got or had."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.is_on_target)

    @property
    def missing(self) -> int:
        """How many messages have no outcome; below zero when some have two."""
        return self.listed + self.removed - self.recorded


@dataclass(frozen=True, slots=True)
class FolderProof:
    """One folder, looked at to its end."""

    state: FolderState
    balance: Balance
    records: int = 0
    unplaced: int = 0  # on the target, but no record says where
    foreign: int = 0  # messages of the target that no source message claims
    flaws: Sequence[Found] = ()

    @property
    def is_balanced(self) -> bool:
        """True when each message has exactly one outcome and nothing speaks against it."""
        return not self.flaws

    @property
    def is_sound(self) -> bool:
        """True when the ledger is as it was written, whether or not the folder is finished."""
        return all(found.flaw in OPEN for found in self.flaws)


@dataclass(frozen=True, slots=True)
class AccountProof:
    """All folders of one account, added up."""

    folders: int = 0
    balance: Balance = field(default_factory=Balance)
    records: int = 0
    unplaced: int = 0
    foreign: int = 0
    flaws: Sequence[tuple[bytes, Found]] = ()  # with the raw name of their folder

    def __add__(self, folder: FolderProof) -> AccountProof:
        return AccountProof(
            self.folders + 1,
            self.balance + folder.balance,
            self.records + folder.records,
            self.unplaced + folder.unplaced,
            self.foreign + folder.foreign,
            (*self.flaws, *((folder.state.source, found) for found in folder.flaws)),
        )

    @property
    def is_balanced(self) -> bool:
        """True when every message of every folder has exactly one outcome. An account without a folder has no proof."""
        return self.folders > 0 and not self.flaws

    @property
    def is_sound(self) -> bool:
        """True when the ledger is as it was written."""
        return all(found.flaw in OPEN for _, found in self.flaws)


class Readable(Protocol):
    """What of a ledger a proof reads (see :class:`migrator.transfer.ledger.Ledger`)."""

    def states(self) -> list[FolderState]:
        """Return the state of every folder ever begun."""
        ...

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        """Yield the leaves of one folder by number as they are stored."""
        ...

    def left_behind(self) -> Iterator[LeftBehind]:
        """Yield the rows of messages left behind, by folder and UID."""
        ...


def require_sound(ledger: Readable) -> None:
    """Raise ``MigratorError("ledger.unproved")`` where the ledger is not as it was written: nobody is done by it."""
    proof = prove(ledger)
    if not proof.is_sound:
        folder, found = next(one for one in proof.flaws if one[1].flaw not in OPEN)
        raise MigratorError("ledger.unproved", reply=f"{FolderPath(folder).display}: {found.sentence}")


def prove(ledger: Readable) -> AccountProof:
    """Look at a whole ledger. Flaws are returned, not raised; raises ``MigratorError`` when it cannot be read."""
    proof = AccountProof()
    for state, rows in folders_of(ledger):
        check = FolderCheck(state)
        for leaf in ledger.stored_leaves(state.source):
            check.take(leaf)
        proof += check.close(rows)
    return proof


def folders_of(ledger: Readable) -> Iterator[tuple[FolderState, Iterator[LeftBehind]]]:
    """Yield each folder with its rows, which must be taken before the next is asked for.

    A folder of which there are rows only has a state that says nothing.
    """
    states = {state.source: state for state in ledger.states()}
    waiting = sorted(states)
    for name, rows in groupby(ledger.left_behind(), key=lambda row: row.folder):
        while waiting and waiting[0] < name:
            yield states[waiting.pop(0)], iter(())
        if waiting and waiting[0] == name:
            waiting.pop(0)
        yield states.get(name, FolderState(name, b"", 0)), rows
    for name in waiting:
        yield states[name], iter(())


# Where a record stands that is counted: under the numbering of now, made before the target folder was opened, or under
# another numbering of the target.
_NOW, _BEFORE_OPENING, _ELSEWHERE = 0, 16, 32
_OUTCOME: Final = 15


class FolderCheck:
    """The check of one folder: feed it the stored leaves by number, then close it with the rows of exceptions."""

    def __init__(self, state: FolderState) -> None:
        self.state = state
        self._chain = _ChainCheck(state)
        self._outcomes = UidMap("B")
        self._claims = UidMap()  # target UID -> source UID
        self._twice: list[int] = []
        self._sizes = UidMap()  # of messages on the target
        self._unplaced: set[int] = set()
        self._records = 0
        self._foreign = 0

    def take(self, leaf: Leaf) -> None:
        """Check the next leaf of the chain and count its records."""
        if not self._chain.take(leaf) or leaf.source_uidvalidity != self.state.source_uidvalidity:
            return
        standing = _standing(leaf, self.state)
        columns = leaf.columns()
        self._records += len(columns[0])
        if FOREIGN_UID in columns[0] or not self._take_ascending(columns, standing):
            for uid, target, size, _, outcome in zip(*columns, strict=True):
                self._take_record(uid, target, size, outcome, standing)
        if standing == _NOW:
            self._claim(columns[0], columns[1])

    def close(self, rows: Iterable[LeftBehind] = (), *, has_rows: bool = True) -> FolderProof:
        """Compare with the folder's state and its rows. Without ``has_rows`` nobody knows those."""
        flaws = self._chain.close()
        counted, standings = self._counted()
        if not flaws:
            flaws += [Found(Flaw.MISCOUNTED, self._off(counted))] if self._off(counted) else []
            flaws += [Found(Flaw.CLAIMED_TWICE, uid) for uid in self._twice[:MOST_FLAWS]]
            flaws += self._row_flaws(rows, standings) if has_rows else []
        balance = self._balance()
        return FolderProof(
            self.state,
            balance,
            self._records,
            len(self._unplaced),
            self._foreign,
            (*flaws[:MOST_FLAWS], *self._open(balance)),
        )

    def _take_ascending(self, columns: tuple[Sequence[int], ...], standing: int) -> bool:
        """Take a whole leaf at once, as nearly all are: new UIDs, each above the last."""
        uids, targets, sizes, _, outcomes = columns
        if any(map(_is_not_below, uids, uids[1:])):
            return False
        packed = [outcome & _OUTCOME | standing for outcome in outcomes]
        if not self._outcomes.put_ascending(uids, packed):
            return False
        if not all(targets):
            self._unplaced.update(
                uid for uid, target, outcome in zip(uids, targets, outcomes, strict=True)
                if not target and _is_on_target(outcome)
            )  # fmt: skip
        return self._sizes.put_ascending(uids, sizes)

    def _take_record(self, uid: int, target: int, size: int, outcome: int, standing: int) -> None:
        if uid == FOREIGN_UID:
            self._foreign += standing == _NOW
            return
        before = self._outcomes.get(uid)
        if before is not None and before & ~_OUTCOME < standing:
            return  # what holds now is known already
        self._outcomes.put(uid, outcome & _OUTCOME | standing)
        self._sizes.put(uid, size)
        if target or not _is_on_target(outcome):
            self._unplaced.discard(uid)
        else:
            self._unplaced.add(uid)

    def _claim(self, uids: Sequence[int], targets: Sequence[int]) -> None:
        claims = self._claims
        is_plain = all(targets) and FOREIGN_UID not in uids and not any(map(_is_not_below, targets, targets[1:]))
        if is_plain and claims.put_ascending(targets, uids):
            return
        for uid, target in zip(uids, targets, strict=True):
            if not target or uid == FOREIGN_UID:
                continue
            if claims.get(target) not in (None, uid):
                self._twice.append(target)
            claims.put(target, uid)

    def _counted(self) -> tuple[Counter[int], frozenset[int]]:
        """Return the sums of the records that the state counts, and where those stand.

        A numbering that changed starts the sums anew; at a live target they go on, with records of both numberings.
        """
        numbers = Counter(self._outcomes.numbers())
        best: Counter[int] = Counter()
        standings = frozenset({_NOW})
        for more in ({_NOW}, {_NOW, _BEFORE_OPENING}, {_NOW, _BEFORE_OPENING, _ELSEWHERE}):
            sums: Counter[int] = Counter()
            for number, count in numbers.items():
                if number & ~_OUTCOME in more:
                    sums[number & _OUTCOME] += count
            if not self._off(sums):
                return sums, frozenset(more)
            best, standings = best or sums, standings
        return best, standings

    def _off(self, counted: Mapping[int, int]) -> int:
        totals = self.state.totals
        known = sum(abs(totals.get(outcome, 0) - counted.get(outcome, 0)) for outcome in Outcome)
        return known + sum(count for outcome, count in counted.items() if outcome not in _OUTCOMES)

    def _row_flaws(self, rows: Iterable[LeftBehind], standings: frozenset[int]) -> list[Found]:
        """Compare the rows of exceptions, ascending by UID, with the records that say the same."""
        flaws: list[Found] = []
        recorded = (
            (uid, number & _OUTCOME)
            for uid, number in self._outcomes.items()
            if _has_row(number & _OUTCOME) and number & ~_OUTCOME in standings
        )
        expected = next(recorded, None)
        for row in rows:
            while expected and expected[0] < row.uid:
                flaws.append(Found(Flaw.ROW_MISSING, expected[0]))
                expected = next(recorded, None)
            if row.source_uidvalidity != self.state.source_uidvalidity or not expected or expected[0] != row.uid:
                flaws.append(Found(Flaw.ROW_UNFOUNDED, row.uid))
                continue
            if expected[1] != row.outcome:
                flaws.append(Found(Flaw.ROW_DIFFERS, row.uid))
            expected = next(recorded, None)
        while expected and len(flaws) < MOST_FLAWS:
            flaws.append(Found(Flaw.ROW_MISSING, expected[0]))
            expected = next(recorded, None)
        return flaws

    def _balance(self) -> Balance:
        size = sum(
            size
            for size, number in zip(self._sizes.numbers(), self._outcomes.numbers(), strict=True)
            if _is_on_target(number & _OUTCOME)
        )
        state = self.state
        return Balance(state.source_messages or 0, dict(sorted(state.totals.items())), state.removed, size)

    def _open(self, balance: Balance) -> list[Found]:
        if not self.state.is_complete:
            return [Found(Flaw.UNFINISHED)]
        if self.state.source_messages is None:
            return [Found(Flaw.UNSETTLED)]
        return [Found(Flaw.UNBALANCED, abs(balance.missing))] if balance.missing else []


class _ChainCheck:
    """Whether leaves continue one another from the first to the end that the state names."""

    def __init__(self, state: FolderState) -> None:
        self._state = state
        self._tip = NO_LEAF
        self._flaws: list[Found] = []
        self._broken: list[Leaf] = []

    def take(self, leaf: Leaf) -> bool:
        """Check the next leaf; False when its records mean nothing."""
        tip = self._tip
        if leaf.number >= self._state.leaves:
            self._find(Flaw.CHAIN_LONGER, leaf.number)
            return False
        if leaf.number < tip.leaves:
            self._find(Flaw.LEAF_DOUBLED, leaf.number)
            return False
        for number in range(tip.leaves, min(leaf.number, tip.leaves + MOST_FLAWS)):
            self._find(Flaw.LEAF_MISSING, number)
        is_intact = leaf.is_intact()
        if not is_intact:
            if len(self._broken) < _MOST_BROKEN:
                self._broken.append(leaf)
            else:
                self._find(Flaw.LEAF_CHANGED, leaf.number)
        elif leaf.number == tip.leaves and leaf.previous != tip.digest and not self._is_broken(leaf.number - 1):
            self._find(Flaw.LEAF_REPLACED, leaf.number - 1)
        self._tip = Tip(leaf.number + 1, leaf.digest)
        return is_intact

    def close(self) -> list[Found]:
        """Return what is wrong, by place."""
        for leaf in self._broken:
            moved = any(replace(leaf, number=other.number).is_intact() for other in self._broken)
            self._find(Flaw.LEAF_MOVED if moved else Flaw.LEAF_CHANGED, leaf.number)
        end = Tip(self._state.leaves, self._state.tip)
        if self._tip.leaves < end.leaves:
            self._find(Flaw.CHAIN_CUT, self._tip.leaves)
        elif self._tip != end and end.leaves and not self._is_broken(end.leaves - 1):
            self._find(Flaw.LEAF_REPLACED, end.leaves - 1)
        return sorted(self._flaws, key=lambda found: found.place)

    def _find(self, flaw: Flaw, place: int) -> None:
        if len(self._flaws) < MOST_FLAWS:
            self._flaws.append(Found(flaw, place))

    def _is_broken(self, number: int) -> bool:
        return bool(self._broken) and self._broken[-1].number == number


def _standing(leaf: Leaf, state: FolderState) -> int:
    if leaf.target_uidvalidity == state.target_uidvalidity:
        return _NOW
    return _ELSEWHERE if leaf.target_uidvalidity else _BEFORE_OPENING


def _has_row(outcome: int) -> bool:
    """What is not on the target has a row, and what is there in a mended form."""
    return (not _is_on_target(outcome) and outcome not in _REPRESENTED) or outcome == Outcome.REPAIRED


def _is_on_target(outcome: int) -> bool:
    return outcome in _ON_TARGET


_OUTCOMES: Final = frozenset(map(int, Outcome))
_ON_TARGET: Final = frozenset(int(outcome) for outcome in Outcome if outcome.is_on_target)
_REPRESENTED: Final = frozenset(int(outcome) for outcome in Outcome if outcome.is_represented)


def _is_not_below(one: int, two: int) -> bool:
    return one >= two
