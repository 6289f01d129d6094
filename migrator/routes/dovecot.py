"""Routes of a Dovecot that is a proxy: a column of its own SQL table names the server that serves a user.

The table is the proxy's; nothing here needs to run for people to sign in. What the proxy remembers of sign-ins is
dropped at each look and each change (a crash may have come between the two), and a change ends the sessions that still
lead to the server of before: their programs sign in again and come to the other one.
"""

from __future__ import annotations

from migrator.entries import Values
from migrator.options import Options
from migrator.routes.front import front_door
from migrator.routes.hosts import Hosts
from migrator.routes.sql import SqlRoute
from migrator.secret import Secret
from migrator.sessions.dovecot_proxy import DovecotProxySessions


class DovecotRoute(SqlRoute):
    """Implements :class:`migrator.routes.base.Route`.

    Options: those of :class:`~migrator.routes.sql.SqlRoute`, ``uri``, see :func:`~migrator.routes.front.front_door`,
    and ``doveadm``, ``known_by`` and ``seconds`` of :class:`~migrator.sessions.dovecot_proxy.DovecotProxySessions`,
    for the proxy.
    """

    def __init__(self, options: Options, secret: Secret | None, column: str, hosts: Hosts) -> None:
        front_door(options)
        self._proxy = DovecotProxySessions.read(options)  # the others say that nothing may be left
        super().__init__(options, secret, column, hosts)

    def find(self, address: str) -> Values | None:
        found = super().find(address)
        if found is not None:
            self._proxy.forget(address)
        return found

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        super().replace(address, expected, wanted)
        self._proxy.forget(address)
        self._proxy.end(address)
