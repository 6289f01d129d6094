"""Routes in SQL: one column names the server that serves a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from migrator.directories.sql_entries import SqlEntries, checked_column
from migrator.entries import Json
from migrator.options import Options
from migrator.routes.by_host import ByHost
from migrator.routes.hosts import Hosts
from migrator.secret import Secret


class SqlRoute(SqlEntries, ByHost):
    """Implements :class:`migrator.routes.base.Route`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a route that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``column`` holds the name of a server, ``source`` and ``target`` are the names of the two; the others
        are those of :class:`~migrator.directories.sql_entries.SqlEntries`.
        """
        given = Options(options)
        return cls(given, secret, checked_column(given.text("column", "mailhost")), Hosts.of(given))

    def __init__(self, options: Options, secret: Secret | None, column: str, hosts: Hosts) -> None:
        super().__init__(options, secret, [column])
        self._name = column
        self._hosts = hosts
