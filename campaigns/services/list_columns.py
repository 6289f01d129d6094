"""What the columns of a list seem to mean: a guess that people look at and correct, never one that is acted upon."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from migrator.rosters.tsv import Look, Shape

# The column that tells in a file of refused rows what is wrong with each; also how such a file is known again.
REFUSED_TITLE: Final = "Mailferry: what is wrong"

# Titles as people write them, in small letters and without anything between the words.
_TITLES: Final = {
    "source_login": "name user username login userid uid account mail email emailaddress address mailbox oldmail"
    " oldaddress oldlogin olduser oldname source sourcelogin benutzer benutzername konto utilisateur usuario",
    "source_password": "password passwd pass pw pwd secret oldpassword oldpw sourcepassword kennwort passwort"
    " motdepasse contraseña",
    "target_login": "newname newmail newaddress newlogin newuser target targetlogin newemail",
    "target_password": "newpassword newpw targetpassword",
    "display_name": "displayname fullname realname cn person nameofperson vollername",
    "phone": "phone tel telephone telephonenumber mobile telefon",
    "department": "department dept ou unit abteilung",
    "language": "language lang preferredlanguage sprache",
    "notice_address": "noticeaddress privatemail privateaddress contact",
    "addresses": "addresses aliases alias otheraddresses",
    "is_vip": "vip isvip important",
    "source_server": "oldserver sourceserver",
    "target_server": "newserver targetserver",
}
_MEANINGS: Final = {title: field for field, titles in _TITLES.items() for title in titles.split()}
_SIGN_INS: Final = ("login", "user", "username", "uid", "userid", "benutzer", "benutzername")
_ADDRESSES: Final = ("mail", "email", "emailaddress", "address")


class Guess(NamedTuple):
    """How a list seems to be made, and what stands where: columns by field, as ``Reading`` wants them."""

    shape: Shape
    columns: dict[str, str]


def guess(look: Look, has_heading: bool | None = None) -> Guess:
    """Return what a list seems to be. ``has_heading``: what somebody has said about its first line.

    A first line that is not surely a heading is taken for an account: it may hold a password, and headings are shown.
    """
    first = look.rows[0] if look.rows else []
    if has_heading is None:
        has_heading = _is_heading(look)
    width = max(map(len, look.rows), default=0)
    names = _different(first) if has_heading else [f"Column {place}" for place in range(1, width + 1)]
    is_harmless = has_heading and REFUSED_TITLE in first
    shape = Shape(look.separator, names, has_heading, is_harmless)
    columns = _columns(names) if has_heading else {}
    if "source_login" not in columns:
        rows = look.rows[has_heading:]
        columns |= _login_by_cells(rows, [name for name in names if name not in columns.values()], names)
    return Guess(shape, columns)


def _plain(title: str) -> str:
    return re.sub(r"[\W_]+", "", title).casefold()


def _is_heading(look: Look) -> bool:
    if not look.rows:
        return False
    first, others = look.rows[0], look.rows[1:]
    if any(_MEANINGS.get(_plain(title)) == "source_login" for title in first):
        return True
    addresses = [row for row in others if any("@" in cell for cell in row)]
    return bool(others) and len(addresses) == len(others) and not any("@" in cell for cell in first)


def _different(titles: Sequence[str]) -> list[str]:
    """Return a name for each column, no two alike but for capitals."""
    names: list[str] = []
    taken: set[str] = set()
    for place, title in enumerate(titles, start=1):
        name = plain = re.sub(r"\s+", " ", title).strip() or f"Column {place}"
        number = 2
        while name.casefold() in taken:
            name, number = f"{plain} ({number})", number + 1
        taken.add(name.casefold())
        names.append(name)
    return names


def _columns(names: Sequence[str]) -> dict[str, str]:
    columns = {name.casefold(): name for name in names if name.casefold() in _TITLES}  # in files of refused rows
    for name in names:
        field = _MEANINGS.get(_plain(name))
        if field == "source_login" and field in columns:
            # Beside an address the name somebody signs in by is the better one; people are found by the other.
            if _plain(name) in _SIGN_INS and _plain(columns[field]) not in _SIGN_INS:
                name, columns[field] = columns[field], name
            if _plain(name) in _ADDRESSES:
                columns.setdefault("addresses", name)
        elif field:
            columns.setdefault(field, name)
    return columns


def _login_by_cells(rows: Sequence[Sequence[str]], free: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return what can be told by the cells: a column of addresses is the login, else the first one that is free is."""
    for name in free:
        place = names.index(name)
        cells = [row[place] for row in rows if len(row) > place]
        if cells and all("@" in cell.strip("@") and " " not in cell for cell in cells):
            return {"source_login": name}
    return {"source_login": free[0]} if free else {}
