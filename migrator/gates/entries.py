"""Values that the table of a gate keeps beside addresses: what routes and directories of gates have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from migrator.directories.compare import names_of
from migrator.entries import Values
from migrator.errors import MigratorError
from migrator.gates.front import People
from migrator.gates.table import Row, Table
from migrator.options import Options


def table_of(options: Options) -> Table:
    """Read ``table``, the full path of the file. Raises ``ValueError`` with a sentence."""
    path = Path(options.text("table"))
    if not path.is_absolute():
        raise ValueError("The option table must be the full path of a file.")
    return Table(path)


class GateEntries:
    """One side of the rows: ``look`` makes values of a row, ``put`` a row with other values.

    Everybody in the domains of ``people`` has an entry, and nobody else.
    """

    def __init__(
        self, table: Table, people: People, look: Callable[[Row], Values], put: Callable[[Row, Values], Row]
    ) -> None:
        self._table = table
        self._people = people
        self._look = look
        self._put = put

    def find(self, address: str) -> Values | None:
        key = self._key(address)
        return None if key is None else self._look(self._table.read(self._people.gate, key))

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        key = self._key(address)
        if key is None:
            raise MigratorError("directory.missing")
        left = self._table.change(self._people.gate, key, lambda row: self._changed(row, expected, wanted))
        if self._look(left) != wanted:
            raise MigratorError("directory.changed")

    def close(self) -> None:
        self._table.close()

    def _key(self, address: str) -> str | None:
        names_of(address)  # refuses what is no address
        if "*" in address:  # which the front takes for an administrator's sign-in
            raise MigratorError("address.bad")
        return self._people.key(address)

    def _changed(self, row: Row, expected: Values, wanted: Values) -> Row | None:
        return self._put(row, wanted) if self._look(row) == expected else None
