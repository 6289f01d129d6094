"""Lose the panel's host in the middle of a night; ``mailferry rescue`` has only the folder and the servers.

    python -m tests.faults.lost_night --accounts 300 --seed 7

Everybody goes on reading, sending and receiving. After the rescue everybody must be on one side, with all their mail,
nobody disabled, nothing held, and people outside the batch must have noticed nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults import night
from tests.faults.night import Night
from tests.rigs.panel import eventually
from tests.rigs.platform import CAMPAIGN

ROOT = Path(__file__).resolve().parents[2]


class LostNight(Night):
    """A night whose panel is lost for good."""

    def _move(self) -> None:
        self.platform.tell("batch", "start", CAMPAIGN)
        self._wait("ready", 0.0)
        self.platform.tell("batch", "go", CAMPAIGN, "--despite", "a rig has no alarm that leaves")
        share = random.Random(self._chosen.seed).uniform(0.2, 0.7)
        eventually(lambda: self._is_amid(share), self._said, self._chosen.seconds)
        self.platform.panel.kill()
        self.report.tell(f"lost: {dict(self.platform.counts())}")
        for path in self.platform.panel.folder.glob("mailferry.sqlite3*"):
            path.unlink()
        begun = time.monotonic()
        found = self._rescue()
        self.report.tell(
            f"rescued in {time.monotonic() - begun:.1f} s: {dict(Counter(one['way'] for one in found))}, "
            f"{dict(Counter(one['side'] for one in found))}"
        )
        again = self._rescue()
        if [one["side"] for one in again] != [one["side"] for one in found]:
            self.report.wrong.append("a second rescue says something else than the first")
        time.sleep(5.0)  # people go on a while, as people do

    def _is_amid(self, share: float) -> bool:
        counts = self.platform.counts()
        return counts["done"] >= share * self._chosen.accounts and counts["cutting_over"] > 0

    def _rescue(self) -> list[dict[str, Any]]:
        folder = self.platform.panel.folder
        words = ["rescue", str(folder / "rescue" / "batch-1"), "--key-file", str(folder / "keys" / "vault_keys")]
        ran = subprocess.run(
            [sys.executable, "-m", "migrator.cli", *words, "--json"], cwd=ROOT, capture_output=True, text=True
        )
        if ran.returncode:
            raise AssertionError(f"the rescue ended with {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
        found: list[dict[str, Any]] = json.loads(ran.stdout)["accounts"]
        return found

    def _tell_panels_lockouts(self) -> None:
        """The panel is gone."""


def read_words(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the words of the shell, or those given, ask for. Mail is held: nobody is left who fetches it late."""
    chosen = night.parser_of("tests.faults.lost_night").parse_args(words)
    chosen.hold = True
    return chosen


if __name__ == "__main__":
    sys.exit(night.run(LostNight, read_words()))
