"""Steps that wait for others: a PERSON who says go on, an account to POPULATE, a change to PUBLISH."""

from __future__ import annotations

from collections.abc import Callable

from migrator.directories.base import Population, Publication
from migrator.entries import Values
from migrator.errors import Stopped
from migrator.journal import StepKey
from migrator.limits import Clock
from migrator.steps.replacement import settle


class PersonStep:
    """Ends the run, as if it were told to stop, until somebody has said go on."""

    def __init__(self, key: StepKey, is_approved: Callable[[], bool]) -> None:
        self.key = key
        self._is_approved = is_approved

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return self._is_approved()

    def apply(self, saved: Values) -> None:
        if not self._is_approved():
            raise Stopped

    def undo(self, saved: Values) -> None:
        """Leave it: that somebody agreed is no effect."""


class PopulateStep:
    """The account comes to be on the target. Undone, it goes again, unless it was there before."""

    def __init__(self, key: StepKey, population: Population, address: str) -> None:
        self.key = key
        self._population = population
        self._address = address

    def prepare(self) -> Values:
        return {"existed": self._population.exists(self._address)}

    def is_done(self, saved: Values) -> bool:
        return self._population.exists(self._address)

    def apply(self, saved: Values) -> None:
        if not saved["existed"]:
            self._population.create(self._address)

    def undo(self, saved: Values) -> None:
        if not saved["existed"]:
            self._population.remove(self._address)


class PublishStep:
    """Servers act on what was changed before.

    Undone, it publishes what is there then. Steps are undone last first: a recipe that must publish what it restored
    has a PUBLISH before its first change, too.
    """

    def __init__(self, key: StepKey, publication: Publication, address: str, *, clock: Clock) -> None:
        self.key = key
        self._publication = publication
        self._address = address
        self._clock = clock

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return self._publication.is_published(self._address)

    def apply(self, saved: Values) -> None:
        if not self._publication.is_published(self._address):
            self._publication.publish(self._address)
        settle(self._clock, lambda: self._publication.is_published(self._address), "publish.behind")

    def undo(self, saved: Values) -> None:
        self.apply(saved)
