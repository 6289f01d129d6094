"""Routes: which server serves a user now. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind, Trait

_FRONT: Final = frozenset({Trait.SIGN_INS_ONLY})

ROUTES: Final[dict[str, Kind]] = {
    "ldap": Kind("LDAP", "migrator.routes.ldap:LdapRoute"),
    "sql": Kind("SQL database", "migrator.routes.sql:SqlRoute"),
    "postfix": Kind("Postfix", "migrator.routes.postfix:PostfixRoute", frozenset({Trait.MAIL_ONLY, Trait.BY_ADDRESS})),
    "dovecot": Kind("Dovecot proxy", "migrator.routes.dovecot:DovecotRoute", _FRONT),
    "nginx": Kind("Front server that asks a gate", "migrator.routes.nginx:NginxRoute", _FRONT),
    "command": Kind("Your own programs", "migrator.routes.command:CommandRoute"),
}
