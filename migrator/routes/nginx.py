"""Routes of a front server that asks a gate: a row of the gate's table names the server that serves a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from migrator.entries import Json, Values
from migrator.errors import Side
from migrator.gates.entries import GateEntries, table_of
from migrator.gates.front import Front
from migrator.gates.table import Row, Table
from migrator.options import Options
from migrator.routes.by_host import ByHost
from migrator.routes.front import front_door
from migrator.secret import Secret

_NAME: Final = "backend"
LEAST_CHARACTERS: Final = 16


class NginxRoute(GateEntries, ByHost):
    """Implements :class:`migrator.routes.base.Route`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a route that is not yet opened. Raises ``ValueError`` with a sentence.

        Options: those of :class:`~migrator.gates.front.Front`, ``table``, the gate's file, and ``uri``, see
        :func:`~migrator.routes.front.front_door`. The secret is what the front server shows to be answered.
        """
        given = Options(options)
        if secret is None or len(secret.reveal()) < LEAST_CHARACTERS:
            raise ValueError(f"The password of the front server must have {LEAST_CHARACTERS} characters or more.")
        front, table = Front.of(given), table_of(given)
        front_door(given)
        given.end()
        return cls(table, front)

    def __init__(self, table: Table, front: Front) -> None:
        self._name = _NAME
        self._hosts = front.hosts
        super().__init__(table, front.people, self._looked, _put)

    def _looked(self, row: Row) -> Values:
        return {_NAME: row.backend or self._hosts.name(Side.SOURCE)}


def _put(row: Row, values: Values) -> Row:
    return row._replace(backend=str(values[_NAME]))
