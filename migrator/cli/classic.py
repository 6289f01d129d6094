"""The commands of CommuniGate Pro's guide, in its own spelling: MoveIMAPMail, MovePOPMail and MoveAccounts.

They are other words for ``copy`` and ``move-accounts``, with one difference: where the guide has a password, there
stands ``-``, and it is asked for, or the name of a file that holds it. Everybody on a machine can read arguments.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final
from urllib.parse import quote

from migrator.errors import Side

IMAP_MOVER, POP_MOVER, ACCOUNTS_MOVER = "MoveIMAPMail", "MovePOPMail", "MoveAccounts"
ASK: Final = "-"
_SIDES: Final = {Side.SOURCE: "old", Side.TARGET: "new"}


class BadClassic(ValueError):
    """A classic command that cannot be carried out; the text is the sentence. It never repeats a password."""


def translate(options: argparse.Namespace) -> argparse.Namespace:
    """Return what a classic command says, in the words of the others; other commands stay as they are.

    Raises ``BadClassic``.
    """
    if options.command not in (IMAP_MOVER, POP_MOVER, ACCOUNTS_MOVER):
        return options
    translated = argparse.Namespace(**vars(options))
    translated.slow_server = translated.slow_server or options.no_timeout
    if getattr(options, "copy_mailbox_class", False):  # the guide's own server by its command line, others by IMAP
        translated.classes = translated.metadata = True
    if options.command == ACCOUNTS_MOVER:
        return _of_list(translated)
    return _of_mailboxes(translated, *(("pop3", "smtp") if options.command == POP_MOVER else ("imap", "imap")))


def _of_mailboxes(options: argparse.Namespace, source: str, target: str) -> argparse.Namespace:
    options.command = "copy"
    options.source = _url(source, options.old_server, options.old_name)
    options.target = _url(target, options.new_server, options.new_name)
    for side, age in _SIDES.items():
        place = getattr(options, f"{age}_password", ASK)
        if place != ASK:
            setattr(options, f"{side}_password_file", _password_file(place, age))
    return options


def _of_list(options: argparse.Namespace) -> argparse.Namespace:
    source, target = ("imap", "imap") if options.by_imap else ("pop3", "smtp")
    options.command = "move-accounts"
    options.source = _url(source, options.old_server, None)
    options.target = _url(target, options.new_server, None)
    return options


def _url(scheme: str, server: str, name: str | None) -> str:
    """Return the URL of a server that is written ``host:port``, or is a URL already and says how to connect."""
    before, mark, place = server.partition("://")
    scheme, place = (before, place) if mark else (scheme, server)
    return f"{scheme}://{place}" if name is None else f"{scheme}://{quote(name, safe='')}@{place}"


def _password_file(place: str, age: str) -> Path:
    path = Path(place)
    try:
        is_file = path.exists() and not path.is_dir()
    except (OSError, ValueError):  # too long, or with a NUL: no name of a file
        is_file = False
    if not is_file:
        raise BadClassic(
            f"In the place of the {age} password stands no name of a file. Write - there, and the password is asked "
            "for, or name a file that holds it in its one line and that only you can read. The password itself does "
            "not belong there: everybody on this machine can read the arguments of a program."
        )
    return path
