"""Copy the database into a folder."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.services import backups


class Command(BaseCommand):
    """May run at any time, beside everything."""

    help = "Copies the database into a new folder below DIR. The keys are not in it: keep a copy of them elsewhere."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="DIR", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        place = backups.backup(options["folder"])
        self.stdout.write(f"The backup is in {place}. It opens only with the keys ({settings.KEYS}).")
