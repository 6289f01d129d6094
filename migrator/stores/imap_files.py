"""Telling a list of files from a list of folders: some servers show a home directory, or the machine's, as mail.

A judgement by names alone, on what nobody calls a folder. It is asked only where no operator said what to list.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Final

MOST_FOLDERS: Final = 5_000  # of one account, found by nobody's choice; the biggest mailboxes known have fewer
LEAST_SUFFIXES: Final = 3  # one folder may be called offer.pdf
SHOWN: Final = 3
_DOTTED: Final = re.compile(
    r"\.(procmailrc|forward|profile|login|logout|cshrc|netrc|pinerc|newsrc|mailcap|mailrc|vimrc|viminfo|emacs|rhosts|"
    r"plan|project|signature|vacation\.\w+|addressbook|Xauthority|lesshst|inputrc|mlbxlsn|"
    r"(ba|z|k)sh(rc|_profile|_history|_logout|env)|(ba|z|tc|k)sh_history|history|ssh|gnupg|cache|config|local)"
)
_SUFFIXED: Final = re.compile(
    r".+\.(txt|html?|css|js|php|pl|py|sh|cgi|[cho]|jpe?g|gif|png|pdf|docx?|xlsx?|pptx?|exe|dll|zip|tar|gz|tgz|bz2|"
    r"conf|cfg|ini|log|bak|tmp|lock|so|sql|db|csv|xml|mp3|avi)",
    re.IGNORECASE,
)
_OF_A_MACHINE: Final = frozenset(("/etc/passwd", "etc/passwd", "/etc/hosts", "etc/hosts"))


def telltales(names: Iterable[str]) -> list[str]:
    """Return some names that show that files are listed, none where they may all be folders. Levels apart by ``/``."""
    suffixed = []
    for name in names:
        last = name.rpartition("/")[2]
        if name in _OF_A_MACHINE or any(_DOTTED.fullmatch(level) for level in name.split("/")):
            return [name]
        if _SUFFIXED.fullmatch(last):
            suffixed.append(name)
            if len(suffixed) >= LEAST_SUFFIXES:
                return suffixed
    return []


def spelled(names: Collection[str]) -> str:
    """Return the names for a person."""
    return ", ".join(islice(names, SHOWN))
