"""Take an account list into a campaign, or show what it would do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from campaigns.management.commands.batch import add_times, limits_of
from campaigns.management.shell import actor, find_campaign, pair, refusals, wake
from campaigns.models import Batch, Campaign
from campaigns.selectors.imports import preview
from campaigns.services import batches, imports, installation, rosters
from campaigns.services.rosters import Comparison, Fate, Reading, Row
from migrator.rosters.base import BadRoster

_SHOWN: Final = 50  # rows and accounts that are told of one by one


class Command(BaseCommand):
    """Ends with 1 when nothing was imported."""

    help = (
        "Takes a list of the MoveAccounts kind into CAMPAIGN: Name, Password, NewName and NewPassword, separated by "
        "tabs, commas or semicolons. All rows or none. A list that comes again changes what it says anew."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("campaign", metavar="CAMPAIGN")
        parser.add_argument("file", metavar="FILE", type=Path)
        fields = ", ".join(rosters.FIELDS)
        parser.add_argument(
            "--column", metavar="FIELD=TITLE", type=pair, action="append", default=[], help=f"FIELD is one of {fields}"
        )
        for side in ("source", "target"):
            parser.add_argument(f"--{side}-domain", metavar="DOMAIN", default="", help="for logins without an @")
        parser.add_argument("--size", metavar="NUMBER", type=int, default=batches.SIZE, help="accounts in a batch")
        parser.add_argument("--every", metavar="HOURS", type=float, help="between one batch and the next")
        add_times(parser)
        parser.add_argument("--preview", action="store_true", help="change nothing; tell what would become of each row")
        parser.add_argument(
            "--without-refused", action="store_true", help="import the others although rows are refused"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object, with every row")

    def handle(self, *args: Any, **options: Any) -> None:
        installation.require_ready()
        with refusals():
            campaign = find_campaign(options["campaign"])
            try:
                self._import(campaign, options)
            except (BadRoster, rosters.NoSuchField) as error:
                raise CommandError(str(error)) from None
            except imports.NotImported as error:
                self._tell(error.comparison, [], options)
                raise CommandError(f"{error} See --without-refused.") from None
            except imports.ChangedMeanwhile as error:
                raise CommandError(str(error)) from None

    def _import(self, campaign: Campaign, options: dict[str, Any]) -> None:
        reading = Reading(dict(options["column"]), options["source_domain"], options["target_domain"])
        if options["preview"]:
            return self._tell(preview(campaign, options["file"], reading), [], options)
        done = imports.take_in(
            campaign,
            options["file"],
            reading,
            actor=actor(),
            cutting=_cutting(options),
            without_refused=options["without_refused"],
        )
        wake()
        return self._tell(done.comparison, done.batches, options)

    def _tell(self, found: Comparison, made: Sequence[Batch], options: dict[str, Any]) -> None:
        if options["json"]:
            self.stdout.write(json.dumps(_facts(found, made)))
            return
        told = [row for row in found.rows if row.remarks]
        for row in told[:_SHOWN]:
            self.stdout.write(f"Line {row.line:,}, {row.fate.value}: {' '.join(one.sentence for one in row.remarks)}")
        self._tell_rest(len(told))
        for account in found.gone[:_SHOWN]:
            self.stdout.write(f"Not in this list: {account.source_login}")
        self._tell_rest(len(found.gone))
        if found.ignored_columns:
            self.stdout.write(f"Ignored columns: {', '.join(found.ignored_columns)}.")
        self.stdout.write(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in found.figures.items()))
        if made:
            self.stdout.write(f"Batches made: {', '.join(f'{one.number}' for one in made)}.")

    def _tell_rest(self, count: int) -> None:
        if count > _SHOWN:
            self.stdout.write(f"... and {count - _SHOWN:,} more (--json tells all).")


def _cutting(options: dict[str, Any]) -> imports.Cutting:
    every = timedelta(hours=options["every"]) if options["every"] is not None else None
    times = (options["starts_at"], options["window_begins_at"], options["window_ends_at"])
    return imports.Cutting(options["size"], batches.Timetable(*times, every), limits_of(options))


def _facts(found: Comparison, made: Sequence[Batch]) -> dict[str, Any]:
    return {
        "figures": found.figures,
        "rows": [_row(row) for row in found.rows],
        "gone": [account.source_login for account in found.gone],
        "ignored_columns": list(found.ignored_columns),
        "batches": [batch.number for batch in made],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "line": row.line,
        "source_login": row.source_login,
        "target_login": row.target_login,
        "fate": row.fate.value,
        "changes": row.changes if row.fate is Fate.CHANGED else [],
        "remarks": [{"code": one.code, "sentence": one.sentence} for one in row.remarks],
    }
