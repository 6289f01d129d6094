"""Where mail lives: one file per kind of store, all held to the contracts of base.py. Kinds by name.

A kind has a class for the side on which it may stand. Its constructor takes what its ``address`` says first, then the
limits, and a target that is only delivered to takes ``recipient`` too. It opens nothing before it is asked something.
"""

from __future__ import annotations

import importlib
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Address(StrEnum):
    """What names a mailbox of a kind."""

    SIGN_IN = "sign-in"  # an Endpoint: server, user, password
    RECIPIENT = "recipient"  # an Endpoint, and whom to deliver to; nobody signs in
    FILE = "file"  # a path of this machine


class StoreKind(NamedTuple):
    """One kind of store; ``source`` and ``target`` are ``module:Class``, None where it cannot stand on that side."""

    label: str
    address: Address
    source: str | None = None
    target: str | None = None


STORES: Final[dict[str, StoreKind]] = {
    "imap": StoreKind(
        "IMAP", Address.SIGN_IN, "migrator.stores.imap_source:ImapSource", "migrator.stores.imap_target:ImapTarget"
    ),
    "maildir": StoreKind("Maildir", Address.FILE, "migrator.stores.maildir:MaildirSource"),
    "mbox": StoreKind("mbox", Address.FILE, "migrator.stores.mbox:MboxSource"),
    "pop3": StoreKind("POP3", Address.SIGN_IN, "migrator.stores.pop3:Pop3Source"),
    "smtp": StoreKind("SMTP", Address.RECIPIENT, target="migrator.stores.smtp:SmtpTarget"),
    "lmtp": StoreKind("LMTP", Address.RECIPIENT, target="migrator.stores.lmtp:LmtpTarget"),
}


def load(place: str) -> Any:
    """Return the class at ``module:Class`` of a kind."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
