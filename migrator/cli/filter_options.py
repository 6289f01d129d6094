"""The options about which messages are wanted, and what they mean."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, date, datetime
from typing import Final

from migrator.transfer.plan import ALL_MESSAGES, MessageFilter

ROLES: Final = ("all", "archive", "drafts", "flagged", "junk", "sent", "trash")


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options about copying."""
    group.add_argument(
        "--since", metavar="DATE", type=_instant, help="copy what arrived on YYYY-MM-DD (UTC) or later; leave the rest"
    )
    group.add_argument("--before", metavar="DATE", type=_instant, help="copy what arrived before YYYY-MM-DD (UTC)")
    group.add_argument("--min-size", metavar="BYTES", type=_octets, default=0, help="copy messages of at least so many")
    group.add_argument("--max-size", metavar="BYTES", type=_octets, help="copy messages of at most so many")
    group.add_argument(
        "--skip-role",
        metavar="ROLE",
        action="append",
        default=[],
        choices=ROLES,
        help=f"leave out the folder that the old server calls so; may be repeated: {', '.join(ROLES)}",
    )


def wanted(options: argparse.Namespace) -> MessageFilter:
    """Return which messages the command line asks for."""
    chosen = MessageFilter(options.since, options.before, options.min_size, options.max_size)
    return ALL_MESSAGES if chosen == ALL_MESSAGES else chosen


def skipped_roles(options: argparse.Namespace) -> frozenset[str]:
    """Return the roles whose folders are left out, as RFC 6154 spells them."""
    return frozenset(f"\\{role.capitalize()}" for role in options.skip_role)


def _instant(text: str) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a day, as 2024-12-31") from None
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _octets(text: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError("must be a number of bytes")
    return int(text)
