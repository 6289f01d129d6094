"""Directories of a gate: what somebody is refused at the front server, each service by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Self

from migrator.directories.base import ALL_SERVICES, Service
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.gates.entries import GateEntries, table_of
from migrator.gates.front import People
from migrator.gates.table import Row
from migrator.options import Options
from migrator.secret import Secret

_NAME: Final = "refused"


class GateDirectory(GateEntries):
    """Implements :class:`migrator.directories.base.Directory`.

    It refuses at the front door alone: a server whose own door is open to users lets them in there.
    """

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory that is not yet opened. Raises ``ValueError`` with a sentence.

        Options: those of :class:`~migrator.gates.front.People`, and ``table``, the gate's file.
        """
        given = Options(options)
        people, table = People.of(given), table_of(given)
        given.end()
        return cls(table, people, _looked, _put)

    def is_disabled(self, address: str) -> bool:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return Service.READING in _services(values)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        refused: list[Json] = [*sorted(_services(values) | {str(service) for service in services})]
        return {_NAME: refused}

    def opened(self, values: Values) -> Values:
        return {_NAME: []}


def _services(values: Values) -> set[str]:
    found = values[_NAME]
    return {str(one) for one in found} if isinstance(found, list) else set()


def _looked(row: Row) -> Values:
    return {_NAME: list(row.refused)}


def _put(row: Row, values: Values) -> Row:
    return row._replace(refused=tuple(sorted(_services(values))))
