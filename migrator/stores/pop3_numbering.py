"""Stable numbers for messages that a server knows by lasting names (UIDL): what IMAP calls UIDVALIDITY and UID.

The numbers are ours; whoever remembers what was copied keeps them beside it and hands them back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import Final

from migrator.stores.base import MessageName

MARK: Final = b""  # the name, with UID 0, that only says which numbering is the latest
_FORMS: Final = (
    # what it looks like, and its form in Dovecot's spelling; whose it is stands behind
    (re.compile(rb"[0-9A-Fa-f]{16}"), "%08Xu%08Xv"),  # Dovecot
    (re.compile(rb"\d{1,10}\.\d{1,10}"), "%v.%u"),  # Cyrus
    (re.compile(rb"UID\d+-\d+"), "UID%u-%v"),  # Courier
    (re.compile(rb"\d{1,10}"), "%u"),
    (re.compile(rb"[0-9A-Fa-f]{32}"), "%m"),  # the MD5 of the message
    (re.compile(rb"\d{9,10}\.[^ ]+"), "%f"),  # the name of a Maildir's file
)


class Numbering:
    """The numbers of one mailbox. ``recall`` what was kept, then ``assign`` to what the server lists."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._known: dict[bytes, int] = {}
        self._leaving: set[bytes] = set()  # names of messages that may be gone, because we removed them
        self._highest = 0
        self._fresh: list[MessageName] = []
        self.uidvalidity = 0

    def recall(self, names: Iterable[MessageName]) -> None:
        """Take what was kept: the names of the latest numbering."""
        rows = [row for row in names if row.folder == self._folder]
        latest = max((row.uidvalidity for row in rows), default=0)
        if latest > self.uidvalidity:
            self._begin(latest)
        for row in rows:
            if row.uidvalidity == self.uidvalidity and row.uid:
                if row.name != MARK:  # else its message is gone for good, and only the number must not come again
                    self._known[row.name] = row.uid
                self._highest = max(self._highest, row.uid)

    def assign(self, names: Sequence[bytes]) -> list[int]:
        """Return the UIDs of messages with these names, in their order; new ones get the next numbers.

        A numbering of which most names are gone while new ones came is not believed: a server that names its messages
        anew would have all of them copied twice. Then all are numbered anew, for a comparison by content.
        """
        unique = _told_apart(names)
        kept = sum(name in self._known for name in unique)
        known = len(self._known) - len(self._leaving.difference(unique))
        is_other = kept < len(unique) and kept * 2 < known
        if not self.uidvalidity or is_other:
            self._begin(self.uidvalidity + 1)
            self._fresh.append(MessageName(self._folder, self.uidvalidity, 0, MARK))
        return [self._number(name) for name in unique]

    def expect_gone(self, uids: Container[int]) -> None:
        """Take notice that these were to be removed: that they are missing does not speak against the numbering."""
        self._leaving.update(name for name, uid in self._known.items() if uid in uids)

    def count(self, messages: int) -> list[int]:
        """Number messages that have no lasting names, for this session only."""
        self._begin(self.uidvalidity + 1)
        self._fresh.append(MessageName(self._folder, self.uidvalidity, 0, MARK))
        self._highest = messages
        return list(range(1, messages + 1))

    @property
    def uidnext(self) -> int:
        """The number that the next new message gets."""
        return self._highest + 1

    def take_fresh(self) -> list[MessageName]:
        """Return what must be kept and was not told yet."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def _begin(self, uidvalidity: int) -> None:
        self.uidvalidity = uidvalidity
        self._known, self._highest = {}, 0
        self._leaving = set()
        self._fresh = []

    def _number(self, name: bytes) -> int:
        uid = self._known.get(name)
        if uid is None:
            self._highest += 1
            uid = self._known[name] = self._highest
            self._fresh.append(MessageName(self._folder, self.uidvalidity, uid, name))
        return uid


def _told_apart(names: Sequence[bytes]) -> list[bytes]:
    """Servers may give equal messages one name (RFC 1939 §7): the second gets a mark that no name holds."""
    seen: Counter[bytes] = Counter()
    found = []
    for name in names:
        found.append(name if not seen[name] else name + b" %d" % seen[name])
        seen[name] += 1
    return found


def form_of(names: Sequence[bytes]) -> str:
    """Return the form of a server's names in Dovecot's spelling (``pop3_uidl_format``); empty when it is none known.

    It is what the new server must be set to, where UIDs are kept, lest programs that read by POP fetch all mail again.
    """
    for pattern, form in _FORMS:
        if names and all(pattern.fullmatch(name) for name in names):
            return form
    return ""
