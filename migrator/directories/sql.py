"""Directories in SQL: one column admits or refuses a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from migrator.directories.by_status import ByStatus
from migrator.directories.sql_entries import SqlEntries, checked_column
from migrator.directories.status import Status
from migrator.entries import Json
from migrator.options import Options
from migrator.secret import Secret


class SqlDirectory(SqlEntries, ByStatus):
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
