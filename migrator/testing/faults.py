"""Planned faults: count every call to the world, break one of them, or let something else happen right before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar, cast

from migrator.errors import MigratorError, Side
from migrator.transfer.ledger import FolderState, Leaf, Ledger, LeftBehind, Removal, RemovingLedger

T = TypeVar("T")


class Killed(BaseException):
    """The process died here. Nobody may catch it: what follows is up to the next process."""


class FaultKind(StrEnum):
    """How a call to the world breaks."""

    KILL = "kill"  # the process dies before the effect
    KILL_AFTER = "kill_after"  # the process dies after the effect, before it hears of it
    LINE = "line"  # the line drops before the effect
    LOST_ANSWER = "lost_answer"  # the line drops after the effect, before its answer


class FaultPlan:
    """Counts the calls to the world and breaks those whose number (from 0) is in ``at``.

    ``kind`` says how; ``act`` is called right before such a call, for what others do meanwhile. A ledger has no line,
    so line faults pass it by. ``calls`` names every call in order: a clean run's length is the range to interrupt.
    """

    def __init__(
        self,
        at: int | Container[int] = (),
        kind: FaultKind | str | None = None,
        act: Callable[[], object] | None = None,
    ) -> None:
        self._at: Container[int] = (at,) if isinstance(at, int) else at
        self._kind = FaultKind(kind) if kind else None
        self._act = act
        self._lock = threading.Lock()
        self._is_dead = False
        self.calls: list[str] = []
        self.fired: list[str] = []

    def run(self, name: str, effect: Callable[[], T], side: Side | None = None) -> T:
        """Carry out one call to the world, or break it. ``side`` is None where no line is involved."""
        if self._is_dead:
            raise Killed(name)
        hit = self._count(name)
        if not hit or (side is None and self._kind in (FaultKind.LINE, FaultKind.LOST_ANSWER)):
            return effect()
        self.fired.append(name)
        self._break(FaultKind.KILL, FaultKind.LINE, name, side)
        answer = effect()
        self._break(FaultKind.KILL_AFTER, FaultKind.LOST_ANSWER, name, side)
        return answer

    def _count(self, name: str) -> bool:
        with self._lock:
            number = len(self.calls)
            self.calls.append(name)
        hit = number in self._at
        if hit and self._act:
            self._act()
        return hit

    def _break(self, killing: FaultKind, losing: FaultKind, name: str, side: Side | None) -> None:
        if self._kind is killing:
            self._is_dead = True
            raise Killed(name)
        if self._kind is losing:
            raise MigratorError("line.lost", side=side, reply=name)


class FaultyLedger:
    """Passes every call to another ledger through a FaultPlan."""

    def __init__(self, ledger: Ledger, faults: FaultPlan) -> None:
        self._ledger = ledger
        self._faults = faults

    def bind(self, source: str, target: str) -> None:
        self._faults.run("ledger.bind", lambda: self._ledger.bind(source, target))

    def states(self) -> list[FolderState]:
        return self._faults.run("ledger.states", self._ledger.states)

    def begin(self, states: Sequence[FolderState]) -> None:
        self._faults.run("ledger.begin", lambda: self._ledger.begin(states))

    def commit(
        self,
        *,
        leaves: Sequence[Leaf] = (),
        states: Sequence[FolderState] = (),
        left_behind: Sequence[LeftBehind] = (),
        resolved: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        self._faults.run(
            "ledger.commit",
            lambda: self._ledger.commit(leaves=leaves, states=states, left_behind=left_behind, resolved=resolved),
        )

    def intend_removal(self, folder: bytes, source_uidvalidity: int, uids: Sequence[int]) -> None:
        ledger = cast(RemovingLedger, self._ledger)
        self._faults.run("ledger.intend", lambda: ledger.intend_removal(folder, source_uidvalidity, uids))

    def removals(self) -> Iterator[Removal]:
        return self._faults.run("ledger.removals", cast(RemovingLedger, self._ledger).removals)

    def intended_removals(self) -> Mapping[tuple[bytes, int], Sequence[int]]:
        return self._faults.run("ledger.intended", cast(RemovingLedger, self._ledger).intended_removals)

    def settle_removals(
        self,
        folder: bytes,
        source_uidvalidity: int,
        *,
        gone: Sequence[int],
        kept: Sequence[int],
        removed_at: int,
        states: Sequence[FolderState] = (),
    ) -> None:
        ledger = cast(RemovingLedger, self._ledger)
        self._faults.run(
            "ledger.settle",
            lambda: ledger.settle_removals(
                folder, source_uidvalidity, gone=gone, kept=kept, removed_at=removed_at, states=states
            ),
        )

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        return self._faults.run("ledger.leaves", lambda: self._ledger.leaves(folder))

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        return self._faults.run("ledger.stored_leaves", lambda: self._ledger.stored_leaves(folder))

    def left_behind(self) -> Iterator[LeftBehind]:
        return self._faults.run("ledger.left_behind", self._ledger.left_behind)
