"""Directories in LDAP: one attribute admits or refuses a user, such as SIMS's emailPersonStatus."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Self

from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.ldap_entries import LdapEntries, checked_attribute
from migrator.directories.status import Status
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret


class LdapDirectory(LdapEntries):
    """Implements :class:`migrator.directories.base.Directory`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``status`` is the attribute (emailPersonStatus, mailUserStatus and inetUserStatus are known, of
        others say ``open_value`` and ``closed_value``), ``filter`` finds an entry by ``{address}``, ``{local}`` and
        ``{domain}``; and those of :class:`~migrator.directories.status.Status` and
        :class:`~migrator.directories.ldap_line.LdapServers`.
        """
        given = Options(options)
        status = Status.of(given, checked_attribute(given.text("status")), is_list=True)
        return cls(given, secret, status)

    def __init__(self, options: Options, secret: Secret | None, status: Status) -> None:
        super().__init__(options, secret, [status.name])
        self._status = status

    def is_disabled(self, address: str) -> bool:
        beside = self._status.beside()
        entry = self._entry(address, [status.name for status in beside])
        if entry is None:
            raise MigratorError("directory.missing")
        return self._status.refuses(entry.values) or any(status.refuses(entry.beside) for status in beside)

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        return self._status.closed(values, services)

    def opened(self, values: Values) -> Values:
        return self._status.opened(values)
