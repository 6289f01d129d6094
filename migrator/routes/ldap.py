"""Routes in LDAP: one attribute, usually mailHost, names the server that serves a user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from migrator.directories.ldap_entries import LdapEntries, checked_attribute
from migrator.entries import Json, Values
from migrator.errors import Side
from migrator.options import Options
from migrator.routes.by_host import ByHost
from migrator.routes.hosts import Hosts
from migrator.secret import Secret


class LdapRoute(LdapEntries, ByHost):
    """Implements :class:`migrator.routes.base.Route`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a route that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``source`` and ``target`` are the names of the servers as the attribute holds them, ``attribute``
        (mailHost) holds them; ``filter`` and the rest are those of :class:`~migrator.directories.ldap.LdapDirectory`.
        """
        given = Options(options)
        return cls(given, secret, checked_attribute(given.text("attribute", "mailHost")), Hosts.of(given))

    def __init__(self, options: Options, secret: Secret | None, attribute: str, hosts: Hosts) -> None:
        super().__init__(options, secret, [attribute])
        self._name = attribute
        self._hosts = hosts

    def _side(self, values: Values) -> Side | None:
        found = values[self._name]
        # two servers at once is nobody's word
        return self._hosts.side(found[0]) if isinstance(found, list) and len(found) == 1 else None

    def _written(self, host: str) -> Json:
        return [host]
