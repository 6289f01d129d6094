"""Programs that read by POP3, on the command line: whether they will fetch all mail again from the new server."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from migrator.cli import side_doors
from migrator.cli.side_doors import SideDoors
from migrator.cli.terminal import counted
from migrator.errors import MigratorError, Side
from migrator.events import EventSink, PopReaders, PopReadersUnknown
from migrator.stores.base import PopNamed, offers
from migrator.stores.pop3_listing import PopListing, listing_beside, pop_listing
from migrator.transfer.pop_names import PopNamer, namer
from migrator.transfer.pop_readers import compare

# what a side without POP3 says where it is looked for, and what it says of a user who may not use it
_NOBODY: Final = ("server.unreachable", "server.not_pop")


@dataclass(frozen=True, slots=True)
class PopEnd:
    """What was found for one account."""

    readers: PopReaders | None = None
    error: MigratorError | None = None  # why nothing is known
    is_absent: bool = False  # a side has no POP3: nobody reads by it there


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options."""
    group.add_argument(
        "--pop3",
        action="store_true",
        help="afterwards ask both sides by POP3, and say whose programs that read by POP3 will fetch mail again",
    )
    group.add_argument(
        "--keep-uidl",
        action="store_true",
        help="put the name by which POP3 programs know it into each message of INBOX (X-UIDL), so that a target which "
        "takes it from there (Dovecot: pop3_reuse_xuidl = yes) has nothing fetched again; means --pop3",
    )
    side_doors.add(group, "pop3", "POP3 of the {side} is there, not at the usual port of its host; means --{service}")


def look(doors: SideDoors, sink: EventSink) -> PopEnd:
    """Compare both sides as POP3 shows them. Raises nothing that a server causes: the mail is done."""
    absent = next(iter(doors.roads.absent.values()), None)
    if absent is not None:
        return PopEnd(error=absent, is_absent=True)
    try:
        source, target = (_listing(doors, side) for side in Side)
    except MigratorError as error:
        is_absent = error.side is not None and doors.roads.is_nobody(error, _NOBODY)
        if is_absent and error.side is not None:
            doors.roads.absent[error.side] = error
        sink.emit(PopReadersUnknown(error=error))
        return PopEnd(error=error, is_absent=is_absent)
    found = compare(source, target)
    sink.emit(found)
    return PopEnd(found)


def namer_of(doors: SideDoors | None, source: object) -> PopNamer:
    """Return what tells by which name POP3 programs know a message of ``source``. Raises ``MigratorError``."""
    if offers(source, "pop_name_of"):
        return cast(PopNamed, source).pop_name_of
    assert doors is not None, "--keep-uidl means --pop3"
    return namer(_listing(doors, Side.SOURCE))


def _listing(doors: SideDoors, side: Side) -> PopListing:
    place = doors.roads.places[side]
    return pop_listing(listing_beside(doors.endpoints[side], place.host, place.port), doors.limits, side)


def lines_of(ends: Sequence[PopEnd | None]) -> list[str]:
    """Return what a list of accounts comes to for people; nothing where nobody asked."""
    asked = [end for end in ends if end is not None]
    found = [end.readers for end in asked if end.readers is not None]
    again = [one.again for one in found if one.again]
    mixed = [one.mixed for one in found if one.mixed]
    lines = []
    if found:
        lines.append(
            f"Of {counted(len(found), 'account')} asked by POP3, programs that read so will fetch mail again in "
            f"{len(again):,}: {counted(sum(again), 'message')}."
        )
    if mixed:
        lines.append(
            f"In {counted(len(mixed), 'account')} they take {counted(sum(mixed), 'new message')} for others that they "
            "have, and do not fetch them: let the new server name messages in another form."
        )
    if unknown := len(asked) - len(found):
        lines.append(f"Of {counted(unknown, 'account')} nothing is known by POP3.")
    return lines


def as_object(end: PopEnd | None) -> dict[str, Any] | None:
    """Return what was found for programs; None where nobody asked."""
    if end is None:
        return None
    readers, error = end.readers, end.error
    return {
        "absent": end.is_absent,
        "error": None if error is None else {"code": error.code, "side": error.side, "reply": error.reply},
        "readers": readers and {
            "messages": readers.messages, "kept": readers.kept, "again": readers.again, "mixed": readers.mixed,
            "form": readers.form, "target_form": readers.target_form,
        },
    }  # fmt: skip
