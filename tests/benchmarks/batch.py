"""``python -m tests.benchmarks.batch``: ``mailferry move-accounts`` over many small accounts, as an operator types it.

The command is a process of its own with passwords in the list; wall time, CPU and peak memory are the whole process,
with the start of Python. Every account is read on both sides and compared; then the same command runs once more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.benchmarks import corpora, programs, wire
from tests.benchmarks.check import census, differences, verdict
from tests.benchmarks.corpora import CORPORA, Corpus
from tests.benchmarks.programs import Cost
from tests.benchmarks.report import MIB
from tests.benchmarks.servers import PASSWORD, PLAIN, apart
from tests.rigs.dovecot import Dovecot

DONE: Final = 0


def main() -> int:
    """Measure and print; return 1 when a copy differs or the second run finds work."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.batch", description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=30, help="in each account (default: 30)")
    parser.add_argument("--parallel", type=int, help="accounts at once (default: as the command has it)")
    chosen = parser.parse_args()
    corpus = replace(CORPORA["many"], name="batch", messages=chosen.messages, accounts=chosen.accounts)
    lanes = ["--parallel", str(chosen.parallel)] if chosen.parallel else []
    with ExitStack() as stack:
        servers = [stack.enter_context(Dovecot(dict.fromkeys(corpus.users, PASSWORD), extra=PLAIN)) for _ in range(2)]
        source, target = servers
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=target.dir)))
        _fill(source, corpus)
        wrong = 0
        for lap, expected in (("copy", chosen.accounts * chosen.messages), ("again", 0)):
            cost = _move(source, target, corpus, folder, lanes)
            wrong += _tell(lap, cost, corpus, expected)
        found = sum((_differences(source, target, user) for user in corpus.users), Counter[str]())
        print(f"the copy is {verdict(found)}")
    return 1 if wrong or found else 0


def _fill(source: Dovecot, corpus: Corpus) -> None:
    mail = source.dir / "mail"
    apart(corpora.write, corpus, mail)
    source.give(mail)
    for user in corpus.users:
        wire.warm(source.account(user))


def _move(source: Dovecot, target: Dovecot, corpus: Corpus, folder: Path, lanes: list[str]) -> Cost:
    roster = folder / "list"
    roster.write_text("Name\tPassword\n" + "".join(f"{user}\t{PASSWORD}\n" for user in corpus.users))
    roster.chmod(0o600)
    words = [str(roster), *(f"imap://127.0.0.1:{server.imap}" for server in (source, target))]
    words += ["--ledger", str(folder / "ledger"), "--json", *lanes]
    return programs.run([sys.executable, "-m", "migrator.cli", "move-accounts", *words], folder)


def _tell(lap: str, cost: Cost, corpus: Corpus, expected: int) -> int:
    """Print what a run took; return 1 when it is not what it should have done."""
    last = cost.output.rstrip().rpartition("\n")[2]
    told = json.loads(last) if last.startswith("{") else {}
    messages = corpus.accounts * corpus.messages
    print(
        f"{lap}: {corpus.accounts} accounts, {messages} messages in {cost.wall_seconds:.2f} s: "
        f"{messages / cost.wall_seconds:.0f} messages/s, {corpus.accounts / cost.wall_seconds:.1f} accounts/s, "
        f"CPU {cost.cpu_seconds:.2f} s, peak {cost.peak_bytes / MIB:.0f} MiB",
        flush=True,
    )
    if (cost.exit_code, told.get("appended"), told.get("balanced")) == (DONE, expected, True):
        return 0
    print(f"exit code {cost.exit_code}, {told.get('appended')} appended of {expected}:\n{cost.output[-3000:]}")
    return 1


def _differences(source: Dovecot, target: Dovecot, user: str) -> Counter[str]:
    return differences(census(source.account(user)), census(target.account(user)))


if __name__ == "__main__":
    sys.exit(main())
