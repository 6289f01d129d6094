"""How many accounts are where: from the figures that every transition keeps, never by counting accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from campaigns.states import FAMILY, AccountState, Family


@dataclass(frozen=True, slots=True)
class Figures:
    """Accounts by state."""

    states: Counter[AccountState] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int]]) -> Figures:
        """Add up (state, accounts)."""
        states: Counter[AccountState] = Counter()
        for state, accounts in rows:
            states[AccountState(state)] += accounts
        return cls(+states)

    @property
    def accounts(self) -> int:
        """All of them."""
        return self.states.total()

    @property
    def families(self) -> Counter[Family]:
        """Accounts by what their state means to somebody who looks at many."""
        families: Counter[Family] = Counter()
        for state, accounts in self.states.items():
            families[FAMILY[state]] += accounts
        return families
