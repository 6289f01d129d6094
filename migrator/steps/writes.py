"""What a night will write into directories that keep entries, told before anything is written.

The steps decide as they will in the night, from the entries as they stand now; a value that one step leaves is what
the next one finds. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from migrator.directories import ldif
from migrator.entries import Values
from migrator.errors import MigratorError, Side
from migrator.journal import StepKind
from migrator.recipes import Recipe
from migrator.steps.kit import Kit, Named


class Write(NamedTuple):
    """One change of one entry, by the step at ``position``. ``before`` is None for an entry that is made."""

    position: int
    kind: StepKind
    side: Side | None
    dn: str
    before: Values | None
    after: Values

    def forth(self) -> str:
        """Return the change as ldapmodify takes it; empty where nothing changes."""
        if self.before is None:
            return ldif.addition(self.dn, {name: ldif.texts(values) for name, values in self.after.items()})
        return ldif.modification(self.dn, self.before, self.after)

    def back(self) -> str:
        """Return what undoes the change as ldapmodify takes it."""
        if self.before is None:
            return ldif.removal(self.dn)
        return ldif.modification(self.dn, self.after, self.before)


_RESTORED: Final = {StepKind.ENABLE: StepKind.DISABLE, StepKind.RELEASE: StepKind.HOLD}


def writes_of(recipe: Recipe, kit: Kit) -> Iterator[Write]:
    """Yield what ``recipe`` will write for one user, in order, where its connectors name their entries (LDAP).

    Raises ``MigratorError``.
    """
    told = _Told()
    for position, step in enumerate(recipe.steps):
        if step.kind is StepKind.POPULATE:
            made = _made(position, kit)
            if made is not None:
                told.made[kit.target.address] = made
                yield made
            continue
        named, address, decide = _ways(step.kind, step.side, kit)
        if named is not None and hasattr(named.connector, "entry"):
            dn, before = told.entry(named, address)
            saved = told.saved.get((_RESTORED.get(step.kind), named.name, address))
            after = saved if saved is not None else decide(before)
            told.saved[(step.kind, named.name, address)] = before
            told.keep(dn, after)
            if after != before:
                yield Write(position, step.kind, step.side, dn, before, after)


class _Told:
    """Entries as the steps so far leave them."""

    def __init__(self) -> None:
        self.saved: dict[tuple[StepKind | None, str, str], Values] = {}
        self.made: dict[str, Write] = {}  # entries that are not there yet, by address
        self._values: dict[tuple[str, str], Any] = {}

    def entry(self, named: Named[Any], address: str) -> tuple[str, Values]:
        dn, values = self._found(named, address)
        return dn, {name: self._values.get((dn, name.lower()), value) for name, value in values.items()}

    def _found(self, named: Named[Any], address: str) -> tuple[str, Values]:
        found = named.connector.entry(address)
        if found is not None:
            return found.dn, found.values
        if address not in self.made:
            raise MigratorError("directory.missing", reply=address)
        made = self.made[address]
        values = {name.lower(): value for name, value in made.after.items()}
        return made.dn, {name: values.get(name.lower(), []) for name in named.connector.attributes}

    def keep(self, dn: str, values: Values) -> None:
        self._values |= {(dn, name.lower()): value for name, value in values.items()}


def _ways(kind: StepKind, side: Side | None, kit: Kit) -> tuple[Named[Any] | None, str, Callable[[Values], Values]]:
    """Return through which connector a step goes, how that knows the user, and what the step makes of an entry."""
    match kind:
        case StepKind.DISABLE | StepKind.ENABLE:
            access = kit.access(side)
            directory = access.directory
            if directory is None:
                return None, "", dict
            if kind is StepKind.ENABLE:
                return directory, access.address, directory.connector.opened
            return directory, access.address, lambda values: directory.connector.closed(values, kit.services)
        case StepKind.SWITCH if kit.route:
            route = kit.route.connector
            return kit.route, kit.address, lambda values: route.routed(values, Side.TARGET)
        case StepKind.HOLD | StepKind.RELEASE if kit.hold:
            hold = kit.hold.connector
            return kit.hold, kit.address, hold.holding if kind is StepKind.HOLD else dict
    return None, "", dict


def _made(position: int, kit: Kit) -> Write | None:
    """Return the entry that POPULATE makes; None where there is one, or none that we can tell of."""
    made_of = getattr(kit.population.connector, "made_of", None) if kit.population else None
    if kit.population is None or made_of is None or kit.population.connector.exists(kit.target.address):
        return None
    dn, attributes = made_of(kit.target.address)
    values: Values = {name: list(its) for name, its in attributes.items()}
    return Write(position, StepKind.POPULATE, None, dn, None, values)
