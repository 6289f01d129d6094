"""Sieve scripts on the command line: where ManageSieve is on each side, and how the copy of scripts ended."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from migrator.cli import side_doors
from migrator.cli.side_doors import SideDoors
from migrator.errors import MigratorError, Side
from migrator.events import EventSink, ScriptsAbsent
from migrator.stores.sieve import PORT, SieveScripts, endpoint_beside
from migrator.transfer.ledger import Ledger
from migrator.transfer.sieve import ScriptResult, copy_scripts

# what a side without ManageSieve says where it is looked for
_NOBODY: Final = ("server.unreachable", "server.not_sieve")
FATES: Final[Mapping[str, str]] = {
    "refused": "the new server does not take it",
    "unreadable": "the old server does not hand it out",
    "other_there": "the new mailbox has another of this name, which stays",
    "removed_there": "it was removed from the new mailbox, and stays so",
    "not_active": "it is there, and not active",
    "switched_there": "it is there; its owner switched it off in the new mailbox, or another on",
}


@dataclass(frozen=True, slots=True)
class ScriptsEnd:
    """How the scripts of one account ended."""

    scripts: Sequence[ScriptResult] = ()
    error: MigratorError | None = None  # what kept them from their end
    absent: MigratorError | None = None  # a side has no ManageSieve

    @property
    def missed(self) -> Sequence[ScriptResult]:
        """The scripts that somebody must look after."""
        return [script for script in self.scripts if script.is_missed]


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options."""
    group.add_argument(
        "--sieve",
        action="store_true",
        help="copy Sieve scripts, too, as they are, and make the same one active; needs ManageSieve on both sides",
    )
    side_doors.add(
        group, "sieve", f"ManageSieve of the {{side}} is there, not at port {PORT} of its host; means --{{service}}"
    )


def scripts_of(doors: SideDoors, side: Side) -> SieveScripts:
    """Return the scripts of ``side``; nothing is opened yet."""
    place = doors.roads.places[side]
    return SieveScripts(endpoint_beside(doors.endpoints[side], place.host, place.port or PORT), doors.limits, side)


def carry(doors: SideDoors, ledger: Ledger, sink: EventSink, *, dry_run: bool, adds_only: bool = False) -> ScriptsEnd:
    """Copy the scripts of one account, and say how it ended. Raises nothing that a server causes."""
    absent = next(iter(doors.roads.absent.values()), None)
    if absent is not None:
        return ScriptsEnd(absent=absent)
    try:
        with scripts_of(doors, Side.SOURCE) as source, scripts_of(doors, Side.TARGET) as target:
            results = copy_scripts(source, target, ledger, sink, dry_run=dry_run, adds_only=adds_only)
            return ScriptsEnd(results)
    except MigratorError as error:
        if error.code.startswith("ledger.") and error.code != "ledger.keeps_no_scripts":
            raise
        if error.side is None or not doors.roads.is_nobody(error, _NOBODY):
            return ScriptsEnd(error=error)
        doors.roads.absent[error.side] = error
        sink.emit(ScriptsAbsent(side=error.side, error=error))
        return ScriptsEnd(absent=error)


def as_object(end: ScriptsEnd | None) -> dict[str, Any] | None:
    """Return the scripts of one account for programs; None where nobody asked for them."""
    if end is None:
        return None
    error = end.error or end.absent
    return {
        "absent": end.absent is not None,
        "error": None if error is None else {"code": error.code, "side": error.side, "reply": error.reply},
        "scripts": [
            {
                "script": script.name,
                "fate": script.fate,
                "active": script.is_active,
                "missing": list(script.missing),
                "code": script.error.code if script.error else "",
                "reply": script.error.reply if script.error else "",
            }
            for script in end.scripts
        ],
    }
