"""Routes in Postfix: a table names the transport that brings a user's mail to the new server.

Who is not in the table is served as the rest of Postfix's configuration says: by the old server.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Final, Self

from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.postfix_table import Tables, checked_address
from migrator.options import Options
from migrator.secret import Secret

_TRANSPORT: Final = re.compile(r"[A-Za-z0-9_.-]+:[^\s,]+")
_NO_SERVER: Final = frozenset({"discard", "error", "retry", "parked"})  # these lose mail, return it, or leave it


class PostfixRoute:
    """Implements :class:`migrator.routes.base.Route`. Everybody has an entry: what the table holds for them."""

    def __init__(self, host: PostfixHost, tables: Tables, source: tuple[str, ...], target: str) -> None:
        self._host = host
        self._tables = tables
        self._table = tables["route"]
        self._source = source
        self._target = target

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a route that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``target`` is the transport to the new server, such as smtp:[new.example.org]:25 or
        lmtp:inet:10.0.0.2:24; ``source`` those to the old one, if there are any in the table: the first is written.
        The others are those of :class:`~migrator.holds.postfix_host.PostfixHost` and
        :class:`~migrator.holds.postfix_table.Tables`.
        """
        given = Options(options)
        host = PostfixHost.of(given)
        tables = Tables.of(given, secret, host, "route")
        source, target = given.texts("source", []), given.text("target")
        given.end()
        for transport in (*source, target):
            _check(transport)
        if target in source:
            raise ValueError("The source and the target are the same transport.")
        return cls(host, tables, source, target)

    def find(self, address: str) -> Values | None:
        return {"route": self._table.find(checked_address(address))}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        key = checked_address(address)
        self._table.replace(key, _text(expected), _text(wanted))
        # mail that is held goes nowhere meanwhile; the release has Postfix read the tables anew
        if not self._tables.has("hold") or self._tables["hold"].find(key) is None:
            self._host.reload(time.monotonic())

    def current(self, address: str) -> Side | None:
        return self._side(self._table.find(checked_address(address)))

    def routed(self, values: Values, to: Side) -> Values:
        if self._side(_text(values)) is to:
            return dict(values)
        if to is Side.TARGET:
            return {"route": self._target}
        return {"route": self._source[0] if self._source else None}

    def close(self) -> None:
        self._tables.close()

    def _side(self, found: str | None) -> Side | None:
        if found is None or found in self._source:
            return Side.SOURCE
        return Side.TARGET if found == self._target else None


def _check(transport: str) -> None:
    if not _TRANSPORT.fullmatch(transport) or transport.partition(":")[0] in _NO_SERVER:
        raise ValueError(f"{transport} is not a transport to a server, such as smtp:[new.example.org]:25.")


def _text(values: Values) -> str | None:
    value = values["route"]
    if value is not None and not isinstance(value, str):
        raise MigratorError("directory.changed")
    return value
