"""Where another service of a mailbox is, beside the one its mail goes through, as people write it: HOST:PORT."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/@]*)(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service is; without a host on that of the mailbox, without a port at the usual one."""

    host: str = ""
    port: int | None = None
    is_named: bool = False  # somebody said so


def place_of(text: str) -> Place:
    """Return the place that ``text`` names: HOST, HOST:PORT or :PORT. Raises ``ValueError``."""
    found = _PLACE.fullmatch(text)
    port = int(found["port"]) if found and found["port"] else None
    if found is None or not text or not (port is None or 1 <= port <= 65_535):
        raise ValueError(text)
    return Place(found["host"].strip("[]"), port, is_named=True)
