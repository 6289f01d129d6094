"""The panel and two mail servers of its own, moving two hundred invented mailboxes: what ``./run demo`` starts."""

from __future__ import annotations

import os
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from campaigns.demo import folder, planning
from campaigns.demo.people import Person
from campaigns.demo.platform import Platform, running
from campaigns.demo.servers import CannotStart
from campaigns.management.commands.up import listen, supervise
from campaigns.services import installation
from migrator.errors import MigratorError

FOLDER: Final = settings.BASE_DIR / ".data-demo"
# What belongs to a real installation and would lead the demo into it.
_NOT_OURS: Final = (
    "DATABASE_URL",
    "REDIS_URL",
    "MAILFERRY_SECRET_KEY",
    "MAILFERRY_VAULT_KEYS",
    "MAILFERRY_METRICS_TOKEN",
)
_FEWEST: Final = 8


def environment(given: Mapping[str, str], place: Path) -> dict[str, str]:
    """Return the variables of a demo in ``place``: those of the caller without what is a real installation's."""
    others = {name for secret in _NOT_OURS for name in (secret, f"{secret}_FILE")}
    kept = {name: value for name, value in given.items() if name not in others}
    return {**kept, "MAILFERRY_DEMO": "1", "MAILFERRY_DATA": str(place)}


class Command(BaseCommand):
    """Begins anew at each start: only what carries the demo's marker is ever emptied."""

    help = "Starts a demo: two mail servers with invented mail, and the panel that moves it."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--folder", metavar="PATH", default=str(FOLDER), help="the demo's own (default: .data-demo)"
        )
        parser.add_argument("--accounts", type=int, metavar="N", default=200, help="how many people (default: 200)")
        parser.add_argument("--seed", type=int, default=7, help="another one makes other people and other mail")
        parser.add_argument("--servers", choices=("dovecot", "pymap"), default="", help="insist on one product")

    def handle(self, *args: Any, **options: Any) -> None:
        place = Path(options["folder"]).absolute()
        if options["accounts"] < _FEWEST:
            raise installation.Unfit(f"A demo has {_FEWEST} accounts at least.")
        if not settings.DEMO or place != settings.DATA:
            # The settings of this process are those of a real installation: begin again with the demo's.
            self.stdout.flush()
            os.execve(sys.executable, [sys.executable, *sys.argv], environment(os.environ, place))
        signal.signal(signal.SIGTERM, _interrupt)  # until the supervisor listens
        try:
            self._run(options)
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except CannotStart as error:
            raise installation.Unfit(str(error)) from None
        except MigratorError as error:
            raise installation.Unfit(f"The demo cannot be planned: {error.sentence} {error.reply}") from None
        self.stdout.write("The demo has ended. Its next start begins anew.")

    def _run(self, options: Mapping[str, Any]) -> None:
        with ExitStack() as stack:
            folder.require_ours(settings.DATA)
            installation.make_private(settings.DATA)
            stack.enter_context(installation.hold_alone())
            line = stack.enter_context(listen(settings.BIND, settings.PORT, "MAILFERRY_PORT"))
            folder.begin_anew(settings.DATA)
            self._tell(f"Making a mail platform for {options['accounts']} invented people ...")
            platform = stack.enter_context(
                running(settings.DATA, count=options["accounts"], seed=options["seed"], kind=options["servers"])
            )
            if platform.remark:
                self._tell(platform.remark)
            installation.prepare()
            passwords = planning.make_staff()
            planning.start(planning.plan(platform, settings.DATA))
            self._tell(_welcome(platform, passwords))
            supervise(line.fileno(), "the demo's servers and mail go with it")

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _welcome(platform: Platform, passwords: Mapping[str, str]) -> str:
    """Return all that is needed to look at the demo. Passwords are told here and nowhere else."""
    cast = platform.cast
    count = len(cast.people)
    lines = [
        "",
        f"Mailferry's demo is at {settings.URL} (Ctrl-C ends it). {count} mailboxes are on their way; {count - 4} will",
        "cross by themselves, and four will tell you what keeps them.",
        "",
        "Sign in as:",
        *(f"    {role:<14} {password}" for role, password in passwords.items()),
        "",
        "What mends the four, each on its own page, followed by a retry:",
        *(f"    {_named(one)}: the right password is {one.password}" for one in cast.wrong),
        f"    {_named(cast.full)}: make room on the new server",
        f"    {_named(cast.oddly_named)}: a rule for the folder Orders/new",
        "",
    ]
    return "\n".join(lines)


def _named(person: Person) -> str:
    return f"{person.name} <{person.login}>"
