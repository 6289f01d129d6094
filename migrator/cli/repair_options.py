"""The options about repairs, and what they mean."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from typing import Final

from migrator.transfer.plan import CopyPolicy
from migrator.transfer.repairs import LONGEST_LINE, SHORTEST_LIMIT, Repair

OFFERED: Final = tuple(repair for repair in Repair if repair is not Repair.POP_NAME)  # that is --keep-uidl


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options about copying."""
    for name, text in (
        ("--repair", "mend so what the new server refuses as it is, and nothing else; may be repeated"),
        ("--repair-ahead", "mend every message with that fault before it is sent; may be repeated"),
    ):
        group.add_argument(
            name, metavar="NAME", action="append", default=[], type=_repair, help=f"{text}: {', '.join(OFFERED)}"
        )
    group.add_argument(
        "--fix-long-lines",
        metavar="N",
        type=line_octets,
        help=f"encode anew, before they are sent, the parts with lines of more than N bytes ({SHORTEST_LIMIT} at "
        "least); signed parts stay as they are",
    )


def line_octets(text: str) -> int:
    """Return the longest line that ``text`` allows; raises ``argparse.ArgumentTypeError``."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < SHORTEST_LIMIT:
        raise argparse.ArgumentTypeError(f"must be a number of bytes, {SHORTEST_LIMIT} at least")
    return int(text)


def _repair(text: str) -> Repair:
    if text not in OFFERED:
        raise argparse.ArgumentTypeError(f"there is no such repair; there are {', '.join(OFFERED)}")
    return Repair(text)


def with_repairs(policy: CopyPolicy, options: argparse.Namespace) -> CopyPolicy:
    """Return ``policy`` with the repairs that the command line allows."""
    ahead = {*options.repair_ahead, *([Repair.LONG_LINES] if options.fix_long_lines else [])}
    return replace(
        policy,
        repairs=frozenset(options.repair),
        repairs_ahead=frozenset(ahead),
        longest_line=options.fix_long_lines or LONGEST_LINE,
    )
