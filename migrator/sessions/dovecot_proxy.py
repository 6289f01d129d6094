"""Sessions that go through a Dovecot proxy, to whichever server, listed and ended by ``doveadm proxy``.

The proxy tells all its sessions or none. Which of them are a user's is looked at here, in any case of letters; each is
then ended under the very name that the proxy has for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self

from migrator.command import OUTPUT_BYTES, Command, run
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret
from migrator.sessions.dovecot import checked_user

_NOBODY: Final = (0, 68)  # doveadm's own use of EX_NOHOST: there was none


class DovecotProxySessions:
    """Implements :class:`migrator.sessions.base.Sessions`."""

    def __init__(self, doveadm: Command, by_local_part: bool) -> None:
        self._doveadm = doveadm
        self._by_local_part = by_local_part

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return the sessions of one proxy. Raises ``ValueError`` with a sentence.

        Options: ``doveadm``, the words that run it on the proxy; ``seconds`` for each call; ``known_by``: whether the
        proxy knows users by their whole ``address`` or by the ``local`` part.
        """
        given = Options(options)
        found = cls.read(given)
        given.end()
        return found

    @classmethod
    def read(cls, options: Options) -> Self:
        """Return them from among further options."""
        doveadm = Command(options.texts("doveadm", ["doveadm"]), options.seconds("seconds", 30))
        return cls(doveadm, options.choice("known_by", ("address", "local"), "address") == "local")

    def open(self, address: str) -> int:
        return len(self._names(address))

    def end(self, address: str) -> None:
        for name in sorted(set(self._names(address))):
            self._run("proxy", "kick", name)

    def forget(self, address: str) -> None:
        """Have the proxy look up anew who ``address`` is at the next sign-in. Raises ``MigratorError``."""
        # the name that was typed may have any case; the proxy's cache has that of its settings, nearly always lower
        user = self._user(address)
        self._run("auth", "cache", "flush", *sorted({user, user.lower()}))

    def close(self) -> None:
        """Nothing is kept open."""

    def _user(self, address: str) -> str:
        return checked_user(address.rpartition("@")[0] or address if self._by_local_part else address)

    def _names(self, address: str) -> list[str]:
        """Return the name of each session of ``address``, as the proxy has it."""
        wanted = self._user(address).casefold()
        printed = self._run("-f", "tab", "proxy", "list")
        lines = [line.split("\t") for line in printed.splitlines() if line]
        if len(printed.encode()) >= OUTPUT_BYTES or (lines and lines[0][0] != "username"):
            raise MigratorError("sessions.unreadable", reply=printed[:200])
        return [fields[0] for fields in lines[1:] if fields[0].casefold() == wanted]

    def _run(self, *words: str) -> str:
        answer = run(self._doveadm, words)
        if answer.code not in _NOBODY or answer.err.strip():  # a proxy that is down is told, and exits with 0
            raise answer.failure()
        return answer.out
