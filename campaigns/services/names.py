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
WORD: Final = "word"  # of the name, the department and the logins, without accents
PART: Final = "part"  # the same of the other addresses, with which it comes and goes
TAIL: Final = "tail"  # a phone number backwards: people know its last digits
OF_ADDRESSES: Final = (ADDRESS, PART)

LONGEST: Final = 255  # of a stored name; the rest is cut off
# Letters that Unicode does not take apart, as people type them who lack the key.
_LETTERS: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)


def normalised(kind: str, text: str) -> str:
    """Return ``text`` as names of this kind are compared: of a phone number its digits, else without capitals."""
    if kind == PHONE:
        return re.sub(r"\D", "", text)[:LONGEST]
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    return " ".join(folded.split())[:LONGEST]


def rows_of(account: Account, addresses: Iterable[str]) -> list[AccountName]:
    """Return the names of a stored account, each once, without storing them. ``addresses``: those beside its logins."""
    return [AccountName(account=account, kind=kind, value=value) for kind, value in pairs_of(account, addresses)]


def kin(account: Account) -> frozenset[str]:
    """Return the names of the person on the source: the login there, and the addresses beside the logins."""
    others = AccountName.objects.filter(account=account, kind=ADDRESS).values_list("value", flat=True)
    return frozenset((account.source_login, *others))


def pairs_of(account: Account, addresses: Iterable[str]) -> list[tuple[str, str]]:
    """Return (kind, value) of the names of an account, each once. ``addresses``: those beside its logins."""
    others = list(addresses)
    logins = (account.source_login, account.target_login)
    given = [(LOGIN, normalised(LOGIN, login)) for login in logins]
    given += [(ADDRESS, normalised(ADDRESS, address)) for address in others]
    given += [(NAME, normalised(NAME, account.display_name)), *_of_phone(account.phone)]
    given += derived(account.display_name, account.department, logins, others)
    return [(kind, value) for kind, value in dict.fromkeys(given) if value]


def _of_phone(phone: str) -> list[tuple[str, str]]:
    digits = normalised(PHONE, phone)
    return [(PHONE, digits), (TAIL, digits[::-1])]


def derived(
    display_name: str, department: str, logins: Iterable[str], addresses: Iterable[str]
) -> list[tuple[str, str]]:
    """Return (kind, value) of the single words by which somebody of these names is found."""
    words = [word for text in (display_name, department) for word in words_of(text)]
    words += [word for login in logins for word in words_of(_local_part(login))]
    parts = [word for address in addresses for word in words_of(_local_part(address))]
    return [(WORD, word) for word in words] + [(PART, word) for word in parts if word not in words]


def _local_part(address: str) -> str:
    return address.partition("@")[0]


def words_of(text: str) -> list[str]:
    """Return the words of a text as they are looked up: without capitals, accents and signs; O'Brien also in one."""
    words = []
    for piece in plain(text).split():
        parts = re.findall(r"[^\W_]+", piece)
        words += parts if len(parts) < 2 else [*(part for part in parts if len(part) > 1), "".join(parts)]
    return [word[:LONGEST] for word in words]


def plain(text: str) -> str:
    """Return ``text`` without capitals and accents, so that Sørensen is found by sorensen."""
    decomposed = unicodedata.normalize("NFKD", text.casefold()).translate(_LETTERS)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))
