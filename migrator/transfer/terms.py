"""The terms under which a pass runs, and what it remembers from one attempt to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from migrator.events import EventSink
from migrator.limits import Clock, Limits, StopSignal
from migrator.transfer.plan import CopyPolicy

Place = tuple[bytes, int]  # source folder (raw name) and UID


@dataclass(frozen=True, slots=True)
class Terms:
    """What the caller chose for one pass."""

    policy: CopyPolicy
    sink: EventSink
    limits: Limits
    stop: StopSignal
    clock: Clock


@dataclass(slots=True)
class Tally:
    """What all attempts of a pass did in one folder."""

    appended: int = 0
    appended_bytes: int = 0
    already_there: int = 0
    flag_changes: int = 0


@dataclass(slots=True)
class PassMemory:
    """What outlives an attempt: counts, and the messages at which the source's line dies."""

    tallies: dict[bytes, Tally] = field(default_factory=dict)
    deaths: Counter[Place] = field(default_factory=Counter)
    suspects: set[Place] = field(default_factory=set)  # read alone, after all others
    poison: set[Place] = field(default_factory=set)  # not read any more
    # folder, UIDVALIDITY, UID: sent, and the answer lost; not sent again in this pass, whoever asks for it
    unconfirmed: set[tuple[bytes, int, int]] = field(default_factory=set)
    opened: dict[bytes, bytes] = field(default_factory=dict)  # raw source name -> raw target name that took
    note_tries: int = 0  # the same of notes on folders
    grant_tries: int = 0  # attempts in which the line dropped before the grants were given
    learned_limit_bytes: int | None = None  # the target refused a message for being bigger than this
    has_compared_room: bool = False
    is_cautious: bool = False  # the target refused a name: only letters that all servers take from now on

    def tally(self, folder: bytes) -> Tally:
        """Return the tally of one source folder (raw name)."""
        return self.tallies.setdefault(folder, Tally())

    def settled(self) -> int:
        """Return how many messages all attempts brought home: progress, when it grows."""
        messages = sum(tally.appended + tally.already_there for tally in self.tallies.values())
        return messages + len(self.suspects) + len(self.poison) + len(self.unconfirmed) + self.is_cautious

    def note_death(self, place: Place, *, alone: bool) -> None:
        """Remember that the line died while ``place`` was read; twice makes it a suspect, once more alone poison."""
        if alone:
            self.poison.add(place)
            return
        self.deaths[place] += 1
        if self.deaths[place] >= 2:
            self.suspects.add(place)
