"""Routes: which server serves a user now. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

ROUTES: Final[dict[str, Kind]] = {
    "ldap": Kind("LDAP", "migrator.routes.ldap:LdapRoute"),
    "sql": Kind("SQL database", "migrator.routes.sql:SqlRoute"),
}
