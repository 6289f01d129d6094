"""A column of a PostgreSQL table that Postfix asks.

``CREATE TABLE mailferry_transport (address text PRIMARY KEY, hold text, route text)``; Postfix's query is ``SELECT
COALESCE(hold, route) FROM mailferry_transport WHERE address = lower('%s') AND COALESCE(hold, route) IS NOT NULL``.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from migrator.directories.compare import compare_and_set
from migrator.directories.sql_line import Database, SqlLine, Statement
from migrator.entries import Values
from migrator.errors import MigratorError

_RELATION: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")


class _Row(NamedTuple):
    values: Values


class SqlTable:
    """Implements :class:`~migrator.holds.postfix_table.Table`. A row in which nothing stands is left where it is."""

    name = "pgsql:"

    def __init__(self, database: Database, relation: str, column: str) -> None:
        self._line = SqlLine(database)
        self._column = column
        where = f"WHERE address = :address AND {column} IS NOT DISTINCT FROM :expected"
        self._find = Statement(f"SELECT {column} FROM {relation} WHERE address = :address")
        self._update = Statement(f"UPDATE {relation} SET {column} = :wanted {where}")
        self._insert = Statement(
            f"INSERT INTO {relation} (address, {column}) VALUES (:address, :wanted) ON CONFLICT DO NOTHING"
        )

    def find(self, address: str) -> str | None:
        found = self._look(address).values[self._column]
        if found is not None and not isinstance(found, str):
            raise MigratorError("directory.invalid", reply=f"{self._column} is no text")
        return found or None

    def replace(self, address: str, expected: str | None, wanted: str | None) -> None:
        compare_and_set(
            lambda: self._look(address),
            lambda row: self._change(address, expected, wanted),
            {self._column: expected},
            {self._column: wanted},
        )

    def close(self) -> None:
        self._line.close()

    def _look(self, address: str) -> _Row:
        rows = self._line.rows(self._find, {"address": address}, 1)
        return _Row(rows[0] if rows else {self._column: None})

    def _change(self, address: str, expected: str | None, wanted: str | None) -> MigratorError | None:
        values = {"address": address, "expected": expected, "wanted": wanted}
        count = self._line.change_one(self._update, values)
        if not count and expected is None:
            count = self._line.change_one(self._insert, values)
        return None if count else MigratorError("directory.busy")


def checked_relation(name: str) -> str:
    """Return the name of a table, with its schema or without. Raises ``ValueError`` with a sentence."""
    if not _RELATION.fullmatch(name):
        raise ValueError(f"{name} is not the name of a table: small letters, digits and _ only.")
    return name
