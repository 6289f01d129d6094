"""Answer front servers: nginx at each sign-in, Postfix for each recipient."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from campaigns.bridge import host_files
from campaigns.gates import fronts, moved
from campaigns.gates.desk import Desk
from campaigns.gates.fronts import Gate
from campaigns.gates.serve import serve
from campaigns.services import installation
from migrator.errors import MigratorError
from migrator.gates import export
from migrator.gates.table import Table

_SERVERS: Final = "nginx-servers"
_ROUTES: Final = "/etc/nginx/mailferry-routes.conf"
_TURN_SECONDS: Final = 0.0005  # so long may the thread that reads rows keep the one that answers waiting


class Command(BaseCommand):
    """Runs once per installation, beside the pages and apart from them; with ``--export`` it prints and ends."""

    help = (
        "Answers nginx (MAILFERRY_GATES_PORT) and Postfix (MAILFERRY_SOCKETMAP_PORT); or prints the routes of a gate "
        "for a front server's own files, for the time when nobody answers."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--http-fd", type=int, help="a socket for nginx that listens already")
        parser.add_argument("--postfix-fd", type=int, help="a socket for Postfix that listens already")
        forms = sorted([*export.FORMATS, _SERVERS])
        parser.add_argument("--export", choices=forms, help="print the routes in this form, and end")
        parser.add_argument("--refill", action="store_true", help="make a lost table of routes anew, and end")
        parser.add_argument("--gate", default="front", help="the gate whose routes are printed")

    def handle(self, *args: Any, **options: Any) -> None:
        installation.require_ready()
        path = Path(settings.DATA) / host_files.GATES
        table = Table(path)
        if options["refill"]:
            self.stdout.write(f"The new server serves {moved.refill()} people by the table of routes.")
            return
        if options["export"] == _SERVERS:
            self.stdout.write(_servers(options["gate"]), ending="")
            return
        if options["export"]:
            self.stdout.write(_exported(table, options["gate"], options["export"]), ending="")
            return
        if not path.exists() and moved.accounts().exists():
            raise CommandError(
                f"The table of routes {path} is gone, and people were moved: without it they would come to the old "
                "server. Put it back from a copy, or make it anew: manage.py gates --refill"
            )
        http = _sockets(options["http_fd"], settings.GATES_PORT)
        postfix = _sockets(options["postfix_fd"], settings.SOCKETMAP_PORT)
        if not http and not postfix:
            raise CommandError("Set MAILFERRY_GATES_PORT, MAILFERRY_SOCKETMAP_PORT or both: nobody could ask.")
        asyncio.run(_run(Desk(table), http, postfix))


def _servers(gate: str) -> str:
    """Return the server of nginx that asks the gate, with the usual places: whoever wants others changes the file."""
    asked = f"[{settings.GATES_BIND}]" if ":" in settings.GATES_BIND else settings.GATES_BIND
    port = settings.GATES_PORT or 8025
    return export.nginx_servers(gate, f"{asked}:{port}", listen="127.0.0.1:8024", routes=_ROUTES)


def _exported(table: Table, gate: str, form: str) -> str:
    found = fronts.read().get(gate)
    if found is None:
        raise CommandError(f"There is no usable route for a gate of the name {gate}.")
    try:
        rows = table.rows(gate)
    except MigratorError as error:
        raise CommandError(str(error)) from error
    return export.FORMATS[form](found.fronts, rows)


def _sockets(fd: int | None, port: int) -> list[socket.socket]:
    if fd is not None:
        return [socket.socket(fileno=fd)]
    return [socket.create_server((settings.GATES_BIND, port), family=_family())] if port else []


def _family() -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in settings.GATES_BIND else socket.AF_INET


def _read(reader: fronts.Reader) -> Mapping[str, Gate]:
    try:
        return reader.read()
    finally:
        connection.close()  # a server that was away, or another behind the same name, is met anew


async def _run(desk: Desk, http: Sequence[socket.socket], postfix: Sequence[socket.socket]) -> None:
    sys.setswitchinterval(_TURN_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it for garbage would stop all answers for a tenth of a second
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(desk, partial(_read, fronts.Reader()), http=http, postfix=postfix, stop=stop)
