"""Shared folders, and those of other users, as an entry of their own: ``--shared-root``, or the column of a list.

They are seen by everybody who may read them, and belong to none of these: an account's copy never takes them along.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from migrator.cli.doors import BadInput, Door
from migrator.rosters.base import RosterRow
from migrator.rosters.sharing import NEW, OLD, is_shared
from migrator.stores import STORES
from migrator.stores.manners import home_of


class Shared(NamedTuple):
    """The root of shared folders on both sides, as their servers name it."""

    old: str
    new: str


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options of one copy."""
    group.add_argument(
        "--shared-root",
        metavar="ROOT",
        help="copy only the shared folders below ROOT (Public/, #shared., Other Users/anna/), once, whoever reads "
        "them: SOURCE and TARGET name who signs in. In a list: the column SharedRoot",
    )
    group.add_argument(
        "--new-shared-root", metavar="ROOT", help="where they go at the target; in a list: the column NewSharedRoot"
    )


def of_options(options: argparse.Namespace, source: Door, target: Door) -> Shared | None:
    """Return what one copy is asked for. Raises ``BadInput``."""
    old, new = getattr(options, "shared_root", None), getattr(options, "new_shared_root", None)
    if not old and not new:
        return None
    if not old or not new:
        raise BadInput("Shared folders need both: --shared-root, where they are, and --new-shared-root, where they go.")
    if options.source_prefix or options.target_prefix:
        raise BadInput("--shared-root says where folders are; --source-prefix and --target-prefix do not go with it.")
    _require_imap(source, target)
    _refuse_home(old)
    return Shared(old, new)


def of_row(row: RosterRow) -> Shared | None:
    """Return what a row of a list is asked for, None for a user's mailbox."""
    return Shared(row.others[OLD].strip(), row.others[NEW].strip()) if is_shared(row) else None


def require_imap(rows: Sequence[RosterRow], source: Door, target: Door) -> None:
    """Refuse a list with shared folders where they cannot be. Raises ``BadInput``."""
    shared = [row for row in rows if is_shared(row)]
    if shared:
        _require_imap(source, target)
    for row in shared:
        _refuse_home(row.others[OLD].strip())


def _require_imap(source: Door, target: Door) -> None:
    if any(door.url.store is not STORES["imap"] for door in (source, target)):
        raise BadInput("Shared folders are copied from IMAP to IMAP.")


def _refuse_home(root: str) -> None:
    if home_of(root):
        raise BadInput(f"{root} is all of one user's mailbox: copy it as that user's, with --source-prefix.")


def below(door: Door, root: str) -> Door:
    """Return the door through which nothing is seen but what is below a shared root."""
    return replace(door, manners=replace(door.manners, list_root=root, list_pattern="", is_shared_root=True))
