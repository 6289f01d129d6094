"""Make a one-time link for somebody who lost their password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from campaigns.models import User
from campaigns.services import staff


class Command(BaseCommand):
    """Whoever may run commands here may let people in."""

    help = "Prints a link by which USER chooses a new password. It works once."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"], is_active=True).first()
        if user is None:
            raise CommandError(f"Nobody active signs in as {options['user']}.")
        self.stdout.write(f"{settings.URL}/first/{staff.link(user)}")
