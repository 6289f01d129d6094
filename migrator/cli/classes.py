"""Classes of folders on the command line: where CommuniGate's own is on each side, and how their copy ended."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from migrator.cli import side_doors
from migrator.cli.side_doors import SideDoors
from migrator.directories.communigate_classes import CommuniGateClasses, server_beside
from migrator.directories.communigate_line import PORT
from migrator.errors import MigratorError, Side
from migrator.events import ClassesAbsent, EventSink
from migrator.transfer.folder_classes import ClassResult, copy_classes
from migrator.transfer.ledger import Ledger

_NOBODY: Final = ("classes.unreachable",)  # what a side without a command line says where it is looked for
FATES: Final[Mapping[str, str]] = {
    "other_there": "the folder has another class on the new server, which stays",
    "not_copied": "the folder itself is not on the new server: it was left out, or IMAP does not show it",
    "hidden": "the new server would hide the folder from IMAP; have IMAP show all folders of the account there "
    "(IMAPSeesNonMail), then run this again",
    "refused": "the new server does not take it",
}


@dataclass(frozen=True, slots=True)
class ClassesEnd:
    """How the classes of folders of one account ended."""

    classes: Sequence[ClassResult] = ()
    error: MigratorError | None = None  # what kept them from their end
    absent: MigratorError | None = None  # a side has no command line of CommuniGate

    @property
    def missed(self) -> Sequence[ClassResult]:
        """The folders that somebody must look after."""
        return [one for one in self.classes if one.fate.is_missed]


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options."""
    group.add_argument(
        "--classes",
        action="store_true",
        help="copy the classes of folders, too (calendar, contacts), between two CommuniGate Pro servers, by their "
        "command line; other servers tell of them by --metadata",
    )
    words = f"CommuniGate's command line of the {{side}} is there, not at port {PORT} of its host; means --{{service}}"
    side_doors.add(group, "classes", words)


def carry(doors: SideDoors, ledger: Ledger, sink: EventSink, *, dry_run: bool) -> ClassesEnd:
    """Copy the classes of one account, and say how it ended. Raises nothing that a server causes."""
    absent = next(iter(doors.roads.absent.values()), None)
    if absent is not None:
        return ClassesEnd(absent=absent)
    try:
        with _classes_of(doors, Side.SOURCE) as source, _classes_of(doors, Side.TARGET) as target:
            return ClassesEnd(copy_classes(source, target, ledger, sink, dry_run=dry_run))
    except MigratorError as error:
        if error.code.startswith("ledger."):
            raise
        if error.side is None or not doors.roads.is_nobody(error, _NOBODY):
            return ClassesEnd(error=error)
        doors.roads.absent[error.side] = error
        sink.emit(ClassesAbsent(side=error.side, error=error))
        return ClassesEnd(absent=error)


def _classes_of(doors: SideDoors, side: Side) -> CommuniGateClasses:
    """Return the classes of ``side``; nothing is opened yet. Raises ``MigratorError``."""
    place, endpoint = doors.roads.places[side], doors.endpoints[side]
    server = server_beside(endpoint, place.host, place.port, doors.limits, side)
    return CommuniGateClasses(server, side, endpoint.authzid)


def as_object(end: ClassesEnd | None) -> dict[str, Any] | None:
    """Return the classes of one account for programs; None where nobody asked for them."""
    if end is None:
        return None
    error = end.error or end.absent
    return {
        "absent": end.absent is not None,
        "error": None if error is None else {"code": error.code, "side": error.side, "reply": error.reply},
        "folders": [
            {
                "folder": one.folder,
                "class": one.kind,
                "fate": one.fate,
                "there": one.there,
                "code": one.error.code if one.error else "",
                "reply": one.error.reply if one.error else "",
            }
            for one in end.classes
        ],
    }
