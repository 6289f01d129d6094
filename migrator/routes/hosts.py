"""Names of the two servers in the value that routes a user: which side a value means, and what a side is called.

Names are fully qualified: proxies and routers that read them know nothing of our domain (RFC 1123 §2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from migrator.entries import Json
from migrator.errors import Side
from migrator.options import Options

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.IGNORECASE)


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
            _check(name)
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


def _check(name: str) -> None:
    labels = name.removesuffix(".").split(".")
    is_number = labels[-1].isdigit()  # an address, or a name nobody can have (RFC 3696 §2)
    if len(name) > 253 or len(labels) < 2 or is_number or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{name} is not the fully qualified name of a server, such as imap.example.org.")


def _spelled(name: str) -> str:
    return name.strip().removesuffix(".").casefold()
