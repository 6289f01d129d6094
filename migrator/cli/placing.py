"""``mailferry place``: old mail files where programs read them, copied there or left where they are."""

from __future__ import annotations

import argparse
import grp
import pwd
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from migrator.cli.accounts import Exit, exit_of_error
from migrator.cli.doors import BadInput
from migrator.cli.local_readers import LOCAL_READERS
from migrator.cli.places import BadUrl, FileUrl, Url
from migrator.cli.terminal import Terminal, counted, printable, size, table
from migrator.cli.urls import parse_mailbox, parse_server
from migrator.cli.watch import sentence_of_error
from migrator.errors import MigratorError, Side
from migrator.rosters import tsv
from migrator.rosters.base import BadRoster, Needs
from migrator.stores import mbox_place
from migrator.stores.mbox_place import Owner, Placed

_MODE: Final = re.compile(r"0?[0-7]{3}")
_NUMBERS: Final = re.compile(r"(\d{1,9}):(\d{1,9})")


class Told(NamedTuple):
    """How it ended: for the shell, for people, for programs."""

    exit_code: Exit
    lines: list[str]
    answer: dict[str, Any]


class _Row(NamedTuple):
    """One mailbox: whose, where it was, where it belongs (None: where it is)."""

    user: str
    old: Path
    new: Path | None


class _Ended(NamedTuple):
    row: _Row
    placed: Placed | None
    error: MigratorError | None


def add(commands: Any, exit_codes: str) -> None:
    """Add the command."""
    place = commands.add_parser(
        "place",
        help="put old mail files where programs read them, or look whether they may stay",
        description="Copy the mbox OLD to the place NEW, octet for octet, with the locks that mail programs take; "
        "nothing is overwritten, and OLD stays. With --in-place nothing is changed: OLD is locked, read, and told. "
        "With --users both are patterns: * or {user} stands for the user's name, {local} and {domain} for its parts, "
        "~{user} for a home directory: mbox:/var/mail/{user}, mbox:~{user}/mbox.",
        epilog=exit_codes,
    )
    place.add_argument("old", metavar="OLD", help="mbox:PATH")
    place.add_argument("new", metavar="NEW", nargs="?", help="mbox:PATH")
    place.add_argument("--in-place", action="store_true", help="OLD is used where it is")
    place.add_argument("--users", metavar="FILE", type=Path, help="a list of accounts: Name at OLD, NewName at NEW")
    place.add_argument(
        "--owner",
        metavar="OWNER",
        help="whose NEW becomes: a name of this machine ({user} for that of the list), NAME:GROUP or UID:GID (default: "
        "that of OLD)",
    )
    place.add_argument("--mode", metavar="MODE", default="600", help="its permissions, in octal digits (default 600)")
    place.add_argument("--json", action="store_true", help="end with one JSON object on standard output")


def run(options: argparse.Namespace, terminal: Terminal) -> Told:
    """Place one mailbox, or those of a list. Raises ``BadInput`` before anything is done."""
    if bool(options.new) is options.in_place:
        raise BadInput("Either NEW says where the mailbox belongs, or --in-place that it stays. Nothing was started.")
    if not _MODE.fullmatch(options.mode) or int(options.mode, 8) & 0o007:
        raise BadInput("--mode takes octal digits that let nobody else in: 600 or 660.")
    rows = list(_rows(options))
    owners = [_owner(options.owner, row.user) for row in rows]
    ended = [_one(row, owner, int(options.mode, 8)) for row, owner in zip(rows, owners, strict=True)]
    for line in LOCAL_READERS.split("\n"):
        terminal.say(line)
    return _told(ended)


def _rows(options: argparse.Namespace) -> Iterator[_Row]:
    parse = parse_server if options.users else parse_mailbox
    old, new = _url(options.old, parse), _url(options.new, parse) if options.new else None
    if options.users is None:
        yield _Row(old.path, old.path_of(""), new.path_of("") if new else None)
        return
    try:
        roster = tsv.read(options.users, Needs(False, False)).checked(same_server=False)
        if roster.refusals:
            raise BadInput(f"{options.users}, line {roster.refusals[0].line:,}: {roster.refusals[0].sentence}")
        for row in roster.rows:
            yield _Row(row.source_user, old.path_of(row.source_user), new.path_of(row.target_user) if new else None)
    except (BadRoster, BadUrl) as refusal:
        raise BadInput(f"{options.users}: {refusal}") from None
    except OSError as error:
        raise BadInput(f"{options.users} cannot be read: {error.strerror}.") from None


