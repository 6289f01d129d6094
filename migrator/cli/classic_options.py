"""The words of the classic commands, as CommuniGate Pro's guide spells them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Final

from migrator.cli.classic import ACCOUNTS_MOVER, IMAP_MOVER, POP_MOVER
from migrator.cli.repair_options import line_octets

NOTE: Final = """\
Passwords:
  The place of a password takes - (it is asked for) or the name of a file that holds it, never the password itself.
Servers:
  HOST or HOST:PORT without encryption, as ever; imaps://HOST (pop3s, smtps) or imap+starttls://HOST with it.
"""


def add_imap_mover(commands: Any) -> argparse.ArgumentParser:
    """Add ``MoveIMAPMail``; return its parser, which still lacks what all copies share."""
    parser: argparse.ArgumentParser = commands.add_parser(
        IMAP_MOVER, help="copy one mailbox, as the classic program of that name did", epilog=NOTE
    )
    for age in ("old", "new"):
        for what in ("server", "name", "password"):
            parser.add_argument(f"{age}_{what}", metavar=f"{age}{what}".upper())
    _add_flags(parser)
    return parser


def add_pop_mover(commands: Any) -> argparse.ArgumentParser:
    """Add ``MovePOPMail``; return its parser, which still lacks what all copies share."""
    parser: argparse.ArgumentParser = commands.add_parser(
        POP_MOVER,
        help="send the mail of a POP account to an address, as the classic program of that name did",
        epilog=NOTE,
    )
    for what in ("server", "name", "password"):
        parser.add_argument(f"old_{what}", metavar=f"POP{what}".upper())
    parser.add_argument("new_server", metavar="SMTPSERVER")
    parser.add_argument("new_name", metavar="SMTPRECIPIENT")
    _add_flags_of_both(parser.add_argument_group("flags"))
    # what only folders have
    parser.set_defaults(list=None, source_prefix="", target_prefix="", skip_folder=[], no_subscription=False)
    parser.set_defaults(subscribed=False, fetch_rfc822=False, by_one=False)
    return parser


def add_accounts_mover(commands: Any) -> argparse.ArgumentParser:
    """Add ``MoveAccounts``; return its parser, which still lacks what all copies share."""
    parser: argparse.ArgumentParser = commands.add_parser(
        ACCOUNTS_MOVER, help="copy the mailboxes of a list, as the classic program of that name did", epilog=NOTE
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--POP", dest="by_imap", action="store_false", help="from POP to SMTP (default)")
    way.add_argument("--IMAP", dest="by_imap", action="store_true", help="from IMAP to IMAP")
    parser.set_defaults(by_imap=False)
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument("old_server", metavar="SOURCESERVER")
    parser.add_argument("new_server", metavar="TARGETSERVER")
    _add_flags(parser)
    return parser


def _add_flags(parser: argparse.ArgumentParser) -> None:
    flags = parser.add_argument_group("flags")
    _add_flags_of_both(flags)
    flags.add_argument("--list", metavar="SEARCH", help="LIST's pattern (default *)")
    flags.add_argument("--source", dest="source_prefix", metavar="PREFIX", default="", help="LIST's first parameter")
    flags.add_argument("--target", dest="target_prefix", metavar="PREFIX", default="", help="put before all names")
    flags.add_argument("--skipMailbox", dest="skip_folder", metavar="NAME", action="append", default=[])
    flags.add_argument("--nosubscription", dest="no_subscription", action="store_true")
    flags.add_argument("--subscribed", action="store_true")
    flags.add_argument("--fetchRFC822", dest="fetch_rfc822", action="store_true")
    flags.add_argument("--byOne", dest="by_one", action="store_true")
    flags.add_argument("--noACL", dest="no_acl", action="store_true")
    flags.add_argument(
        "--fixLongLines", dest="fix_long_lines", metavar="NUMBER", type=line_octets, help="no longer lines"
    )
    flags.add_argument(
        "--copyMailboxClass", dest="copy_mailbox_class", action="store_true", help="as --classes and --metadata"
    )


def _add_flags_of_both(flags: argparse._ArgumentGroup) -> None:
    flags.add_argument("--notimeout", dest="no_timeout", action="store_true", help="wait up to an hour for an answer")
