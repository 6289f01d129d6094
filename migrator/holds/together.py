"""One act for all who wait for one: a thousand lanes that each want a reload of one server get a few.

Whoever comes while an act is going on waits for the next: the running one may have begun too early to count for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from migrator.errors import MigratorError

I = TypeVar("I")  # noqa: E741  item
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class Request(Generic[I, A]):
    """One caller's wish, and what became of it."""

    item: I
    is_served: bool = False
    answer: A | None = None
    error: MigratorError | None = None

    def serve(self, answer: A | None = None, error: MigratorError | None = None) -> None:
        """Note what became of it."""
        self.answer, self.error, self.is_served = answer, error, True


class Together(Generic[I, A]):
    """Serves requests of many threads by one call of ``act`` at a time, each with all requests made before it began.

    ``act`` serves each request it is given; what it raises is raised to all of them that it had not served.
    """

    def __init__(self, act: Callable[[Sequence[Request[I, A]]], None]) -> None:
        self._act = act
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[Request[I, A]] = []

    def ask(self, item: I) -> A | None:
        """Return the answer to ``item`` by an act that begins from now on."""
        request: Request[I, A] = Request(item)
        with self._guard:
            self._waiting.append(request)
        with self._turn:
            if not request.is_served:
                self._serve_all()
        if request.error is not None:
            raise _another(request.error)
        return request.answer

    def _serve_all(self) -> None:
        with self._guard:
            requests, self._waiting = self._waiting, []
        error: MigratorError | None = None
        try:
            self._act(requests)
        except MigratorError as raised:
            error = raised
        finally:
            for request in requests:
                if not request.is_served:
                    request.serve(error=error or MigratorError("command.failed", reply="not served"))


_all: dict[Hashable, object] = {}
_all_guard = threading.Lock()


def shared(key: Hashable, make: Callable[[], Together[I, A]]) -> Together[I, A]:
    """Return the one :class:`Together` of this program for ``key``; ``make`` makes it at the first call."""
    with _all_guard:
        found = _all.setdefault(key, None) or make()
        _all[key] = found
    assert isinstance(found, Together)
    return found


def _another(error: MigratorError) -> MigratorError:
    """Return an error of its own for each who waited: whoever catches one may write on it."""
    return type(error)(
        error.code,
        reply=error.reply,
        side=error.side,
        radius=error.radius,
        patience=error.patience,
        retry_after=error.retry_after,
        **error.params,
    )
