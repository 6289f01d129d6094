"""Put the database of a backup back."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from campaigns.services import backups


class Command(BaseCommand):
    """Needs the keys in their place, and nothing running."""

    help = "Puts the backup in DIR in the place of the database. Campaigns are paused afterwards."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("place", metavar="DIR", type=Path, help="the folder that `backup` named")
        parser.add_argument("--replace", action="store_true", help="although there is a database (it is kept)")

    def handle(self, *args: Any, **options: Any) -> None:
        backups.restore(options["place"], replace=options["replace"])
        self.stdout.write(
            "The database is as it was when the backup was made, and every campaign is paused. Users may have been "
            "moved since: look at the accounts that were being cut over before you let a campaign go on."
        )
