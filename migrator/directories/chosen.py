"""A choice that holds for all accounts that are made, or for those that are named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from migrator.options import Options


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whether something is wanted at all, and for whom; nobody named is everybody."""

    is_on: bool
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, options: Options, accounts: str, *, is_on: bool) -> Self:
        """Read the option ``accounts``, addresses. Raises ``ValueError`` where it names some for what is not wanted."""
        names = frozenset(one.strip().casefold() for one in options.texts(accounts, ()))
        if names and not is_on:
            raise ValueError(f"The option {accounts} names accounts for something that is not switched on.")
        return cls(is_on, names)

    def holds_for(self, address: str) -> bool:
        """Tell whether ``address`` is among them."""
        return self.is_on and (not self.names or address.casefold() in self.names)
