"""Kill the copy and restart the servers at random moments, again and again, and see that nothing is lost or doubled.

    python -m tests.faults.campaign --kills 50 --restarts 10 --cuts 10 --seed 7 --target mdbox

One source account is copied to one fresh target account after another, each by ``mailferry copy`` as a process of its
own between two Dovecots. Each run meets one trouble; it is started again until it ends by itself; then the independent
judge compares, and a further run must find nothing to do. The seed decides what happens and when, as far as a machine
repeats itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tests.rigs import check
from tests.rigs.base import Account, Server, temporary_root, users
from tests.rigs.corpus import CYRUS_FOLDERS, Box, fill, lifelike
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import Dovecot
from tests.rigs.relay import Relay

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 120.0
FIRST_SECOND = 0.8  # start, sign-in and listing happen in it, before much moves
MOST_RUNS = 60  # of one account


TARGETS: dict[str, Callable[[], Server]] = {
    "mdbox": lambda: Dovecot(users(500), layout="mdbox", separator="/"),
    "maildir": lambda: Dovecot(users(500)),
    "cyrus": lambda: Cyrus(users(500)),
    "cyrus-8bit": lambda: Cyrus(users(500)),  # with 8-bit headers: what it stored is not what it was given
}


class Trouble(StrEnum):
    """What can befall a run."""

    KILL = "kill"  # kill -9 of the copy
    RESTART_SOURCE = "restart source"
    RESTART_TARGET = "restart target"
    CUT_SOURCE = "cut source"  # the line drops in the middle of an octet stream
    CUT_TARGET = "cut target"


@dataclass
class Report:
    """What happened, and what is wrong."""

    seed: int
    troubles: Counter[Trouble] = field(default_factory=Counter)
    runs: int = 0
    accounts: int = 0
    messages: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        befallen = ", ".join(f"{count} x {trouble}" for trouble, count in sorted(self.troubles.items()))
        verdict = "nothing lost, nothing doubled" if not self.wrong else f"{len(self.wrong)} things wrong"
        return (
            f"seed {self.seed}: {self.accounts} accounts, {self.messages} messages, {self.runs} runs, "
            f"{befallen}, {self.seconds:.0f} s: {verdict}"
        )


class Campaign:
    """Two Dovecots behind relays, and the work of breaking what goes on between them."""

    def __init__(
        self, seed: int, *, kills: int, restarts: int, cuts: int = 0, messages: int = 600, target: str = "mdbox"
    ) -> None:
        self._dice = random.Random(seed)
        self._waiting = [Trouble.KILL] * kills
        self._waiting += [self._dice.choice((Trouble.RESTART_SOURCE, Trouble.RESTART_TARGET)) for _ in range(restarts)]
        self._waiting += [self._dice.choice((Trouble.CUT_SOURCE, Trouble.CUT_TARGET)) for _ in range(cuts)]
        self._dice.shuffle(self._waiting)
        self._messages = messages
        self._kind = target
        self.report = Report(seed)

    def run(self) -> Report:
        """Do it all and return the report."""
        begun = time.monotonic()
        with ExitStack() as stack:
            self._dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=temporary_root())))
            self._source = stack.enter_context(Dovecot(users(1)))
            self._target = stack.enter_context(TARGETS[self._kind]())
            self._near = stack.enter_context(Relay(self._source.imap))
            self._far = stack.enter_context(Relay(self._target.imap))
            (self._dir / "password").write_text("pw\n")
            (self._dir / "password").chmod(0o600)
            fill(self._source.account("u0000"), self._boxes())
            self._before = self._read(self._source.account("u0000"))
            self._size = self._measure()
            while self._waiting and not self.report.wrong:
                self._account(self._target.account(f"u{self.report.accounts:04d}"))
        self.report.seconds = time.monotonic() - begun
        return self.report

    def _boxes(self) -> list[Box]:
        """The account; a letter without a header is none for Cyrus, and folders inside INBOX get another name there."""
        if not self._kind.startswith("cyrus"):
            return lifelike(self.report.seed, messages=self._messages)
        folders = [path for path in CYRUS_FOLDERS if path[0] != "INBOX" or len(path) == 1]
        is_strict = self._kind == "cyrus"
        boxes = lifelike(self.report.seed, messages=self._messages, folders=folders, strict=is_strict)
        kept = [box._replace(mails=[mail for mail in box.mails if mail.body.startswith(b"Received:")]) for box in boxes]
        self._messages = sum(len(box.mails) for box in kept)
        return kept

    def _read(self, account: Account) -> check.Contents:
        return check.read(account, munged=self._kind == "cyrus-8bit")

    def _measure(self) -> int:
        """Copy once in peace, to know how many bytes go by."""
        self._near.clear()
        peaceful = self._start(self._target.account("u0499"))
        self._judge(self._target.account("u0499"), self._end(peaceful))
        return self._copied_bytes

    def _account(self, target: Account) -> None:
        """Bring one account across, through one to six troubles."""
        self.report.accounts += 1
        self.report.messages += self._messages
        share = min(len(self._waiting), self._dice.randint(1, 6))
        ahead = [self._waiting.pop() for _ in range(share)]
        left = self._size
        for _ in range(MOST_RUNS):
            running = self._start(target)
            if ahead and self._befall(ahead[-1], running, max(left, self._size // 20)):
                self.report.troubles[ahead.pop()] += 1
            code, words, _ = answer = self._end(running)
            left -= self._far.counts().up_bytes
            if code == 0:
                self._waiting += ahead  # it was done before they came
                self._judge(target, answer)
                return
        self.report.wrong.append(f"{target.user}: {MOST_RUNS} runs did not end well; the last said {code}: {words}")

    def _start(self, target: Account) -> subprocess.Popen[str]:
        self.report.runs += 1
        self._far.clear()
        self._near.clear()
        source = self._source.account("u0000").through(self._near.port).url
        password = str(self._dir / "password")
        argv = [sys.executable, "-m", "migrator.cli", "copy", source, target.through(self._far.port).url]
        argv += ["--source-password-file", password, "--target-password-file", password, "--json"]
        argv += ["--ledger", str(self._dir / f"{target.user}.ledger")]
        environment = dict(os.environ, HOME=str(self._dir), PYTHONPATH=str(ROOT))
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def _befall(self, trouble: Trouble, running: subprocess.Popen[str], size: int) -> bool:
        """Wait for a random moment of ``running``, which has ``size`` bytes before it, and let ``trouble`` happen.

        False when it ended before that.
        """
        if trouble in (Trouble.CUT_SOURCE, Trouble.CUT_TARGET):
            return self._cut(trouble, running, size)
        if not self._moment(running, size):
            return False
        if trouble is Trouble.KILL:
            running.kill()
            return True
        server = self._source if trouble is Trouble.RESTART_SOURCE else self._target
        if self._dice.random() < 0.5:
            server.stop()  # as an operator does, and with a second of nobody there
            server.start()
        else:
            server.restart()
        return True

    def _cut(self, trouble: Trouble, running: subprocess.Popen[str], size: int) -> bool:
        relay, way = (self._near, "down") if trouble is Trouble.CUT_SOURCE else (self._far, "up")
        relay.cut_after(self._dice.randrange(1, size), way, reset=self._dice.random() < 0.5)
        while running.poll() is None and not relay.counts().cuts:
            time.sleep(0.002)
        relay.cut_after(0, way)
        return bool(relay.counts().cuts)

    def _moment(self, running: subprocess.Popen[str], size: int) -> bool:
        """Wait until so many bytes went by, or so much time; False when the copy ended before that."""
        by_time = self._dice.random() < 0.3
        seconds = self._dice.random() * FIRST_SECOND if by_time else RUN_SECONDS
        wanted = self._size * 2 if by_time else self._dice.randrange(size)
        end = time.monotonic() + seconds
        while running.poll() is None:
            if time.monotonic() >= end or self._far.counts().up_bytes > wanted:
                return running.poll() is None
            time.sleep(0.001)
        return False

    def _end(self, running: subprocess.Popen[str]) -> tuple[int, str, dict[str, object]]:
        """Wait for the end; return the exit code, the last words and the sums."""
        watchdog = threading.Timer(RUN_SECONDS, running.kill)
        watchdog.start()
        out, err = running.communicate()
        watchdog.cancel()
        last = (out.strip().splitlines() or [""])[-1]
        return running.returncode, err.strip()[-2000:], json.loads(last) if last.startswith("{") else {}

    def _judge(self, target: Account, answer: tuple[int, str, dict[str, object]]) -> None:
        terms = check.Terms(skip_flagged="\\deleted")
        wrong = [] if answer[0] == 0 else [f"the copy in peace ended with {answer[0]}: {answer[1]}"]
        wrong += check.compare(self._before, self._read(target), terms)
        wrong += check.changes(self._before, self._read(self._source.account("u0000")))
        self._copied_bytes = self._far.counts().up_bytes
        present = self._read(target)
        code, words, _ = self._end(self._start(target))
        wrong += [f"a further run: {line}" for line in check.changes(present, self._read(target))]
        if code != 0:
            wrong.append(f"a further run ended with {code}: {words}")
        self.report.wrong += [f"{target.user}: {line}" for line in wrong]


def main() -> int:
    """Run a campaign from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--target", choices=TARGETS, default="mdbox")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    campaign = Campaign(
        chosen.seed,
        kills=chosen.kills,
        restarts=chosen.restarts,
        cuts=chosen.cuts,
        messages=chosen.messages,
        target=chosen.target,
    )
    report = campaign.run()
    print("\n".join([*report.wrong[:50], str(report)]))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
