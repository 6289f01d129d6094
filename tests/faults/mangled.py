"""Copy between two real servers while one response of one of them is broken on its way; see that nobody is fooled.

    python -m tests.faults.mangled --runs 400 --seed 7

Each run copies one account to a fresh one, with one response line broken: repeated, cut, endless, dropped, replaced,
with another octet or another number in it, or with nonsense before it. The copy may fail, by an error of ours; it may
not crash, hang, or grow. Then it runs again in peace. Where nothing that the server meant was taken away, everything
is there exactly once after that; where the server's words were made a lie, nothing is lost all the same.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

from migrator.errors import MigratorError
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.endpoint import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy
from tests.rigs import check
from tests.rigs.base import HOST, users
from tests.rigs.corpus import fill, lifelike
from tests.rigs.dovecot import Dovecot
from tests.rigs.mangler import HONEST, LYING, Mangler

LIMITS = Limits(connect_seconds=2.0, io_seconds=2.0, reconnects=1, quiet_seconds=0.1, bundle_messages=20)
RUN_SECONDS = 60.0
MOST_MEGABYTES = 200.0  # that a run may add: a line of 8 MB is held, what comes without an end is not
MESSAGES = 60


@dataclass
class Report:
    """What was broken, and what went wrong by it."""

    seed: int
    runs: int = 0
    broken: Counter[str] = field(default_factory=Counter)  # manner -> runs
    failed: Counter[str] = field(default_factory=Counter)  # code of the error it ended with -> runs
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        befallen = ", ".join(f"{count} x {manner}" for manner, count in sorted(self.broken.items()))
        ended = ", ".join(f"{count} x {code}" for code, count in self.failed.most_common())
        verdict = f"{len(self.wrong)} things wrong" if self.wrong else "nothing lost, nothing crashed"
        return f"seed {self.seed}: {self.runs} runs, {befallen}; ended with {ended or 'no error'}: {verdict}"


class Mangled:
    """Two Dovecots, each behind a line that breaks what it says."""

    def __init__(self, seed: int, runs: int) -> None:
        self._dice = random.Random(seed)
        self._runs = runs
        self.report = Report(seed)

    def run(self) -> Report:
        """Do it all and return the report."""
        with ExitStack() as stack:
            source = stack.enter_context(Dovecot(users(1)))
            self._target = stack.enter_context(Dovecot(users(self._runs + 1)))
            self._near = stack.enter_context(Mangler(source.imap))
            self._far = stack.enter_context(Mangler(self._target.imap))
            fill(source.account("u0000"), lifelike(self.report.seed, messages=MESSAGES))
            self._before = check.read(source.account("u0000"))
            self._copy(f"u{self._runs:04d}", MemoryLedger())  # in peace: how many lines there are
            self._lines = {self._near: self._near.lines, self._far: self._far.lines}
            for number in range(self._runs):
                self._one(f"u{number:04d}")
        return self.report

    def _one(self, user: str) -> None:
        line = self._dice.choice((self._near, self._far))
        manner = self._dice.choice(LYING)
        line.arm(self._dice.randrange(self._lines[line]), manner, self._dice)
        ledger = MemoryLedger()
        begun, before = time.monotonic(), _peak_megabytes()
        result = self._guarded(user, ledger)
        story = f"{user}, {'source' if line is self._near else 'target'} {line.broken}"
        self.report.runs += 1
        self.report.broken[manner.__name__ if line.broken else "none"] += 1
        if isinstance(result, str):
            self.report.wrong.append(f"{story}: {result}")
            return
        if result.error is not None:
            self.report.failed[result.error.code] += 1
        if time.monotonic() - begun > RUN_SECONDS:
            self.report.wrong.append(f"{story}: took {time.monotonic() - begun:.0f} s")
        if _peak_megabytes() - before > MOST_MEGABYTES:
            self.report.wrong.append(f"{story}: grew by {_peak_megabytes() - before:.0f} MB")
        self._near.arm(-1, manner, self._dice)
        self._far.arm(-1, manner, self._dice)
        self.report.wrong += [f"{story}: {wrong}" for wrong in self._in_peace(user, ledger, is_honest=manner in HONEST)]

    def _guarded(self, user: str, ledger: Ledger) -> PassResult | str:
        """Copy; return the result, or what no server may bring about."""
        ended: list[PassResult | str] = []

        def copy() -> None:
            try:
                ended.append(self._copy(user, ledger))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                ended.append(f"raised {error!r}")

        thread = threading.Thread(target=copy, daemon=True)
        thread.start()
        thread.join(RUN_SECONDS * 2)
        return ended[0] if ended else "hangs"

    def _copy(self, user: str, ledger: Ledger, *, again: bool = False) -> PassResult:
        source = ImapSource(_endpoint(self._near, "u0000"), LIMITS)
        target = ImapTarget(_endpoint(self._far, user), LIMITS)
        with source, target:
            return run_pass(source, target, ledger, policy=CopyPolicy(retry_left_behind=again), limits=LIMITS)

    def _in_peace(self, user: str, ledger: Ledger, *, is_honest: bool) -> list[str]:
        try:
            result = self._copy(user, ledger, again=True)
        except MigratorError as error:
            return [f"the run in peace raised {error!r}"]
        if not result.is_balanced:
            return [f"the run in peace does not balance: {result.error or result.folders}"]
        present = check.read(self._target.account(user))
        terms = check.Terms(skip_flagged="\\deleted")
        if is_honest:
            # A message at which the line dies again and again is read alone, after the others.
            found = check.compare(self._before, present, terms)
            return [line for line in found if "the order differs" not in line]
        have, want = _bodies(present), _bodies(self._before, without="\\deleted")
        return [f"{sum((want - have).values())} messages are lost"] if want - have else []


def _endpoint(line: Mangler, user: str) -> Endpoint:
    return Endpoint(host=HOST, port=line.port, security="plain", username=user, password=Secret("pw"))


def _bodies(contents: check.Contents, without: str = "") -> Counter[str]:
    messages = (seen for folder in contents.folders.values() for seen in folder.messages)
    return Counter(seen.digest for seen in messages if without not in seen.flags)


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    """Run it from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.mangled")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    report = Mangled(chosen.seed, chosen.runs).run()
    print("\n".join([*report.wrong[:50], str(report)]))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
