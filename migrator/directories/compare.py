"""Compare and set, whatever the entry is kept in: look, change what is as expected, look again when that fails.

The server's own compare-and-set decides. What it refused, and what a dropped line left unsaid, is settled by looking,
so that nothing is repeated without knowing, and nobody else's change is overwritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from migrator.entries import Values
from migrator.errors import MigratorError, OutcomeUnknown

ATTEMPTS: Final = 5
_DOMAIN: Final = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")  # of any script: an internationalised one is not ASCII


class Held(Protocol):
    """An entry as it was found."""

    @property
    def values(self) -> Values: ...


E = TypeVar("E", bound=Held)


def names_of(address: str) -> dict[str, str]:
    """Return the names under which an entry is looked for: address, local and domain. Raises ``address.bad``.

    Blanks around an address are refused because directories do not compare them, and one without a local part because
    it is that of everybody in its domain.
    """
    if not address or address != address.strip() or not address.isprintable() or address.startswith("@"):
        raise MigratorError("address.bad")
    local, _, domain = address.rpartition("@") if "@" in address else (address, "", "")
    return {"address": address, "local": local, "domain": domain}


def user_of(address: str, *, by_local_part: bool) -> str:
    """Return how a server calls its user: by the whole address, or by what is before the @. Raises ``address.bad``.

    What is behind the @ must be a domain even where it is left away: else anything there would mean the same user.
    """
    names = names_of(address)
    if names["domain"] and not _DOMAIN.fullmatch(names["domain"]):
        raise MigratorError("address.bad")
    return names["local"] if by_local_part else address


def compare_and_set(
    look: Callable[[], E | None], change: Callable[[E], MigratorError | None], expected: Values, wanted: Values
) -> None:
    """Make the entry that ``look`` finds hold ``wanted`` if it holds ``expected``; holding ``wanted`` is success.

    ``change`` does it on the server in one atomic step and returns None, or the error to raise when looking again
    does not explain it. Raises ``directory.missing``, ``directory.changed``, and ``OutcomeUnknown`` when the line
    dropped during a change and the directory cannot be asked any more.
    """
    refusal: MigratorError | None = None
    for _ in range(ATTEMPTS):
        found = _look(look, refusal)
        if found is None:
            raise MigratorError("directory.missing")
        if found.values == wanted:
            return
        if found.values != expected:
            raise MigratorError("directory.changed")
        refusal = _change(change, found)
        if refusal is None:
            return
    raise refusal or MigratorError("directory.busy")


def _look(look: Callable[[], E | None], refusal: MigratorError | None) -> E | None:
    try:
        return look()
    except MigratorError as error:
        if refusal is not None and refusal.code == "directory.lost":
            raise OutcomeUnknown("directory.lost", reply=error.reply) from None
        raise


def _change(change: Callable[[E], MigratorError | None], found: E) -> MigratorError | None:
    try:
        return change(found)
    except MigratorError as error:
        if error.code != "directory.lost":
            raise
        return error
