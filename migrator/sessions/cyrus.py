"""Sessions as Cyrus IMAP sees them: listed by ``cyr_info proc``, ended by a signal to the process of each.

A Cyrus process that is told to end (SIGTERM) finishes its command, says BYE and goes. Between the list and the signal a
process may have ended and another program may have got its number; so the signal is the business of a program of the
host: ``pkill -TERM -x`` with a pattern of names, or one of the operator's own, that is given the number and checks it.

Source: cyr_info(8); seen with 3.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Self

from migrator.command import Command, argument, run
from migrator.directories.compare import user_of
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret
from migrator.sessions.ours import OurAddresses

_LINE: Final = re.compile(r"(?P<pid>[0-9]+) (?P<service>\S+) (?P<host>.*?)\[(?P<ip>[^\]]*)\](?: (?P<user>\S+))?")


class _Session(NamedTuple):
    pid: str
    user: str
    ip: str


class CyrusSessions:
    """Implements :class:`migrator.sessions.base.Sessions`."""

    def __init__(self, proc: Command, kill: Command, ours: Sequence[str], by_local_part: bool) -> None:
        self._proc = proc
        self._kill = kill
        self._ours = OurAddresses(ours)
        self._by_local_part = by_local_part

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return the sessions of one Cyrus. Raises ``ValueError`` with a sentence.

        Options: ``cyr_info``, the words that run it as Cyrus's user ("cyr_info", "-C", "FILE"); ``kill``, the words
        that end a process whose number comes last; ``seconds`` for each call; ``our_addresses`` from which this program
        reads mailboxes, whose sessions are neither counted nor ended; ``user``: ``address`` or ``local``.
        """
        given = Options(options)
        seconds = given.seconds("seconds", 30)
        proc = Command((*given.texts("cyr_info", ["cyr_info"]), "proc"), seconds)
        kill = Command(given.texts("kill", ["kill", "-TERM"]), seconds)
        ours = given.texts("our_addresses", [])
        by_local_part = given.choice("user", ("address", "local"), "local") == "local"
        given.end()
        return cls(proc, kill, ours, by_local_part)

    def open(self, address: str) -> int:
        return len(self._sessions(address))

    def end(self, address: str) -> None:
        for one in self._sessions(address):
            answer = run(self._kill, [one.pid])
            if answer.code != 0 and one.pid in {other.pid for other in self._sessions(address)}:
                raise answer.failure()

    def close(self) -> None:
        """Nothing is kept open."""

    def _sessions(self, address: str) -> list[_Session]:
        user = argument(user_of(address, by_local_part=self._by_local_part))
        answer = run(self._proc)
        if answer.code != 0:
            raise answer.failure()
        found = (_read(line) for line in answer.out.splitlines() if line.strip())
        return [one for one in found if one.user.casefold() == user.casefold() and one.ip not in self._ours]


def _read(line: str) -> _Session:
    found = _LINE.match(line)
    if not found:
        raise MigratorError("sessions.unreadable", reply=line[:200])
    return _Session(found["pid"], found["user"] or "", found["ip"])
