"""Look at the installation and say in sentences what is well and what is not."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from campaigns.services import doctor


class Command(BaseCommand):
    """Ends with 1 when anything is not well, so that scripts and containers can ask."""

    help = "Looks at everything, or at the named things, and says in sentences what is well and what is not."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", choices=[[], *doctor.CHECKS], metavar="NAME", help=", ".join(doctor.CHECKS)
        )

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["names"]
        findings = [doctor.CHECKS[name]() for name in names] if names else list(doctor.everything())
        for finding in findings:
            self.stdout.write(f"{'well ' if finding.is_well else 'WRONG'}  {finding.name}: {finding.sentence}")
        if not all(finding.is_well for finding in findings):
            raise SystemExit(1)
