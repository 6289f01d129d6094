"""Seal all stored passwords with a fresh key."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from campaigns.bridge import vault
from campaigns.services import secrets
from migrator.errors import MigratorError


class Command(BaseCommand):
    """Works beside running programs: they find the fresh key by themselves, and seal with it after their next start."""

    help = (
        "Puts a fresh key in front of the key file and seals all stored passwords with it. The other keys stay, for "
        "programs that run already; after the next start, run it once more with --drop to throw them away."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--drop", action="store_true", help="make no key; seal the rest anew and drop all other keys")
        only.add_argument("--reseal", action="store_true", help="make no key; the environment brings a fresh one")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not (options["drop"] or options["reseal"]):
                vault.vault().add_key()
            done = secrets.rotate()
            self._tell(done)
            if options["drop"]:
                self._drop(done)
        except MigratorError as error:
            raise CommandError(f"{error.sentence} {error.hint}") from None

    def _tell(self, done: secrets.Rotation) -> None:
        self.stdout.write(f"{done.resealed} stored values are sealed with the first key now.")
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable} stored values could not be opened by any key and were left as they are. "
                "Bring the key back that sealed them, or enter these passwords again. No key was dropped."
            )

    def _drop(self, done: secrets.Rotation) -> None:
        if done.busy:
            raise CommandError(f"{done.busy} accounts are being cut over or back. No key was dropped: repeat it later.")
        if secrets.rows_that_need_other_keys():
            raise CommandError("Something was sealed with another key meanwhile. Start all programs anew, then repeat.")
        vault.vault().drop_other_keys()
        self.stdout.write("The other keys are gone.")
