"""A hold by an operator's program, for mail servers that no connector knows: sendmail, a filter in front, or an Exim,
for which the program is here (``recipes/exim.py``).

The program gets a verb and an address:

- ``look ADDRESS`` prints ``held`` or ``free``; it exits with 67 (EX_NOUSER) when it knows no such user.
- ``hold ADDRESS`` has new mail wait, ``free ADDRESS`` ends that. Each exits with 0 when it is written down.
- ``settled ADDRESS`` prints ``yes`` when that is true of all mail for them, ``no`` while some is on its way as before.
- ``count ADDRESS`` prints how many messages wait, and, if it knows, since when the oldest does (seconds since 1970).
  Where a whole domain is held it still counts those for ``ADDRESS`` alone. It adds ``aside=N`` for N others that a
  person or a filter put on hold, which no release sends, and the word ``senders`` where mail waits at its senders, whom
  it told to come again: nobody can count that, and it is told instead of 0.
- ``flush ADDRESS source`` or ``flush ADDRESS target`` has what waits delivered now.
- ``check`` prints a line for each thing that would have held mail returned to senders or announced to them.

All but hold, free and flush only look. 75 (EX_TEMPFAIL) says that trying later helps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, Self

from migrator.command import Answer, Command, argument, run
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.base import HeldMail
from migrator.options import Options
from migrator.secret import Secret

HELD: Final = "held"
FREE: Final = "free"
NO_USER: Final = 67
_VERBS: Final = {HELD: "hold", FREE: "free"}
# No more digits of a time: it would be in no year that can be told.
_COUNT: Final = re.compile(r"(\d{1,9})(?: +(\d{1,11})(?:\.\d+)?)?(?: +aside=(\d{1,9}))?( +senders)?")


class CommandHold:
    """Implements :class:`migrator.holds.base.MailHold`. Compare-and-set is as atomic as the program makes it."""

    def __init__(self, program: Command) -> None:
        self._program = program

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a hold by a program. Raises ``ValueError`` with a sentence.

        Options: ``program``, its words before the verb; ``seconds`` for each call.
        """
        given = Options(options)
        program = Command(given.texts("program"), given.seconds("seconds", 30))
        given.end()
        return cls(program)

    def find(self, address: str) -> Values | None:
        answer = self._ask("look", _checked(address))
        if answer.code == NO_USER:
            return None
        return {"state": _good(answer).out.strip()}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        found = self.find(address)
        if found is None:
            raise MigratorError("directory.missing")
        if found == wanted:
            return
        verb = _VERBS.get(str(wanted["state"]))
        if found != expected or verb is None:
            raise MigratorError("directory.changed", reply=str(found["state"])[:200])
        _good(self._ask(verb, _checked(address)))

    def holding(self, values: Values) -> Values:
        return {"state": HELD}

    def is_settled(self, address: str) -> bool:
        printed = _good(self._ask("settled", _checked(address))).out.strip()
        if printed not in ("yes", "no"):
            raise MigratorError("hold.unreadable", reply=printed[:200])
        return printed == "yes"

    def held(self, address: str) -> HeldMail:
        printed = _good(self._ask("count", _checked(address))).out.strip()
        found = _COUNT.fullmatch(printed)
        if not found:
            raise MigratorError("hold.unreadable", reply=printed[:200])
        messages = int(found[1])
        oldest = float(found[2]) if found[2] and messages else None
        return HeldMail(messages, oldest, int(found[3] or 0), is_at_senders=found[4] is not None)

    def flush(self, address: str, to: Side) -> None:
        _good(self._ask("flush", _checked(address), to.value))

    def trouble(self) -> Iterator[MigratorError]:
        for line in _good(self._ask("check")).out.splitlines():
            yield MigratorError("hold.unfit", reply=line[:500])

    def close(self) -> None:
        """Nothing is kept open."""

    def _ask(self, *words: str) -> Answer:
        return run(self._program, words)


def _good(answer: Answer) -> Answer:
    if answer.code != 0:
        raise answer.failure()
    return answer


def _checked(address: str) -> str:
    """Return ``address`` if a program and a table of addresses take it as one. Raises ``address.bad``."""
    if not re.fullmatch(r"[^\s@:;,*?%'\"`$\\()<>|&#!{}]+@[A-Za-z0-9.-]+", argument(address)):
        raise MigratorError("address.bad")
    return address
