"""What stands in the names and small files of a Maildir: flags, keywords, UIDs, subscriptions. Pure.

Maildir by D. J. Bernstein; Maildir++ and ``maildirfolder`` by S. Varshavchik; ``dovecot-uidlist``, ``dovecot-keywords``
by Dovecot; ``courierimapuiddb`` by Courier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from migrator.mail import Flags

_LETTERS: Final = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
_ATOM: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_KEYWORD: Final = re.compile(rb"(\d{1,2}) (.*)")
_VERSION_1: Final = re.compile(rb"1 (\d+) (\d+)\s*")
_VERSION_3: Final = re.compile(rb"3 (.*)")
_TIME: Final = re.compile(rb"(\d{1,19})\.")


class UidList(NamedTuple):
    """The numbers that a server gave; ``uids`` by base name."""

    uidvalidity: int
    uidnext: int
    uids: Mapping[bytes, int]


def base_of(name: bytes) -> bytes:
    """Return the part of a file's name that stays when its flags change."""
    return name.partition(b":")[0]


def letters_of(name: bytes) -> str:
    """Return the letters of a file's flags (``base:2,FS``); empty where there are none."""
    mark, info = name.rpartition(b":2,")[1:]
    return info.partition(b",")[0].decode("ascii", "replace") if mark else ""


def flags_of(letters: str, keywords: Mapping[str, str]) -> Flags:
    """Return the flags that ``letters`` mean, small ones by the folder's ``keywords``; unknown ones mean nothing."""
    found = (_LETTERS.get(letter) or keywords.get(letter) for letter in letters)
    return frozenset(flag for flag in found if flag)


def keywords(written: bytes) -> dict[str, str]:
    """Read ``dovecot-keywords``: lines of a number from 0 to 25 and a name. Names no IMAP server takes are left out."""
    found = {}
    for line in written.splitlines():
        row = _KEYWORD.fullmatch(line)
        name = row.group(2).decode("utf-8", "replace").strip() if row else ""
        if row and int(row.group(1)) < 26 and is_keyword(name):
            found[chr(ord("a") + int(row.group(1)))] = name
    return found


def is_keyword(name: str) -> bool:
    """True for a name that IMAP takes as a keyword (RFC 3501 §9, atom)."""
    return bool(_ATOM.fullmatch(name))


class UidListHead(NamedTuple):
    """What the first line tells."""

    uidvalidity: int
    uidnext: int
    is_dovecots: bool  # version 3


def uid_list_head(line: bytes) -> UidListHead | None:
    """Read the first line of ``dovecot-uidlist`` (versions 1 and 3) or ``courierimapuiddb``; None for another one."""
    if found := _VERSION_1.fullmatch(line):
        return UidListHead(int(found.group(1)), int(found.group(2)), is_dovecots=False)
    if found := _VERSION_3.fullmatch(line):
        fields = {field[:1]: field[1:] for field in found.group(1).split()}
        if fields.get(b"V", b"").isdigit() and fields.get(b"N", b"").isdigit():
            return UidListHead(int(fields[b"V"]), int(fields[b"N"]), is_dovecots=True)
    return None


def uid_list_rows(head: UidListHead, lines: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield base names and numbers of the lines after the first; what makes no sense is left out."""
    for line in lines:
        number, _, last = line.partition(b" ")
        name = last.partition(b":")[2] if head.is_dovecots else last
        if number.isdigit() and name:
            yield base_of(name.strip()), int(number)


def uid_list(written: bytes) -> UidList | None:
    """Read a whole ``dovecot-uidlist`` or ``courierimapuiddb``; None for anything else."""
    first, _, rest = written.partition(b"\n")
    head = uid_list_head(first)
    return UidList(head.uidvalidity, head.uidnext, dict(uid_list_rows(head, rest.splitlines()))) if head else None


def subscriptions(written: bytes, prefix: bytes = b"", separator: bytes = b".") -> frozenset[bytes]:
    """Read Dovecot's ``subscriptions`` (both versions) or ``courierimapsubscribed``: names without ``prefix``.

    Dovecot's version 2 parts the levels by TAB; they come out parted by ``separator``.
    """
    lines = written.splitlines()
    if lines and lines[0].startswith(b"V\t"):
        lines = [line.replace(b"\t", separator) for line in lines[2:]]
    return frozenset(name.removeprefix(prefix) for name in lines if name)  # blanks at its end are part of a name


def arrival(name: bytes) -> tuple[int, bytes]:
    """Return what orders files nobody numbered: the time at the front of the name, then the name."""
    found = _TIME.match(name)
    return (int(found.group(1)) if found else 0), name
