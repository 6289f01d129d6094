"""Directories: who people are, and whether they may sign in. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

DIRECTORIES: Final[dict[str, Kind]] = {
    "ldap": Kind("LDAP", "migrator.directories.ldap:LdapDirectory"),
    "sql": Kind("SQL database", "migrator.directories.sql:SqlDirectory"),
}
