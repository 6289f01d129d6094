"""The contract of stores for Sieve scripts (RFC 5228): small texts by name, at most one of them active."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from migrator.errors import MigratorError


class ScriptName(NamedTuple):
    """A script as a server lists it."""

    name: str
    is_active: bool = False


class ScriptStore(Protocol):
    """The scripts of one user. Connects on first use; all methods raise ``MigratorError`` when nothing can go on."""

    @property
    def extensions(self) -> frozenset[str]:
        """What a script may ``require`` here; connects when it has not yet."""
        ...

    def scripts(self) -> list[ScriptName]:
        """List all scripts. Reads only; repeatable."""
        ...

    def read(self, names: Sequence[str]) -> list[bytes | MigratorError]:
        """Return the octets of each script, or why it is not handed out; one send. Reads only; repeatable."""
        ...

    def check(self, name: str, script: bytes) -> MigratorError | None:
        """Return why ``script`` would not be taken, None where it would, or the server cannot tell. Stores nothing."""
        ...

    def put(self, name: str, script: bytes) -> MigratorError | None:
        """Store ``script``, in place of one of that name; return why it is refused. Not stored in part, ever.

        When it raises, nobody knows whether it was stored: look before doing it again.
        """
        ...

    def activate(self, name: str) -> MigratorError | None:
        """Make ``name`` the active script, or none with an empty name; return why that is refused. Idempotent."""
        ...

    def close(self) -> None:
        """Sign off. Idempotent; never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
