"""Directories: who people are, whether they may sign in, how they come to be there. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

DIRECTORIES: Final[dict[str, Kind]] = {
    "communigate": Kind("CommuniGate Pro", "migrator.directories.communigate:CommuniGateDirectory"),
    "cyrus": Kind("Cyrus IMAP", "migrator.directories.cyrus:CyrusDirectory"),
    "dovecot": Kind("Dovecot", "migrator.directories.dovecot:DovecotDirectory"),
    "ldap": Kind("LDAP", "migrator.directories.ldap:LdapDirectory"),
    "sql": Kind("SQL database", "migrator.directories.sql:SqlDirectory"),
    "command": Kind("Your own programs", "migrator.directories.command:CommandDirectory"),
    "gate": Kind("Front server that asks a gate", "migrator.directories.gate:GateDirectory"),
}

# See migrator.directories.base.Population: accounts come to be on the target.
POPULATIONS: Final[dict[str, Kind]] = {
    "communigate": Kind("CommuniGate Pro", "migrator.directories.communigate_population:CommuniGatePopulation"),
    "dovecot": Kind("Dovecot", "migrator.directories.dovecot_population:DovecotPopulation"),
    "ldap": Kind("LDAP", "migrator.directories.ldap_population:LdapPopulation"),
}

# See migrator.directories.base.Publication: what was changed reaches those who read a copy of it.
PUBLICATIONS: Final[dict[str, Kind]] = {
    "ldap": Kind("LDAP", "migrator.directories.ldap_publication:LdapPublication"),
}
