"""Take work from some of the queues."""

from __future__ import annotations

import warnings
from argparse import ArgumentParser
from typing import Any

from celery.platforms import SecurityWarning
from django.core.management.base import BaseCommand, CommandError

from campaigns.celery import QUEUES, app
from campaigns.services import beats, installation


class Command(BaseCommand):
    """A Celery worker of threads. Ends after SIGTERM as soon as its accounts have reached a place to go on from."""

    help = "Takes work from QUEUES: stage, or control,cutover."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("queues", metavar="QUEUES", help=f"with commas between them: {','.join(QUEUES)}")
        parser.add_argument("--name", help="its name on this machine; the queues by default")

    def handle(self, *args: Any, **options: Any) -> None:
        queues = options["queues"]
        unknown = set(queues.split(",")) - set(QUEUES)
        if unknown:
            raise CommandError(f"There is no queue {min(unknown)!r}: the queues are {', '.join(QUEUES)}.")
        installation.require_ready()
        name = beats.full_name(options["name"] or queues.replace(",", "-"))
        warnings.simplefilter("ignore", SecurityWarning)  # that root runs it: in a container root is nobody special
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]  # its beats are rows
        app.worker_main(["--quiet", "worker", f"--queues={queues}", f"--hostname={name}", *alone, "--loglevel=WARNING"])
