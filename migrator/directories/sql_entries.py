"""Entries kept in an SQL table: found by one statement, changed by compare-and-set with another.

The statement that changes a row compares what it expects and counts what it changed: one row, or nothing was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from migrator.directories.compare import compare_and_set, names_of
from migrator.directories.sql_line import SqlLine, Statement, database_of
from migrator.entries import Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret


@dataclass(frozen=True, slots=True)
class _Row:
    values: Values


class SqlEntries:
    """The values of ``columns`` beside addresses. Implements :class:`migrator.entries.Entries`.

    Options beside those of :func:`~migrator.directories.sql_line.database_of`: ``find`` selects the columns by
    ``:address``; ``replace`` sets them to ``:wanted_COLUMN`` where the address is ``:address`` and they are
    ``:expected_COLUMN``, compared so that NULL is equal to NULL (``IS`` in SQLite, ``IS NOT DISTINCT FROM`` in
    PostgreSQL); ``list``, if given, selects all addresses.
    """

    def __init__(self, options: Options, secret: Secret | None, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self._find = Statement(options.text("find"))
        self._replace = Statement(options.text("replace"))
        self._list = Statement(options.text("list", ""))
        parameters = [f"{when}_{column}" for column in columns for when in ("expected", "wanted")]
        self._find.check("find", ["address"], ["local", "domain"])
        self._replace.check("replace", parameters, ["address", "local", "domain"])
        self._list.check("list", [], [])
        self._line = SqlLine(database_of(options, secret))
        options.end()

    def find(self, address: str) -> Values | None:
        row = self._row(address)
        return row.values if row else None

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        compare_and_set(
            lambda: self._row(address), lambda row: self._change(address, row.values, wanted), expected, wanted
        )

    def addresses(self) -> Iterator[str]:
        """Yield what the statement ``list`` selects: its first column. Raises ``directory.invalid`` without one."""
        if not self._list.text:
            raise MigratorError("directory.invalid", reply="there is no statement named list")
        for row in self._line.rows(self._list, {}):
            yield str(next(iter(row.values())))

    def close(self) -> None:
        self._line.close()

    def _row(self, address: str) -> _Row | None:
        rows = self._line.rows(self._find, names_of(address), 2)
        if len(rows) > 1:
            raise MigratorError("directory.ambiguous")
        if rows and rows[0].keys() != set(self._columns):
            raise MigratorError("directory.invalid", reply=f"find must select {', '.join(self._columns)}, nothing else")
        return _Row(rows[0]) if rows else None

    def _change(self, address: str, expected: Values, wanted: Values) -> MigratorError | None:
        values = {f"expected_{name}": expected[name] for name in self._columns}
        values |= {f"wanted_{name}": wanted[name] for name in self._columns}
        count = self._line.change_one(self._replace, values | names_of(address))
        if count > 1:
            raise MigratorError("directory.ambiguous")
        return (
            None if count == 1 else MigratorError("directory.invalid", reply="replace does not change what find finds")
        )


def checked_column(name: str) -> str:
    """Return ``name`` if it can be part of a parameter's name. Raises ``ValueError`` with a sentence."""
    if not name.isascii() or not name.isidentifier():
        raise ValueError(f"{name} is not the name of a column: select it AS a plain word.")
    return name
