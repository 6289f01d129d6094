"""Directories in LDAP: one attribute admits or refuses a user, such as SIMS's emailPersonStatus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from migrator.directories.by_status import ByStatus
from migrator.directories.ldap_entries import LdapEntries, checked_attribute
from migrator.directories.ldap_schemas import Schema, schema_of
from migrator.directories.status import Status
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret


class LdapDirectory(LdapEntries, ByStatus):
    """Implements :class:`migrator.directories.base.Directory`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a directory that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``schema`` is how the product keeps people (:mod:`migrator.directories.ldap_schemas`), and has
        defaults for the next two. ``status`` is the attribute (emailPersonStatus, mailUserStatus and inetUserStatus
        are known, of others say ``open_value`` and ``closed_value``), ``filter`` finds an entry by ``{address}``,
        ``{local}`` and ``{domain}``; and those of :class:`~migrator.directories.status.Status` and
        :class:`~migrator.directories.ldap_line.LdapServers`.
        """
        given = Options(options)
        schema = schema_of(given)
        name = given.text("status", schema.status or None)
        return cls(given, secret, schema, Status.of(given, checked_attribute(name), is_list=True))

    def __init__(self, options: Options, secret: Secret | None, schema: Schema, status: Status) -> None:
        super().__init__(options, secret, [status.name], schema)
        self._status = status

    def is_disabled(self, address: str) -> bool:
        beside = self._status.beside()
        entry = self._entry(address, [status.name for status in beside])
        if entry is None:
            raise MigratorError("directory.missing")
        return self._status.refuses(entry.values) or any(status.refuses(entry.beside) for status in beside)
