"""What many people look at at once is made once and kept for a moment, within this process.

Fifty operators before the same page must not cost fifty times one: the machine is there for the mail.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

Made = TypeVar("Made")


@dataclass(slots=True)
class _Slot(Generic[Made]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: Made | None = None


class Shared(Generic[Made]):
    """Keeps the last thing that was made for each key, of the ``most`` keys that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._slots: OrderedDict[Hashable, _Slot[Made]] = OrderedDict()

    def get(self, key: Hashable, is_good: Callable[[Made], bool], make: Callable[[], Made]) -> Made:
        """Return what is kept while it ``is_good``, else what ``make`` returns now. Of many who ask, one makes it.

        What ``make`` raises goes to its caller, and nothing is kept.
        """
        slot = self._slot(key)
        with slot.lock:
            if slot.made is None or not is_good(slot.made):
                slot.made = None
                slot.made = make()
            return slot.made

    def _slot(self, key: Hashable) -> _Slot[Made]:
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > self._most:
                self._slots.popitem(last=False)
            return slot


_REMEMBERED_SECONDS: Final = 30.0  # longer than the longest pause between two questions of one page


class Pace:
    """Tells pages how often to ask, so that all of them together ask no more than ``most`` times a second."""

    def __init__(self, most: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[Hashable, float] = OrderedDict()  # the latest last

    @property
    def many(self) -> int:
        """How many ask."""
        return len(self._asked)

    def seconds(self, who: Hashable, wanted: int) -> int:
        """Return after how many seconds ``who`` may ask again: ``wanted``, or more when many ask. 0 stays 0."""
        now = self._clock()
        with self._lock:
            self._asked[who] = now
            self._asked.move_to_end(who)
            while now - next(iter(self._asked.values())) > _REMEMBERED_SECONDS:
                self._asked.popitem(last=False)
            many = len(self._asked)
        return max(wanted, math.ceil(many / self._most)) if wanted else 0
