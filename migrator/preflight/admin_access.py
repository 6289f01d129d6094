"""Where somebody governs sign-in, the mailbox must open for an administrator: after DISABLE its user is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.errors import MigratorError
from migrator.preflight.base import Check, Scope, Subject, sign_in


def _find(subject: Subject) -> Iterator[MigratorError]:
    for door in subject.doors:
        if not door.is_governed:
            continue
        if door.open_as_admin is None:
            yield MigratorError("preflight.no_admin", side=door.side)
        elif door.password and (error := sign_in(door.open_as_admin, door.side)):
            yield error  # without a password it was the administrator who signed in before


CHECK: Final = Check("admin_access", Scope.STAGE, _find)
