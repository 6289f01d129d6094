"""Many accounts at once, in lanes, under a guard that keeps one fault of a server from becoming a thousand.

An error of a whole server, or of what all accounts share, closes the road: accounts under way end by themselves, no
other is started. The first account goes alone until it has listed both mailboxes, so that a server that is away, or an
administrator's password that is wrong, is met once and not once per lane.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar

from migrator.cli.accounts import Account
from migrator.errors import MigratorError, Radius
from migrator.events import Event, EventSink, PassPlanned
from migrator.limits import StopSignal

ADMIN_REFUSALS: Final = 3  # in a row: it is not the users, it is the administrator's rights


class Ended(Protocol):
    """How the work on one account ended."""

    @property
    def account(self) -> Account:
        """Whose."""
        ...

    @property
    def error(self) -> MigratorError | None:
        """What kept it from its end."""
        ...


Result = TypeVar("Result", bound=Ended)


class Crew(Generic[Result]):
    """Lanes that work on accounts side by side. One crew, one run.

    ``not_started`` makes the result of an account that nobody began, given what closed the road.
    """

    def __init__(
        self,
        carry_one: Callable[[Account, EventSink], Result],
        not_started: Callable[[Account, MigratorError | None], Result],
        *,
        lanes: int,
        stop: StopSignal,
        listen: Callable[[Account], EventSink],
    ) -> None:
        self._carry = carry_one
        self._not_started = not_started
        self._lanes = lanes
        self._stop = stop
        self._listen = listen
        self._turn = threading.Condition()
        self._waiting: deque[Account] = deque()
        self._under_way = 0
        self._is_proved = False  # an account got as far as listing both its mailboxes
        self._refusals = 0  # of an administrator, in a row
        self._closed_by: MigratorError | None = None
        self._is_broken = False

    def run(self, accounts: Sequence[Account], tell: Callable[[Result], None]) -> list[Result]:
        """Copy ``accounts``; return a result for each in their order. ``tell`` hears of each from its lane."""
        self._waiting.extend(accounts)
        with ThreadPoolExecutor(self._lanes, "lane") as pool:
            lanes = [pool.submit(self._work, tell) for _ in range(min(self._lanes, len(accounts)))]
        results = {result.account: result for lane in lanes for result in lane.result()}
        return [results.get(account) or self._not_started(account, self._closed_by) for account in accounts]

    def _work(self, tell: Callable[[Result], None]) -> list[Result]:
        results = []
        while account := self._next():
            with self._lane_kept():
                result = self._carry(account, _Proof(self._listen(account), self._prove))
                self._note(result)
                tell(result)
            results.append(result)
        return results

    def _next(self) -> Account | None:
        with self._turn:
            self._turn.wait_for(lambda: self._is_proved or not self._under_way or self._is_closed())
            if self._is_closed() or not self._waiting:
                return None
            self._under_way += 1
            return self._waiting.popleft()

    @contextmanager
    def _lane_kept(self) -> Iterator[None]:
        """Let the others wait for nobody who is gone; a fault of ours ends all lanes."""
        try:
            yield
        except BaseException:
            self._is_broken = True
            raise
        finally:
            with self._turn:
                self._under_way -= 1
                self._turn.notify_all()

    def _is_closed(self) -> bool:
        return self._is_broken or self._closed_by is not None or self._stop.is_set()

    def _prove(self) -> None:
        with self._turn:
            self._is_proved = True
            self._refusals = 0
            self._turn.notify_all()

    def _note(self, result: Result) -> None:
        error = result.error
        if error is None:
            return
        with self._turn:
            is_refused_admin = error.code.startswith("sign_in.") and error.side in result.account.admin_sides
            self._refusals += is_refused_admin
            admin_is_out = is_refused_admin and (not self._is_proved or self._refusals >= ADMIN_REFUSALS)
            if error.radius in (Radius.SERVER, Radius.CONFIG) or admin_is_out:
                self._closed_by = self._closed_by or error


class _Proof:
    """A sink that hears when an account has listed both sides."""

    def __init__(self, sink: EventSink, prove: Callable[[], None]) -> None:
        self._sink = sink
        self._prove = prove

    def emit(self, event: Event) -> None:
        if isinstance(event, PassPlanned):
            self._prove()
        self._sink.emit(event)
