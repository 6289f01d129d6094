"""Who reads mail as a file, by programs that no server controls: the column ``LocalReader`` of a list."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from migrator.rosters.base import Refusal, Roster, RosterRow

COLUMN: Final = "LocalReader"
_YES: Final = frozenset(("yes", "y", "true", "1", "x"))
_NO: Final = frozenset(("", "no", "n", "false", "0", "-"))


def reads_files(row: RosterRow) -> bool:
    """True for an account that is marked as a local reader."""
    return _word(row) in _YES


def checked(roster: Roster) -> Roster:
    """Refuse rows whose mark says neither yes nor no."""
    unclear = [row for row in roster.rows if _word(row) not in _YES | _NO]
    refusals = [Refusal(row.line, f"{COLUMN} is neither yes nor no: {row.others[COLUMN]!r}.") for row in unclear]
    rows = [row for row in roster.rows if row not in unclear]
    return replace(roster, rows=rows, refusals=sorted([*roster.refusals, *refusals])) if unclear else roster


def _word(row: RosterRow) -> str:
    return row.others.get(COLUMN, "").strip().casefold()
