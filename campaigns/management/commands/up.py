"""The whole panel in the foreground: what ``./run`` starts."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from campaigns.models import Worker
from campaigns.services import beats, installation
from campaigns.supervisor import Program, Supervisor

_WAITING: Final = 1024  # lines that wait for their program; the kernel may allow fewer
_PATIENCE_SECONDS: Final = 60.0  # for programs to end; what is cut off then goes on at the next start


def listen(address: str, port: int, variable: str) -> socket.socket:
    """Take a port. It is held here and handed to its program, so that restarts refuse nobody.

    ``variable`` is the setting of the port. Raises ``Unfit``.
    """
    line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        line.bind((address, port))
        line.listen(_WAITING)
    except OSError as error:
        line.close()
        raise installation.Unfit(_why_not(error, address, port, variable)) from error
    line.set_inheritable(True)
    return line


def _why_not(error: OSError, address: str, port: int, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {address} is taken by another program. "
            f"Choose another one: {variable}={port % 65535 + 1} ./run"
        )
    return f"Mailferry cannot listen on {address}, port {port}: {error.strerror}."


def listen_for_fronts() -> dict[str, socket.socket]:
    """Take the ports at which front servers ask, by the option that hands each on; none where none is set."""
    wanted = {
        "--http-fd": (settings.GATES_PORT, "MAILFERRY_GATES_PORT"),
        "--postfix-fd": (settings.SOCKETMAP_PORT, "MAILFERRY_SOCKETMAP_PORT"),
    }
    return {option: listen(settings.GATES_BIND, port, variable) for option, (port, variable) in wanted.items() if port}


def programs(fd: int, fronts: Mapping[str, int]) -> list[Program]:
    """Return what makes up the panel on one machine. ``fronts`` are the sockets of the gates, by their options."""
    workers = [_worker(f"stage-{n}", "stage") for n in range(1, settings.STAGE_WORKERS + 1)]
    workers += [_worker(f"cutover-{n}", "control,cutover") for n in range(1, settings.CUTOVER_WORKERS + 1)]
    ticker = Program("ticker", _command("ticker"), beats.full_name(beats.TICKER))
    gates = [Program("gates", _command("gates", *(f"{option}={fd}" for option, fd in fronts.items())))]
    return [Program("web", _command("web", f"--fd={fd}")), *workers, ticker, *(gates if fronts else [])]


def _worker(name: str, queues: str) -> Program:
    return Program(name, _command("worker", queues, f"--name={name}"), beats.full_name(name))


def _command(*words: str) -> tuple[str, ...]:
    return (sys.executable, str(settings.BASE_DIR / "manage.py"), *words)


def last_beats() -> Mapping[str, datetime] | None:
    """Return when each program was last heard of, None while the database is away."""
    try:
        return dict(Worker.objects.values_list("name", "beat_at"))
    except DatabaseError:
        return None
    finally:
        connection.close()


def supervise(fd: int, what_happens: str, fronts: Mapping[str, int] | None = None) -> None:
    """Keep all programs running until a signal asks to end them; ``what_happens`` then is told in half a sentence."""
    fds = (fd, *(fronts or {}).values())
    supervisor = Supervisor(programs(fd, fronts or {}), beats=last_beats, stale_seconds=beats.STALE_SECONDS, fds=fds)

    def stop(*_: object) -> None:
        # Not by print: a signal may come in the middle of another line.
        os.write(2, f"\nEnding: {what_happens}. Once more ends it at once.\n".encode())
        supervisor.stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    supervisor.run(patience_seconds=_PATIENCE_SECONDS)


class Command(BaseCommand):
    """Prepares the installation, then keeps its programs running until Ctrl-C."""

    help = "Starts the whole panel in the foreground."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        with contextlib.ExitStack() as stack:
            installation.make_private(settings.DATA)
            stack.enter_context(installation.hold_alone())
            line = stack.enter_context(listen(settings.BIND, settings.PORT, "MAILFERRY_PORT"))
            fronts = {option: stack.enter_context(one).fileno() for option, one in listen_for_fronts().items()}
            call_command("prepare", stdout=self.stdout)
            self.stdout.write(f"Mailferry is at {settings.URL} (Ctrl-C ends it)")
            self.stdout.flush()
            supervise(line.fileno(), "what is being copied stops where it can go on later", fronts)
        self.stdout.write("Mailferry has ended.")
