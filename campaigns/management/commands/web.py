"""Serve the pages."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.services import installation


def arguments(fd: int | None) -> list[str]:
    """Return gunicorn's arguments: one process, so that threads share what they remember."""
    argv = ["--worker-class=gthread", "--workers=1", "--threads=16", "--log-level=warning"]
    argv += ["--no-control-socket", f"--umask={0o077}"]
    argv += [f"--pythonpath={settings.BASE_DIR}", f"--bind={_place(fd)}"]
    argv += [f"--forwarded-allow-ips={','.join(settings.TRUSTED_PROXY)}"]
    if settings.TLS_CERTIFICATE:
        argv += [f"--certfile={settings.TLS_CERTIFICATE}", f"--keyfile={settings.TLS_KEY}"]
    return [*argv, "campaigns.wsgi:application"]


def _place(fd: int | None) -> str:
    if fd is not None:
        return f"fd://{fd}"
    return f"[{settings.BIND}]:{settings.PORT}" if ":" in settings.BIND else f"{settings.BIND}:{settings.PORT}"


class Command(BaseCommand):
    """Becomes gunicorn, so that signals reach it."""

    help = "Serves the pages at MAILFERRY_BIND and MAILFERRY_PORT."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fd", type=int, help="a listening socket that is open already")

    def handle(self, *args: Any, **options: Any) -> None:
        installation.require_ready()
        os.execv(sys.executable, [sys.executable, "-P", "-m", "gunicorn", *arguments(options["fd"])])
