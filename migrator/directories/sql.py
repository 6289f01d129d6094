"""Directories in SQL: one column admits or refuses a user."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Self

from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.sql_entries import SqlEntries, checked_column
from migrator.directories.status import Status
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret


class SqlDirectory(SqlEntries):
    """Implements :class:`migrator.directories.base.Directory`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``status`` is the column as ``find`` calls it, ``open_value`` and ``closed_value`` what it holds; the
        others are those of :class:`~migrator.directories.sql_entries.SqlEntries` and
        :class:`~migrator.directories.status.Status`.
        """
        given = Options(options)
        return cls(given, secret, Status.of(given, checked_column(given.text("status")), is_list=False))

    def __init__(self, options: Options, secret: Secret | None, status: Status) -> None:
        super().__init__(options, secret, [status.name])
        self._status = status

    def is_disabled(self, address: str) -> bool:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return self._status.refuses(values)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        return self._status.closed(values, services)

    def opened(self, values: Values) -> Values:
        return self._status.opened(values)
