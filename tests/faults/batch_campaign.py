"""Move a batch of a thousand while workers are killed, servers restarted and the queue wiped; then judge everything.

    python -m tests.faults.batch_campaign --recipe plain --accounts 1000
    python -m tests.faults.batch_campaign --kills 10 --restarts 4 --wipes 1 --seed 7
    python -m tests.faults.batch_campaign --kills 10 --restarts 6 --servers --workers 2

Two Dovecots under one OpenLDAP, and the panel as an operator starts it. Users keep signing in on both sides, some keep
writing. Without troubles it measures: wall time, messages a second, how long users are locked out, the memory of each
program, and beside it ``mailferry move-accounts`` over the same accounts. The seed decides what happens and when, as
far as a machine repeats itself. Everything is judged from outside: by signing in, by reading all mail over IMAP, and by
the directory.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

from tests.rigs import base, prober
from tests.rigs.dovecot import Dovecot
from tests.rigs.panel import descendants
from tests.rigs.platform import CAMPAIGN, MESSAGES, Platform
from tests.rigs.postgres import Postgres
from tests.rigs.prober import Prober
from tests.rigs.redis import Redis

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 40


@dataclass
class Report:
    """What was seen, line by line, and what is wrong."""

    figures: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """Note a figure and show it at once: runs are long."""
        self.figures.append(line)
        print(line, flush=True)


class Watch(threading.Thread):
    """Looks at the memory of every program of the panel, twice a second, and keeps the most."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(daemon=True)
        self._platform = platform
        self._ended = threading.Event()
        self.most: dict[str, int] = {}  # kB

    def run(self) -> None:
        while not self._ended.wait(0.5):
            supervisor = self._platform.panel.supervisor
            if supervisor is not None:
                for pid, line in {supervisor.pid: "manage.py up", **descendants(supervisor.pid)}.items():
                    name = _program(line)
                    if not name:
                        continue
                    self.most[name] = max(self.most.get(name, 0), _resident_kb(pid))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self.join()


def _program(line: str) -> str:
    if "gunicorn" in line:
        return "web"
    found = re.search(r"manage\.py (\S+)(?: (\S+))?", line)  # others are doveadm, and last for a moment
    return " ".join(word for word in found.groups() if word and not word.startswith("-")) if found else ""


def _resident_kb(pid: int) -> int:
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0


class Troubles:
    """What befalls the platform, each at its moment: when so many accounts are through."""

    def __init__(
        self, platform: Platform, dice: random.Random, chosen: argparse.Namespace, redis: Redis | None
    ) -> None:
        self._platform = platform
        self._dice = dice
        self._redis = redis
        acts: list[tuple[str, Callable[[], None]]] = [("kill", self._kill)] * chosen.kills
        acts += [dice.choice(self._restarts()) for _ in range(chosen.restarts)]
        acts += [("wipe the queue", self._wipe)] * (chosen.wipes if redis is None else 0)
        dice.shuffle(acts)
        moments = sorted(dice.uniform(0.0, 0.9) for _ in acts)
        self._waiting = list(zip(moments, acts, strict=True))
        self.befallen: list[str] = []

    def look(self, share: float) -> None:
        """Let happen what is due when ``share`` of the accounts is through."""
        while self._waiting and self._waiting[0][0] <= share:
            _, (name, act) = self._waiting.pop(0)
            self.befallen.append(name)
            act()

    def _restarts(self) -> list[tuple[str, Callable[[], None]]]:
        world = self._platform.world
        found: list[tuple[str, Callable[[], None]]] = [
            ("restart the target", world.target.restart),
            ("restart the directory", world.slapd.restart),
        ]
        return [*found, ("restart Redis", self._redis.restart)] if self._redis else found

    def _kill(self) -> None:
        """Kill one program of the panel: workers twice as often as web and ticker, never their supervisor."""
        assert self._platform.panel.supervisor
        found = descendants(self._platform.panel.supervisor.pid)
        below = {pid: _program(line) for pid, line in found.items() if _program(line)}
        pids = sorted(below) + [pid for pid, name in below.items() if name.startswith("worker")]
        if not pids:
            return  # all were killed a moment ago
        pid = self._dice.choice(pids)
        self.befallen[-1] = f"kill {below[pid]}"
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def _wipe(self) -> None:
        shutil.rmtree(self._platform.panel.folder / "queue", ignore_errors=True)


