"""A night on which much goes wrong: it must end by itself, or stop with the truth, and lose or double nothing.

    python -m tests.faults.troubled_night --accounts 300 --seed 7

Programs of the panel are killed at random moments, the whole panel is down for a minute, Postfix is restarted, the
directory is away for half a minute and the target, too. What is left for a person is tried again by one, and everything
is judged as on a calm night; people outside the batch may notice Postfix and the directory, and nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.faults import night
from tests.faults.night import Night
from tests.rigs.base import Server
from tests.rigs.panel import descendants, eventually
from tests.rigs.platform import CAMPAIGN

_ENDS = frozenset({"done", "failed", "attention", "held"})  # where an account waits for a person, or for nothing
_ROUNDS = 5
_LOOK_SECONDS = 5.0
_AFTER_SECONDS = 60.0  # Postfix asks a directory that was away only after a while, longer on a busy machine


class TroubledNight(Night):
    """A night with troubles, each at its moment."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        """``chosen``: what :func:`read_words` returns."""
        super().__init__(chosen)
        self.may_redeliver = True
        self._dice = random.Random(chosen.seed)
        away = chosen.away
        acts: list[tuple[str, Callable[[], None]]] = [("kill", self._kill)] * chosen.kills
        acts += [
            (f"the panel is down for {chosen.down:.0f} s", self._panel_down),
            ("Postfix is restarted", lambda: self._away(self.platform.world.postfix, 0.0, is_forgiven=True)),
            (f"the directory is away for {away:.0f} s", lambda: self._away(self.platform.world.slapd, away, True)),
            (f"the target is away for {away:.0f} s", lambda: self._away(self.platform.world.target, away, False)),
        ]
        self._dice.shuffle(acts)
        moments = sorted(self._dice.uniform(0.1, 0.95) for _ in acts)
        self._waiting = list(zip(moments, acts, strict=True))
        self._busy: threading.Thread | None = None  # what lasts: one at a time
        self._pauses, self._look_at = 0, 0.0

    def befall(self, share: float) -> None:
        self._look_for_a_pause()
        if not self._waiting or self._waiting[0][0] > share or (self._busy and self._busy.is_alive()):
            return
        _, (name, act) = self._waiting.pop(0)
        self.report.tell(f"  at {share:.2f}: {name}")
        self._busy = threading.Thread(target=act, daemon=True)
        self._busy.start()

    def _look_for_a_pause(self) -> None:
        """None of these troubles is one of settings, for which a campaign stops until somebody has mended them."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_SECONDS
        if (pauses := self.platform.count_events("campaign.paused")) > self._pauses:
            self._pauses = pauses
            self.report.wrong.append(f"the campaign was paused: {self.platform.status()[0]['causes']}")
            self.platform.tell("campaign", "resume", CAMPAIGN)

    def is_over(self, counts: Counter[str], state: str) -> bool:
        if self._busy and self._busy.is_alive():
            return False
        if state == "ready":
            return counts == {"ready": self._chosen.accounts}
        return sum(counts.values()) == self._chosen.accounts and set(counts) <= _ENDS and self._has_ended()

    def _has_ended(self) -> bool:
        return all(batch["ended_at"] for batch in self.platform.status())

    def _wait(self, state: str, share: float) -> None:
        super()._wait(state, share)
        if state == "done":
            self._mend()

    def _mend(self) -> None:
        """Do what an operator does: read what is left and why, and try it again."""
        for _ in range(_ROUNDS):
            counts = self.platform.counts()
            (batch,) = self.platform.status()
            self.report.tell(f"  left for a person: {dict(counts)}, causes {batch['causes']}")
            self._judge_left(counts)
            if counts == {"done": self._chosen.accounts}:
                return
            for code in batch["causes"]:
                self.platform.tell("account", "retry", CAMPAIGN, "--cause", code)
            for login in self.platform.logins("attention"):
                words = ["--verdict", "forward", "--reason", "the servers were away"]
                self.platform.tell("account", "resolve", CAMPAIGN, login, *words)
            eventually(
                lambda: self._has_ended() and self.is_over(self.platform.counts(), "done"),
                self._said,
                self._chosen.seconds,
            )
        self.report.wrong.append(f"{_ROUNDS} retries were not enough: {dict(self.platform.counts())}")

    def _judge_left(self, counts: Counter[str]) -> None:
        """Nobody may be disabled who is not shown as waiting for a person."""
        disabled = self.platform.disabled()
        if len(disabled) > counts["attention"] + counts["held"]:
            self.report.wrong.append(f"disabled and nobody says so: {disabled} of {dict(counts)}")

    # Troubles

    def _kill(self) -> None:
        supervisor = self.platform.panel.supervisor
        found = descendants(supervisor.pid) if supervisor else {}
        pids = sorted(pid for pid, line in found.items() if "manage.py worker" in line or "manage.py ticker" in line)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._dice.choice(pids), signal.SIGKILL)

    def _panel_down(self) -> None:
        self.platform.panel.kill()
        time.sleep(self._chosen.down)  # the time is the trouble
        self.platform.panel.start()

    def _away(self, server: Server, seconds: float, is_forgiven: bool) -> None:
        begun = time.time()
        server.kill()
        time.sleep(seconds)  # the time is the trouble
        server.start()
        if is_forgiven:
            self.forgiven.append((begun, time.time() + _AFTER_SECONDS))


def read_words(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the words of the shell, or those given, ask for."""
    parser = night.parser_of("tests.faults.troubled_night")
    parser.add_argument("--kills", type=int, default=10, help="of programs of the panel")
    parser.add_argument("--down", type=float, default=60.0, help="seconds that the panel is down")
    parser.add_argument("--away", type=float, default=30.0, help="seconds that directory and target are away, each")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(night.run(TroubledNight, read_words()))
