"""Connectors on rows in memory. The rows outlive the connectors, as a server outlives the programs that talk to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Self, TypeVar

from migrator.directories.base import ALL_SERVICES, Service
from migrator.entries import Json, Values
from migrator.errors import MigratorError, Side
from migrator.holds.base import HeldMail
from migrator.secret import Secret
from migrator.testing.faults import FaultPlan

T = TypeVar("T")
Rows = dict[str, dict[str, Json]]


class _MemoryConnector:
    """What all kinds share: calls to the world go through a fault plan and are refused for unspeakable addresses."""

    room = ""

    def __init__(self, faults: FaultPlan | None = None, side: Side = Side.SOURCE) -> None:
        self._faults = faults or FaultPlan()
        self._side = side

    def _call(self, name: str, address: str, effect: Callable[[], T]) -> T:
        if not address or not address.isprintable():
            raise MigratorError("address.bad")
        return self._faults.run(f"{self.room}.{name}", effect, self._side)

    def close(self) -> None:
        pass


class _MemoryEntries(_MemoryConnector):
    """One governed column of rows by address."""

    column = ""

    def __init__(self, rows: Rows, faults: FaultPlan | None = None, side: Side = Side.SOURCE) -> None:
        super().__init__(faults, side)
        self._rows = rows

    def find(self, address: str) -> Values | None:
        return self._call("find", address, lambda: self._find(address))

    def _find(self, address: str) -> Values | None:
        row = self._rows.get(address)
        return None if row is None else {self.column: row.get(self.column)}

    def replace(self, address: str, expected: Values, wanted: Values) -> None:
        self._call("replace", address, lambda: self._replace(address, expected, wanted))

    def _replace(self, address: str, expected: Values, wanted: Values) -> None:
        found = self._find(address)
        if found is None:
            raise MigratorError("directory.missing", side=self._side)
        if found not in (expected, wanted):
            raise MigratorError("directory.changed", side=self._side, reply=repr(found))
        self._rows[address].update(wanted)

    def _row(self, address: str) -> Mapping[str, Json]:
        if address not in self._rows:
            raise MigratorError("directory.missing", side=self._side)
        return self._rows[address]


class MemoryDirectory(_MemoryEntries):
    """A directory with the column ``status``: ``active`` signs in, everything else does not."""

    room = "directory"
    column = "status"

    def is_disabled(self, address: str) -> bool:
        return self._call("is_disabled", address, lambda: self._row(address).get("status") != "active")

    def closed(self, values: Values, services: Collection[Service] = ALL_SERVICES) -> Values:
        return {"status": "inactive"} if values["status"] == "active" and services else dict(values)

    def opened(self, values: Values) -> Values:
        return {"status": "active"}


class MemoryRoute(_MemoryEntries):
    """A route with the column ``host``; case does not matter to it, and is kept."""

    room = "route"
    column = "host"
    hosts: Mapping[Side, str] = {Side.SOURCE: "old.example.test", Side.TARGET: "new.example.test"}

    def current(self, address: str) -> Side | None:
        return self._call("current", address, lambda: self._side_of(str(self._row(address).get("host"))))

    def routed(self, values: Values, to: Side) -> Values:
        return dict(values) if self._side_of(str(values["host"])) is to else {"host": self.hosts[to]}

    def _side_of(self, host: str) -> Side | None:
        return next((side for side, name in self.hosts.items() if name == host.casefold()), None)


class MemorySessions(_MemoryConnector):
    """Counts sessions by address."""

    room = "sessions"

    def __init__(self, counts: dict[str, int], faults: FaultPlan | None = None, side: Side = Side.SOURCE) -> None:
        super().__init__(faults, side)
        self._counts = counts

    def open(self, address: str) -> int:
        return self._call("open", address, lambda: self._counts.get(address, 0))

    def end(self, address: str) -> None:
        self._call("end", address, lambda: self._counts.pop(address, None))


class Queue:
    """Mail on its way to users, and where it arrived."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.waiting: dict[str, list[bytes]] = {}
        self.arrived: list[tuple[str, Side, bytes]] = []

    def deliver(self, address: str, body: bytes, to: Side) -> None:
        """Bring one message: it waits when its user's mail is held, and arrives at ``to`` otherwise."""
        if self._rows[address].get("delivery") == "hold":
            self.waiting.setdefault(address, []).append(body)
        else:
            self.arrived.append((address, to, body))

    def flush(self, address: str, to: Side) -> None:
        """Bring what waits, unless it is still held."""
        for body in self.waiting.pop(address, []):
            self.deliver(address, body, to)


