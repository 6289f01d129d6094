"""What waits in the queue of a Postfix: all of it, or what is for some addresses.

The old server's queue is watched until it is empty before that server is switched off (nothing else sends what it
accepted); a hold counts in it what waits for one user.

A reload has the queue manager pass over a message that an old delivery still has under its hands, and look at it again
no sooner than minimal_backoff_time, five minutes, whatever becomes of that delivery (qmgr_active.c: "skipped, still
being delivered"). Meanwhile it lies among those that just came. Whoever waits for a user looks anyway, and has what
lies there for longer looked at again, whomever it is for: nobody else's mail is to be late by our reloads.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from migrator.errors import MigratorError
from migrator.holds.base import HeldMail
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.together import Request, Together, shared

FLOWING: Final = frozenset({"maildrop", "incoming", "active", "deferred"})
ASIDE: Final = "hold"  # what lies there was put there by an administrator or a filter, and only they release it
INCOMING: Final = "incoming"
PASSED_OVER_SECONDS: Final = 0.5  # who came is looked at within milliseconds, but by a very busy queue manager
MOST_PUSHED: Final = 20  # at one look: each costs a process


class Waiting(NamedTuple):
    """One message that has still to reach one address. ``reason``: why it could not so far, in the server's words."""

    queue: str
    id: str
    arrived: float  # seconds since the epoch
    address: str
    reason: str


class Look(NamedTuple):
    """What a listing told: what waits for one address, oldest first, and whether anybody's mail lay in ``incoming``.

    ``aside``: messages for the address that were put on hold there.
    """

    waiting: list[Waiting]
    is_coming: bool
    aside: int = 0


class PostfixQueue:
    """The queue of one Postfix. Safe to use from several threads, which share listings: each lists the whole queue."""

    def __init__(self, host: PostfixHost) -> None:
        self._host = host
        self._looks: Together[str, Look] = shared(("look", host.key), lambda: Together(self._look))
        self._delimiters: str | None = None
        self._incoming: dict[str, float] = {}  # by number: since when it was seen there, or last pushed (monotonic)

    def count(self) -> HeldMail:
        """Return how many messages wait, to whomever, in all queues, and since when the oldest does."""
        messages = 0
        oldest: float | None = None

        def note(line: str) -> None:
            nonlocal messages, oldest
            for row in _rows(line):
                if not row.get("recipients"):
                    continue  # delivered to all; the file goes with the next look of the queue manager
                messages += 1
                arrived = float(row["arrival_time"])
                oldest = arrived if oldest is None else min(oldest, arrived)

        self._host.run("postqueue", "-j", lines=note)
        return HeldMail(messages, oldest)

    def waiting(self, address: str) -> list[Waiting]:
        """Return what waits for ``address``, oldest first, by a listing that begins from now on.

        An address counts in whatever case, with or without an extension (recipient_delimiter). What the queue manager
        passed over is looked at again.
        """
        return self.look(address).waiting

    def look(self, address: str) -> Look:
        """Return what :meth:`waiting` does, and what else that listing told."""
        look = self._looks.ask(address.lower())
        assert look is not None
        return look

    def look_at(self, addresses: Iterable[str]) -> dict[str, Look]:
        """Return what :meth:`look` does for each of ``addresses``, all by one listing."""
        requests: list[Request[str, Look]] = [Request(address.lower()) for address in addresses]
        self._look(requests)
        return {one.item: one.answer for one in requests if one.answer is not None}

    def retry(self, queue_id: str) -> None:
        """Have one message that is deferred, or was passed over, tried again now. One that is gone is success.

        Idempotent. flush(8) finds it in both queues.
        """
        self._host.run("postqueue", "-i", queue_id)

    def _look(self, requests: Sequence[Request[str, Look]]) -> None:
        if self._delimiters is None:
            self._delimiters = self._host.settings("recipient_delimiter").get("recipient_delimiter", "")
        found: dict[str, list[Waiting]] = defaultdict(list)
        aside: dict[str, set[str]] = defaultdict(set)
        incoming: set[str] = set()
        note = noting({one.item for one in requests}, self._delimiters, found, incoming, aside)
        self._host.run("postqueue", "-j", lines=note)
        self._push(incoming)
        for request in requests:
            waiting = sorted(found[request.item], key=lambda one: (one.arrived, one.id))
            request.serve(Look(waiting, bool(incoming), len(aside[request.item])))

    def _push(self, incoming: Iterable[str]) -> None:
        """Have the messages that were seen in ``incoming`` before looked at again.

        Whoever has no right to that goes on without: it is late mail at the most.
        """
        now = time.monotonic()
        self._incoming = {one: self._incoming.get(one, now) for one in incoming}
        passed_over = [one for one, since in self._incoming.items() if now >= since + PASSED_OVER_SECONDS]
        with suppress(MigratorError):
            for one in passed_over[:MOST_PUSHED]:
                self._incoming[one] = now
                self.retry(one)


def noting(
    addresses: set[str],
    delimiters: str,
    found: Mapping[str, list[Waiting]],
    incoming: set[str],
    aside: Mapping[str, set[str]] | None = None,
) -> Callable[[str], None]:
    """Return what notes in ``found`` each of ``addresses`` (in small letters) that a line of ``postqueue -j`` names.

    ``incoming`` takes the numbers of all messages that came and were not looked at, whomever they are for; ``aside``
    those that were put on hold, by address.
    """

    def note(line: str) -> None:
        for waiting in read(line, FLOWING if aside is None else FLOWING | {ASIDE}):
            if waiting.queue == INCOMING:
                incoming.add(waiting.id)
            for name in {waiting.address.lower(), plain(waiting.address.lower(), delimiters)} & addresses:
                if waiting.queue != ASIDE:
                    found[name].append(waiting)
                elif aside is not None:
                    aside[name].add(waiting.id)

    return note


def read(line: str, queues: Container[str] = FLOWING) -> Iterator[Waiting]:
    """Yield what a line of ``postqueue -j`` says of each address in ``queues``. Raises ``hold.unreadable``."""
    for row in _rows(line):
        try:
            if row["queue_name"] in queues:
                for one in row["recipients"]:
                    reason = str(one.get("delay_reason", ""))
                    arrived = float(row["arrival_time"])
                    yield Waiting(row["queue_name"], row["queue_id"], arrived, str(one["address"]), reason)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise MigratorError("hold.unreadable", reply=line[:200]) from None


def plain(address: str, delimiters: str) -> str:
    """Return ``address`` without its extension, as Postfix takes it off (split_addr(3))."""
    local, at, domain = address.rpartition("@")
    cut = min((found for one in delimiters if (found := local.find(one)) > 0), default=len(local))
    return local[:cut] + at + domain


def _rows(line: str) -> Iterable[Any]:
    if not line.strip():
        return ()
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or "arrival_time" not in row:
        raise MigratorError("hold.unreadable", reply=line[:200])
    return (row,)
