"""One account's copy between two real servers, through the engine, as the tests in this folder need it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from migrator.events import Event
from migrator.limits import Limits
from migrator.secret import Secret
from migrator.stores.imap_session import Endpoint
from migrator.stores.imap_source import ImapSource
from migrator.stores.imap_target import ImapTarget
from migrator.transfer.copy import PassResult, run_pass
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.verify import VerifyLevel, VerifyReport, verify
from tests.rigs import check
from tests.rigs.base import Account


class Log:
    """A sink that keeps everything it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)


@dataclass
class Crossing:
    """From ``source`` to ``target``; every pass signs in anew and goes on from the same ledger."""

    source: Account
    target: Account
    ledger: Ledger = field(default_factory=MemoryLedger)
    limits: Limits = field(default_factory=lambda: Limits(io_seconds=30))
    log: Log = field(default_factory=Log)

    def run(self, policy: CopyPolicy | None = None) -> PassResult:
        """Carry out one pass."""
        with (
            ImapSource(endpoint(self.source), self.limits) as source,
            ImapTarget(endpoint(self.target), self.limits) as target,
        ):
            return run_pass(source, target, self.ledger, policy=policy, sink=self.log, limits=self.limits)

    def verify(self, level: VerifyLevel) -> VerifyReport:
        """Let the engine compare what it did."""
        with (
            ImapSource(endpoint(self.source), self.limits) as source,
            ImapTarget(endpoint(self.target), self.limits) as target,
        ):
            return verify(source, target, self.ledger, level=level)

    def differences(self, terms: check.Terms | None = None, *, without_headers: Collection[str] = ()) -> list[str]:
        """Let the independent judge compare; messages marked \\Deleted stay behind."""
        source = check.read(self.source)
        target = check.read(self.target, without_headers=without_headers)
        return check.compare(source, target, terms or check.Terms(skip_flagged="\\deleted"))


def endpoint(account: Account) -> Endpoint:
    """The account as the engine is given it."""
    return Endpoint(account.host, account.port, "plain", account.user, Secret(account.password))
