"""Passwords that are none: exports often hold hashes, which open nothing, and each try counts as a wrong password."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator import passwords
from migrator.errors import MigratorError
from migrator.preflight.base import Check, Scope, Subject


def _find(subject: Subject) -> Iterator[MigratorError]:
    for door in subject.doors:
        found = passwords.recognise(door.password.reveal()) if door.password else None
        if found and found.is_certain:
            yield MigratorError("sign_in.hash_given", side=door.side, scheme=found.scheme.value)


CHECK: Final = Check("hashes", Scope.STAGE, _find)
