"""``--delete``: what must be said twice, what it cannot do, and where it must never be done."""

from __future__ import annotations

import argparse
import re
import socket
from typing import Final
from urllib.parse import unquote

from migrator.cli.doors import BadInput, Door
from migrator.cli.places import FileUrl, ServerUrl
from migrator.stores import Address
from migrator.stores.manners import home_of

_YES: Final = "--yes-delete-at-source"
_MAILBOX: Final = re.compile(r"[a-z0-9]+://([^@/]*)@(.+):(\d+)(?:/(.*))?")
_USUAL: Final = frozenset({24, 25, 110, 143, 465, 587, 993, 995})


def add(group: argparse._ArgumentGroup) -> None:
    """Add the two options."""
    group.add_argument(
        "--delete",
        action="store_true",
        help="after the copy, remove from SOURCE what is proved to be on TARGET: each copy and each original is read "
        f"again just before. For IMAP and POP3 sources; does nothing without {_YES}",
    )
    group.add_argument(
        _YES, dest="yes_delete", action="store_true", help="yes, remove mail from SOURCE: it cannot be brought back"
    )
    group.add_argument(
        "--set-aside",
        action="store_true",
        help="when all that the mbox SOURCE holds is found on TARGET, octet for octet, move it to SOURCE.imported and "
        "leave SOURCE empty: for files in which mail was held back meanwhile",
    )


def require_sense(options: argparse.Namespace, source: Door, target: Door) -> None:
    """Refuse before anything is started what would remove without proof, or by mistake. Raises ``BadInput``."""
    if options.yes_delete and not options.delete:
        raise BadInput(f"{_YES} says yes to --delete, which is missing. Nothing was started.")
    if options.set_aside:
        _require_file(options, source, target)
    if not options.delete:
        return
    if source.url.store.address is Address.FILE:
        raise BadInput("--delete: files are only read, whoever owns them removes them. Nothing was started.")
    if target.url.store.address is Address.RECIPIENT:
        raise BadInput(
            f"--delete: what is delivered by {target.url.store.label} cannot be read there, so nothing proves that it "
            "has arrived, and nothing is removed. Copy to the new mailbox by IMAP: imaps://USER@HOST."
        )
    if not options.yes_delete:
        raise BadInput(
            f"--delete removes mail from the old server for good. Whoever means it says so twice: {_YES}. Nothing was "
            "started."
        )
    _require_two_places(source, target)


def _require_file(options: argparse.Namespace, source: Door, target: Door) -> None:
    if not isinstance(source.url, FileUrl) or source.url.kind != "mbox":
        raise BadInput("--set-aside is for a mail file: mbox:PATH. Nothing was started.")
    if target.url.store.address is Address.RECIPIENT:
        raise BadInput("--set-aside: what is only delivered cannot be read there and compared. Nothing was started.")
    if options.verify not in (None, "digest"):
        raise BadInput("--set-aside compares all octets: leave out --verify, or say --verify digest.")
    options.verify = "digest"


def _require_two_places(source: Door, target: Door) -> None:
    """Refuse one mailbox under two names of one machine."""
    one, other = source.url, target.url
    if not isinstance(one, ServerUrl) or not isinstance(other, ServerUrl):
        return
    same_door = one.port == other.port or {one.port, other.port} <= _USUAL
    same_user = (one.mailbox or "").casefold() == (other.mailbox or "").casefold()
    if same_door and same_user and _addresses(one.host) & _addresses(other.host):
        raise BadInput(
            f"--delete: {one.host} and {other.host} are one machine, so both sides may be one and the same mailbox. "
            "Nothing was started."
        )


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return {host.casefold()}


def mailbox_of(identity: str) -> tuple[str, str, int]:
    """Return whose mailbox on which machine an identity of a ledger means, whatever protocol or way in it names.

    Of the usual ports all are doors of one house; another port may be another house.
    """
    found = _MAILBOX.fullmatch(identity)
    if found is None:
        return identity, "", 0
    home = home_of(found[4] or "")
    owner = home.owner if home else unquote(found[1])
    port = int(found[3])
    return owner.casefold(), found[2].casefold(), 0 if port in _USUAL else port
