"""Who governs the account knows it, exactly once, and says that the source serves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.preflight.base import Check, Door, Scope, Subject
from migrator.routes.base import Route


def _find(subject: Subject) -> Iterator[MigratorError]:
    for door in subject.doors:
        if error := _entry(door):
            yield error
    if subject.route and (error := _way(subject.route, subject.address)):
        yield error


def _entry(door: Door) -> MigratorError | None:
    if door.directory is None:
        return None
    try:
        found = door.directory.find(door.address)
    except MigratorError as error:
        return error
    return MigratorError("directory.missing", side=door.side) if found is None else None


def _way(route: Route, address: str) -> MigratorError | None:
    try:
        side = route.current(address)
    except MigratorError as error:
        return error
    if side is Side.SOURCE:
        return None
    return MigratorError("preflight.switched_already" if side is Side.TARGET else "route.elsewhere")


CHECK: Final = Check("governance", Scope.STAGE, _find)
