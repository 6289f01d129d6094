"""A hold in Postfix: the transport of a user's mail goes nowhere for a while.

It holds single recipients of a message, after aliases are resolved, and mail that was in the queue before. ``parked``
is a transport of its own in defer_transports: its mail is not tried; and where somebody has all the queue tried
(``postqueue -f``), the next hop is a socket that is not there, and the mail goes on waiting.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Self

from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.base import HeldMail
from migrator.holds.postfix_host import PostfixHost
from migrator.holds.postfix_table import Tables, checked_address, is_address
from migrator.holds.queue import Look, PostfixQueue, Waiting
from migrator.holds.together import Request, Together, shared
from migrator.options import Options
from migrator.secret import Secret

PARKED: Final = "parked:unix:/nonexistent"
_CHOKED_WORDS: Final = "Mailbox is being moved"
CHOKED: Final = f"retry:4.2.1 {_CHOKED_WORDS}"
SETTLE_SECONDS: Final = 0.5  # the queue manager goes on for a moment after the reload was asked for
FLUSH_SECONDS: Final = 20.0
RETRY_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.1
PASSED_OVER_LOOK_SECONDS: Final = 2.0  # after a reload, for mail of others that it had passed over
FRESH_SECONDS: Final = 2.0  # lanes that each ask whether Postfix is fit to hold mail share an answer for so long
LEAST_LIFETIME_SECONDS: Final = 5 * 86400.0  # Postfix's own default: a night, and the days in which a person helps
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


class PostfixHold:
    """Implements :class:`migrator.holds.base.MailHold`. Everybody has an entry: what the table holds for them."""

    def __init__(self, host: PostfixHost, tables: Tables, value: str) -> None:
        self._host = host
        self._queue = PostfixQueue(host)
        self._tables = tables
        self._table = tables["hold"]
        self._value = value
        self._reloaded: dict[str, float] = {}  # when the reload was over that made the entry true (monotonic)
        self._released: dict[str, float] = {}  # since when mail flows again (epoch): later mail never waited
        self._looked = -math.inf  # when trouble was looked for (monotonic)
        self._found: list[tuple[str, str]] = []  # code, words
        self._troubles: Together[None, list[tuple[str, str]]] = shared(
            ("trouble", host.key, self._table.name, value), lambda: Together(self._look)
        )

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        """Return a hold that is not yet connected. Raises ``ValueError`` with a sentence.

        Options: ``manner``: mail is "parked" in the queue, or "choked": new mail is refused for now, so that it waits
        at its senders, and only what was accepted before waits in the queue. The others are
        those of :class:`~migrator.holds.postfix_host.PostfixHost` and
        :class:`~migrator.holds.postfix_table.Tables`.
        """
        given = Options(options)
        host = PostfixHost.of(given)
        tables = Tables.of(given, secret, host, "hold")
        value = PARKED if given.choice("manner", ("parked", "choked"), "parked") == "parked" else CHOKED
        given.end()
        return cls(host, tables, value)

    def find(self, address: str) -> Values | None:
        return {"hold": self._table.find(checked_address(address))}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        key = checked_address(address)
        try:
            self._table.replace(key, _text(expected), _text(wanted))
        finally:
            self._reloaded.pop(key, None)
            self._released.pop(key, None)
        self._reload(key)
        if wanted != self.holding(wanted):
            self._released[key] = time.time()

    def holding(self, values: Values) -> Values:
        return {"hold": self._value}

    def is_settled(self, address: str) -> bool:
        key = checked_address(address)
        if time.monotonic() < self._reload(key) + SETTLE_SECONDS:
            return False
        # a message without a reason was not tried since it came, or somebody is just trying
        return key in self._released or all(one.queue == "deferred" and one.reason for one in self._queue.waiting(key))

    def held(self, address: str) -> HeldMail:
        """Return what the queue holds for ``address``, whatever holds it there: an entry of ours, or of a whole domain.

        Nothing is said to wait only after two listings. One lists incoming before deferred (showq(8)), and does not see
        a message that is tried again, and goes from there to there, in between.
        """
        key = checked_address(address)
        look = self._queue.look(key)
        if not self._of_before(key, look):
            look = self._queue.look(key)
        return self._told(key, look)

    def held_of(self, addresses: Sequence[str]) -> dict[str, HeldMail]:
        """Return what :meth:`held` does for each of ``addresses``, however many, by two listings at most.

        One that no table can hold is left out.
        """
        keys = {address: address.lower() for address in addresses if is_address(address)}
        looks = self._queue.look_at(set(keys.values()))
        empty = {key for key, look in looks.items() if not self._of_before(key, look)}
        if empty:
            looks |= self._queue.look_at(empty)
        return {address: self._told(key, looks[key]) for address, key in keys.items()}

    def _told(self, key: str, look: Look) -> HeldMail:
        waiting = self._of_before(key, look)
        oldest = waiting[0].arrived if waiting else None
        return HeldMail(len({one.id for one in waiting}), oldest, look.aside, self._value == CHOKED)

    def flush(self, address: str, to: Side) -> None:
        key = checked_address(address)
        reloaded = self._reload(key)
        tried: dict[str, float] = {}
        end = time.monotonic() + FLUSH_SECONDS
        while time.monotonic() < end:
            look = self._queue.look(key)
            # One of many recipients may be parked once more by an attempt for another that began before: tried again.
            untried = [one for one in self._of_before(key, look) if one.id not in tried or _is_parked(one)]
            # Others' mail that this reload had passed over is seen, and looked at again, before nobody looks any more.
            if not untried and not (look.is_coming and time.monotonic() < reloaded + PASSED_OVER_LOOK_SECONDS):
                return
            for one in untried:
                if one.queue == "deferred" and time.monotonic() >= tried.get(one.id, -math.inf) + RETRY_SECONDS:
                    self._queue.retry(one.id)
                    tried[one.id] = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def trouble(self) -> Iterator[MigratorError]:
        for code, words in self._troubles.ask(None) or ():
            yield MigratorError(code, reply=words)

    def close(self) -> None:
        self._tables.close()

    def _of_before(self, key: str, look: Look) -> list[Waiting]:
        """Return what waits, oldest first; after a release, of what came before it, and what something holds still."""
        end = self._released.get(key, math.inf)
        return [one for one in look.waiting if one.arrived <= end or _is_parked(one)]

    def _look(self, requests: Sequence[Request[None, list[tuple[str, str]]]]) -> None:
        if time.monotonic() >= self._looked + FRESH_SECONDS:
            self._found, self._looked = [*self._trouble()], time.monotonic()
        for request in requests:
            request.serve(self._found)

    def _trouble(self) -> Iterator[tuple[str, str]]:
        """Yield code and words of each setting that is not fit to hold mail."""
        settings = self._host.settings(*_LIFETIMES, "transport_maps", "defer_transports", "delay_warning_time")
        if not any(_is_table(word, self._table.name) for word in _words(settings, "transport_maps")):
            yield "hold.not_asked", f"transport_maps = {settings.get('transport_maps', '')}"
        if self._value == PARKED and not self._is_parking(settings):
            yield "hold.not_parked", f"defer_transports = {settings.get('defer_transports', '')}"
        for name in _LIFETIMES:
            if _seconds(settings.get(name, ""), "d") < LEAST_LIFETIME_SECONDS:
                yield "hold.short_lived", f"{name} = {settings.get(name, '')}"
        if _seconds(settings.get("delay_warning_time", ""), "h") > 0:
            yield "hold.warns", f"delay_warning_time = {settings['delay_warning_time']}"

    def _is_parking(self, settings: Mapping[str, str]) -> bool:
        parked = PARKED.partition(":")[0]
        return parked in _words(settings, "defer_transports") and parked in self._host.services()

    def _reload(self, key: str) -> float:
        """Return when a reload was over that began after the entry of ``key`` became what it is."""
        if key not in self._reloaded:
            # who wrote it may be another process that did not come to reload: then since now is soon enough
            self._reloaded[key] = self._host.reload(time.monotonic())
        return self._reloaded[key]


_LIFETIMES: Final = ("maximal_queue_lifetime", "bounce_queue_lifetime")


def _text(values: Values) -> str | None:
    value = values["hold"]
    if value is not None and not isinstance(value, str):
        raise MigratorError("directory.changed")
    return value


def _words(settings: Mapping[str, str], name: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", settings.get(name, "")) if word]


def _is_parked(one: Waiting) -> bool:
    """Tell whether a message waits because it is held, and for no other reason."""
    return any(words in one.reason for words in ("deferred transport", PARKED.rpartition(":")[2], _CHOKED_WORDS))


def _is_table(word: str, name: str) -> bool:
    """Tell whether a word of transport_maps is the table ``name``; of one with a colon at its end the type must do."""
    word = word.removeprefix("proxy:")
    return word.startswith(name) if name.endswith(":") else word == name


def _seconds(text: str, unit: str) -> float:
    """Return a time as Postfix writes it (postconf(5)); 0 for what is none."""
    found = re.fullmatch(r"(\d+)([smhdw]?)", text)
    return int(found[1]) * _UNITS[found[2] or unit] if found else 0.0
