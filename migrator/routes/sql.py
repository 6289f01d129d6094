"""Routes in SQL: one column names the server that serves a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from migrator.directories.sql_entries import SqlEntries, checked_column
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.options import Options
from migrator.routes.hosts import Hosts
from migrator.secret import Secret


class SqlRoute(SqlEntries):
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
        self._column = column
        self._hosts = hosts

    def current(self, address: str) -> Side | None:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return self._hosts.side(values[self._column])

    def routed(self, values: Values, to: Side) -> Values:
        is_there = self._hosts.side(values[self._column]) is to
        return dict(values) if is_there else {self._column: self._hosts.name(to)}
