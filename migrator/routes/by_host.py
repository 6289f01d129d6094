"""What routes share that keep the name of one server beside an address, wherever they keep it: they decide alike."""

from __future__ import annotations

from abc import ABC, abstractmethod

from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.routes.hosts import Hosts


class ByHost(ABC):
    """The deciding half of :class:`migrator.routes.base.Route`; a class beside it finds and replaces.

    ``_name`` is what the value is called that holds the name of a server.
    """

    _name: str
    _hosts: Hosts

    @abstractmethod
    def find(self, address: str) -> Values | None:
        """See :class:`migrator.entries.Entries`."""

    def current(self, address: str) -> Side | None:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return self._side(values)

    def routed(self, values: Values, to: Side) -> Values:
        return dict(values) if self._side(values) is to else {self._name: self._written(self._hosts.name(to))}

    def _side(self, values: Values) -> Side | None:
        return self._hosts.side(values[self._name])

    def _written(self, host: str) -> Json:
        """Return the name of a server as the value holds it."""
        return host
