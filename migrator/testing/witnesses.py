"""A clock that tests own, and a sink that remembers."""

from __future__ import annotations

from typing import TypeVar

from migrator.events import Event

E = TypeVar("E", bound=Event)


class FakeClock:
    """Time that passes only when somebody waits. Implements :class:`migrator.limits.Clock`."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._start = now
        self._passed = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self._start + self._passed

    def monotonic(self) -> float:
        return self._passed

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._passed += seconds


class RecordingSink:
    """Keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
