"""The contract of sessions: how many a user has open on one server, and how they are ended."""

from __future__ import annotations

from typing import Protocol


class Sessions(Protocol):
    """Who is signed in. Not thread-safe; connects on first use. All methods but close raise ``MigratorError``."""

    def open(self, address: str) -> int:
        """Return how many sessions of ``address`` are open, over all services. Reads only.

        Sessions in which an administrator reads the mailbox for us do not count.
        """
        ...

    def end(self, address: str) -> None:
        """Tell every session of ``address`` to end. Idempotent; without a session it is success.

        Returns when the server has been told; whether they are gone is :meth:`open`'s to say. A user who may still
        sign in can be back at once.
        """
        ...

    def close(self) -> None:
        """Let go of the server. Idempotent; never raises; a later call connects anew."""
        ...