class MemoryHold(_MemoryEntries):
    """A hold with the column ``delivery``."""

    room = "hold"
    column = "delivery"

    def __init__(self, rows: Rows, queue: Queue, faults: FaultPlan | None = None, side: Side = Side.SOURCE) -> None:
        super().__init__(rows, faults, side)
        self._queue = queue

    def holding(self, values: Values) -> Values:
        return {"delivery": "hold"}

    def is_settled(self, address: str) -> bool:
        return self._call("is_settled", address, lambda: True)

    def trouble(self) -> Iterator[MigratorError]:
        return iter(())

    def held(self, address: str) -> HeldMail:
        return self._call("held", address, lambda: HeldMail(len(self._queue.waiting.get(address, []))))

    def flush(self, address: str, to: Side) -> None:
        self._call("flush", address, lambda: self._queue.flush(address, to))


class MemoryPopulation(_MemoryConnector):
    """Accounts on the target, made and unmade."""

    room = "population"

    def __init__(self, accounts: set[str], faults: FaultPlan | None = None, side: Side = Side.TARGET) -> None:
        super().__init__(faults, side)
        self._accounts = accounts

    def exists(self, address: str) -> bool:
        return self._call("exists", address, lambda: address in self._accounts)

    def create(self, address: str) -> None:
        self._call("create", address, lambda: self._accounts.add(address))

    def remove(self, address: str) -> None:
        self._call("remove", address, lambda: self._accounts.discard(address))


class MemoryPublication(_MemoryConnector):
    """A copy of the rows that servers read, behind the rows that people change."""

    room = "publication"

    def __init__(self, rows: Rows, published: Rows, faults: FaultPlan | None = None, side: Side = Side.TARGET) -> None:
        super().__init__(faults, side)
        self._rows = rows
        self._published = published

    def is_published(self, address: str) -> bool:
        return self._call(
            "is_published", address, lambda: self._published.get(address) == dict(self._rows.get(address, {}))
        )

    def publish(self, address: str) -> None:
        self._call("publish", address, lambda: self._published.update({address: dict(self._rows.get(address, {}))}))


class RegisteredDirectory(MemoryDirectory):
    """A directory in memory as a registry opens it: its options name rows of :data:`REGISTERED`."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        return cls(*_registered(options, secret))


class RegisteredRoute(MemoryRoute):
    """A route in memory as a registry opens it."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        return cls(*_registered(options, secret))


class RegisteredHold(MemoryHold):
    """A hold in memory as a registry opens it, on the queue of the same name."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        rows, faults = _registered(options, secret)
        return cls(rows, QUEUES[str(options["rows"])], faults)


class RegisteredPopulation(MemoryPopulation):
    """Accounts in memory as a registry opens them."""

    @classmethod
    def of(cls, options: Mapping[str, Json], secret: Secret | None) -> Self:
        _, faults = _registered(options, secret)
        return cls(ACCOUNTS[str(options["rows"])], faults)


QUEUES: dict[str, Queue] = {}
"""Queues by the name of their rows."""

ACCOUNTS: dict[str, set[str]] = {}
"""Accounts on the target by the name of their rows."""

REGISTERED: dict[str, tuple[Rows, FaultPlan | None, str]] = {}
"""Rows by name, how calls to them break, and the password that opens them."""


def _registered(options: Mapping[str, Json], secret: Secret | None) -> tuple[Rows, FaultPlan | None]:
    rows, faults, password = REGISTERED[str(options["rows"])]
    if secret is None or secret.reveal() != password:
        raise ValueError("the password is wrong")
    return rows, faults
