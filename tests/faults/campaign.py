"""Kill the copy and break the servers at random moments, again and again, and see that nothing is lost or doubled.

    python -m tests.faults.campaign --kills 40 --faults 40 --seed 7 --pair dovecot-cyrus

One source account is copied to one fresh target account after another, each by ``mailferry copy`` as a process of its
own between two real servers. It meets one trouble after another; where one ends it, it is started again, until it ends
by itself; then the independent judge compares, and a further run must find nothing to do. The seed decides what happens
and when, as far as a machine repeats itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from tests.rigs import check
from tests.rigs.base import Account, Server, temporary_root, users
from tests.rigs.corpus import CYRUS_FOLDERS, Box, fill, lifelike
from tests.rigs.courier import Courier
from tests.rigs.cyrus import Cyrus
from tests.rigs.dovecot import Dovecot
from tests.rigs.faultline import Fault, FaultLine, Way
from tests.rigs.small_disk import SmallDisk

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 120.0
FIRST_SECOND = 0.8  # start, sign-in and listing happen in it, before much moves
MOST_RUNS = 60  # of one account
TIMEOUT_SECONDS = 4  # of the copy: a stall is longer
FULL_SECONDS = 20.0  # for so long a copy may go on against a full disk


class Pair(NamedTuple):
    """The two servers of a campaign, and what of the mail they cannot take as it is."""

    source: Callable[[], Server]
    target: Callable[[], Server]
    is_strict: bool = False  # letters without a header, or with raw octets in it, are left out
    munges: bool = False  # what it stores of an 8-bit header is not what it was given
    plain_names: bool = False  # no folder names that one of both cannot have


def _maildir(count: int) -> Callable[[], Server]:
    return lambda: Dovecot(users(count))


def _mdbox(count: int) -> Callable[[], Server]:
    return lambda: Dovecot(users(count), layout="mdbox", separator="/")


def _cyrus(count: int) -> Callable[[], Server]:
    return lambda: Cyrus(users(count))


def _courier(count: int) -> Callable[[], Server]:
    return lambda: Courier(users(count))


PAIRS = {
    "dovecot-mdbox": Pair(_maildir(1), _mdbox(500)),
    "dovecot-maildir": Pair(_maildir(1), _maildir(500)),
    "dovecot-cyrus": Pair(_maildir(1), _cyrus(500), is_strict=True, plain_names=True),
    "dovecot-cyrus8": Pair(_maildir(1), _cyrus(500), munges=True, plain_names=True),
    "dovecot-courier": Pair(_maildir(1), _courier(500), plain_names=True),
    "cyrus-mdbox": Pair(_cyrus(1), _mdbox(500), is_strict=True, plain_names=True),
    "courier-mdbox": Pair(_courier(1), _mdbox(500), plain_names=True),
    "courier-cyrus": Pair(_courier(1), _cyrus(500), is_strict=True, plain_names=True),
}


class Trouble(NamedTuple):
    """What can befall a run: one of KINDS, at the source or at the target."""

    kind: str
    at_source: bool = False

    def __str__(self) -> str:
        return self.kind if self.kind == KILL else f"{self.kind} ({'source' if self.at_source else 'target'})"


KILL, RESTART, DISK_FULL = "kill -9", "restart", "disk full"
SERVER_FAULTS = (*(fault.value for fault in Fault), RESTART, DISK_FULL)


@dataclass
class Report:
    """What happened, and what is wrong."""

    seed: int
    pair: str = ""
    troubles: Counter[Trouble] = field(default_factory=Counter)
    runs: int = 0
    accounts: int = 0
    messages: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """How often a copy was killed."""
        return self.troubles[Trouble(KILL)]

    @property
    def faults(self) -> int:
        """How often a server or a line failed."""
        return self.troubles.total() - self.kills

    def __str__(self) -> str:
        befallen = ", ".join(f"{count} x {trouble}" for trouble, count in sorted(self.troubles.items()))
        verdict = "nothing lost, nothing doubled" if not self.wrong else f"{len(self.wrong)} things wrong"
        return (
            f"{self.pair}, seed {self.seed}: {self.accounts} accounts, {self.messages} messages, {self.runs} runs, "
            f"{self.kills} kills, {self.faults} faults ({befallen}), {self.seconds:.0f} s: {verdict}"
        )


class Campaign:
    """Two servers behind lines that fail, and the work of breaking what goes on between them."""

    def __init__(self, seed: int, *, kills: int, faults: int, messages: int = 600, pair: str = "dovecot-mdbox") -> None:
        self._dice = random.Random(seed)
        self._waiting = [Trouble(KILL)] * kills + list(islice(self._faults(), faults))
        self._dice.shuffle(self._waiting)
        self._messages = messages
        self._pair = PAIRS[pair]
        self._was_full = False
        self.report = Report(seed, pair)

    def _faults(self) -> Iterator[Trouble]:
        """Every kind in its turn; the disk that is full is the target's."""
        for kind in cycle(self._dice.sample(SERVER_FAULTS, len(SERVER_FAULTS))):
            yield Trouble(kind, at_source=kind != DISK_FULL and self._dice.random() < 0.5)

    def run(self) -> Report:
        """Do it all and return the report."""
        begun = time.monotonic()
        with ExitStack() as stack:
            self._dir = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=temporary_root())))
            self._disk = stack.enter_context(SmallDisk())
            self._source = stack.enter_context(self._pair.source())
            self._target = self._pair.target()
            stack.callback(self._target.cleanup)
            self._disk.take(self._target.dir / ("spool" if isinstance(self._target, Cyrus) else "mail"))
            self._target.start()
            self._near = stack.enter_context(FaultLine(self._source.imap))
            self._far = stack.enter_context(FaultLine(self._target.imap))
            (self._dir / "password").write_text("pw\n")
            (self._dir / "password").chmod(0o600)
            fill(self._source.account("u0000"), self._boxes())
            self._before = self._read(self._source.account("u0000"))
            self._measure()
            while self._waiting and not self.report.wrong:
                self._account(self._target.account(f"u{self.report.accounts:04d}"))
        self.report.seconds = time.monotonic() - begun
        return self.report

    def _boxes(self) -> list[Box]:
        """The account; a letter without a header is none for Cyrus, and folders inside INBOX get another name there."""
        pair = self._pair
        if not pair.plain_names:
            return lifelike(self.report.seed, messages=self._messages)
        folders = [
            tuple(level.replace("😀", "☺") for level in path)
            for path in CYRUS_FOLDERS
            if path[0] != "INBOX" or len(path) == 1
        ]
        boxes = lifelike(self.report.seed, messages=self._messages, folders=folders, strict=pair.is_strict)
        kept = [box._replace(mails=[mail for mail in box.mails if mail.body.startswith(b"Received:")]) for box in boxes]
        self._messages = sum(len(box.mails) for box in kept)
        return kept

    def _read(self, account: Account) -> check.Contents:
        return check.read(account, munged=self._pair.munges)

    def _measure(self) -> None:
        """Copy once in peace, to know how many bytes go by."""
        account = self._target.account("u0499")
        answer = self._end(self._start(account))
        self._sizes = self._passed()
        self._judge(account, answer)

    def _passed(self) -> dict[tuple[bool, Way], int]:
        near, far = self._near, self._far
        return {
            (True, "up"): near.up_bytes,
            (True, "down"): near.down_bytes,
            (False, "up"): far.up_bytes,
            (False, "down"): far.down_bytes,
        }

    def _account(self, target: Account) -> None:
        """Bring one account across, through two to ten troubles."""
        self.report.accounts += 1
        self.report.messages += self._messages
        share = min(len(self._waiting), self._dice.randint(2, 10))
        ahead = [self._waiting.pop() for _ in range(share)]
        self._left = dict(self._sizes)
        self._was_full = False
        for _ in range(MOST_RUNS):
            running = self._start(target)
            while ahead and self._befall(ahead[-1], running):
                self.report.troubles[ahead.pop()] += 1
            code, words, _ = answer = self._end(running)
            for place, size in self._passed().items():
                self._left[place] -= size
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
        argv += ["--ledger", str(self._dir / f"{target.user}.ledger"), "--timeout", str(TIMEOUT_SECONDS)]
        environment = dict(os.environ, HOME=str(self._dir), PYTHONPATH=str(ROOT))
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )

    def _befall(self, trouble: Trouble, running: subprocess.Popen[str]) -> bool:
        """Wait for a random moment of ``running`` and let ``trouble`` happen; False when it ended before that."""
        if trouble.kind in set(Fault):
            return self._strike(Fault(trouble.kind), running, at_source=trouble.at_source)
        if not self._moment(running):
            return False
        if trouble.kind == DISK_FULL:
            return self._fill_disk(running)
        if trouble.kind == KILL:
            running.kill()
            return True
        server = self._source if trouble.at_source else self._target
        if self._dice.random() < 0.5:
            server.stop()  # as an operator does, and with a second of nobody there
            server.start()
        else:
            server.restart()
        return True

    def _strike(self, fault: Fault, running: subprocess.Popen[str], *, at_source: bool) -> bool:
        line = self._near if at_source else self._far
        way: Way = "down" if at_source or fault in (Fault.BYE, Fault.BYE_WITHIN) else self._dice.choice(("up", "down"))
        if fault is Fault.HALF_LITERAL and not at_source:
            way = "up"
        line.struck = 0
        line.arm(fault, way, self._dice.randrange(self._ahead(at_source, way)))
        while running.poll() is None and not line.struck:
            time.sleep(0.002)
        line.disarm()
        return bool(line.struck)

    def _fill_disk(self, running: subprocess.Popen[str]) -> bool:
        """Take the target's disk away until the copy gives up; False when it was done by then."""
        self._was_full = True
        self._disk.fill()
        try:
            running.wait(FULL_SECONDS)
        except subprocess.TimeoutExpired:
            return True  # it waits for room, which there is now
        finally:
            self._disk.give_back()
        return running.returncode != 0

    def _ahead(self, at_source: bool, way: Way) -> int:
        """Return how many bytes are likely to go by yet."""
        whole = self._sizes[at_source, way]
        return max(self._left[at_source, way], whole // 20, 1)

    def _moment(self, running: subprocess.Popen[str]) -> bool:
        """Wait until so many bytes went by, or so much time; False when the copy ended before that."""
        by_time = self._dice.random() < 0.3
        end = time.monotonic() + (self._dice.random() * FIRST_SECOND if by_time else RUN_SECONDS)
        wanted = self._sizes[False, "up"] * 2 if by_time else self._dice.randrange(self._ahead(False, "up"))
        while running.poll() is None:
            if time.monotonic() >= end or self._far.up_bytes > wanted:
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
        found = check.compare(self._before, self._read(target), terms)
        # On a disk that is nearly full a small message behind a big one still finds room.
        wrong += [line for line in found if not (self._was_full and "the order differs" in line)]
        wrong += check.changes(self._before, self._read(self._source.account("u0000")))
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
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--messages", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--pair", choices=PAIRS, default="dovecot-mdbox")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers and the disk go, too
    print(f"seed {chosen.seed}", flush=True)
    campaign = Campaign(
        chosen.seed, kills=chosen.kills, faults=chosen.faults, messages=chosen.messages, pair=chosen.pair
    )
    report = campaign.run()
    print("\n".join([*report.wrong[:50], str(report)]))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
