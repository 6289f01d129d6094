"""The commands: take what the command line says, do it, and tell how it ended, on the screen and as exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from migrator.cli import classic, delivering, doors, folders, objects, proofs, rescue, summary, verify, wishes
from migrator.cli.accounts import MISSED, Account, AccountResult, Choices, Exit, carry, exit_of_error
from migrator.cli.crew import Crew
from migrator.cli.doors import BadInput, Door
from migrator.cli.ledgers import FileLedgers, RehearsalLedgers, default_path
from migrator.cli.options import parse
from migrator.cli.repair_options import with_repairs
from migrator.cli.stopping import Interrupts
from migrator.cli.terminal import Terminal, counted, printable
from migrator.cli.watch import AccountWatch, Board, sentence_of_error
from migrator.errors import MigratorError, Side
from migrator.events import EventSink
from migrator.limits import Limits, SystemClock
from migrator.mail import Outcome
from migrator.rosters.base import Roster, RosterRow
from migrator.rosters.names import Names
from migrator.secret import Secret
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.verify import VerifyLevel

SLOW_SECONDS: Final = 3600.0
SLOW_CONNECT_SECONDS: Final = 120.0
MOST_NAMED: Final = 10_000  # messages left behind, in the copy of one account
REFUSALS_SHOWN: Final = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Ends the program with 2 where argparse does."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # for what the locale cannot spell
    options = parse(arguments)
    terminal = Terminal(sys.stderr)
    try:
        options = classic.translate(options)
        return int(_COMMANDS[options.command](options, terminal))
    except (BadInput, classic.BadClassic) as refusal:
        return _fail(options, terminal, Exit.USAGE, str(refusal))
    except MigratorError as error:  # of the ledger as a whole: what servers cause stands in the results
        reply = f" [{error.reply}]" if error.reply else ""
        sentence = f"{sentence_of_error(error)}{reply} {error.hint}"
        return _fail(options, terminal, exit_of_error(error), sentence, code=error.code)
    except KeyboardInterrupt:
        return _fail(options, terminal, Exit.STOPPED, "Stopped before anything was started.")


def _copy(options: argparse.Namespace, terminal: Terminal) -> Exit:
    pair = doors.mailboxes(options, terminal)
    source, target = pair.source, pair.target
    delivering.say_before(target, options, terminal)
    account = _account(
        (source, source.url.mailbox or "", pair.source_password),
        (target, target.url.mailbox or "", pair.target_password),
        options,
    )
    watch = AccountWatch(terminal, SystemClock(), verbose=options.verbose)
    with _ledgers(options) as ledgers, Interrupts() as stop:
        users = [(account.source_name, account.target_name)]
        result = carry(account, ledgers, _choices(options, MOST_NAMED, users), watch, stop)
    terminal.clear()
    lines = summary.of_copy(result, watch, verbose=options.verbose, is_dry_run=options.dry_run)
    _tell(options, terminal, lines, objects.copy_object(result, watch))
    return result.exit_code


def _move_accounts(options: argparse.Namespace, terminal: Terminal) -> Exit:
    source, target = doors.servers(options, terminal)
    delivering.say_before(target, options, terminal)
    roster = doors.roster(options, source, target, terminal)
    _refuse_bad_rows(options, roster, terminal)
    accounts = [_listed(row, source, target, options) for row in roster.rows]
    clock = SystemClock()
    begun = clock.monotonic()
    board = Board(terminal, clock, accounts=len(accounts), verbose=options.verbose)
    with _ledgers(options) as ledgers, Interrupts() as stop:

        def carry_one(account: Account, sink: EventSink) -> AccountResult:
            return carry(account, ledgers, choices, sink, stop)

        users = [(account.source_name, account.target_name) for account in accounts]
        choices = _choices(options, summary.ROWS_SHOWN, users)
        crew = Crew(carry_one, lanes=options.parallel, stop=stop, listen=board.listen)
        results = crew.run(accounts, board.tell)
    terminal.clear()
    seconds = clock.monotonic() - begun
    exit_code = max([result.exit_code for result in results] + [Exit.USAGE] * bool(roster.refusals))
    lines = summary.of_accounts(results, is_dry_run=options.dry_run, seconds=seconds)
    answer = objects.accounts_object(results, exit_code, seconds) | _roster_object(roster)
    _tell(options, terminal, lines, answer)
    return exit_code


def _rescue(options: argparse.Namespace, terminal: Terminal) -> Exit:
    told = rescue.run(options, terminal)
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


def _folders(options: argparse.Namespace, terminal: Terminal) -> Exit:
    door, password = doors.mailbox(options, terminal)
    told = folders.run(options, door, password, limits_of(options))
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


def _verify(options: argparse.Namespace, terminal: Terminal) -> Exit:
    told = verify.run(options, terminal, limits_of(options))
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


_COMMANDS: Final = {
    "copy": _copy,
    "move-accounts": _move_accounts,
    "rescue": _rescue,
    "folders": _folders,
    "proof": proofs.run,
    "verify": _verify,
}


def _refuse_bad_rows(options: argparse.Namespace, roster: Roster, terminal: Terminal) -> None:
    for line, sentence in roster.refusals[:REFUSALS_SHOWN]:
        terminal.say(printable(f"Line {line:,}: {sentence}"))
    if len(roster.refusals) > REFUSALS_SHOWN:
        terminal.say(f"... and {counted(len(roster.refusals) - REFUSALS_SHOWN, 'more row')}.")
    if not roster.refusals:
        return
    rows = counted(len(roster.refusals), "row")
    if not roster.rows:
        raise BadInput(f"{rows} refused, and no other is left. Nothing was started.")
    if not options.skip_bad_rows:
        raise BadInput(f"{rows} refused. Nothing was started. Correct the list, or leave them out: --skip-bad-rows.")
    terminal.say(f"{rows} left out.")


def _roster_object(roster: Roster) -> dict[str, Any]:
    return {
        "refused_rows": [refusal._asdict() for refusal in roster.refusals],
        "ignored_columns": list(roster.ignored_columns),
    }


def _listed(row: RosterRow, source: Door, target: Door, options: argparse.Namespace) -> Account:
    account = _account(
        (source, row.source_user, row.source_password), (target, row.target_user, row.target_password), options
    )
    return replace(account, line=row.line)


_Opening = tuple[Door, str, Secret | None]  # whose mailbox behind which door


def _account(source: _Opening, target: _Opening, options: argparse.Namespace) -> Account:
    (source_door, source_user, source_password), (target_door, target_user, target_password) = source, target
    limits, rules = limits_of(options), wishes.rules(options, source_user, target_user)
    return Account(
        source=wishes.place_in(source_door.url.identity_of(source_user), rules.strip_prefix, Side.SOURCE),
        target=wishes.place_in(target_door.url.identity_of(target_user), rules.add_prefix, Side.TARGET),
        source_name=wishes.owner_of(rules.strip_prefix) or source_user,
        target_name=wishes.owner_of(rules.add_prefix) or target_user,
        open_source=source_door.open(source_user, source_password, limits),
        open_target=target_door.open(target_user, target_password, limits),
        admin_sides=frozenset(door.side for door in (source_door, target_door) if door.administrator),
        rules=rules,
    )


def limits_of(options: argparse.Namespace) -> Limits:
    """Return how patient the engine shall be."""
    if options.slow_server:
        return replace(Limits(), connect_seconds=SLOW_CONNECT_SECONDS, io_seconds=SLOW_SECONDS)
    if options.timeout:
        return replace(
            Limits(), connect_seconds=min(Limits().connect_seconds, options.timeout), io_seconds=options.timeout
        )
    return Limits()


def _choices(options: argparse.Namespace, most_named: int, users: Iterable[tuple[str, str]]) -> Choices:
    policy = CopyPolicy(
        mode=Mode.CATCH_UP if options.catch_up else Mode.STAGE,
        copy_deleted=options.copy_deleted,
        dry_run=options.dry_run,
        retry_left_behind=options.retry_left_behind,
        name_of=None if options.no_acl else Names(users),
        kin=None if options.same_person else frozenset(),
    )
    level = VerifyLevel(options.verify) if options.verify else None
    named = frozenset(Outcome) if options.verbose else MISSED
    return Choices(with_repairs(policy, options), limits_of(options), level, named, most_named)


def _ledgers(options: argparse.Namespace) -> FileLedgers | RehearsalLedgers:
    path = options.ledger or default_path()
    return RehearsalLedgers(path) if options.dry_run else FileLedgers(path)


def _fail(options: argparse.Namespace, terminal: Terminal, exit_code: Exit, sentence: str, *, code: str = "") -> int:
    terminal.clear()
    terminal.say(printable(f"mailferry: {sentence}"))
    if getattr(options, "json", False):
        _print(json.dumps({"exit_code": int(exit_code), "error": {"code": code, "sentence": sentence}}))
    return int(exit_code)


def _tell(options: argparse.Namespace, terminal: Terminal, lines: Sequence[str], answer: Mapping[str, Any]) -> None:
    """Put the summary on standard output; where that is for a program's object, on the screen instead."""
    if not options.json:
        _print("\n".join(lines))
        return
    for line in lines:
        terminal.say(line)
    _print(json.dumps(answer))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # whoever read this left early, as head does; the interpreter must not try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
