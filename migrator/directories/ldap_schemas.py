"""How products keep people and groups in LDAP: in which attributes their addresses stand, and what rules them.

A schema gives defaults. Whatever an administrator says of a directory of their own beats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.options import Options

HOST: Final = "mailHost"
DELIVERY: Final = "mailDeliveryOption"


# Object classes of groups, of whatever product: a class that a server does not know fits nothing.
GROUPS: Final = (
    "groupOfNames",
    "groupOfUniqueNames",
    "groupOfMailEnhancedUniqueNames",
    "mailGroup",
    "inetMailGroup",
    "emailGroup",
)
GROUP_FILTER: Final = f"(|{''.join(f'(objectClass={name})' for name in GROUPS)})"


@dataclass(frozen=True, slots=True)
class Schema:
    """One product's way. ``addresses``: the primary one first. ``status`` is empty where nothing refuses a sign-in."""

    addresses: tuple[str, ...] = ("mail",)
    status: str = ""

    @property
    def filter(self) -> str:
        """The filter that finds a person or a group by any of their addresses, or by the name they sign in with."""
        if self == CUSTOM:
            return "(mail={address})"
        names = [*self.addresses, "uid"]
        return f"(|{''.join(f'({name}={{address}})' for name in names)})"


CUSTOM: Final = Schema()
# A server cannot hold mailAlternateAddress and mailLocalAddress together: both have one number. Names that a server
# does not know are no error in a filter either.
SCHEMAS: Final[dict[str, Schema]] = {
    "custom": CUSTOM,
    "sims": Schema(("mail", "rfc822Mailbox"), "emailPersonStatus"),
    "netscape": Schema(("mail", "mailAlternateAddress"), "mailUserStatus"),
    "iplanet": Schema(("mail", "mailAlternateAddress", "mailEquivalentAddress"), "mailUserStatus"),
    "laser": Schema(("mailLocalAddress", "mail")),
}


def schema_of(options: Options) -> Schema:
    """Read the option ``schema``: custom, sims, netscape, iplanet (Sun, Oracle) or laser (inetLocalMailRecipient)."""
    return SCHEMAS[options.choice("schema", SCHEMAS, "custom")]
