"""How one server wants to be asked, where it is old or weak, shows too much, or opens others' mailboxes by their names.

Administrators of some servers see everybody's folders below a prefix: ``~anna/Sent`` (CommuniGate Pro),
``user.anna.Sent`` or ``user/anna/Sent`` (Cyrus). The inbox is ``~anna/INBOX`` there, and ``user.anna`` here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

ALL: Final = "*"
_TILDE: Final = re.compile(r"~([^/]+)/")
_USER: Final = re.compile(r"user([./])(.+)\1")


@dataclass(frozen=True, slots=True)
class Manners:
    """Choices for one server. The defaults suit nearly all."""

    list_pattern: str = ""  # of LIST, where an operator gave one; else all folders, unless that shows files
    list_root: str = ""  # LIST's first parameter: only folders whose names begin with it are there
    is_shared_root: bool = False  # below it are folders of nobody's own mailbox: they are all that is looked at
    fetches_rfc822: bool = False  # ask for RFC822.PEEK in place of BODY.PEEK[] (RFC 1730)
    labels_as_keywords: bool = False  # Gmail: a message has the labels it lies under as keywords
    reads_one_by_one: bool = False  # never ask for more than one message at a time


USUAL: Final = Manners()


class Home(NamedTuple):
    """Another user's mailbox, as a prefix names it to an administrator."""

    owner: str
    inbox: str  # the whole name of the inbox


def home_of(prefix: str) -> Home | None:
    """Return whose mailbox ``prefix`` opens; None for one that is only the beginning of folder names."""
    if found := _TILDE.fullmatch(prefix):
        return Home(found[1], f"{prefix}INBOX")
    found = _USER.fullmatch(prefix)
    if found is None or found[1] in found[2]:
        return None  # user/anna/Work/ is a folder of hers, not all of her mailbox
    return Home(found[2], prefix[:-1])
