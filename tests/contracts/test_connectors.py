"""The connectors in memory keep the contracts of their rooms."""

from __future__ import annotations

from functools import partial

import pytest

from migrator.errors import Side
from migrator.testing.connectors import MemoryDirectory, MemoryHold, MemoryRoute, MemorySessions, Queue, Rows
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place
from tests.contracts.hold import HoldContract, PostOffice
from tests.contracts.route import RouteContract
from tests.contracts.sessions import Club, SessionsContract


def people() -> Rows:
    row = {"status": "active", "host": "old.example.test", "delivery": "mailbox, forward"}
    return {ANNA: dict(row), BERT: dict(row), CLARA: row | {"status": "suspended"}}


class TestMemoryDirectory(DirectoryContract):
    @pytest.fixture
    def place(self) -> Place:
        rows = people()
        return Place(lambda: MemoryDirectory(rows), lambda address: rows[address].update(status="deleted"))


class TestMemoryRoute(RouteContract):
    @pytest.fixture
    def place(self) -> Place:
        rows = people()
        return Place(lambda: MemoryRoute(rows), lambda address: rows[address].update(host="third.example.test"))


class TestMemorySessions(SessionsContract):
    @pytest.fixture
    def club(self) -> Club:
        counts: dict[str, int] = {}
        return Club(lambda: MemorySessions(counts), lambda name: counts.update({name: counts.get(name, 0) + 1}))


class TestMemoryHold(HoldContract):
    @pytest.fixture
    def place(self) -> PostOffice:
        rows = people()
        queue = Queue(rows)
        return PostOffice(
            lambda: MemoryHold(rows, queue),
            lambda address: rows[address].update(delivery="program"),
            partial(queue.deliver, to=Side.SOURCE),
            lambda address, side: sum(arrival[:2] == (address, side) for arrival in queue.arrived),
        )
