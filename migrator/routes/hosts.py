"""Names of the two servers in the value that routes a user: which side a value means, and what a side is called.

Names are fully qualified.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrator.entries import Json
from migrator.errors import Side
from migrator.options import Options, checked_host


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names of each side; the first is the one that is written."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    @classmethod
    def of(cls, options: Options) -> Hosts:
        """Read source and target: a name, or several when the source goes by several. Raises ``ValueError``."""
        hosts = cls(options.texts("source"), options.texts("target"))
        for name in (*hosts.source, *hosts.target):
            checked_host(name)
        if {_spelled(name) for name in hosts.source} & {_spelled(name) for name in hosts.target}:
            raise ValueError("The source and the target go by the same name.")
        return hosts

    def side(self, value: Json) -> Side | None:
        """Return the side that ``value`` names, in whatever spelling."""
        if not isinstance(value, str):
            return None
        if _spelled(value) in map(_spelled, self.source):
            return Side.SOURCE
        return Side.TARGET if _spelled(value) in map(_spelled, self.target) else None

    def name(self, side: Side) -> str:
        """Return the name that is written for ``side``."""
        return self.source[0] if side is Side.SOURCE else self.target[0]


def _spelled(name: str) -> str:
    return name.strip().removesuffix(".").casefold()
