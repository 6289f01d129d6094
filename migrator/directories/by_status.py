"""What directories share that keep one status beside an address, wherever they keep it: they decide alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.status import Status
from migrator.entries import Values
from migrator.errors import MigratorError


class ByStatus(ABC):
    """The deciding half of :class:`migrator.directories.base.Directory`; a class beside it finds and replaces."""

    _status: Status

    @abstractmethod
    def find(self, address: str) -> Values | None:
        """See :class:`migrator.entries.Entries`."""

    def is_disabled(self, address: str) -> bool:
        values = self.find(address)
        if values is None:
            raise MigratorError("directory.missing")
        return self._status.refuses(values)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        return self._status.closed(values, services)

    def opened(self, values: Values) -> Values:
        return self._status.opened(values)
