"""Routes told by an operator's two programs: one prints the server that serves a user, the other changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from migrator.directories.command_entries import CommandEntries
from migrator.entries import Json
from migrator.options import Options
from migrator.routes.by_host import ByHost
from migrator.routes.hosts import Hosts
from migrator.secret import Secret

_NAME: Final = "host"


class CommandRoute(CommandEntries, ByHost):
    """Implements :class:`migrator.routes.base.Route`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a route told by programs. Raises ``ValueError`` with a sentence.

        Options: ``source`` and ``target`` are the names of the servers as the programs call them; the others are
        those of :class:`~migrator.directories.command_entries.CommandEntries`.
        """
        given = Options(options)
        return cls(given, Hosts.of(given))

    def __init__(self, options: Options, hosts: Hosts) -> None:
        super().__init__(options, _NAME)
        self._hosts = hosts
