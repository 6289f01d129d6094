"""Who holds mail is fit for it: held mail does not flow, is not returned to its senders, nor announced to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.errors import MigratorError
from migrator.preflight.base import Check, Scope, Subject


def _find(subject: Subject) -> Iterator[MigratorError]:
    if subject.hold is None:
        return
    try:
        yield from subject.hold.trouble()
        if subject.hold.find(subject.address) is None:
            yield MigratorError("directory.missing")
    except MigratorError as error:
        yield error


CHECK: Final = Check("holding", Scope.STAGE, _find)
