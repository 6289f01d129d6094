"""The commands: take what the command line says, do it, and tell how it ended, on the screen and as exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from migrator.cli import (
    classic,
    delivering,
    doors,
    filter_options,
    folders,
    objects,
    placing,
    proofs,
    removing,
    rescue,
    sharing,
    side_doors,
    summary,
    survey,
    survey_lines,
    verify,
    wishes,
)
from migrator.cli.accounts import MISSED, Account, AccountResult, Choices, Exit, carry, exit_of_error, not_started
from migrator.cli.crew import Crew
from migrator.cli.doors import BadInput, Door
from migrator.cli.ledgers import FileLedgers, RehearsalLedgers, default_path
from migrator.cli.options import parse
from migrator.cli.places import ServerUrl
from migrator.cli.repair_options import with_repairs
from migrator.cli.sharing import Shared
from migrator.cli.side_doors import Roads, SideDoors
from migrator.cli.stopping import Interrupts
from migrator.cli.terminal import Terminal, counted, printable
from migrator.cli.watch import AccountWatch, Board, sentence_of_error
from migrator.errors import MigratorError, Side
from migrator.events import EventSink
from migrator.limits import Limits, SystemClock
from migrator.mail import Outcome
from migrator.rosters import grantees, reading
from migrator.rosters.base import BadRoster, Roster, RosterRow
from migrator.rosters.grantees import GranteeMap
from migrator.rosters.names import Names
from migrator.secret import Secret
from migrator.stores.beside import Place
from migrator.transfer.plan import CopyPolicy, DuplicatePolicy, LabelPolicy, Mode
from migrator.transfer.verify import VerifyLevel

SLOW_SECONDS: Final = 3600.0
SLOW_CONNECT_SECONDS: Final = 120.0
MOST_NAMED: Final = 10_000  # messages left behind, in the copy of one account
REFUSALS_SHOWN: Final = 20
SERVICES: Final = ("sieve", "pop3", "classes")  # that are asked beside the mail


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
    removing.require_sense(options, source, target)
    account = _account(
        (source, source.url.mailbox or "", pair.source_password),
        (target, target.url.mailbox or "", pair.target_password),
        options,
        _side_roads(options, source, target),
        sharing.of_options(options, source, target),
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
    removing.require_sense(options, source, target)
    roster = doors.roster(options, source, target, terminal)
    _refuse_bad_rows(options, roster, terminal)
    sharing.require_imap(roster.rows, source, target)
    roads = _side_roads(options, source, target)
    accounts = [_listed(row, source, target, options, roads) for row in roster.rows]
    clock = SystemClock()
    begun = clock.monotonic()
    board = Board(terminal, clock, accounts=len(accounts), verbose=options.verbose)
    with _ledgers(options) as ledgers, Interrupts() as stop:

        def carry_one(account: Account, sink: EventSink) -> AccountResult:
            return carry(account, ledgers, choices, sink, stop)

        users = [(account.source_name, account.target_name) for account in accounts]
        targets = [account.target for account in accounts]
        choices = replace(_choices(options, summary.ROWS_SHOWN, users), targets=targets)
        crew = Crew(carry_one, not_started, lanes=options.parallel, stop=stop, listen=board.listen)
        results = crew.run(accounts, board.tell)
    terminal.clear()
    seconds = clock.monotonic() - begun
    exit_code = max([result.exit_code for result in results] + [Exit.USAGE] * bool(roster.refusals))
    lines = summary.of_accounts(results, is_dry_run=options.dry_run, seconds=seconds)
    answer = objects.accounts_object(results, exit_code, seconds) | _roster_object(roster)
    answer["lanes"] = options.parallel
    _tell(options, terminal, lines, answer)
    return exit_code


def _survey(options: argparse.Namespace, terminal: Terminal) -> Exit:
    options = survey.place_options(options)
    if options.file is None:
        pair = doors.mailboxes(options, terminal)
        sides = pair.source, pair.target
        users = [(side.url.mailbox or "") for side in sides]
        openings = [(side, user, password) for side, user, password in
                    zip(sides, users, (pair.source_password, pair.target_password), strict=True)]  # fmt: skip
        accounts = [_account(openings[0], openings[1], options, _side_roads(options, *sides))]
    else:
        sides = doors.servers(options, terminal)
        roster = doors.roster(options, *sides, terminal)
        _refuse_bad_rows(options, roster, terminal)
        roads = _side_roads(options, *sides)
        accounts = [_listed(row, *sides, options, roads) for row in roster.rows]
    outlook = survey.look(accounts, _choices(options, 0, ()), options, sides, terminal)
    lines = survey_lines.lines(outlook, is_list=options.file is not None)
    _tell(options, terminal, lines, survey_lines.as_object(outlook))
    return outlook.exit_code


def _rescue(options: argparse.Namespace, terminal: Terminal) -> Exit:
    told = rescue.run(options, terminal)
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


def _folders(options: argparse.Namespace, terminal: Terminal) -> Exit:
    door, password = doors.mailbox(options, terminal)
    told = folders.run(options, door, password, limits_of(options))
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


def _place(options: argparse.Namespace, terminal: Terminal) -> Exit:
    told = placing.run(options, terminal)
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


def _verify(options: argparse.Namespace, terminal: Terminal) -> Exit:
    told = verify.run(options, terminal, limits_of(options))
    _tell(options, terminal, told.lines, told.answer)
    return told.exit_code


_COMMANDS: Final = {
    "copy": _copy,
    "move-accounts": _move_accounts,
    "survey": _survey,
    "rescue": _rescue,
    "folders": _folders,
    "proof": proofs.run,
    "verify": _verify,
    "place": _place,
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


def _side_roads(options: argparse.Namespace, source: Door, target: Door) -> Mapping[str, Roads]:
    """Return where the services are that are asked beside the mail, by name."""
    found = {service: roads for service in SERVICES if (roads := side_doors.roads(options, service)) is not None}
    if found and not (source.signs_in and target.signs_in):
        raise BadInput(f"--{next(iter(found))} is for two mailboxes at which somebody signs in.")
    if "pop3" in found:
        own = {
            door.side: Place(port=door.url.port, is_named=True)
            for door in (source, target)
            if isinstance(door.url, ServerUrl) and door.url.kind == "pop3"
        }
        named = {side: place for side, place in found["pop3"].places.items() if place.is_named}
        found["pop3"].places = {**found["pop3"].places, **own, **named}
    return found


def _listed(
    row: RosterRow, source: Door, target: Door, options: argparse.Namespace, roads: Mapping[str, Roads]
) -> Account:
    account = _account(
        (source, row.source_user, row.source_password),
        (target, row.target_user, row.target_password),
        options,
        roads,
        sharing.of_row(row),
    )
    return replace(account, line=row.line, reads_files=reading.reads_files(row))


_Opening = tuple[Door, str, Secret | None]  # whose mailbox behind which door


def _account(
    source: _Opening,
    target: _Opening,
    options: argparse.Namespace,
    roads: Mapping[str, Roads],
    shared: Shared | None = None,
) -> Account:
    if shared is not None:
        return _shared_account(source, target, options, shared)
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
        scripts=_side_doors((source, target), roads.get("sieve"), limits),
        pop3=_side_doors((source, target), roads.get("pop3"), limits),
        classes=_side_doors((source, target), roads.get("classes"), limits),
    )


def _shared_account(source: _Opening, target: _Opening, options: argparse.Namespace, shared: Shared) -> Account:
    """Return shared folders as an account of their own: whoever signs in to read or write them, they are the same."""
    (source_door, source_user, source_password), (target_door, target_user, target_password) = source, target
    source_door, target_door = sharing.below(source_door, shared.old), sharing.below(target_door, shared.new)
    limits = limits_of(options)
    return Account(
        source=f"{source_door.url.identity_of('')}/{shared.old}",
        target=f"{target_door.url.identity_of('')}/{shared.new}",
        source_name=shared.old,
        target_name=shared.new,
        open_source=source_door.open(source_user, source_password, limits),
        open_target=target_door.open(target_user, target_password, limits),
        admin_sides=frozenset(door.side for door in (source_door, target_door) if door.administrator),
        rules=replace(wishes.rules(options, "", ""), strip_prefix=shared.old, add_prefix=shared.new),
        is_shared=True,
    )


def _side_doors(openings: Iterable[_Opening], roads: Roads | None, limits: Limits) -> SideDoors | None:
    if roads is None:
        return None
    endpoints = {
        door.side: door.endpoint(door.url, user, password)
        for door, user, password in openings
        if isinstance(door.url, ServerUrl)
    }
    return SideDoors(roads, endpoints, limits)


def limits_of(options: argparse.Namespace) -> Limits:
    """Return how patient the engine shall be, and by how many connections it works."""
    limits = replace(Limits(), connections=getattr(options, "connections", None))
    if options.slow_server:
        return replace(limits, connect_seconds=SLOW_CONNECT_SECONDS, io_seconds=SLOW_SECONDS)
    if options.timeout:
        return replace(limits, connect_seconds=min(limits.connect_seconds, options.timeout), io_seconds=options.timeout)
    return limits


def _choices(options: argparse.Namespace, most_named: int, users: Iterable[tuple[str, str]]) -> Choices:
    policy = CopyPolicy(
        mode=Mode.CATCH_UP if options.catch_up else Mode.STAGE,
        copy_deleted=options.copy_deleted,
        dry_run=options.dry_run,
        retry_left_behind=options.retry_left_behind,
        copies_notes=options.metadata,
        name_of=None if options.no_acl else Names(users),
        grantees=_grantees(options),
        kin=None if options.same_person else frozenset(),
        duplicates=DuplicatePolicy(options.duplicates),
        labels=LabelPolicy(options.gmail_labels),
        search=options.search or "",
        newest_days=options.newest_first,
        wanted=filter_options.wanted(options),
    )
    level = VerifyLevel(options.verify) if options.verify else None
    named = frozenset(Outcome) if options.verbose else MISSED
    return Choices(
        with_repairs(policy, options),
        limits_of(options),
        level,
        named,
        most_named,
        removes=options.delete,
        sets_aside=options.set_aside,
        keeps_pop_names=options.keep_uidl,
    )


def _grantees(options: argparse.Namespace) -> GranteeMap | None:
    file: Path | None = options.acl_map
    if file is None:
        return None
    if options.no_acl:
        raise BadInput("--acl-map does not go with --no-acl, which opens no folder to anybody.")
    try:
        return grantees.read(file)
    except BadRoster as refusal:
        raise BadInput(f"{file}: {refusal}") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from None


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
