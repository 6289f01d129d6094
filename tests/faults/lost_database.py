"""Lose the database while a batch moves between real servers, or put back one from before; then judge everything.

    python -m tests.faults.lost_database rescue --accounts 300 --recipe plain
    python -m tests.faults.lost_database restore --accounts 300 --seed 7

*rescue*: every program is killed and the database destroyed; ``mailferry rescue`` has only the folder and the servers.
*restore*: a backup made early in the batch is put back late in it, and the batch goes on to its end.
The seed decides at which share of the batch things happen.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.rigs import base, prober
from tests.rigs.dialogue import Dialogue, Refused
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN, Platform
from tests.rigs.prober import Prober

ROOT = Path(__file__).resolve().parents[2]
PROBED, WRITERS, GREETED = 12, 3, 3
SHOWN = 40


class Loss:
    """One batch whose database is lost. ``wrong`` are sentences, ``figures`` what was seen."""

    def __init__(self, platform: Platform, crowd: Prober, dice: random.Random, seconds: float) -> None:
        self._platform = platform
        self._panel = platform.panel
        self._crowd = crowd
        self._dice = dice
        self._seconds = seconds
        self.wrong: list[str] = []
        self.figures: list[str] = []

    def rescue(self) -> None:
        """Destroy the database in the middle, and let the rescue folder put everybody on a side."""
        self._platform.start()
        self._wait_until_through(self._dice.uniform(0.2, 0.6))
        self._panel.kill()
        self._destroy()
        first = self._rescue()
        self.figures.append(f"rescued: {dict(Counter(one['way'] for one in first))}")
        hosts = self._platform.hosts()
        proved = {one["address"].partition("@")[0]: one["side"] for one in first}
        for user, host in hosts.items():
            if proved.get(user, "source") != self._side(host):
                self.wrong.append(f"{user}: the rescue says {proved.get(user)}, the directory says {host}")
        if [one["side"] for one in self._rescue()] != [one["side"] for one in first]:
            self.wrong.append("a second rescue says something else than the first")
        if self._platform.hosts() != hosts:
            self.wrong.append("a second rescue changed something")
        self._judge(hosts)

    def restore(self) -> None:
        """Put the database of an earlier moment back in the middle, and let the batch go on."""
        self._platform.start()
        self._wait_until_through(self._dice.uniform(0.1, 0.3))
        kept = self._platform.tell("backup", str(self._panel.dir / "backups"))
        place = kept.removeprefix("The backup is in ").partition(". It opens")[0]
        self._wait_until_through(self._dice.uniform(0.5, 0.8))
        self._end()
        greeted = self._greet()
        before = self._platform.counts()
        # what was killed seems to run until nothing was heard of it for a while
        eventually(lambda: self._panel.run("restore", place, "--replace").returncode == 0, self._panel.words)
        self.figures.append(f"{dict(before)} became {dict(self._platform.counts())}")
        self._panel.start()
        self._platform.tell("campaign", "resume", CAMPAIGN)
        self._platform.wait(self._seconds)
        hosts = self._platform.hosts()
        self.wrong += [
            f"{user} is at {host} in the end" for user, host in hosts.items() if self._side(host) != "target"
        ]
        self._judge_greetings(greeted)
        self._judge(hosts)

    def _wait_until_through(self, share: float) -> None:
        """Wait until so many have moved, and others are on the way."""
        wanted = int(share * len(self._platform.users))

        def is_so() -> bool:
            counts = self._platform.counts()
            return counts["done"] >= wanted and counts["cutting_over"] > 0

        eventually(is_so, lambda: f"{self._platform.counts()}\n{self._panel.words()[-3000:]}", self._seconds)

    def _end(self) -> None:
        """End the panel as an operator does, or as a power cut does."""
        if self._dice.random() < 0.5:
            self._panel.kill()
        elif self._panel.stop() != 0:
            self.wrong.append("the panel did not end well")

    def _destroy(self) -> None:
        for path in self._panel.folder.glob("mailferry.sqlite3*"):
            path.unlink()

    def _rescue(self) -> list[dict[str, Any]]:
        folder = self._panel.folder
        words = ["rescue", str(folder / "rescue" / "batch-1"), "--key-file", str(folder / "keys" / "vault_keys")]
        ran = subprocess.run(
            [sys.executable, "-m", "migrator.cli", *words, "--json"], cwd=ROOT, capture_output=True, text=True
        )
        if ran.returncode:
            raise AssertionError(f"the rescue ended with {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        found: list[dict[str, Any]] = json.loads(ran.stdout)["accounts"]
        return found

    def _greet(self) -> list[str]:
        """Deliver a message to some who have moved: the target is theirs, and gets mail that the source never had."""
        moved = [user for user, host in self._platform.hosts().items() if self._side(host) == "target"][:GREETED]
        for user in moved:
            with Dialogue(self._platform.admin("target", user)) as line:
                line.append(b"INBOX", [(b"()", b"Subject: welcome %s\r\n\r\nNew mail.\r\n" % user.encode())])
        return moved

    # Judging

    def _side(self, host: str) -> str:
        return "target" if host == self._platform.description()["route"]["options"]["target"] else "source"

    def _judge(self, hosts: dict[str, str]) -> None:
        moved = [user for user, host in hosts.items() if self._side(host) == "target"]
        self.figures.append(f"{len(moved)} of {len(hosts)} on the target")
        self.wrong += [f"{user} is left disabled" for user in self._platform.disabled()]
        self.wrong += [line for user, host in hosts.items() for line in self._wrong_doors(user, self._side(host))]
        self.wrong += self._platform.differences(moved)
        self.wrong += self._platform.lost({user: w for user, w in self._crowd.written().items() if user in moved})
        for user, tries in self._crowd.tries().items():
            self.wrong += prober.wrong_order(user, tries)

    def _wrong_doors(self, user: str, side: str) -> list[str]:
        admits = [one for one in ("source", "target") if _is_let_in(self._platform, one, user)]
        return [] if admits == [side] else [f"{user} belongs to the {side}, and is admitted at {admits}"]

    def _judge_greetings(self, greeted: Sequence[str]) -> None:
        """See that mail of the target is there once; take it away, as the source does not have it."""
        for user in greeted:
            with Dialogue(self._platform.admin("target", user)) as line:
                line.command(b"SELECT INBOX")
                (found,) = line.command(b'UID SEARCH SUBJECT "welcome %s"' % user.encode())
                uids = found.text.split()[2:]
                if len(uids) != 1:
                    self.wrong.append(f"{user}: what arrived at the target is there {len(uids)} times")
                for uid in uids:
                    line.command(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % uid)
                    line.command(b"UID EXPUNGE " + uid)


def _is_let_in(platform: Platform, side: str, user: str) -> bool:
    try:
        Dialogue(platform.door(side, user)).close()
    except Refused:
        return False
    return True


WAYS: dict[str, Callable[[Loss], None]] = {"rescue": Loss.rescue, "restore": Loss.restore}


def lose(way: str, recipe: str, accounts: int, seed: int, seconds: float) -> Loss:
    """Move ``accounts`` by ``recipe``, lose the database, go the ``way`` and judge."""
    dice = random.Random(seed)
    with (
        tempfile.TemporaryDirectory(dir=base.temporary_root()) as folder,
        Platform(accounts, recipe=recipe, seed=seed, limits={"stop_at_failed_percent": 100}) as platform,
    ):
        probed = dice.sample(platform.users, min(PROBED, accounts))
        doors = [(side, platform.door(side, user), user) for user in probed for side in ("source", "target")]
        writers = [(platform.door("source", user), user) for user in probed[:WRITERS]]
        with Prober(Path(folder) / "tries", doors, writers) as crowd:
            eventually(lambda: len(crowd.written()) == WRITERS, platform.panel.words)
            loss = Loss(platform, crowd, dice, seconds)
            WAYS[way](loss)
    return loss


def main() -> int:
    """Lose a database from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.lost_database")
    parser.add_argument("way", choices=list(WAYS))
    parser.add_argument("--recipe", choices=["classic", "plain"], default="classic")
    parser.add_argument("--accounts", type=int, default=300)
    parser.add_argument("--disk", metavar="DIR", help="where servers keep their mail, instead of in memory")
    parser.add_argument("--seconds", type=float, default=1800, help="that each half may take")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    chosen = parser.parse_args()
    if chosen.disk:
        os.environ["MAILFERRY_TEST_FOLDER"] = chosen.disk
    print(f"seed {chosen.seed}: {' '.join(sys.argv[1:])}", flush=True)
    begun = time.monotonic()
    loss = lose(chosen.way, chosen.recipe, chosen.accounts, chosen.seed, chosen.seconds)
    print("\n".join([*loss.figures, *loss.wrong[:SHOWN]]))
    print(f"{len(loss.wrong)} things wrong, {time.monotonic() - begun:.0f} s")
    return 1 if loss.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
