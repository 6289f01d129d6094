"""Both servers are reachable and let us in as the copy will go in. A password that was refused is not sent again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.errors import MigratorError
from migrator.preflight.base import Check, Door, Scope, Subject, sign_in


def _find(subject: Subject) -> Iterator[MigratorError]:
    for door in subject.doors:
        error = _try(door)
        if error is not None:
            yield error
            if door.password:
                return  # of two wrong passwords only one is remembered as refused: the other is not tried yet


def _try(door: Door) -> MigratorError | None:
    if door.was_refused and door.password:
        return MigratorError("sign_in.refused", side=door.side)
    return sign_in(door.open, door.side)


CHECK: Final = Check("sign_in", Scope.STAGE, _find)
