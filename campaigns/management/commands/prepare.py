"""Make folder, keys and tables, and a link for the first administrator."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.services import doctor, installation, staff


class Command(BaseCommand):
    """Also what an upgrade runs, before the programs start."""

    help = "Makes what an installation needs: folder, keys, tables. Safe to repeat."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        installation.prepare()
        finding = doctor.look_at_settings()
        if not finding.is_well:
            self.stderr.write(finding.sentence)
        token = staff.first_link()
        if token:
            self.stdout.write(
                "Nobody administers Mailferry yet. To choose the first password, open this link within "
                f"{staff.LINK_HOURS} hours; it works once:\n\n    {settings.URL}/first/{token}\n"
            )
