"""The words of the command line: what may be said, and the help that explains it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from migrator.cli import (
    classes,
    classic_options,
    filter_options,
    mbox_options,
    placing,
    pop_readers,
    removing,
    repair_options,
    scripts,
    sharing,
    ways_in,
)
from migrator.cli.ledgers import default_path
from migrator.transfer.several import ASKED_CONNECTIONS
from migrator.transfer.verify import VerifyLevel

SIDES: Final = ("source", "target")
LANES: Final = 6  # a process gives its best with 4 to 8
MOST_LANES: Final = 64
MOST_CONNECTIONS: Final = 16  # for one account: servers let few more in, and more gain nothing
MOST_SECONDS: Final = 86_400

URLS: Final = """\
URLs:
  imap://USER@HOST[:PORT]            no encryption, port 143
  imaps://USER@HOST[:PORT]           TLS, port 993
  imap+starttls://USER@HOST[:PORT]   TLS by STARTTLS, port 143
  imap://ADMIN;authzid=USER@HOST     sign in as ADMIN and open the mailbox of USER (all three ways)
  pop3://USER@HOST, pop3s://, pop3+starttls://   an old mailbox that is read by POP3: INBOX only
  smtp://RECIPIENT@HOST, lmtp://     a new mailbox that mail is delivered to; much is not as it was then, it says what
  mbox:PATH, maildir:PATH            an old mailbox in files; in a list the name stands for the *: mbox:/mail/*
  The last @ ends the user's name: imaps://john@example.org@imap.example.org. In names write : / ? # ; % as
  %3A %2F %3F %23 %3B %25. IPv6 addresses stand in brackets: imap://john@[::1]:143. Never write a password here.
"""
EXIT_CODES: Final = """\
Exit codes:
    0  all there, and the sums balance; messages marked as deleted, and empty ones, are counted and may stay behind
    1  done, but messages were left behind that somebody may miss, each with its reason
    2  nothing was started, or rows of the list were left out: wrong usage or input
    3  not done, the same command may be repeated: the line dropped, a server is away or busy
    4  not done, a person is needed: password, full mailbox, certificate, a difference found by --verify
  130  stopped; the same command goes on where it was
  Of several accounts the highest number counts.
"""
SURVEY_EXIT_CODES: Final = """\
Exit codes:
    0  nobody is seen to fail, and nothing that anybody may miss to stay behind
    1  nobody is seen to fail, but something will stay behind
    2  nothing was looked at: wrong usage or input
    3  somebody would fail today, for a reason that passes: a server is away or busy
    4  somebody will fail unless a person does something
  130  stopped
  Of several accounts the highest number counts.
"""
RESCUE_EXIT_CODES: Final = """\
Exit codes:
    0  every account is enabled on one side, and the servers prove which
    2  nothing was started: wrong usage, no such folder, another key
    3  not all, the same command may be repeated: a server is away
    4  not all, a person is needed for the accounts named
  130  stopped; the same command goes on where it was
"""
PROOF_EXIT_CODES: Final = """\
Exit codes:
    0  every message of every account has exactly one outcome
    1  the same, but messages were left behind that somebody may miss
    2  nothing was written: wrong usage, no such ledger, or a key that cannot be used
    3  accounts are not finished, or worked on just now; the manifest names them
    4  a person is needed: the ledger is damaged; mailferry verify names each place
"""
VERIFY_EXIT_CODES: Final = """\
Exit codes:
    0  the manifest holds; with --against, what was copied is there, but for what people may have done since
    2  nothing was checked: wrong usage, or no manifest
    3  it holds, but accounts in it are not finished; or the server is away
    4  it does not hold: changed, cut off, another key, sums that do not balance; or a message is another one than was
       copied; with --strict also one that is gone or came since
"""
LIST: Final = """\
The list:
  A text file in UTF-8 (or UTF-16 with its mark). Its first line names the columns, separated by tabs, commas or
  semicolons: Name and Password sign in at the source, NewName and NewPassword at the target; where these are missing
  or empty, Name and Password serve both. Rows with SharedRoot and NewSharedRoot are shared folders (copy --help);
  their Name is who reads them. LocalReader (yes or no) marks who reads mail as files. Other columns are ignored.
  Between tabs every character stands for itself; between commas or semicolons a field may be quoted. Passwords are
  taken as they stand, blanks too.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that takes only whole options, and never repeats what it did not understand: it may be a password."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        _, colon, arguments = message.partition("unrecognized arguments: ")
        if colon:
            options = [word.partition("=")[0] for word in arguments.split() if word.startswith("--")]
            message = f"there is no option {', '.join(options)}" if options else "there are too many arguments"
            if any("password" in option for option in options):
                message += "; a password is never an argument, it is asked for or read from a file"
        super().error(message)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line says. Ends the program, as argparse does, with 2 when it says it wrongly."""
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mailferry",
        description="Move mail accounts between servers, or out of files, without losing or doubling a message.",
        epilog=EXIT_CODES,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_copy(commands)
    _add_move_accounts(commands)
    _add_survey(commands)
    _add_list(commands)
    _add_rescue(commands)
    _add_proof(commands)
    _add_verify(commands)
    placing.add(commands, EXIT_CODES)
    _add_classics(commands)
    return parser


def _add_copy(commands: argparse._SubParsersAction[_Parser]) -> None:
    copy = commands.add_parser(
        "copy",
        help="copy one mailbox",
        description="Copy the mailbox SOURCE into the mailbox TARGET. Nothing is removed or changed in SOURCE, unless "
        "--delete says so; what TARGET already holds is recognised by its content. A second run copies what came "
        "since.",
        epilog=f"{URLS}\n{EXIT_CODES}",
    )
    copy.add_argument("source", metavar="SOURCE", help="URL of the old mailbox")
    copy.add_argument("target", metavar="TARGET", help="URL of the new mailbox")
    sharing.add(copy.add_argument_group("shared folders"))
    _add_common(copy)


def _add_move_accounts(commands: argparse._SubParsersAction[_Parser]) -> None:
    move = commands.add_parser(
        "move-accounts",
        help="copy the mailboxes of a list",
        description="Copy every account of FILE from the server SOURCE to the server TARGET, several at once. SOURCE "
        "and TARGET are URLs without a user: imaps://HOST.",
        epilog=f"{LIST}\n{EXIT_CODES}",
    )
    move.add_argument("file", metavar="FILE", type=Path, help="the list of accounts")
    move.add_argument("source", metavar="SOURCE", help="URL of the old server")
    move.add_argument("target", metavar="TARGET", help="URL of the new server")
    _add_accounts(move)
    _add_common(move)


def _add_accounts(move: argparse.ArgumentParser) -> None:
    several = move.add_argument_group("accounts")
    several.add_argument(
        "--parallel",
        metavar="N",
        type=_lanes,
        default=LANES,
        help=f"copy N accounts at once, at most {MOST_LANES} (default {LANES})",
    )
    several.add_argument(
        "--skip-bad-rows", action="store_true", help="leave out rows that are refused, instead of starting nothing"
    )
    for side in SIDES:
        several.add_argument(
            f"--{side}-admin",
            metavar="ADMIN",
            help=f"sign in as ADMIN at the {side} and open each user's mailbox; the list then needs no password there",
        )


def _add_survey(commands: argparse._SubParsersAction[_Parser]) -> None:
    survey = commands.add_parser(
        "survey",
        help="look who would fail and why, and how long it would take; write nothing",
        description="Look at the mailbox SOURCE and the mailbox TARGET, or at all of FILE, as copy and move-accounts "
        "would, and say what will happen: who will fail, what will stay behind, what will be called otherwise, how "
        "long it takes and what holds it up, and what is not moved between two such servers. Nothing is written on "
        "either side. The options are those of copy and move-accounts: what they change is foreseen, too.",
        epilog=f"{URLS}\n{LIST}\n{SURVEY_EXIT_CODES}",
    )
    survey.add_argument(
        "places", metavar="[FILE] SOURCE TARGET", nargs="+", help="two mailboxes, or a list and two servers"
    )
    survey.add_argument(
        "--measured",
        metavar="FILE",
        type=Path,
        help="take the pace from a copy between these servers: what copy or move-accounts told with --json",
    )
    _add_accounts(survey)
    _add_common(survey)


def _add_list(commands: argparse._SubParsersAction[_Parser]) -> None:
    folders = commands.add_parser(
        "folders",
        help="show the folders of a mailbox that would be copied",
        description="Show what the list pattern finds in the mailbox SOURCE, how many messages each folder holds, "
        "under which name it would be copied, and what is left out. Nothing is changed.",
        epilog=f"{URLS}\n{EXIT_CODES}",
    )
    folders.add_argument("source", metavar="SOURCE", help="URL of the mailbox")
    _add_sides(folders.add_argument_group("signing in"), SIDES[:1])
    wanted = folders.add_argument_group("folders")
    _add_folders(wanted)
    _add_patience(wanted)
    folders.set_defaults(target_prefix="", no_subscription=False, fetch_rfc822=False, by_one=False, skip_role=[])
    folders.add_argument("--json", action="store_true", help="end with one JSON object on standard output")


def _add_classics(commands: argparse._SubParsersAction[_Parser]) -> None:
    lists = classic_options.add_accounts_mover(commands)
    _add_accounts(lists)
    for parser in (classic_options.add_imap_mover(commands), classic_options.add_pop_mover(commands), lists):
        _add_sides(parser.add_argument_group("signing in"), SIDES)
        _add_copying(parser.add_argument_group("copying"))
        _add_telling(parser)
        parser.set_defaults(shared_root=None, new_shared_root=None, **mbox_options.NONE)  # for copy alone


def _add_rescue(commands: argparse._SubParsersAction[_Parser]) -> None:
    rescue = commands.add_parser(
        "rescue",
        help="put every account of a rescue folder on the side that the servers prove",
        description="For the night when panel and database are lost. Who was not switched is enabled on the source "
        "again, exactly as before; who was switched is enabled on the target. Stop the panel and its workers first. "
        "May be repeated; what cannot be proved is left as it is and named.",
        epilog=RESCUE_EXIT_CODES,
    )
    rescue.add_argument("folder", metavar="DIR", type=Path, help="the rescue folder of one batch")
    rescue.add_argument(
        "--key-file", metavar="FILE", type=Path, help="the installation's key file; without it, the key is asked for"
    )
    telling = rescue.add_argument_group("telling")
    telling.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    telling.add_argument("--verbose", action="store_true", help="tell of every account")


def _add_proof(commands: argparse._SubParsersAction[_Parser]) -> None:
    proof = commands.add_parser(
        "proof",
        help="write a signed manifest of what was copied",
        description="Write to standard output where every message of every account in LEDGER ended, with the chains "
        "of records that prove it, signed with a key that is made beside LEDGER at the first use. No subject and no "
        "content is in it. mailferry verify checks it anywhere.",
        epilog=PROOF_EXIT_CODES,
    )
    proof.add_argument(
        "ledger", metavar="LEDGER", nargs="?", type=Path, default=default_path(), help="the ledger of the copies"
    )
    proof.add_argument("--title", metavar="TEXT", default="", help="what the manifest is of, for people")
    proof.add_argument(
        "--no-records", action="store_true", help="sums and ends of chains alone, not each message: a small file"
    )


def _add_verify(commands: argparse._SubParsersAction[_Parser]) -> None:
    verify = commands.add_parser(
        "verify",
        help="check a manifest, and the new mailboxes against it",
        description="Check the signature of MANIFEST, the chains of records in it and all its sums; no server is "
        "asked. With --against, read the new mailbox again and compare it with what was copied.",
        epilog=f"{URLS}\n{VERIFY_EXIT_CODES}",
    )
    verify.add_argument(
        "manifest", metavar="MANIFEST", type=Path, help="the file that mailferry proof, or the panel, made"
    )
    verify.add_argument(
        "--public-key",
        metavar="KEY",
        help="whose signature it must be: a fingerprint, or a file with the public key",
    )
    live = verify.add_argument_group("the new mailbox again")
    live.add_argument("--against", dest="target", metavar="URL", help="read this mailbox, and compare")
    live.add_argument(
        "--target-admin", metavar="ADMIN", help="URL is a server; sign in as ADMIN and read every account of MANIFEST"
    )
    live.add_argument(
        "--level",
        choices=[level.value for level in VerifyLevel],
        default=VerifyLevel.LEDGER.value,
        help="counts of each folder; ledger: presence and date of each message (default); digest: its content too",
    )
    live.add_argument("--strict", action="store_true", help="what people may have done since is a fault, too")
    _add_sides(live, ("target",))
    _add_patience(live)
    verify.set_defaults(target_prefix="")
    telling = verify.add_argument_group("telling")
    telling.add_argument("--json", action="store_true", help="end with one JSON object on standard output")


def _add_common(parser: _Parser) -> None:
    _add_sides(parser.add_argument_group("signing in"), SIDES)
    folders = parser.add_argument_group("folders")
    _add_folders(folders)
    _add_names(folders)
    _add_reading(parser.add_argument_group("reading"))
    _add_copying(parser.add_argument_group("copying"))
    _add_telling(parser)


def _add_telling(parser: argparse.ArgumentParser) -> None:
    telling = parser.add_argument_group("telling")
    telling.add_argument("--json", action="store_true", help="end with one JSON object on standard output")
    telling.add_argument("--verbose", action="store_true", help="tell of every event and every message left behind")


def _add_sides(group: argparse._ArgumentGroup, sides: Sequence[str]) -> None:
    for side in sides:
        group.add_argument(
            f"--{side}-password-file",
            metavar="FILE",
            type=Path,
            help=f"read the password for the {side} from the one line of FILE instead of asking",
        )
        trust = group.add_mutually_exclusive_group()
        trust.add_argument(
            f"--{side}-ca-file",
            metavar="FILE",
            type=Path,
            help=f"trust the certificates in FILE (PEM) at the {side}, not the system's",
        )
        trust.add_argument(
            f"--{side}-accept-any-certificate",
            action="store_true",
            help=f"do not check the certificate of the {side}: whoever sits on the way can read all",
        )
        ways_in.add_options(group, trust, side)


def _add_folders(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--list",
        metavar="PATTERN",
        help="the source's folders are those that LIST finds with PATTERN, and INBOX (default *, unless that shows "
        "files); mailferry folders shows what it finds",
    )
    group.add_argument(
        "--source-prefix",
        metavar="PREFIX",
        default="",
        help="copy only what is below PREFIX, which is LIST's first parameter, and take it off the names: with abc/, "
        "abc/mail1 becomes mail1. An administrator opens another mailbox with '~USER/' or 'user.USER.'; {user} stands "
        "for the name of the list",
    )
    group.add_argument(
        "--skip-folder",
        metavar="NAME",
        action="append",
        default=[],
        help="leave out the folder NAME, a name or a pattern with * and ?; folders inside it are left out only when "
        "the pattern fits them too; may be given more than once",
    )
    group.add_argument("--subscribed", action="store_true", help="copy only INBOX and folders subscribed to")


def _add_names(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target-prefix",
        metavar="PREFIX",
        default="",
        help="put PREFIX before all names at the target, INBOX too. An administrator fills another mailbox with "
        "'~USER/' or 'user.USER.'; {user} stands for the name of the list",
    )
    group.add_argument("--no-subscription", action="store_true", help="subscribe to nothing at the target")


def _add_reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fetch-rfc822",
        action="store_true",
        help="ask the source for RFC822.PEEK instead of BODY.PEEK[]; without it this is found out by itself",
    )
    group.add_argument(
        "--by-one",
        action="store_true",
        help="ask the source for one message at a time; without it this is found out by itself",
    )
    mbox_options.add(group)


def _add_copying(group: argparse._ArgumentGroup) -> None:
    shown = str(default_path()).replace("%", "%%")
    group.add_argument(
        "--ledger", metavar="FILE", type=Path, help=f"what was copied is remembered here (default {shown})"
    )
    group.add_argument("--dry-run", action="store_true", help="list both sides and plan; write nothing anywhere")
    group.add_argument(
        "--catch-up", action="store_true", help="only add what is missing: people work in the new mailbox already"
    )
    group.add_argument(
        "--copy-deleted",
        action="store_true",
        help="copy messages marked as deleted too, instead of leaving them behind",
    )
    group.add_argument(
        "--no-acl", action="store_true", help="do not let others into the folders of the new mailbox as into the old"
    )
    group.add_argument(
        "--acl-map",
        metavar="FILE",
        type=Path,
        help="what the new server calls those to whom folders are open: in each line of FILE an old and a new "
        "identifier, with a tab between them; group:NAME is a group; without a new one nobody gets in",
    )
    group.add_argument(
        "--metadata",
        action="store_true",
        help="copy what is noted on folders (METADATA), and the roles of folders that are there already, when a folder "
        "is copied for the first time; what the target has of its own stays",
    )
    group.add_argument(
        "--same-person",
        action="store_true",
        help="copy although the target seems to hold another person's mail: it is one person under two names",
    )
    group.add_argument(
        "--retry-left-behind", action="store_true", help="try messages again that an earlier run left behind"
    )
    scripts.add(group)
    classes.add(group)
    pop_readers.add(group)
    filter_options.add(group)
    repair_options.add(group)
    removing.add(group)
    group.add_argument(
        "--verify",
        choices=[level.value for level in VerifyLevel],
        help="compare afterwards: counts of each folder; ledger: presence, date and flags of each message too; digest: "
        "its content too",
    )
    group.add_argument(
        "--connections",
        metavar="N",
        type=_connections,
        help="carry the folders of one account over by N connections to each server, for a big account or a target "
        f"with slow disks; at most {MOST_CONNECTIONS} (default 1; {ASKED_CONNECTIONS} where the target must ask for "
        "each message)",
    )
    _add_patience(group)


def _add_patience(group: argparse._ArgumentGroup) -> None:
    patience = group.add_mutually_exclusive_group()
    patience.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help="a server silent for so long is taken for gone (default 120)",
    )
    patience.add_argument("--slow-server", action="store_true", help="wait up to an hour for each answer of a server")


def _lanes(text: str) -> int:
    return _number(text, MOST_LANES)


def _connections(text: str) -> int:
    return _number(text, MOST_CONNECTIONS)


def _seconds(text: str) -> int:
    return _number(text, MOST_SECONDS)


def _number(text: str, most: int) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {most:,}")
    return int(text)
