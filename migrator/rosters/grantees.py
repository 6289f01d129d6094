"""What the target calls those whom folders are open to, as an operator says it: a list of old and new identifiers.

It outranks what the list of accounts tells (Names). A user stays one user and a group one group: nothing in such a
list can open a folder to more people than it was open to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from migrator.mail import Grant, Grantee
from migrator.rosters.base import BadRoster, mailbox_key

MOST_OCTETS: Final = 16 * 1024 * 1024
_EVERYBODY: Final = {one.value: one for one in (Grantee.ANYONE, Grantee.AUTHENTICATED, Grantee.ANONYMOUS)}
_GROUP: Final = ("group:", "$")
_HEADING: Final = ("old", "new")
Identifier = tuple[Grantee, str]


class GranteeMap:
    """Old identifiers with their new ones; None for those who are left out."""

    def __init__(self, pairs: Mapping[Identifier, Identifier | None]) -> None:
        self._pairs = {(kind, mailbox_key(name)): new for (kind, name), new in pairs.items()}

    def knows(self, grant: Grant) -> bool:
        """True when the list names the grantee."""
        return (grant.grantee, mailbox_key(grant.name)) in self._pairs

    def of(self, grant: Grant) -> Grant | None:
        """Return ``grant`` for the new identifier, None for one who is left out. Only for those whom it knows."""
        new = self._pairs[grant.grantee, mailbox_key(grant.name)]
        return None if new is None else grant._replace(grantee=new[0], name=new[1])


def read(path: Path) -> GranteeMap:
    """Read a list: in each line an old identifier and a new one, between them a tab, comma or semicolon.

    ``group:staff`` and ``$staff`` are groups; ``anyone``, ``authenticated`` and ``anonymous`` are everybody. Without a
    new one the old one is left out. Raises ``BadRoster`` with the line, and ``OSError``.
    """
    pairs: dict[Identifier, Identifier | None] = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        fields = _fields(line)
        if not line.strip() or line.startswith("#") or tuple(field.casefold() for field in fields) == _HEADING:
            continue
        if len(fields) > 2 or not fields[0]:
            raise BadRoster(f"Line {number:,}: it must hold an old identifier and a new one, with a tab between them.")
        old, new = _identifier(fields[0], number), _identifier(fields[1], number) if fields[1:] and fields[1] else None
        if new is not None and (new[0] != old[0]):
            raise BadRoster(
                f"Line {number:,}: a user can only become a user, a group a group, and everybody stays who they are: "
                "else the folder would be open to others than it was."
            )
        key = (old[0], mailbox_key(old[1]))
        if pairs.setdefault(key, new) != new:
            raise BadRoster(f"Line {number:,}: {fields[0]} stands in the list already, with another new identifier.")
    return GranteeMap(pairs)


def _text(path: Path) -> str:
    octets = path.read_bytes()
    if len(octets) > MOST_OCTETS:
        raise BadRoster(f"it is longer than {MOST_OCTETS:,} octets: this is not a list of identifiers.")
    try:
        return octets.decode("utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets[: error.start].count(b"\n") + 1
        raise BadRoster(f"Line {line:,}: it is no text in UTF-8. Save the list as UTF-8.") from None


def _fields(line: str) -> list[str]:
    separator = next((mark for mark in "\t;," if mark in line), "\t")
    return [field.strip() for field in line.split(separator)]


def _identifier(text: str, number: int) -> Identifier:
    if text.startswith("-"):
        raise BadRoster(
            f"Line {number:,}: leave the minus sign away; what is denied to somebody goes with their identifier."
        )
    if not text.isprintable():
        raise BadRoster(f"Line {number:,}: an identifier holds characters that no name has.")
    if text.casefold() in _EVERYBODY:
        return _EVERYBODY[text.casefold()], ""
    for sign in _GROUP:
        if text.startswith(sign) and len(text) > len(sign):
            return Grantee.GROUP, text.removeprefix(sign)
    return Grantee.USER, text
