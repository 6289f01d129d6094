"""A directory told by an operator's two programs: one prints the status of a user, the other changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from migrator.directories.by_status import ByStatus
from migrator.directories.command_entries import CommandEntries
from migrator.directories.status import Status
from migrator.entries import Json
from migrator.options import Options
from migrator.secret import Secret

_NAME: Final = "status"


class CommandDirectory(CommandEntries, ByStatus):
    """Implements :class:`migrator.directories.base.Directory`. One status rules all services."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory told by programs. Raises ``ValueError`` with a sentence.

        Options: ``open_value`` and ``closed_value`` as the programs call them, with the others of
        :class:`~migrator.directories.status.Status`, and those of
        :class:`~migrator.directories.command_entries.CommandEntries`.
        """
        given = Options(options)
        status = Status.of(given, _NAME, is_list=False)
        if not (isinstance(status.open_value, str) and isinstance(status.closed_value, str)):
            raise ValueError("The options open_value and closed_value must be texts: programs print no other.")
        return cls(given, status)

    def __init__(self, options: Options, status: Status) -> None:
        super().__init__(options, _NAME)
        self._status = status
