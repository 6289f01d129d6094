"""The ways to ask an IMAP server for bodies, from the usual one down to what servers of 1994 understand.

What was learned about a server outlives a connection: it is not asked in vain again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from migrator.stores.manners import Manners

PEEK: Final = b"BODY.PEEK[]"
OLD_PEEK: Final = b"RFC822.PEEK"  # RFC 1730 §6.4.5
NO_PEEK: Final = b"RFC822"  # may mark the message as read
DEATHS: Final = 2  # of a line in a row, at once when many messages were asked for


class Way(NamedTuple):
    """What is asked for, and whether of one message at a time."""

    item: bytes
    one_by_one: bool


class Ways:
    """The way that one server is asked in, and those that are left to try."""

    def __init__(self, manners: Manners) -> None:
        items = (OLD_PEEK, PEEK) if manners.fetches_rfc822 else (PEEK, OLD_PEEK)
        together = [] if manners.reads_one_by_one else [Way(item, False) for item in items]
        self._left = [*together, *(Way(item, True) for item in items), Way(NO_PEEK, True)]
        self.now = self._left.pop(0)
        self._is_proved = False
        self._deaths = 0

    def prove(self) -> None:
        """A message came in this way: what goes wrong now is not the fault of the way."""
        self._is_proved, self._deaths = True, 0

    def fall(self) -> bool:
        """Take the next way, after a BAD; False when the way was right, or no other is left."""
        if self._is_proved or not self._left:
            return False
        self.now = self._left.pop(0)
        return True

    def go_one_by_one(self) -> None:
        """Ask for one message at a time from now on."""
        self._left = [way for way in self._left if way.one_by_one and way.item != self.now.item]
        self.now = Way(self.now.item, True)

    def note_death(self) -> None:
        """The line was lost when many messages were asked for, before the second came."""
        self._deaths += 1
        if self._deaths >= DEATHS:
            self.go_one_by_one()


@dataclass(slots=True)
class Singles:
    """How a folder fares when its messages are asked for one by one, after it was refused as a whole."""

    most_failures: int
    came: int = 0
    failed: int = 0

    @property
    def is_hopeless(self) -> bool:
        """True when the folder, not a message, is to blame."""
        return not self.came and self.failed >= self.most_failures

    @property
    def proves_the_way(self) -> bool:
        """True when only the number of messages had been too much."""
        return self.came > 1 and not self.failed
