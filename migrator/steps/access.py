"""Steps on who may sign in where: DISABLE, SWITCH, ENABLE.

Confirmed by a directory is not yet true for the user: servers cache sign-ins and keep sessions. So DISABLE is done
when a sign-in is refused and no session is open, and ENABLE when a sign-in is admitted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from migrator.directories.base import ALL_SERVICES, Directory, Service
from migrator.entries import Values
from migrator.errors import MigratorError, Side
from migrator.journal import StepKey
from migrator.limits import Clock
from migrator.routes.base import Route
from migrator.sessions.base import Sessions
from migrator.steps.replacement import AFTER, BEFORE, SETTLE_SECONDS, Replacement, growing, pair, part, settle

Probe = Callable[[], bool]
"""Signs in as the user and tells whether that was admitted; raises ``MigratorError`` when it cannot tell."""

QUIET_LOOKS: Final = 2  # who was let in as the door closed shows up a moment later
QUIET_SECONDS: Final = 0.05


class DisableStep(Replacement):
    """The user is refused at one side, and every session there is ended."""

    def __init__(
        self,
        key: StepKey,
        directory: Directory,
        address: str,
        *,
        clock: Clock,
        services: Collection[Service] = ALL_SERVICES,
        sessions: Sessions | None = None,
        is_admitted: Probe | None = None,
    ) -> None:
        if Service.READING not in services:
            raise ValueError("who may go on reading is not disabled")
        super().__init__(key, directory, address)
        self._directory = directory
        self._services = services
        self._sessions = sessions
        self._is_admitted = is_admitted
        self._clock = clock

    def prepare(self) -> Values:
        found = self.found()
        return pair(found, self._directory.closed(found, self._services))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved) and self._is_refused() and not self._is_in_session()

    def apply(self, saved: Values) -> None:
        super().apply(saved)
        settle(self._clock, self._is_refused, "sign_in.still_admitted")
        self._end_sessions()

    def _is_refused(self) -> bool:
        if self._is_admitted is None:
            return self._directory.is_disabled(self._address)
        return not self._is_admitted()

    def _is_in_session(self) -> bool:
        return self._sessions is not None and self._sessions.open(self._address) > 0

    def _end_sessions(self) -> None:
        if self._sessions is None:
            return
        end = self._clock.monotonic() + SETTLE_SECONDS
        pauses = growing()
        quiet = 0
        while quiet < QUIET_LOOKS:
            if quiet:
                self._clock.wait(QUIET_SECONDS)
            if not self._is_in_session():
                quiet += 1
                continue
            if self._clock.monotonic() >= end:
                raise MigratorError("sessions.stay_open")
            self._sessions.end(self._address)
            self._clock.wait(next(pauses))
            quiet = 0


class EnableStep(Replacement):
    """The user is admitted at one side.

    ``disabled`` returns what DISABLE saved when it went through the same entry: that is restored then, exactly. An
    entry of the side's own, made closed, is opened. Who was closed before the night stays closed, and is not probed.
    """

    def __init__(
        self,
        key: StepKey,
        directory: Directory,
        address: str,
        *,
        clock: Clock,
        disabled: Callable[[], Values | None],
        is_admitted: Probe | None = None,
    ) -> None:
        super().__init__(key, directory, address)
        self._directory = directory
        self._disabled = disabled
        self._is_admitted = is_admitted
        self._clock = clock

    def prepare(self) -> Values:
        disabled = self._disabled()
        if disabled is not None:
            return pair(part(disabled, AFTER), part(disabled, BEFORE))
        found = self.found()
        return pair(found, self._directory.opened(found))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved) and self._is_in()

    def apply(self, saved: Values) -> None:
        super().apply(saved)
        settle(self._clock, self._is_in, "sign_in.not_admitted")

    def _is_in(self) -> bool:
        if self._is_admitted is None or self._directory.is_disabled(self._address):
            return True
        return self._is_admitted()


class SwitchStep(Replacement):
    """The user belongs to the target from here on: the point of no return."""

    def __init__(self, key: StepKey, route: Route, address: str) -> None:
        super().__init__(key, route, address)
        self._route = route

    def prepare(self) -> Values:
        found = self.found()
        return pair(found, self._route.routed(found, Side.TARGET))

    def is_done(self, saved: Values) -> bool:
        return self.is_after(saved)


class JournalledSwitch:
    """SWITCH where no route is: that the user belongs to the target is written down, and nothing else changes.

    Begun and not done, nothing has happened anywhere: the night may still go either way.
    """

    def __init__(self, key: StepKey) -> None:
        self.key = key

    def prepare(self) -> Values:
        return {}

    def is_done(self, saved: Values) -> bool:
        return False

    def apply(self, saved: Values) -> None:
        pass

    def undo(self, saved: Values) -> None:
        pass
