"""What a gate answers: where a user goes, or why not. When in doubt it says "later", never yes and never "nobody"."""

from __future__ import annotations

from typing import Final, NamedTuple

from migrator.directories.base import Service
from migrator.gates.front import Door, Front
from migrator.gates.table import Row

WAIT_SECONDS: Final = 3


class Later(NamedTuple):
    """Not now. ``words`` are for the user's program, in plain ASCII."""

    words: str


class Never(NamedTuple):
    """Not here."""

    words: str


Answer = Door | Later | Never

MOVING: Final = Later("Your mailbox is being moved. Please try again in a few minutes.")
UNSURE: Final = Later("Mail is not available just now. Please try again in a few minutes.")
TOO_OFTEN: Final = Later("Too many attempts. Please try again in a minute.")
UNKNOWN: Final = Never("The name or the password is not accepted.")
NOT_SERVED: Final = Never("This service is not offered here.")


def sign_in(front: Front, row: Row, protocol: str) -> Answer:
    """Return where somebody with ``row`` goes who signs in by ``protocol``."""
    service = Service.SENDING if protocol == "smtp" else Service.READING
    if service in row.refused:
        return MOVING
    side = front.hosts.side(row.backend or front.hosts.source[0])
    if side is None:
        return UNSURE
    return front.doors[side].get(protocol, NOT_SERVED)


def nexthop(front: Front, row: Row) -> str | Later:
    """Return where Postfix brings mail for somebody with ``row``; empty where the front is not told."""
    side = front.hosts.side(row.backend or front.hosts.source[0])
    return UNSURE if side is None else front.nexthops[side]
