"""The Sieve scripts of a user, by ManageSieve (RFC 5804)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.stores.base import Closing
from migrator.stores.endpoint import Endpoint
from migrator.stores.scripts import ScriptName
from migrator.stores.sieve_session import SieveSession, string

PORT: Final = 4190
_FAREWELL: Final = b"LOGOUT\r\n"


def endpoint_beside(endpoint: Endpoint, host: str = "", port: int = PORT) -> Endpoint:
    """Return where ManageSieve is for the mailbox at ``endpoint``: on its host unless another is named.

    ManageSieve knows no TLS from the start: where the mailbox wants TLS, STARTTLS is.
    """
    security = endpoint.security if endpoint.security == "plain" else "starttls"
    return replace(endpoint, host=host or endpoint.host, port=port, security=security)


class SieveScripts(Closing):
    """The ``ScriptStore`` of ManageSieve."""

    def __init__(self, endpoint: Endpoint, limits: Limits, side: Side) -> None:
        self._endpoint, self._limits, self._side = endpoint, limits, side
        self._open: SieveSession | None = None

    @property
    def extensions(self) -> frozenset[str]:
        """See ScriptStore."""
        with self._talking() as session:
            return frozenset(session.capabilities.get("SIEVE", "").split())

    def scripts(self) -> list[ScriptName]:
        """See ScriptStore."""
        with self._talking() as session:
            answer = session.ask(b"LISTSCRIPTS")
            if not answer.is_ok:
                raise session.refused(answer, "server.fault")
        return [
            ScriptName(row[0].decode("utf-8", "surrogateescape"), "ACTIVE" in row[1:])
            for row in answer.rows
            if isinstance(row[0], bytes)
        ]

    def read(self, names: Sequence[str]) -> list[bytes | MigratorError]:
        """See ScriptStore."""
        if not names:
            return []
        found: list[bytes | MigratorError] = []
        with self._talking() as session:
            session.line.put(b"".join(b"GETSCRIPT " + string(_octets(name)) + b"\r\n" for name in names))
            for _ in names:
                answer = session.answer()
                words = [word for row in answer.rows for word in row if isinstance(word, bytes)]
                is_read = answer.is_ok and len(words) == 1
                found.append(words[0] if is_read else session.refused(answer, "sieve.unreadable"))
        return found

    def check(self, name: str, script: bytes) -> MigratorError | None:
        """See ScriptStore. Servers older than RFC 5804 have no CHECKSCRIPT, and those tell of no version."""
        with self._talking() as session:
            refusal = _room(session, name, script)
            if refusal or "VERSION" not in session.capabilities:
                return refusal
            answer = session.ask(b"CHECKSCRIPT", string(script))
        return None if answer.is_ok else self._begun_anew(session.refused(answer, "sieve.refused"))

    def put(self, name: str, script: bytes) -> MigratorError | None:
        """See ScriptStore. Room is asked for before: Cyrus takes what it will not read for commands."""
        with self._talking() as session:
            if refusal := _room(session, name, script):
                return refusal
            answer = session.ask(b"PUTSCRIPT", string(_octets(name)), string(script))
        return None if answer.is_ok else self._begun_anew(session.refused(answer, "sieve.refused"))

    def activate(self, name: str) -> MigratorError | None:
        """See ScriptStore."""
        with self._talking() as session:
            answer = session.ask(b"SETACTIVE", string(_octets(name)))
            return None if answer.is_ok else session.refused(answer, "sieve.not_activated")

    def close(self) -> None:
        """See ScriptStore."""
        self._leave(_FAREWELL)

    def _begun_anew(self, refusal: MigratorError) -> MigratorError:
        """Begin a new session: whether a refused script was read to its end differs from server to server."""
        self._leave()
        return refusal

    def _leave(self, farewell: bytes = b"") -> None:
        if self._open is not None:
            self._open.line.close(farewell)
            self._open = None

    @contextmanager
    def _talking(self) -> Iterator[SieveSession]:
        """Lend the session, an open one or a new one; what goes wrong on it ends it."""
        if self._open is None:
            self._open = SieveSession(self._endpoint, self._limits, self._side)
        try:
            yield self._open
        except BaseException:
            self._leave()
            raise


def _room(session: SieveSession, name: str, script: bytes) -> MigratorError | None:
    answer = session.ask(b"HAVESPACE", string(_octets(name)), b"%d" % len(script))
    if answer.is_ok or not answer.code.startswith("QUOTA"):
        return None
    return session.refused(answer, "sieve.full")


def _octets(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
