"""The contract of holds: new mail for a user waits, unbounced, until it is told where to flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from migrator.entries import Entries, Values
from migrator.errors import MigratorError, Side


@dataclass(frozen=True, slots=True)
class HeldMail:
    """What waits for one user, as far as it can be counted."""

    messages: int
    oldest: float | None = None  # seconds since the epoch; None when nothing waits or nobody says
    aside: int = 0  # more of theirs, which a person or a filter put on hold: only these release it
    is_at_senders: bool = False  # more waits at its senders, who were told to come again: nobody can count that


class MailHold(Entries, Protocol):
    """Keeps inbound mail waiting for single users. Its values are the ones that holding changes, nothing else."""

    def holding(self, values: Values) -> Values:
        """Return what an entry with ``values`` must become so that mail for the user waits.

        Pure. Forwarding and other ways of delivery are in ``values`` and come back with them: they are never guessed.
        """
        ...

    def is_settled(self, address: str) -> bool:
        """Tell whether the entry as it is now is true of all mail for ``address``: none is on its way by an older one.

        May tell the server to look at its entries anew; else it reads only. Repeatable. Not yet is no error.
        """
        ...

    def held(self, address: str) -> HeldMail:
        """Return what waits for ``address``. Reads only."""
        ...

    def flush(self, address: str, to: Side) -> None:
        """Start the delivery of what waits for ``address``, and only of that, to the server ``to``. Idempotent.

        Call it when the entry no longer holds. Returns when the delivery was asked for; :meth:`held` says when
        nothing waits any more. What cannot be delivered goes on waiting.
        """
        ...

    def trouble(self) -> Iterator[MigratorError]:
        """Yield what about the server would let held mail flow, return to its senders, or make itself known to them.

        Reads only. Asked before anything is held.
        """
        ...
