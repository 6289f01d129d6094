"""The desk of all gates: takes questions, looks them up, and answers. Nothing here waits for a network.

Whatever goes wrong, a front server is told "later". What looks like an attack costs little, is logged in few lines, and
changes nothing. Passwords are never looked at, so that nobody can try them here.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from campaigns.gates.fronts import Gate
from migrator.errors import MigratorError
from migrator.gates import answers, nginx, socketmap
from migrator.gates.answers import Answer, Later
from migrator.gates.table import Table

# A program that signs in again and again at one place, and a place from which everybody does (a web mail, an office).
NAME_RATE: Final = 5.0
NAME_BURST: Final = 30.0
CLIENT_RATE: Final = 200.0
CLIENT_BURST: Final = 2000.0
_MOST_KEPT: Final = 100_000
_LOG_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class Buckets:
    """Lets each key through ``burst`` times at once, and ``rate`` times a second in the long run."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def take(self, key: object) -> bool:
        """Tell whether ``key`` may pass now, and count it."""
        now = self._clock()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        passes = left >= 1
        self._left[key] = (left - passes, now)
        if len(self._left) > _MOST_KEPT:
            self._left.popitem(last=False)
        return passes


class Desk:
    """Answers for the gates in :attr:`gates`, None while they are not known yet."""

    def __init__(self, table: Table, clock: Callable[[], float] = time.monotonic) -> None:
        self.gates: Mapping[str, Gate] | None = None
        self._table = table
        self._clock = clock
        self._names = Buckets(NAME_RATE, NAME_BURST, clock)
        self._clients = Buckets(CLIENT_RATE, CLIENT_BURST, clock)
        self._told: dict[str, tuple[float, int]] = {}

    def http(self, head: bytes, peer: str) -> tuple[bytes, bool]:
        """Return the answer to a question of nginx's, and whether the line is kept."""
        try:
            asked = nginx.question(head)
        except nginx.BadQuestion:
            self._tell("bad", "%s asked what is no question of a front server", peer)
            return nginx.BAD, False
        if self.gates is None:
            return nginx.answer(answers.UNSURE, asked.protocol, is_out_of_order=True), asked.keeps_line
        gate = self.gates.get(asked.gate)
        if gate is None or not gate.knows(asked.key):
            self._tell("key", "%s showed no valid key for the gate %s", peer, asked.gate)
            return nginx.REFUSED, False
        given = self._sign_in(gate, asked)
        is_out_of_order = given is answers.UNSURE
        return nginx.answer(given, asked.protocol, is_out_of_order=is_out_of_order), asked.keeps_line

    def postfix(self, request: bytes) -> bytes:
        """Return the answer to a question of Postfix's, whose map is called as the gate."""
        name, address = socketmap.asked(request)
        gate = (self.gates or {}).get(name)
        if gate is None:
            self._tell("map", "Postfix asked for the map %.40r, and there is no such gate", name)
            return socketmap.later("no such gate")
        given = self._nexthop(gate, address)
        return socketmap.later(given.words) if isinstance(given, Later) else socketmap.found(given)

    def _sign_in(self, gate: Gate, asked: nginx.Question) -> Answer:
        if asked.user is None:
            self._tell("name", "a name that is no name was refused; it came from %s", asked.client or "nowhere")
            return answers.UNKNOWN
        found = gate.front(asked.user)
        if found is None:
            return answers.UNKNOWN
        front, key = found
        if not (self._clients.take(asked.client) and self._names.take((key, asked.client))):
            self._tell("often", "too many attempts from %s", asked.client or "nowhere")
            return answers.TOO_OFTEN
        try:
            return answers.sign_in(front, self._table.read(front.people.gate, key), asked.protocol)
        except MigratorError as error:
            self._tell("table", "the table of routes cannot be read: %s", error.reply)
            return answers.UNSURE

    def _nexthop(self, gate: Gate, address: str) -> str | Later:
        found = gate.front(address) if "@" in address and "*" not in address else None
        if found is None:
            return ""
        front, key = found
        try:
            return answers.nexthop(front, self._table.read(front.people.gate, key))
        except MigratorError as error:
            self._tell("table", "the table of routes cannot be read: %s", error.reply)
            return answers.UNSURE

    def _tell(self, kind: str, text: str, *values: object) -> None:
        """Log ``text``, once in a while for each kind, with how many there were."""
        now = self._clock()
        at, count = self._told.get(kind, (now - _LOG_SECONDS, 0))
        if now - at < _LOG_SECONDS:
            self._told[kind] = (at, count + 1)
            return
        log.warning(f"{text} (%d more since the last line)" if count else text, *values, *([count] if count else []))
        self._told[kind] = (now, 0)
