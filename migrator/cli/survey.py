"""``mailferry survey``: who will fail and why, and how long it will take, before anything is copied."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from migrator.cli.accounts import Account, Choices, Exit, exit_of_error
from migrator.cli.crew import Crew
from migrator.cli.doors import BadInput, Door
from migrator.cli.scripts import scripts_of
from migrator.cli.stopping import Interrupts
from migrator.cli.terminal import Terminal, counted, printable
from migrator.cli.watch import title
from migrator.errors import MigratorError, Side
from migrator.events import EventSink, PassPlanned, Silence
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Severity
from migrator.preflight.not_moved import NotMoved, SideFacts, not_moved
from migrator.preflight.pace import Done, Forecast, forecast
from migrator.preflight.survey import survey_account
from migrator.stores import STORES
from migrator.stores.profiles import choose

SAMPLED_ACCOUNTS: Final = 40  # of a list, so many are read from to measure the old server


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One account of a list, and what was found."""

    account: Account
    survey: AccountSurvey
    is_started: bool = True

    @property
    def error(self) -> MigratorError | None:
        """What stops the account, as the guard over all of them wants to know it."""
        stops = next((one for one in self.survey.foreseen if one.severity is Severity.STOPS), None)
        return MigratorError(stops.code, side=stops.side, reply=stops.reply) if stops else None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a survey came to, as a whole."""

    surveyed: Sequence[Surveyed]
    forecast: Forecast | None
    left: Sequence[NotMoved]
    lanes: int

    @property
    def exit_code(self) -> Exit:
        """Return what the shell is told: the worst that will happen to any account."""
        return max((exit_of(one) for one in self.surveyed), default=Exit.ALL_THERE)


def place_options(options: argparse.Namespace) -> argparse.Namespace:
    """Return the options with the places taken apart: SOURCE TARGET, or FILE SOURCE TARGET. Raises ``BadInput``."""
    places = options.places
    if len(places) not in (2, 3):
        raise BadInput("mailferry survey takes SOURCE and TARGET, or FILE, SOURCE and TARGET.")
    placed = argparse.Namespace(**vars(options))
    placed.file = Path(places[0]) if len(places) == 3 else None
    placed.source, placed.target = places[-2:]
    for side in Side:
        if placed.file is None and getattr(placed, f"{side}_admin"):
            raise BadInput(f"--{side}-admin is for lists; for one mailbox write ADMIN;authzid=USER in the URL.")
    placed.dry_run = True
    return placed


def look(
    accounts: Sequence[Account],
    choices: Choices,
    options: argparse.Namespace,
    doors_of: tuple[Door, Door],
    terminal: Terminal,
) -> Outlook:
    """Survey ``accounts``, several at once; return what was found. Writes nothing anywhere."""
    passes = measured(options.measured) if options.measured else []
    lanes = options.parallel if options.file else 1
    # Spread over the list: a whole department may lie on one slow disk.
    sampled = {accounts[at].line for at in range(0, len(accounts), max(1, len(accounts) // SAMPLED_ACCOUNTS))}

    def survey_one(account: Account, sink: EventSink) -> Surveyed:
        return Surveyed(account, _survey(account, choices, sink, is_sampled=account.line in sampled))

    with Interrupts() as stop:
        board = _Board(terminal, len(accounts), verbose=options.verbose)
        crew = Crew(survey_one, _not_started, lanes=lanes, stop=stop, listen=lambda account: Silence())
        surveyed = crew.run(accounts, board.tell)
    terminal.clear()
    surveys = [one.survey for one in surveyed if one.is_started]
    return Outlook(surveyed, forecast(surveys, lanes, passes), _left(surveyed, doors_of), lanes)


def _survey(account: Account, choices: Choices, sink: EventSink, *, is_sampled: bool) -> AccountSurvey:
    kin = choices.policy.kin
    policy = replace(choices.policy, rules=account.rules, kin=None if kin is None else kin | {account.source_name})
    return survey_account(
        account.open_source,
        account.open_target,
        policy=policy,
        limits=choices.limits,
        is_sampled=is_sampled,
        listed=lambda: sink.emit(PassPlanned(folders=0, messages=0, size_bytes=0, flag_changes=0)),
    )


def _not_started(account: Account, closed_by: MigratorError | None) -> Surveyed:
    found = (Foreseen.of(closed_by),) if closed_by else ()
    return Surveyed(account, AccountSurvey(foreseen=found), is_started=False)


def exit_of(one: Surveyed) -> Exit:
    """Return what the shell is told of one account."""
    if not one.is_started and not one.survey.foreseen:
        return Exit.STOPPED
    if error := one.error:
        return exit_of_error(error)
    return Exit.LEFT_BEHIND if one.survey.worst is Severity.LOSES else Exit.ALL_THERE


def measured(file: Path) -> list[Done]:
    """Return the passes of an earlier copy, as it told them with --json. Raises ``BadInput``."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        rows = told.get("accounts", [told])
        # What lanes spent beside passes, and idle, counts for the next ones too.
        lanes = min(told.get("lanes", 1), len(rows))
        busy = sum(one["seconds"] for one in rows)
        share = max(1.0, told["seconds"] * lanes / busy) if busy else 1.0
        done = [Done(one["seconds"] * share, one["appended"], one["appended_bytes"], one["folders"]) for one in rows]
    except OSError as error:
        raise BadInput(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{file} is not what mailferry copy or move-accounts tells with --json.") from None
    return [one for one in done if one.messages]


def _left(surveyed: Sequence[Surveyed], doors_of: tuple[Door, Door]) -> list[NotMoved]:
    """Return what stays behind for this pair of servers; nothing is said of servers that nobody could look at."""
    one = next((one for one in surveyed if any(one.survey.products)), None)
    if one is None:
        return []
    known, scripts = one.survey, _moves_scripts(one.account)
    sides = [
        SideFacts(
            choose(product, {}, frozenset()).name, door.url.kind.partition("+")[0].removesuffix("s"), has_acl, scripts
        )
        for product, has_acl, door in zip(known.products, known.has_access_lists, doors_of, strict=True)
    ]
    return not_moved(*sides)


def _kind(door: Door) -> str:
    return next(name for name, kind in STORES.items() if kind is door.url.store)


def _moves_scripts(account: Account) -> bool:
    """Return whether Sieve scripts are wanted, and both sides of an account have ManageSieve."""
    if account.scripts is None:
        return False
    try:
        with scripts_of(account.scripts, Side.SOURCE) as source, scripts_of(account.scripts, Side.TARGET) as target:
            return bool(source.extensions and target.extensions)
    except MigratorError:
        return False


class _Board:
    """Says how far the survey is, and of each account that will fail, at once."""

    def __init__(self, terminal: Terminal, accounts: int, *, verbose: bool) -> None:
        self._terminal = terminal
        self._accounts = accounts
        self._verbose = verbose
        self._done = 0

    def tell(self, one: Surveyed) -> None:
        self._done += 1
        if self._accounts > 1 and (self._verbose or one.survey.stops):
            self._terminal.say(printable(f"{title(one.account)}: {short(one)}"))
        self._terminal.progress(
            self._done / self._accounts, f"{self._done:,} of {counted(self._accounts, 'account')} looked at"
        )


def short(one: Surveyed) -> str:
    """Return in a few words what will become of an account."""
    worst = one.survey.foreseen[0] if one.survey.foreseen else None
    if worst is None or worst.severity is Severity.NOTES:
        return "will be all there"
    if worst.severity is Severity.STOPS:
        return f"will fail: {_side(worst)}{worst.sentence}"
    return f"will be there, but: {worst.sentence}"


def _side(one: Foreseen) -> str:
    return {Side.SOURCE: "The old server: ", Side.TARGET: "The new server: "}.get(one.side, "") if one.side else ""
