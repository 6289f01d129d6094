"""Move a batch in which things are wrong that a person must mend, between real servers; mend them, and try again.

    python -m tests.faults.troubled_batch --accounts 100 --down 300

One password in the list is wrong, one mailbox has no room at the target, and the target is switched off for a while
in the middle. Each account must end in its state with its sentence, nobody else may suffer, and the retry after the
mending must bring everybody across.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from typing import Any, LiteralString

from migrator.errors import CATALOGUE
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN, Platform
from tests.rigs.slapd import PEOPLE

WRONG_PASSWORD, NO_ROOM = "u0001", "u0002"
CAUSES = {WRONG_PASSWORD: ("sign_in.refused", "source"), NO_ROOM: ("target.full", "target")}
SHOWN = 40


class Troubled:
    """One batch with troubles. ``wrong`` are sentences, ``figures`` what was seen."""

    def __init__(self, platform: Platform, down_seconds: float, seconds: float) -> None:
        self._platform = platform
        self._down_seconds = down_seconds
        self._seconds = seconds
        self.wrong: list[str] = []
        self.figures: list[str] = []

    def go(self) -> None:
        """Let it happen, look, mend, and try again."""
        others = len(self._platform.users) - 2
        self._room("1")
        self._platform.start()
        self._eventually(lambda: self._platform.counts()["done"] > 0)
        self._switch_off()
        self._eventually(lambda: self._platform.counts() == {"done": others, "failed": 2})
        self._judge_troubles()
        self._mend()
        self._eventually(lambda: self._platform.counts() == {"done": others + 2})
        self.wrong += self._platform.differences(self._platform.users)
        self.wrong += [f"{user} is left disabled" for user in self._platform.disabled()]
        if len(set(self._platform.hosts().values())) != 1:
            self.wrong.append(f"the directory names several servers: {self._platform.hosts()}")

    def _eventually(self, is_so: Any) -> None:
        panel = self._platform.panel
        eventually(is_so, lambda: f"{self._platform.counts()}\n{self._said()}{panel.words()[-3000:]}", self._seconds)

    def _said(self) -> str:
        return self._platform.tell("batch", "status", CAMPAIGN)

    def _room(self, storage: str | None) -> None:
        quota: dict[str, Any] = {"mailQuota": storage or []}
        self._platform.world.slapd.change(f"uid={NO_ROOM},{PEOPLE}", **quota)

    def _switch_off(self) -> None:
        """Let the target be away until its breaker has opened, and then for as long as was asked for."""
        self._platform.world.target.stop()
        begun = time.monotonic()
        self._eventually(lambda: self._breakers("opened"))
        self.figures.append(f"the breaker opened after {time.monotonic() - begun:.1f} s")
        time.sleep(max(0.0, self._down_seconds - (time.monotonic() - begun)))  # the time is the trouble
        self._platform.world.target.start()
        begun = time.monotonic()
        self._eventually(lambda: self._breakers("closed"))
        self.figures.append(f"the breaker closed {time.monotonic() - begun:.1f} s after the target was back")

    def _breakers(self, which: LiteralString) -> int:
        return self._platform.count_events(f"server.breaker.{which}")

    def _judge_troubles(self) -> None:
        said = self._said()
        self.figures.append(said)
        found = self._platform.accounts([WRONG_PASSWORD, NO_ROOM])
        for user, (code, side) in CAUSES.items():
            seen = tuple(found[user][name] for name in ("state", "error_code", "error_side"))
            if seen != ("failed", code, side):
                self.wrong.append(f"{user}: {seen}")
            if f"1 x {code}: {CATALOGUE[code].sentence}" not in said:
                self.wrong.append(f"the status says nothing of {code}: {said}")
        if self._breakers("opened") != 1:
            self.wrong.append(f"the breaker was told of {self._breakers('opened')} times")

    def _mend(self) -> None:
        self._platform.listed.clear()
        self._platform.tell("import_list", CAMPAIGN, str(self._platform.write_list()))
        self._room(None)
        for code, _ in CAUSES.values():
            self._platform.tell("account", "retry", CAMPAIGN, "--cause", code)


def move(accounts: int, recipe: str, down_seconds: float, seed: int, seconds: float) -> Troubled:
    """Move ``accounts`` with troubles and judge."""
    # Two: whose line drops as the target goes away has used up one.
    limits = {"stop_at_failed_percent": 100, "max_attempts": 2}
    with Platform(accounts, recipe=recipe, seed=seed, limits=limits, listed={WRONG_PASSWORD: "wrong"}) as platform:
        troubled = Troubled(platform, down_seconds, seconds)
        troubled.go()
    return troubled


def main() -> int:
    """Move a troubled batch from the shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.troubled_batch")
    parser.add_argument("--recipe", choices=["classic", "plain"], default="plain")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--down", type=float, default=300, help="seconds that the target is away")
    parser.add_argument("--disk", metavar="DIR", help="where servers keep their mail, instead of in memory")
    parser.add_argument("--seconds", type=float, default=1800, help="that each half may take")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    chosen = parser.parse_args()
    if chosen.disk:
        os.environ["MAILFERRY_TEST_FOLDER"] = chosen.disk
    print(f"seed {chosen.seed}: {' '.join(sys.argv[1:])}", flush=True)
    troubled = move(chosen.accounts, chosen.recipe, chosen.down, chosen.seed, chosen.seconds)
    print("\n".join([*troubled.figures, *troubled.wrong[:SHOWN]]))
    print(f"{len(troubled.wrong)} things wrong")
    return 1 if troubled.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
