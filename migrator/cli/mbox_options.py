"""The options about how an mbox was written, which no file says of itself."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_WORDS: Final = {
    "--mbox-zone": "zone",
    "--mbox-ignore-length": "has_true_lengths",
    "--mbox-ignore-status": "reads_marks",
    "--mbox-unquote": "is_quoted",
    "--mbox-names": "names",
}  # by their options: those of MboxSource
NONE: Final = {
    "mbox_zone": None,
    "mbox_ignore_length": False,
    "mbox_ignore_status": False,
    "mbox_unquote": False,
    "mbox_names": None,
}  # what a command has that does not take them


def add(group: argparse._ArgumentGroup) -> None:
    """Add the options to a group of options about reading."""
    group.add_argument(
        "--mbox-zone",
        metavar="ZONE",
        type=_zone,
        help="the zone of the machine that wrote the mbox, for dates that name none: Europe/Berlin, or +0100 (default "
        "+0000)",
    )
    group.add_argument(
        "--mbox-ignore-length",
        action="store_true",
        help="let messages end before the next From_ line, whatever their Content-Length says; mailferry place "
        "--in-place shows whether that makes others of them",
    )
    group.add_argument(
        "--mbox-ignore-status",
        action="store_true",
        help="read no marks (Status, X-Status, X-Keywords) out of the mbox: all of its messages are unread",
    )
    group.add_argument(
        "--mbox-unquote",
        action="store_true",
        help="take one > off each line that begins with >From or >>From and so on: for what was written as mboxrd, by "
        "qmail and getmail; others put none before lines that have one already, and what they wrote must stay",
    )
    group.add_argument(
        "--mbox-names",
        metavar="CHARSET",
        type=_charset,
        help="the charset of the files' names in a tree that are neither as IMAP servers write them nor in UTF-8, as "
        "koi8-r or cp1251 (default: ISO-8859-1); name it at the first copy: by another name a folder is copied again",
    )


def variant(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return what ``MboxSource`` is to know, and the options that say so."""
    known: dict[str, Any] = {}
    given = []
    for option, word in _WORDS.items():
        value = getattr(options, option[2:].replace("-", "_"), None)
        if value:
            known[word] = not value if option.startswith("--mbox-ignore") else value
            given.append(option)
    return known, given


def _zone(text: str) -> tzinfo:
    if found := re.fullmatch(r"([+-])(\d{2}):?([0-5]\d)", text):
        minutes = int(found[2]) * 60 + int(found[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError("must be the name of a zone, as Europe/Berlin, or +HHMM") from None


def _charset(text: str) -> str:
    try:
        "".encode(text)
    except (LookupError, ValueError):
        raise argparse.ArgumentTypeError("must be the name of a charset, as koi8-r, cp1251 or shift_jis") from None
    return text
