"""The names people search accounts by, in the form in which they are stored and looked up."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from campaigns.models import Account, AccountName

LOGIN: Final = "login"
ADDRESS: Final = "address"
NAME: Final = "name"
PHONE: Final = "phone"

LONGEST: Final = 255  # of a stored name; the rest is cut off


def normalised(kind: str, text: str) -> str:
    """Return ``text`` as names of this kind are compared: of a phone number its digits, else without capitals."""
    if kind == PHONE:
        return re.sub(r"\D", "", text)[:LONGEST]
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())[:LONGEST]


def rows_of(account: Account, addresses: Iterable[str]) -> list[AccountName]:
    """Return the names of a stored account, each once, without storing them. ``addresses``: those beside its logins."""
    given = [(LOGIN, account.source_login), (LOGIN, account.target_login)]
    given += [(ADDRESS, address) for address in addresses]
    given += [(NAME, account.display_name), (PHONE, account.phone)]
    pairs = dict.fromkeys((kind, normalised(kind, text)) for kind, text in given)
    return [AccountName(account=account, kind=kind, value=value) for kind, value in pairs if value]
