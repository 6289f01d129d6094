"""The world in memory, for tests only: mailboxes, stores that behave like IMAP servers, planned faults, a clock.

Every call a store or ledger makes on the world goes through a :class:`FaultPlan`, which counts it and can break it.
So a test interrupts a copy at each call in turn.
"""

from __future__ import annotations

from migrator.testing.faults import FaultKind, FaultPlan, FaultyLedger, Killed
from migrator.testing.mailboxes import ANY_FLAG, MemoryFolder, MemoryMailbox, StoredMessage
from migrator.testing.stores import MemorySource, MemoryTarget
from migrator.testing.witnesses import FakeClock, RecordingSink

__all__ = [
    "ANY_FLAG",
    "FakeClock",
    "FaultKind",
    "FaultPlan",
    "FaultyLedger",
    "Killed",
    "MemoryFolder",
    "MemoryMailbox",
    "MemorySource",
    "MemoryTarget",
    "RecordingSink",
    "StoredMessage",
]
