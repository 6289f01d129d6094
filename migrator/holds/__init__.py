"""Holds: inbound mail waits, on neither side, and flows on later. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind, Trait

HOLDS: Final[dict[str, Kind]] = {
    "ldap": Kind("LDAP", "migrator.holds.ldap:LdapHold"),
    "postfix": Kind("Postfix", "migrator.holds.postfix:PostfixHold", frozenset({Trait.BY_ADDRESS})),
    "forward_file": Kind(
        "A .forward into a file", "migrator.holds.forward_file:ForwardFileHold", frozenset({Trait.KEEPS})
    ),
    "command": Kind("Your own program", "migrator.holds.command:CommandHold"),
}
