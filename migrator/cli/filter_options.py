"""The options about which messages are wanted, and what they mean."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, date, datetime
from typing import Final

from migrator.stores.imap_search import fault_of
from migrator.transfer.plan import ALL_MESSAGES, DuplicatePolicy, LabelPolicy, MessageFilter

RECENT_DAYS: Final = 30
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

    group.add_argument(
        "--search",
        metavar="KEYS",
        type=_keys,
        help="copy only what the old IMAP server finds by SEARCH with these keys, as UNSEEN or "
        "'FROM anna SINCE 1-Jan-2024'; leave the rest. Servers differ in how well they search; some show only the "
        "first 1,000 hits",
    )
    group.add_argument(
        "--skip-groupware",
        action="store_true",
        help="leave out folders of calendars, contacts, tasks and notes, which Exchange, Zimbra, Domino and "
        "CommuniGate Pro show as odd messages; without it they are copied as such",
    )
    group.add_argument(
        "--duplicates",
        choices=[policy.value for policy in DuplicatePolicy],
        default=DuplicatePolicy.KEEP.value,
        help="equal messages of one folder: keep them all (default), or store them once and count the others",
    )
    group.add_argument(
        "--newest-first",
        metavar="DAYS",
        type=_days,
        nargs="?",
        const=RECENT_DAYS,
        help=f"copy the mail of the last DAYS of all folders first (default {RECENT_DAYS}), then of twice as many days "
        "before, and so on. Programs that sort by arrival instead of by date then show older mail after recent mail",
    )
    group.add_argument(
        "--gmail-labels",
        metavar="POLICY",
        choices=[policy.value for policy in LabelPolicy],
        default=LabelPolicy.FOLDERS.value,
        help="what becomes of a message under several labels of Gmail. folders: a copy in each folder, and the archive "
        "gets what lies nowhere else (default); first: one copy, in the first of INBOX, Sent and the like, own labels, "
        "archive; keywords: the same, and the other labels as keywords",
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


def _keys(text: str) -> str:
    if fault := fault_of(text):
        raise argparse.ArgumentTypeError(fault)
    return text


def _days(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not int(text):
        raise argparse.ArgumentTypeError("must be a number of days, 1 or more")
    return int(text)


def _octets(text: str) -> int:
    if not re.fullmatch("[0-9]{1,15}", text):
        raise argparse.ArgumentTypeError("must be a number of bytes")
    return int(text)
