"""What is looked at before anything is done, so that nobody finds out at night: one file a check, each with its scope.

Checks change nothing. They run in order, cheap before dear, and the first that finds something is the last: what
follows would only tell of the same fault in other words.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from migrator.preflight import admin_access, disabled_access, governance, hashes, holding, sign_in
from migrator.preflight.base import Check, Door, Failure, Scope, Subject

__all__ = ["CHECKS", "Check", "Door", "Failure", "Scope", "Subject", "run_checks"]

CHECKS: Final = (
    hashes.CHECK,
    governance.CHECK,
    holding.CHECK,
    sign_in.CHECK,
    admin_access.CHECK,
    disabled_access.CHECK,
)


def run_checks(subject: Subject, scope: Scope, *, without: Collection[str] = ()) -> list[Failure]:
    """Run the checks of ``scope``; return what the first check found that found anything, of both sides.

    ``without`` names checks that the caller makes otherwise.
    """
    for check in CHECKS:
        if check.scope is scope and check.name not in without:
            failures = [Failure(check.name, error) for error in check.find(subject)]
            if failures:
                return failures
    return []