class Run:
    """One batch from beginning to end."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._dice = random.Random(chosen.seed)
        self.report = Report()

    def go(self) -> Report:
        """Do it all and return the report."""
        with ExitStack() as stack:
            self._dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=base.temporary_root())))
            redis, variables = self._servers(stack)
            begun = time.monotonic()
            self.platform = Platform(
                self._chosen.accounts,
                recipe=self._chosen.recipe,
                seed=self._chosen.seed,
                limits={"parallel_cutovers": self._chosen.parallel, "stop_at_failed_percent": 100},
                variables=variables,
            )
            stack.enter_context(self.platform)
            self.report.tell(f"{self._chosen.accounts} accounts of {MESSAGES} messages in {_since(begun)}")
            if self._chosen.beside:
                self._move_beside()
            watch = stack.enter_context(Watch(self.platform))
            self._move(Troubles(self.platform, self._dice, self._chosen, redis))
            for name, most in sorted(watch.most.items()):
                self.report.tell(f"  {name}: {most / 1024:.0f} MB at most")
            self._judge_mail()
        return self.report

    def _servers(self, stack: ExitStack) -> tuple[Redis | None, dict[str, str]]:
        workers = str(self._chosen.workers)
        variables = {"MAILFERRY_STAGE_WORKERS": workers, "MAILFERRY_CUTOVER_WORKERS": workers}
        if not self._chosen.servers:
            return None, variables
        redis, database = stack.enter_context(Redis("pw-7")), stack.enter_context(Postgres())
        return redis, {**variables, "REDIS_URL": redis.url, "DATABASE_URL": database.url}

    def _move_beside(self) -> None:
        """Copy the same accounts to a third server by one command, to compare."""
        with Dovecot(dict.fromkeys(self.platform.users, "pw")) as server:
            words = [str(self.platform.panel.dir / "list.tsv")]
            words += [f"imap://{base.HOST}:{port}" for port in (self.platform.world.source.imap, server.imap)]
            words += ["--ledger", str(self._dir / "ledger"), "--json", "--parallel", str(self._chosen.parallel)]
            begun = time.monotonic()
            ran = subprocess.run(
                [sys.executable, "-m", "migrator.cli", "move-accounts", *words],
                capture_output=True,
                text=True,
                cwd=ROOT,
                env=dict(os.environ, HOME=str(self._dir)),
            )
            pace = self._pace(begun)  # before the server is taken away: that takes minutes on a disk
        if ran.returncode not in (0, 1):
            self.report.wrong.append(f"move-accounts ended with {ran.returncode}: {ran.stderr[-500:]}")
        self.report.tell(f"mailferry move-accounts: {pace}")

    def _move(self, troubles: Troubles) -> None:
        watched = self._spread(self._chosen.probed)
        doors = [(side, self.platform.door(side, user), user) for user in watched for side in ("source", "target")]
        writers = [(self.platform.door("source", user), user) for user in watched[: self._chosen.writers]]
        with Prober(self._dir / "tries", doors, writers) as crowd:
            self._stage(troubles)
            self.platform.tell("batch", "go", CAMPAIGN, "--despite", "a rig has no alarm that leaves")
            begun = time.monotonic()
            self._wait({"done"}, troubles, 0.5 if self._is_staged else 0.0)
            self.report.tell(f"cut over: {self._pace(begun)}")
            self.report.tell(f"all in all: {self._pace(self._begun)}")
            time.sleep(2.0)  # users try a few times more
        self._judge_people(crowd, watched)
        if troubles.befallen:
            self.report.tell(f"  {len(troubles.befallen)} troubles: {', '.join(troubles.befallen)}")

    def _spread(self, count: int) -> list[str]:
        """Return so many users, from the whole batch: some move while something is broken."""
        return self.platform.users[:: max(1, len(self.platform.users) // count)][:count] if count else []

    @property
    def _is_staged(self) -> bool:
        return bool(self._chosen.recipe == "plain")

    def _stage(self, troubles: Troubles) -> None:
        self._begun = time.monotonic()
        self.platform.tell("batch", "start", CAMPAIGN)
        if self._is_staged:
            self._wait({"ready"}, troubles, 0.0)
            self.report.tell(f"copied ahead: {self._pace(self._begun)}")

    def _wait(self, states: set[str], troubles: Troubles, first_share: float) -> None:
        """Wait until all accounts are in ``states``, while things happen."""
        end = time.monotonic() + self._chosen.seconds
        told = 0.0
        while time.monotonic() < end:
            counts = self.platform.counts()
            through = sum(counts[state] for state in states)
            share = through / self._chosen.accounts
            troubles.look(first_share + share * (0.5 if self._is_staged else 1.0))
            if through == self._chosen.accounts:
                return
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"    {dict(counts)}", flush=True)
            time.sleep(0.5)
        self.report.wrong.append(f"{self._chosen.seconds} s were not enough: {dict(self.platform.counts())}")
        self.report.wrong.append(self.platform.panel.run("batch", "status", CAMPAIGN).stdout)
        self.report.wrong.append(self.platform.panel.words()[-3000:])

    # Judging

    def _judge_people(self, crowd: Prober, watched: Sequence[str]) -> None:
        tries = crowd.tries()
        nights = self.platform.nights(watched) if watched else {}
        for user in watched:
            self.report.wrong += prober.judge(user, tries[user], nights[user])
        self.report.wrong += self.platform.lost(crowd.written())
        self.report.wrong += [f"{user} is left disabled" for user in self.platform.disabled()]
        hosts = set(self.platform.hosts().values())
        if len(hosts) != 1:
            self.report.wrong.append(f"the directory names several servers: {hosts}")
        (batch,) = self.platform.status()
        said = batch["lockout"]
        self.report.tell(
            f"  locked out, as the panel has it: {said['users']} users, median {said['median_seconds']:.2f} s, "
            f"worst {said['worst_seconds']:.2f} s; it ends with {batch['states']}, causes {batch['causes']}"
        )
        seen = [seconds for user in watched if (seconds := prober.lockout_seconds(tries[user])) is not None]
        if seen:
            count = sum(len(tries[user]) for user in watched)
            self.report.tell(
                f"  locked out, as users saw it ({count} tries): median {median(seen):.2f} s, worst {max(seen):.2f} s"
            )

    def _judge_mail(self) -> None:
        begun = time.monotonic()
        found = [*self.platform.differences(self.platform.users)]
        self.report.wrong += found
        self.report.tell(f"  the judge read both sides in {_since(begun)}: {len(found)} differences")

    def _pace(self, begun: float) -> str:
        seconds = time.monotonic() - begun
        messages = self._chosen.accounts * MESSAGES
        return f"{seconds:.1f} s, {messages / seconds:.0f} messages/s, {self._chosen.accounts / seconds:.1f} accounts/s"


def _since(begun: float) -> str:
    return f"{time.monotonic() - begun:.1f} s"


def read_words(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the words of the shell, or those given, ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.batch_campaign")
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--recipe", choices=["classic", "plain"], default="classic")
    parser.add_argument("--kills", type=int, default=0, help="of programs of the panel")
    parser.add_argument("--restarts", type=int, default=0, help="of the target, the directory, and Redis")
    parser.add_argument("--wipes", type=int, default=0, help="of the folder of the queue")
    parser.add_argument("--servers", action="store_true", help="PostgreSQL and Redis instead of files")
    parser.add_argument("--workers", type=int, default=1, help="processes of each kind")
    parser.add_argument("--parallel", type=int, default=8, help="cutovers at once")
    parser.add_argument("--probed", type=int, default=20, help="users who sign in all the time")
    parser.add_argument("--writers", type=int, default=3, help="of those, who keep writing")
    parser.add_argument("--beside", action="store_true", help="copy the same accounts by move-accounts, too")
    parser.add_argument("--disk", metavar="DIR", help="where servers keep their mail, instead of in memory")
    parser.add_argument("--seconds", type=int, default=3600, help="that each half may take")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    return parser.parse_args(words)


def main() -> int:
    """Run a batch from the shell."""
    chosen = read_words()
    if chosen.disk:
        os.environ["MAILFERRY_TEST_FOLDER"] = chosen.disk
    print(f"seed {chosen.seed}: {' '.join(sys.argv[1:])}", flush=True)
    report = Run(chosen).go()
    print("\n".join(report.wrong[:SHOWN]))
    print(f"{len(report.wrong)} things wrong" if report.wrong else "nothing lost, nothing doubled, nobody forgotten")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
