"""The contract of routes: one place that says which of the two servers serves a user."""

from __future__ import annotations

from typing import Protocol

from migrator.entries import Entries, Values
from migrator.errors import Side


class Route(Entries, Protocol):
    """Who serves a user. Its values are the ones that switching changes, nothing else."""

    def current(self, address: str) -> Side | None:
        """Return the side that serves ``address`` now; None when it is neither of the two, or nobody says.

        Reads only. Raises ``directory.missing`` when there is no entry.
        """
        ...

    def routed(self, values: Values, to: Side) -> Values:
        """Return what an entry with ``values`` must become so that ``to`` serves the user.

        Pure. Values that say so already, in whatever spelling, come back as they are.
        """
        ...
