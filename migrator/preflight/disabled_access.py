"""An administrator opens the mailbox of somebody who is disabled: proved on such an account, on each governed side.

Many servers refuse everybody at the door of a disabled mailbox, administrators too. Found out at night, that is a
user without mail and a copy that cannot begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.errors import MigratorError
from migrator.preflight.base import Check, Door, Scope, Subject, sign_in


def _find(subject: Subject) -> Iterator[MigratorError]:
    for door in subject.doors:
        if door.directory is None:
            continue
        error = _try(door)
        if error is not None:
            yield error


def _try(door: Door) -> MigratorError | None:
    if door.open_as_admin is None:
        return MigratorError("preflight.no_admin", side=door.side)
    assert door.directory is not None
    try:
        if not door.directory.is_disabled(door.address):
            return MigratorError("preflight.not_disabled", side=door.side)
    except MigratorError as error:
        return error
    return sign_in(door.open_as_admin, door.side)


CHECK: Final = Check("disabled_access", Scope.SURVEY, _find)