def _url(text: str, parse: Callable[[str, Side], Url]) -> FileUrl:
    try:
        url = parse(text, Side.SOURCE)
    except BadUrl as refusal:
        raise BadInput(str(refusal)) from None
    if not isinstance(url, FileUrl) or url.kind != "mbox":
        raise BadInput("A mail file is named mbox:PATH.")
    return url


def _owner(wish: str | None, user: str) -> Owner | None:
    if wish is None:
        return None
    if found := _NUMBERS.fullmatch(wish):
        return Owner(int(found[1]), int(found[2]))
    name, _, group = wish.replace("{user}", user).partition(":")
    try:
        entry = pwd.getpwnam(name)
        return Owner(entry.pw_uid, grp.getgrnam(group).gr_gid if group else entry.pw_gid)
    except (KeyError, ValueError):
        raise BadInput(f"--owner: this machine knows no {name!r}. Nothing was started.") from None


def _one(row: _Row, owner: Owner | None, mode: int) -> _Ended:
    try:
        if row.new is None:
            return _Ended(row, mbox_place.look(row.old), None)
        return _Ended(row, mbox_place.place(row.old, row.new, owner=owner, mode=mode), None)
    except MigratorError as error:
        return _Ended(row, None, error)


def _told(ended: list[_Ended]) -> Told:
    exit_code = max((exit_of_error(one.error) for one in ended if one.error), default=Exit.ALL_THERE)
    head = ("Mailbox", "Place", "Messages", "Size", "Result")
    rows = [(one.row.user, str(one.row.new or one.row.old), *_words(one)) for one in ended]
    lines = [*table(head, rows), "", *_notes(ended)]
    answer = {
        "exit_code": int(exit_code),
        "local_readers": [one.row.user for one in ended],
        "mailboxes": [_object(one) for one in ended],
    }
    return Told(exit_code, [printable(line) for line in lines], answer)


def _words(one: _Ended) -> tuple[int, str, str]:
    if one.placed is None:
        assert one.error is not None
        reply = f" [{one.error.reply}]" if one.error.reply else ""
        return 0, "", f"{sentence_of_error(one.error)}{reply}"
    word = "used where it is" if one.row.new is None else "placed" if one.placed.is_new else "there already"
    return one.placed.messages, size(one.placed.size_bytes), word


def _notes(ended: Iterable[_Ended]) -> Iterator[str]:
    placed = [one.placed for one in ended if one.placed]
    yield f"{counted(len(placed), 'mailbox', 'mailboxes')}, {counted(sum(one.messages for one in placed), 'message')}."
    for one in placed:
        if one.without_fields:
            count = counted(one.without_fields, "message")
            yield f"{one.path}: nothing says of {count} whether they were read; they count as unread."
        if one.without_lengths not in (None, one.messages):
            yield (
                f"{one.path}: {counted(one.without_lengths, 'message')} when no Content-Length is believed. Look "
                "which is right; --mbox-ignore-length copies so."
            )
        if one.is_exposed:
            yield f"Warning: everybody on this machine may read the mail in {one.path}."
    for folder in sorted({one.path.parent for one in placed if one.is_replaceable}):
        yield f"Warning: everybody on this machine may replace files in {folder}: chmod +t {folder}"


def _object(one: _Ended) -> dict[str, Any]:
    placed = one.placed
    return {
        "user": one.row.user,
        "old": str(one.row.old),
        "new": str(one.row.new or one.row.old),
        "messages": placed.messages if placed else None,
        "size_bytes": placed.size_bytes if placed else None,
        "sha256": placed.digest if placed else None,
        "is_new": placed.is_new if placed else None,
        "messages_without_lengths": placed.without_lengths if placed else None,
        "exposed": placed.is_exposed if placed else None,
        "replaceable": placed.is_replaceable if placed else None,
        "error": {"code": one.error.code, "reply": one.error.reply} if one.error else None,
    }
