"""Sessions as an operator's two programs see them: one prints how many are open, the other ends them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Self

from migrator.command import Command, argument, run
from migrator.entries import Json
from migrator.errors import MigratorError
from migrator.options import Options
from migrator.secret import Secret

PLACE: Final = "{address}"


class CommandSessions:
    """Implements :class:`migrator.sessions.base.Sessions`."""

    def __init__(self, count: Command, end: Command) -> None:
        self._count = count
        self._end = end

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return sessions told by programs. Raises ``ValueError`` with a sentence.

        Options: ``count`` and ``end``, the words of two programs with ``{address}`` where the address stands (without,
        it comes last), and ``seconds`` for each. ``count`` prints a number, without the sessions of an administrator;
        ``end`` exits with 0 when all were told to end, and when there was none.
        """
        given = Options(options)
        seconds = given.seconds("seconds", 30)
        count, end = (_command(name, given.texts(name), seconds) for name in ("count", "end"))
        given.end()
        return cls(count, end)

    def open(self, address: str) -> int:
        printed = self._run(self._count, address).strip()
        if not re.fullmatch(r"[0-9]{1,9}", printed):
            raise MigratorError("sessions.unreadable", reply=printed[:200])
        return int(printed)

    def end(self, address: str) -> None:
        self._run(self._end, address)

    def close(self) -> None:
        """Nothing is kept open."""

    def _run(self, command: Command, address: str) -> str:
        # the words before the address are the program's own; from there on they are quoted where a far shell reads them
        first = next(at for at, word in enumerate(command.words) if PLACE in word)
        filled = [word.replace(PLACE, argument(address)) for word in command.words[first:]]
        answer = run(Command(command.words[:first], command.timeout_seconds), filled)
        if answer.code != 0:
            raise answer.failure()
        return answer.out


def _command(name: str, words: tuple[str, ...], seconds: float) -> Command:
    if words and PLACE in words[0]:
        raise ValueError(f"The option {name} must hold {PLACE} after the name of its program.")
    return Command(words if any(PLACE in word for word in words) else (*words, PLACE), seconds)
