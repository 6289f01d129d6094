"""Entries that an operator's two programs keep: one tells the value of an address, the other replaces it.

The first is called with the address and prints the value, nothing for none; it exits with 67 (EX_NOUSER of sysexits(3))
when there is no entry. The second is called with the address, the value that is expected and the one that is wanted,
and replaces the one by the other, in one step that others cannot come between; whatever it says, the first is asked
then. A value is one line; an empty word stands for none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.command import Command, argument, run
from migrator.directories.compare import compare_and_set, names_of
from migrator.entries import Json, Values
from migrator.errors import MigratorError
from migrator.options import Options

NO_ENTRY: Final = 67


@dataclass(frozen=True, slots=True)
class _Told:
    values: Values


class CommandEntries:
    """One value beside addresses, under ``name``. Implements :class:`migrator.entries.Entries`.

    Options: ``find`` and ``replace``, the words of two programs, after which the address and the values come, and
    ``seconds`` for each call.
    """

    def __init__(self, options: Options, name: str) -> None:
        seconds = options.seconds("seconds", 30)
        self._find = Command(options.texts("find"), seconds)
        self._replace = Command(options.texts("replace"), seconds)
        self._name = name
        options.end()

    def find(self, address: str) -> Values | None:
        told = self._look(address)
        return told.values if told else None

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        compare_and_set(
            lambda: self._look(address), lambda told: self._change(address, told.values, wanted), expected, wanted
        )

    def close(self) -> None:
        """Nothing is kept open."""

    def _look(self, address: str) -> _Told | None:
        names_of(address)  # refuses what is no address
        answer = run(self._find, [argument(address)])
        if answer.code == NO_ENTRY:
            return None
        if answer.code != 0:
            raise answer.failure()
        return _Told({self._name: _word(answer.out.strip()) or None})

    def _change(self, address: str, expected: Values, wanted: Values) -> MigratorError | None:
        words = [_word(values[self._name] or "") for values in (expected, wanted)]
        answer = run(self._replace, [argument(address), *words])
        if answer.code != 0:
            return answer.failure()
        told = self._look(address)
        if told is not None and told.values == expected:
            return MigratorError("directory.invalid", reply="replace does not change what find finds")
        return None


def _word(value: Json) -> str:
    """Return ``value`` if it can be one plain word of a program, and a line that one prints."""
    if not isinstance(value, str) or value.startswith("-") or not value.isprintable():
        raise MigratorError("directory.invalid", reply=f"{value!r} is no plain value of one line")
    return value
