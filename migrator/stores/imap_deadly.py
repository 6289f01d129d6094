"""Folders at which a server ends the whole session, such as a colleague's that is locked (Zimbra): they are avoided."""

from __future__ import annotations

from collections import Counter
from typing import Final

from migrator.errors import MigratorError, Patience
from migrator.mail import FolderPath

LOCKED: Final = "server.mailbox_locked"
DEATHS: Final = 2  # the first may be chance; on a server that is known for it, it is not


class Deadly:
    """What a store learned of its server; outlives a connection. INBOX is never avoided: nobody's mailbox lacks one."""

    def __init__(self) -> None:
        self._deaths: Counter[bytes] = Counter()

    def note(self, raw: bytes, error: MigratorError) -> None:
        """The session ended with ``error`` when this folder was to be opened, or its counters were asked for.

        A goodbye about a lock is about this folder then: the others need not wait for it.
        """
        if error.code == LOCKED and not FolderPath(raw).is_inbox:
            error.patience = Patience.NOW
        if error.patience is Patience.NOW:
            self._deaths[raw] += 1

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, FolderPath):
            return False
        deaths = self._deaths[path.raw]
        is_known_for_it = any(count >= DEATHS for count in self._deaths.values())
        return not path.is_inbox and (deaths >= DEATHS or (deaths > 0 and is_known_for_it))
