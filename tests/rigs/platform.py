"""A whole platform that moves: two Dovecots under one OpenLDAP, filled with accounts, and the panel that moves them.

Every account has 30 messages in five folders, with flags, keywords and dates as in life; no two accounts share a
message, so that mail in a wrong mailbox is found. The panel is driven by its commands alone, as an operator does.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Final, LiteralString, Self

import psycopg

from tests.rigs import check
from tests.rigs.base import HOST, Account, users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import ADMIN, ADMIN_PASSWORD, Dovecot
from tests.rigs.governed import GovernedByLdap
from tests.rigs.panel import Panel
from tests.rigs.prober import Night, Written
from tests.rigs.slapd import MIGRATOR_PASSWORD, PEOPLE

CAMPAIGN: Final = "the move"
PROBE: Final = "probe"  # an account that is disabled, to prove that administrators get in
MESSAGES: Final = 30
FOLDERS: Final = (("INBOX",), ("Sent",), ("Entwürfe & Pläne",), ("Trash",), ("Projekte", "2019"), ("Leer",))
TEMPLATES: Final = 10
_COUNTS: Final = "SELECT state, SUM(accounts) FROM campaigns_batchcount WHERE accounts > 0 GROUP BY state"
_OPEN: Final = "SELECT COUNT(*) FROM campaigns_batch WHERE ended_at IS NULL"
_STAND_IN: Final = b"someone@example.org"


class Platform:
    """``with Platform(20, recipe="plain") as platform:`` has everything up, filled and planned, and nothing started."""

    def __init__(
        self,
        count: int,
        *,
        recipe: str,
        seed: int = 1,
        limits: Mapping[str, int] | None = None,
        others: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
        password: str = "pw",
        listed: Mapping[str, str] | None = None,
        size: int = 1000,
    ) -> None:
        """``limits`` and ``size`` of its batches; ``others`` have a mailbox and are in no list.

        ``variables`` are the panel's; ``password`` is everybody's; ``listed`` are passwords that the list has instead.
        """
        self.others = list(others)
        self.users = list(users(count))
        self.recipe = recipe
        self.seed = seed
        self.limits = dict(limits or {})
        self.variables = dict(variables or {})
        self.password = password
        self.listed = dict(listed or {})
        self.size = size
        self.max_lanes = 16
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            everybody = dict.fromkeys([*self.users, *self.others, PROBE], self.password)
            self.world = stack.enter_context(self.servers(everybody))
            self.world.slapd.change(f"uid={PROBE},{PEOPLE}", emailPersonStatus="inactive")
            fill_all(self.world.source, self.users, self.seed)
            self.panel = stack.enter_context(Panel(**self.variables))
            self._plan()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def servers(self, everybody: Mapping[str, str]) -> GovernedByLdap:
        """Make the servers, not yet started, with an account for each name of ``everybody``."""
        return GovernedByLdap(everybody)

    def door(self, side: str, user: str) -> Account:
        """How a user signs in, as users here do: by name."""
        return self.world.account(side, user)

    def admin(self, side: str, user: str) -> Account:
        """How the administrator opens the mailbox of a user."""
        return (self.world.source if side == "source" else self.world.target).admin(user)

    # The panel

    def tell(self, *words: str) -> str:
        """Give the panel a command; return what it says."""
        ran = self.panel.run(*words)
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def start(self) -> None:
        """Start all batches and say go."""
        self.tell("batch", "start", CAMPAIGN)
        self.tell("batch", "go", CAMPAIGN, "--despite", "a rig has no alarm that leaves")

    def status(self) -> list[dict[str, Any]]:
        """Return what the panel says of its batches."""
        found: list[dict[str, Any]] = json.loads(self.tell("batch", "status", CAMPAIGN, "--json"))["batches"]
        return found

    def counts(self) -> Counter[str]:
        """Return how many accounts are in each state, straight from the rows: a command takes a second of the machine.

        Empty while the database is away.
        """
        return Counter(dict(self._rows(_COUNTS)))

    def count_events(self, name: LiteralString) -> int:
        """Return how often something happened, straight from the rows; 0 while the database is away."""
        return len(self._rows(f"SELECT id FROM campaigns_event WHERE name = '{name}'"))

    def _rows(self, question: LiteralString) -> list[Any]:
        url = self.variables.get("DATABASE_URL", "")
        with contextlib.suppress(sqlite3.OperationalError, psycopg.OperationalError):
            if url:
                with psycopg.connect(url, connect_timeout=5) as line:
                    return line.execute(question).fetchall()
            with contextlib.closing(sqlite3.connect(self.panel.folder / "mailferry.sqlite3", timeout=10)) as file:
                return file.execute(question).fetchall()
        return []

    def accounts(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return what the panel says of some users."""
        logins = [self.world.address(name) for name in names]
        found = json.loads(self.tell("account", "show", CAMPAIGN, *logins, "--json"))["accounts"]
        return dict(zip(names, found, strict=True))

    def wait(self, seconds: float, *, every: float = 0.2, states: Sequence[str] = ("done",)) -> list[dict[str, Any]]:
        """Wait until all accounts of all batches are in ``states``, or the batches have ended otherwise.

        The panel is asked only when its rows say so: each time it is, that takes a second of the machine.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._may_be_over(states):
                batches = self.status()
                if all(set(one["states"]) <= set(states) for one in batches):
                    return batches
                if all(one["ended_at"] for one in batches):
                    raise AssertionError(f"the batches ended otherwise: {batches}\n{self.panel.words()[-3000:]}")
            time.sleep(every)
        raise AssertionError(f"{seconds:.0f} s were not enough: {self.status()}\n{self.panel.words()[-3000:]}")

    def _may_be_over(self, states: Sequence[str]) -> bool:
        found = self.counts()
        return bool(found) and (set(found) <= set(states) or self._rows(_OPEN) == [(0,)])

    # What became of it

    def nights(self, names: Sequence[str]) -> dict[str, Night]:
        """Return when the last cutover of each user began and ended to lock them out."""
        return {name: _night(facts) for name, facts in self.accounts(names).items()}

    def disabled(self) -> list[str]:
        """Return who is disabled in the directory, besides the probe."""
        return [user for user, (_, status) in self._entries().items() if status != "active" and user != PROBE]

    def hosts(self) -> dict[str, str]:
        """Return which server each user belongs to in the directory."""
        return {user: host for user, (host, _) in self._entries().items() if user != PROBE}

    def _entries(self) -> dict[str, tuple[str, str]]:
        words = ["-LLL", "-o", "ldif-wrap=no", "-E", "pr=400/noprompt", "-b", PEOPLE, "(uid=*)"]
        printed = self.world.slapd._speak("ldapsearch", "", *words, "uid", "mailHost", "emailPersonStatus")
        found = {}
        for block in printed.split("\n\n"):
            values = dict(re.findall(r"^(uid|mailHost|emailPersonStatus): (.*)$", block, re.MULTILINE))
            if "uid" in values:
                found[values["uid"]] = (values.get("mailHost", ""), values.get("emailPersonStatus", ""))
        return found

    def differences(self, names: Sequence[str]) -> Iterator[str]:
        """Let the independent judge compare both sides of some users, as the administrator sees them."""
        terms = check.Terms(skip_flagged="\\deleted")
        for name in names:
            source, target = (check.read(self.admin(side, name)) for side in ("source", "target"))
            for line in check.compare(source, target, terms):
                yield f"{name}: {line}"

    def lost(self, written: Mapping[str, Sequence[Written]]) -> Iterator[str]:
        """Say which messages that users wrote meanwhile are not on the target, or more than once."""
        for user, wrote in written.items():
            titles = [seen.title for seen in check.read(self.admin("target", user)).folders[b"INBOX"].messages]
            for one in wrote:
                count = titles.count(f"written {one.mark}")
                if count > 1 or (one.is_certain and not count):
                    yield f"{user}: the message {one.mark}, {one}, is {count} times on the target"

    # Planning

    def _plan(self) -> None:
        folder = self.panel.dir
        (folder / "admin").write_text(ADMIN_PASSWORD + "\n")
        (folder / "directory").write_text(MIGRATOR_PASSWORD + "\n")
        (folder / "setup.json").write_text(json.dumps(self.description()))
        self.write_list()
        for name in ("admin", "directory"):
            (folder / name).chmod(0o600)
        self.tell("campaign", "create", str(folder / "setup.json"))
        probe = self.world.address(PROBE)
        self.tell("campaign", "accept", CAMPAIGN, "--source", probe, "--target", probe)
        self._import_list()

    def _import_list(self) -> None:
        limits = [word for name, number in self.limits.items() for word in ("--limit", f"{name}={number}")]
        path = str(self.panel.dir / "list.tsv")
        self.tell("import_list", CAMPAIGN, path, f"--size={self.size}", *limits)

    def write_list(self) -> Path:
        """Write the list of all users, and return where it is."""
        path = self.panel.dir / "list.tsv"
        path.touch(0o600)
        path.write_text(self.roster(), encoding="utf-8")
        return path

    def description(self) -> dict[str, Any]:
        """The campaign as its file describes it."""
        folder = self.panel.dir
        return {
            "allowed": [HOST],
            "campaign": {"name": CAMPAIGN, "recipe": self.recipe},
            "source": self._server("the source", self.world.source, folder),
            "target": self._server("the target", self.world.target, folder),
            "source_directory": {
                "name": "the directory",
                "kind": "ldap",
                "password_file": str(folder / "directory"),
                "options": self.world.directory_options(),
            },
            "target_directory": "the directory",
            "route": {
                "name": "the route",
                "kind": "ldap",
                "password_file": str(folder / "directory"),
                "options": self.world.route_options(),
            },
            "source_sessions": {
                "name": "the sessions",
                "kind": "dovecot",
                "options": {**self.world.sessions_options("source"), "our_addresses": [HOST]},
            },
        }

    def _server(self, name: str, server: Dovecot, folder: Path) -> dict[str, Any]:
        return {
            "name": name,
            "host": HOST,
            "port": server.imap,
            "security": "plain",
            "admin_login": ADMIN,
            "admin_password_file": str(folder / "admin"),
            "max_lanes": self.max_lanes,
        }

    def roster(self) -> str:
        """The MoveAccounts list of all users."""
        rows = [f"{self.world.address(user)}\t{self.listed.get(user, self.password)}" for user in self.users]
        return "\n".join(["Name\tPassword", *rows]) + "\n"


def _night(facts: Mapping[str, Any]) -> Night:
    last = max((step["cutover"] for step in facts["steps"]), default=0)
    steps = {(step["kind"], step["side"]): step for step in facts["steps"] if step["cutover"] == last}

    def at(kind: str, side: str, column: str) -> float | None:
        step = steps.get((kind, side))
        done = step is not None and (column == "begun_at" or step["status"] == "done")
        return datetime.fromisoformat(step[column]).timestamp() if step and done and step[column] else None

    return Night(
        at("disable", "source", "begun_at"),
        at("disable", "source", "ended_at"),
        at("enable", "target", "begun_at"),
        at("enable", "target", "ended_at"),
    )


# Mail for everybody


def fill_all(server: Dovecot, names: Sequence[str], seed: int = 1) -> None:
    """Give everybody mail: a few accounts by IMAP, the others as copies of their files with another addressee."""
    templates = names[:TEMPLATES]
    for number, user in enumerate(templates):
        fill(server.account(user), lifelike(seed + number, messages=MESSAGES, folders=FOLDERS))
    server.stop()  # what it holds in memory is in the files then
    for number, user in reversed(list(enumerate(names))):  # the templates themselves come last
        _copy(server.maildir(templates[number % len(templates)]), server.maildir(user), _addressee(user))
    server.give(server.dir / "mail")
    server.start()


def _copy(template: Path, place: Path, addressee: bytes) -> None:
    """Copy the files of one mailbox, or alter them in their place. Sizes and times stay as they are."""
    for folder, _, files in os.walk(template):
        to = place / Path(folder).relative_to(template)
        to.mkdir(parents=True, exist_ok=True)
        for name in files:
            path = Path(folder) / name
            if name.startswith("dovecot.index") or name == "dovecot.list.index":
                if place == template:
                    path.unlink()
                continue
            content = path.read_bytes().replace(_STAND_IN, addressee)
            times = path.stat().st_atime_ns, path.stat().st_mtime_ns
            (to / name).write_bytes(content)
            os.utime(to / name, ns=times)


def _addressee(user: str) -> bytes:
    """An address of this user that is as long as the one in its place."""
    local = user.rjust(_STAND_IN.index(b"@"), "x").encode()
    return local + _STAND_IN[_STAND_IN.index(b"@") :]
