"""Sessions on a Dovecot, listed and ended by doveadm who and doveadm kick.

doveadm reads names as patterns and addresses: ``*`` is everybody, and so is ``10.0.0.1`` for a whole web mail. Names
that are either are refused. Capitals matter to it, and what a user typed is not always what Dovecot made of it, so
letters are asked for in any case and the answer is looked through.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

from migrator.command import Answer, Command, argument, run
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret
from migrator.sessions.ours import OurAddresses

NOBODY_KICKED: Final = 68  # doveadm's own use of EX_NOHOST


class _Session(NamedTuple):
    user: str
    ip: str


class DovecotSessions:
    """Implements :class:`migrator.sessions.base.Sessions`."""

    def __init__(self, doveadm: Command, ours: Sequence[str], by_local_part: bool) -> None:
        self._doveadm = doveadm
        self._ours = OurAddresses(ours)
        self._by_local_part = by_local_part

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return the sessions of one Dovecot. Raises ``ValueError`` with a sentence.

        Options: ``doveadm``, the words that run it ("doveadm", or "ssh", "HOST", "doveadm"); ``seconds`` for each
        call; ``our_addresses`` from which this program reads mailboxes, whose sessions are neither counted nor ended;
        ``user``: whether Dovecot knows users by their whole ``address`` or by the ``local`` part.
        """
        given = Options(options)
        doveadm = Command(given.texts("doveadm", ["doveadm"]), given.seconds("seconds", 30))
        ours = given.texts("our_addresses", [])
        by_local_part = given.choice("user", ("address", "local"), "address") == "local"
        given.end()
        return cls(doveadm, ours, by_local_part)

    def open(self, address: str) -> int:
        return len(self._sessions(address))

    def end(self, address: str) -> None:
        for user, ip in sorted(set(self._sessions(address))):
            # a session that opened since is ended with the others, unless it might be one of ours
            answer = run(self._doveadm, ["kick", checked_user(user), *([ip] if self._ours and ip else [])])
            if answer.code not in (0, NOBODY_KICKED):
                raise answer.failure()

    def close(self) -> None:
        """Nothing is kept open."""

    def _sessions(self, address: str) -> list[_Session]:
        user = checked_user(address.rpartition("@")[0] or address if self._by_local_part else address)
        answer = run(self._doveadm, ["-f", "json", "who", "-1", re.sub("[A-Za-z]", "?", user)])
        if answer.code != 0:
            raise answer.failure()
        found = _read(answer)
        return [one for one in found if one.user.casefold() == user.casefold() and one.ip not in self._ours]


def checked_user(user: str) -> str:
    """Return ``user`` if doveadm takes it as one name. Raises ``MigratorError("address.bad")``."""
    if "*" in user or "?" in user:
        raise MigratorError("address.bad")
    try:
        ipaddress.ip_network(user.strip("[]"), strict=False)
    except ValueError:
        return argument(user)
    raise MigratorError("address.bad")


def _read(answer: Answer) -> list[_Session]:
    try:
        return [_Session(str(row["username"]), str(row["ip"])) for row in json.loads(answer.out)]
    except (ValueError, KeyError, TypeError):
        raise MigratorError("sessions.unreadable", reply=answer.out[:200]) from None
