"""The options about folders, as the engine takes them: how the servers are asked, and what the names become.

In the prefixes ``{user}`` stands for the user's name on that side, so that an administrator opens the mailboxes of a
whole list: ``--target-prefix '~{user}/'``.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Final

from migrator.cli.filter_options import skipped_roles
from migrator.errors import Side
from migrator.stores.manners import Manners, home_of
from migrator.transfer.folders import FolderRules
from migrator.transfer.plan import LabelPolicy

USER: Final = "{user}"
_FOR_LISTS: Final = {
    "list": "--list",
    "source_prefix": "--source-prefix",
    "fetch_rfc822": "--fetch-rfc822",
    "by_one": "--by-one",
    "search": "--search",
}


class BadWish(ValueError):
    """Options that do not go together; the text is the sentence for the operator."""


def manners(options: argparse.Namespace, side: Side) -> Manners:
    """Return how the server of ``side`` is to be asked; its root is still a pattern with ``{user}``."""
    if side is Side.SOURCE:
        return Manners(
            list_pattern=options.list or "",
            list_root=options.source_prefix,
            fetches_rfc822=options.fetch_rfc822,
            reads_one_by_one=options.by_one,
            labels_as_keywords=getattr(options, "gmail_labels", "") == LabelPolicy.KEYWORDS,
        )
    # A prefix that opens another's mailbox is where to look for what is there; any other is a part of one's own.
    opens_home = home_of(options.target_prefix.replace(USER, "user")) is not None
    return Manners(list_root=options.target_prefix if opens_home else "")


def for_user(manners: Manners, user: str) -> Manners:
    """Return the manners with the user's name in its place."""
    return replace(manners, list_root=manners.list_root.replace(USER, user))


def rules(options: argparse.Namespace, source_user: str, target_user: str) -> FolderRules:
    """Return what becomes of the folders' names for one pair of users."""
    return FolderRules(
        strip_prefix=options.source_prefix.replace(USER, source_user),
        add_prefix=options.target_prefix.replace(USER, target_user),
        skip=tuple(options.skip_folder),
        skip_roles=skipped_roles(options),
        skip_groupware=getattr(options, "skip_groupware", False),
        only_subscribed=options.subscribed,
        subscribe=not options.no_subscription,
    )


def owner_of(prefix: str) -> str:
    """Return whose mailbox an administrator opens with ``prefix``, nothing where it is only a part of a name."""
    home = home_of(prefix)
    return home.owner if home else ""


def place_in(identity: str, prefix: str, side: Side) -> str:
    """Return a mailbox as the ledger knows it: the copy below a prefix is another than the one without.

    At the source only another user's mailbox is: a part of one's own has the same folders, under the same names.
    """
    counts = prefix and (side is Side.TARGET or home_of(prefix))
    return f"{identity}/{prefix}" if counts else identity


def require_sense(options: argparse.Namespace, *, source_lists: bool) -> None:
    """Raise ``BadWish`` where an option can do nothing, or not what it says."""
    given = [name for name in _FOR_LISTS if getattr(options, name, None)]
    if given and not source_lists:
        raise BadWish(f"{_FOR_LISTS[given[0]]} is for an IMAP source.")
    if options.subscribed and home_of(options.source_prefix.replace(USER, "user")):
        raise BadWish(
            "--subscribed does not go with --source-prefix of another user's mailbox: the server tells only what the "
            "administrator has subscribed to. Copy all folders, or sign in as the user."
        )
