"""A kit is everything one account's night works with; :func:`steps_of` turns it and a recipe into steps."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, NamedTuple, TypeVar, cast

from migrator.cutover import Step
from migrator.directories.base import ALL_SERVICES, Directory, Population, Publication, Service
from migrator.entries import Values
from migrator.errors import Side
from migrator.holds.base import MailHold
from migrator.journal import EntryStatus, Journal, StepKey, StepKind
from migrator.limits import Clock, NeverStop, StopSignal, SystemClock
from migrator.recipes import Recipe
from migrator.routes.base import Route
from migrator.sessions.base import Sessions
from migrator.steps.access import DisableStep, EnableStep, JournalledSwitch, Probe, SwitchStep
from migrator.steps.copying import DeltaStep, Mail, VerifyStep
from migrator.steps.flow import HoldStep, ReleaseStep
from migrator.steps.held import HeldImport, KeepingHold
from migrator.steps.others import PersonStep, PopulateStep, PublishStep
from migrator.stores.base import offers
from migrator.transfer.verify import VerifyLevel

C = TypeVar("C")
Approval = Callable[[StepKey, str], bool]
"""Tells whether a step of a person is done: on somebody's word, or by the check of that name, if it has one."""


class Named(NamedTuple, Generic[C]):
    """A connector with its name in the journal: the same name is the same place, in every run of one cutover."""

    name: str
    connector: C


@dataclass(frozen=True, slots=True)
class Access:
    """Who may sign in at one side.

    ``address`` is how its directory and sessions know the user. Two sides with one directory and one address share an
    entry: what DISABLE saved is what ENABLE restores. ``is_admitted`` signs in as the user, with their own password.
    """

    address: str
    directory: Named[Directory] | None = None
    sessions: Sessions | None = None
    is_admitted: Probe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """What one account's night works with; what is None is absent, and so are its steps.

    ``address`` is the name by which route, hold and the like know the user. ``deadline`` is in seconds since the epoch.
    """

    address: str
    source: Access
    target: Access
    mail: Mail | None = None
    verify_level: VerifyLevel | None = None
    route: Named[Route] | None = None
    hold: Named[MailHold] | None = None
    population: Named[Population] | None = None
    publication: Named[Publication] | None = None
    is_approved: Approval | None = None
    services: Collection[Service] = ALL_SERVICES
    clock: Clock = field(default_factory=SystemClock)
    stop: StopSignal = field(default_factory=NeverStop)
    deadline: float | None = None

    def access(self, side: Side | None) -> Access:
        """Return how users sign in at ``side``."""
        if side is None:
            raise ValueError("a step on signing in names its side")
        return self.source if side is Side.SOURCE else self.target


def steps_of(recipe: Recipe, kit: Kit, journal: Journal) -> list[Step]:
    """Return the steps of ``recipe`` for which ``kit`` has what they need, in order; SWITCH always."""
    steps = (_step(position, recipe, kit, journal) for position in range(len(recipe.steps)))
    return [step for step in steps if step is not None]


def _step(position: int, recipe: Recipe, kit: Kit, journal: Journal) -> Step | None:
    step = recipe.steps[position]
    kind, side = step.kind, step.side

    def key(connector: str = "") -> StepKey:
        return StepKey(position, kind, connector, side.value if side else "")

    match kind:
        case StepKind.DISABLE | StepKind.ENABLE:
            return _access_step(key, kit, side, journal)
        case StepKind.SWITCH:
            return (
                SwitchStep(key(kit.route.name), kit.route.connector, kit.address)
                if kit.route
                else JournalledSwitch(key())
            )
        case StepKind.DELTA if kit.mail:
            return DeltaStep(key(), kit.mail, clock=kit.clock, stop=kit.stop, deadline=kit.deadline)
        case StepKind.VERIFY if kit.mail and kit.verify_level:
            return VerifyStep(key(), kit.mail, kit.verify_level)
        case StepKind.HOLD | StepKind.RELEASE if kit.hold:
            return _flow_step(key(kit.hold.name), kit.hold.connector, kit, journal, recipe.home(position))
        case StepKind.PERSON if kit.is_approved:
            return PersonStep(key(), partial(kit.is_approved, key(), step.check))
        case StepKind.POPULATE if kit.population:
            return PopulateStep(key(kit.population.name), kit.population.connector, kit.target.address)
        case StepKind.PUBLISH if kit.publication:
            return PublishStep(key(kit.publication.name), kit.publication.connector, kit.address, clock=kit.clock)
    return None


def _access_step(key: Callable[[str], StepKey], kit: Kit, side: Side | None, journal: Journal) -> Step | None:
    access = kit.access(side)
    if access.directory is None:
        return None
    mine = key(access.directory.name)
    if mine.kind is StepKind.DISABLE:
        return DisableStep(
            mine,
            access.directory.connector,
            access.address,
            clock=kit.clock,
            services=kit.services,
            sessions=access.sessions,
            is_admitted=access.is_admitted,
        )
    return EnableStep(
        mine,
        access.directory.connector,
        access.address,
        clock=kit.clock,
        disabled=partial(_disabled, kit, journal, mine),
        is_admitted=access.is_admitted,
    )


def _disabled(kit: Kit, journal: Journal, mine: StepKey) -> Values | None:
    """Return what DISABLE saved of the entry that ``mine`` opens."""
    is_one_entry = kit.source.address == kit.target.address
    return _saved(journal, StepKind.DISABLE, mine, lambda other: is_one_entry or other.side == mine.side)


def _flow_step(mine: StepKey, hold: MailHold, kit: Kit, journal: Journal, home: Side) -> Step:
    keeps = offers(hold, "kept")
    bring = HeldImport(cast(KeepingHold, hold), kit.address, kit.mail) if kit.mail and keeps else None
    if mine.kind is StepKind.HOLD:
        return HoldStep(mine, hold, kit.address, clock=kit.clock, home=home, bring=bring)
    held = partial(_saved, journal, StepKind.HOLD, mine)
    return ReleaseStep(mine, hold, kit.address, clock=kit.clock, held=held, bring=bring)


def _saved(
    journal: Journal, kind: StepKind, mine: StepKey, is_same: Callable[[StepKey], bool] = lambda other: True
) -> Values | None:
    """Return what the last step of ``kind`` before ``mine`` saved that went through the same connector."""
    found = [
        entry
        for entry in journal.entries()
        if entry.key.kind is kind
        and entry.key.connector == mine.connector
        and entry.key.position < mine.position
        and entry.status is not EntryStatus.UNDONE
        and is_same(entry.key)
    ]
    return max(found, key=lambda entry: entry.key.position).saved if found else None
