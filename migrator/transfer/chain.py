"""The rule every ledger keeps before it writes: leaves continue the chain of their folder, and states agree with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from migrator.transfer.ledger import FIRST_PREVIOUS, FolderState, Leaf


class Tip(NamedTuple):
    """Where the chain of one folder ends."""

    leaves: int
    digest: bytes


NO_LEAF: Final = Tip(0, FIRST_PREVIOUS)


def advance(stored: Callable[[bytes], Tip], leaves: Sequence[Leaf], states: Sequence[FolderState]) -> None:
    """Check what is about to be written against the tips that are ``stored``.

    Raises ``ValueError`` when a leaf does not continue its chain, or a state names another end than the chain then has.
    """
    tips: dict[bytes, Tip] = {}
    for leaf in leaves:
        tip = tips.get(leaf.folder) or stored(leaf.folder)
        if (leaf.number, leaf.previous) != tip:
            raise ValueError(f"leaf {leaf.number} of {leaf.folder!r} does not continue the chain of {tip.leaves}")
        tips[leaf.folder] = Tip(leaf.number + 1, leaf.digest)
    for state in states:
        tip = tips.get(state.source) or stored(state.source)
        if (state.leaves, state.tip) != tip:
            raise ValueError(f"the state of {state.source!r} names {state.leaves} leaves, its chain has {tip.leaves}")
