"""rescue(): put every account of a folder on the side that the servers prove.

Who was not switched goes back to the source, exactly as saved; who was goes on to the target. Where that is not
certain, the route is asked; where it does not answer, or contradicts what was written down, nothing is touched and a
person is named the account.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from migrator.cutover import CutoverOutcome, CutoverResult, Step, roll_back, run_cutover
from migrator.directories import DIRECTORIES, POPULATIONS, PUBLICATIONS
from migrator.directories.base import Population
from migrator.entries import Kind, open_connector
from migrator.errors import MigratorError, Side
from migrator.events import EventSink
from migrator.holds import HOLDS
from migrator.journal import EntryStatus, Journal, StepKind
from migrator.limits import Clock, SystemClock
from migrator.rescue.folder import Account, Batch, RescueFolder, Room
from migrator.rescue.journals import FileJournal
from migrator.routes import ROUTES
from migrator.steps.access import SwitchStep
from migrator.steps.kit import Access, Kit, Named, steps_of

REGISTRIES: Final[dict[Room, dict[str, Kind]]] = {
    Room.DIRECTORY: DIRECTORIES,
    Room.ROUTE: ROUTES,
    Room.HOLD: HOLDS,
    Room.POPULATION: POPULATIONS,
    Room.PUBLICATION: PUBLICATIONS,
}


EARLY_RUN: Final = "0"  # of what comes before the night; nights count from 1


class Way(StrEnum):
    """What was done about an account."""

    NONE = "none"  # nothing of it was ever changed, or all of it was undone
    BACK = "back"
    FORWARD = "forward"
    UNPROVED = "unproved"  # left as it is, for a person


@dataclass(frozen=True, slots=True)
class Rescued:
    """Where an account stands. ``side`` is None where that is not proved."""

    name: str
    address: str
    way: Way
    side: Side | None
    error: MigratorError | None = None


def rescue(
    folder: RescueFolder,
    *,
    sink: EventSink | None = None,
    clock: Clock | None = None,
    registries: dict[Room, dict[str, Kind]] | None = None,
) -> Iterator[Rescued]:
    """Yield each account as it is put on its side. Safe to repeat; the folder is kept current meanwhile.

    Raises what :meth:`RescueFolder.batch` raises, and ``rescue.busy``; what concerns one account is in its result.
    """
    with _alone(folder), contextlib.ExitStack() as stack:
        connectors = _Connectors(folder.batch(), registries or REGISTRIES, stack)
        for name in folder.names():
            yield _Rescue(folder, name, connectors, sink, clock or SystemClock()).run()


@contextlib.contextmanager
def _alone(folder: RescueFolder) -> Iterator[None]:
    try:
        lock = os.open(folder.path, os.O_RDONLY)
    except OSError:
        raise MigratorError("rescue.not_a_folder") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise MigratorError("rescue.busy") from None
    finally:
        os.close(lock)


class _Connectors:
    """The connectors of a batch, opened when first asked for."""

    def __init__(self, batch: Batch, registries: dict[Room, dict[str, Kind]], stack: contextlib.ExitStack) -> None:
        self.batch = batch
        self._registries = registries
        self._stack = stack
        self._open: dict[str, Any] = {}

    def named(self, name: str) -> Named[Any] | None:
        if not name:
            return None
        if name not in self._open:
            if name not in self.batch.connections:
                raise MigratorError("rescue.damaged", reply=name)
            one = self.batch.connections[name]
            self._open[name] = open_connector(self._registries[one.room], one.kind, one.options, one.secret)
            self._stack.callback(self._open[name].close)
        return Named(name, self._open[name])


class _Rescue:
    """One account."""

    def __init__(
        self, folder: RescueFolder, name: str, connectors: _Connectors, sink: EventSink | None, clock: Clock
    ) -> None:
        self._folder = folder
        self._name = name
        self._connectors = connectors
        self._sink = sink
        self._clock = clock

    def run(self) -> Rescued:
        try:
            account = self._folder.account(self._name)
            assert account is not None
        except MigratorError as error:
            return Rescued(self._name, "", Way.UNPROVED, None, error)
        if all(entry.status is EntryStatus.UNDONE for entry in account.entries):
            return Rescued(self._name, account.address, Way.NONE, Side.SOURCE)
        try:
            return self._decide(account)
        except MigratorError as error:
            return Rescued(self._name, account.address, Way.UNPROVED, None, error)

    def _decide(self, account: Account) -> Rescued:
        journal = FileJournal(self._folder, account)
        recipe = account.recipe or self._connectors.batch.recipe
        is_early = account.run == EARLY_RUN
        steps = [
            step
            for step in steps_of(recipe, self._kit(account), journal)
            if (step.key.position < recipe.early) == is_early
        ]
        if _has_mail_at_target(account):
            return self._forward(account, steps, journal)
        back = roll_back(steps, journal, sink=self._sink, clock=self._clock)
        if back.outcome is CutoverOutcome.DONE:
            home = Side.TARGET if recipe.arrive_first and not is_early else Side.SOURCE
            return Rescued(self._name, account.address, Way.BACK, home)
        if back.error is None or back.error.code != "cutover.past_switch":
            return self._unproved(account, back)
        _prove_switched(steps, journal)
        return self._forward(account, steps, journal)

    def _forward(self, account: Account, steps: Sequence[Step], journal: Journal) -> Rescued:
        forward = run_cutover(steps, journal, sink=self._sink, clock=self._clock)
        if forward.outcome is CutoverOutcome.DONE:
            return Rescued(self._name, account.address, Way.FORWARD, Side.TARGET)
        return self._unproved(account, forward)

    def _unproved(self, account: Account, result: CutoverResult) -> Rescued:
        return Rescued(self._name, account.address, Way.UNPROVED, None, result.error)

    def _kit(self, account: Account) -> Kit:
        named: Callable[[str], Named[Any] | None] = self._connectors.named
        return Kit(
            address=account.address,
            source=Access(account.source_address, named(account.source_directory)),
            target=Access(account.target_address, named(account.target_directory)),
            route=named(account.route),
            hold=named(account.hold),
            population=self._population(account),
            publication=named(account.publication),
            is_approved=lambda key, check: True,  # whoever rescues is a person
            clock=self._clock,
        )

    def _population(self, account: Account) -> Named[Population] | None:
        """Return what makes accounts, or removes them again: not where the one that was made holds mail by now."""
        if not account.is_returning or not account.population:
            return self._connectors.named(account.population)
        return Named(account.population, _LeftAlone())


class _LeftAlone:
    """Implements Population on accounts that stay as they are."""

    def exists(self, address: str) -> bool:
        """See Population."""
        return True

    def create(self, address: str) -> None:
        """See Population."""

    def remove(self, address: str) -> None:
        """See Population."""

    def close(self) -> None:
        """See Population."""


def _has_mail_at_target(account: Account) -> bool:
    """Tell whether somebody was on the way back, and what came since is not all carried: their mail is on the target.

    Nothing carries mail here. So they go to the target again; what reached the source meanwhile is on the source, and
    a later look for late mail adds it.
    """
    copied = [entry.status for entry in account.entries if entry.key.kind is StepKind.DELTA]
    return account.is_returning and any(status is not EntryStatus.UNDONE for status in copied)


def _prove_switched(steps: Sequence[Step], journal: Journal) -> None:
    """Raise ``rescue.contradiction`` when the route does not say what was written down."""
    switch = next(step for step in steps if step.key.kind is StepKind.SWITCH)
    saved = next(entry.saved for entry in journal.entries() if entry.key == switch.key)
    if isinstance(switch, SwitchStep) and not switch.is_done(saved):
        raise MigratorError("rescue.contradiction")
