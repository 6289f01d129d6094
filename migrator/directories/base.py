"""The contract of directories: one place that decides whether a user may sign in, and to what.

Beside it what comes to directories: accounts that are made on the target, and copies that are brought up to date.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final, Protocol

from migrator.entries import Entries, Values


class Service(StrEnum):
    """What a user can be refused."""

    READING = "reading"  # IMAP, POP3, webmail
    SENDING = "sending"  # submission


ALL_SERVICES: Final = frozenset(Service)


class Directory(Entries, Protocol):
    """Who may sign in. Its values are the ones that refusing and admitting change, nothing else.

    Deciding (:meth:`closed`, :meth:`opened`) is apart from doing (:meth:`replace`): what an entry shall become is
    written down before it is changed.
    """

    def is_disabled(self, address: str) -> bool:
        """Tell whether the entry, as it is now, refuses reading. True also where somebody else closed it.

        Reads only. Raises ``directory.missing`` when there is no entry.
        """
        ...

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        """Return what an entry with ``values`` must become so that ``services`` are refused and mail is still taken.

        Pure. Values that refuse already come back as they are: who was closed before stays closed after. A refusal is
        temporary to senders where the directory knows the difference. Services that the directory cannot refuse apart
        are refused together.
        """
        ...

    def opened(self, values: Values) -> Values:
        """Return what an entry with ``values``, made closed on purpose, must become so that the user is admitted.

        Pure. Only for entries that nobody ever opened; what was closed by us gets its saved values back instead.
        """
        ...


class Population(Protocol):
    """Accounts on the target. Not thread-safe; connects on first use. All methods but close raise ``MigratorError``."""

    def exists(self, address: str) -> bool:
        """Tell whether the account is there, whole. Reads only."""
        ...

    def create(self, address: str) -> None:
        """Make the account, closed, or finish one that is half made. Idempotent; may have half happened."""
        ...

    def remove(self, address: str) -> None:
        """Remove an account that :meth:`create` made and nobody has used. Idempotent."""
        ...

    def close(self) -> None:
        """Let go of the server. Idempotent; never raises; a later call connects anew."""
        ...


class Publication(Protocol):
    """A copy that servers read of what was changed in a directory.

    Not thread-safe; connects on first use. All methods but close raise ``MigratorError``.
    """

    def is_published(self, address: str) -> bool:
        """Tell, by asking the servers, whether they act on the entry of ``address`` as it is now. Reads only."""
        ...

    def publish(self, address: str) -> None:
        """Bring the copy up to date, removals included. Idempotent."""
        ...

    def close(self) -> None:
        """Let go of the server. Idempotent; never raises; a later call connects anew."""
        ...
