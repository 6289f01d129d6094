"""A ledger in memory: for dry runs and tests, held to the same contract as the one on disk."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence

from migrator.errors import MigratorError
from migrator.stores.base import MessageName
from migrator.transfer.chain import NO_LEAF, Tip, advance
from migrator.transfer.ledger import FolderState, Leaf, LeftBehind, Removal, ScriptState, Sending


class MemoryLedger:
    """Implements :class:`migrator.transfer.ledger.Ledger`; lives as long as the object."""

    def __init__(self) -> None:
        self._pair: tuple[str, str] | None = None
        self._states: dict[bytes, FolderState] = {}
        self._leaves: dict[bytes, list[Leaf]] = {}
        self._left_behind: dict[tuple[bytes, int, int], LeftBehind] = {}
        self._sending: dict[tuple[bytes, int, int], Sending] = {}
        self._removals: dict[tuple[bytes, int, int], Removal] = {}
        self._names: dict[tuple[bytes, int, int], MessageName] = {}
        self._scripts: dict[bytes, ScriptState] = {}

    def bind(self, source: str, target: str) -> None:
        """See Ledger."""
        self._pair = self._pair or (source, target)
        if self._pair != (source, target):
            raise MigratorError("ledger.other_pair")

    def states(self) -> list[FolderState]:
        """See Ledger."""
        return list(self._states.values())

    def begin(self, states: Sequence[FolderState]) -> None:
        """See Ledger."""
        self.commit(states=states)

    def commit(
        self,
        *,
        leaves: Sequence[Leaf] = (),
        states: Sequence[FolderState] = (),
        left_behind: Sequence[LeftBehind] = (),
        resolved: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        """See Ledger."""
        advance(self._tip, leaves, states)  # raises before anything is written
        for leaf in leaves:
            self._leaves.setdefault(leaf.folder, []).append(leaf)
        for key in resolved:
            self._left_behind.pop(key, None)
        self._left_behind.update({row[:3]: row for row in left_behind})
        self._states.update({state.source: state for state in states})

    def message_names(self) -> Iterator[MessageName]:
        """See Ledger."""
        yield from (name for _, name in sorted(self._names.items()))

    def note_names(self, names: Sequence[MessageName]) -> None:
        """See Ledger."""
        latest = {name.folder: name.uidvalidity for name in names}
        for key in [key for key in self._names if key[1] < latest.get(key[0], 0)]:
            del self._names[key]
        self._names.update({name[:3]: name for name in names})

    def sending(self) -> list[Sending]:
        """See Ledger."""
        return list(self._sending.values())

    def note_sending(self, sending: Sending) -> None:
        """See Ledger."""
        self._sending[sending[:3]] = sending

    def clear_sending(self, sending: Sending) -> None:
        """See Ledger."""
        self._sending.pop(sending[:3], None)

    def script_states(self) -> list[ScriptState]:
        """See Ledger."""
        return [state for _, state in sorted(self._scripts.items())]

    def note_scripts(self, states: Sequence[ScriptState]) -> None:
        """See Ledger."""
        self._scripts.update({state.name: state for state in states})

    def intend_removal(self, folder: bytes, source_uidvalidity: int, uids: Sequence[int]) -> None:
        """See RemovingLedger."""
        for uid in uids:
            self._removals[folder, source_uidvalidity, uid] = Removal(folder, source_uidvalidity, uid, None)

    def removals(self) -> Iterator[Removal]:
        """See RemovingLedger."""
        yield from (removal for _, removal in sorted(self._removals.items()))

    def intended_removals(self) -> Mapping[tuple[bytes, int], Sequence[int]]:
        """See RemovingLedger."""
        found: dict[tuple[bytes, int], array[int]] = {}
        for removal in self.removals():
            if removal.removed_at is None:
                found.setdefault(removal[:2], array("Q")).append(removal.uid)
        return found

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
        """See RemovingLedger."""
        self.commit(states=states)
        for uid in gone:
            self._removals[folder, source_uidvalidity, uid] = Removal(folder, source_uidvalidity, uid, removed_at)
        for uid in kept:
            self._removals.pop((folder, source_uidvalidity, uid), None)

    def _tip(self, folder: bytes) -> Tip:
        chain = self._leaves.get(folder)
        return Tip(len(chain), chain[-1].digest) if chain else NO_LEAF

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger."""
        yield from tuple(self._leaves.get(folder, ()))

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger."""
        yield from tuple(self._leaves.get(folder, ()))

    def left_behind(self) -> Iterator[LeftBehind]:
        """See Ledger."""
        yield from (row for _, row in sorted(self._left_behind.items()))
