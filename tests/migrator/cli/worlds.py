"""Accounts in memory for the tests of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from migrator.cli.accounts import Account, Choices
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Message
from migrator.testing import FaultPlan, MemoryMailbox, MemorySource, MemoryTarget
from migrator.transfer.ledger import Ledger
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.plan import CopyPolicy

CHOICES = Choices(CopyPolicy(), Limits(overlap=False))


class MemoryLedgers:
    """Ledgers of many accounts, kept for further runs."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], MemoryLedger] = {}

    def account(self, source: str, target: str) -> AbstractContextManager[Ledger]:
        return nullcontext(self.kept.setdefault((source, target), MemoryLedger()))

    def targets(self) -> Iterable[str]:
        return [target for _, target in self.kept]


class Door(FaultPlan):
    """What stands between us and one mailbox: counts the tries, and fails the first ones with ``errors``."""

    def __init__(self, errors: Iterable[MigratorError] = ()) -> None:
        super().__init__()
        self._errors = list(errors)
        self.tries = 0

    def run(self, name, effect, side=None):
        if name.endswith(".connect"):
            self.tries += 1
            if self._errors:
                raise self._errors.pop(0)
        return super().run(name, effect, side)


@dataclass(eq=False)
class World:
    """One account: two mailboxes, their doors, and how the command line knows it."""

    name: str
    line: int = 0
    source: MemoryMailbox = field(default_factory=MemoryMailbox)
    target: MemoryMailbox = field(default_factory=MemoryMailbox)
    source_door: Door = field(default_factory=Door)
    target_door: Door = field(default_factory=Door)
    admin_sides: frozenset[Side] = frozenset()

    @property
    def account(self) -> Account:
        return Account(
            source=f"imap://{self.name}@source:143",
            target=f"imap://{self.name}@target:143",
            source_name=self.name,
            target_name=self.name,
            open_source=lambda: MemorySource(self.source, self.source_door),
            open_target=lambda: MemoryTarget(self.target, self.target_door),
            admin_sides=self.admin_sides,
            line=self.line,
        )


def world(name: str, *, messages: int = 3, line: int = 0, source_fails: Iterable[MigratorError] = (),
          target_fails: Iterable[MigratorError] = (), admin_sides: Iterable[Side] = ()) -> World:  # fmt: skip
    """Return an account with ``messages`` in its INBOX."""
    made = World(
        name, line, source_door=Door(source_fails), target_door=Door(target_fails), admin_sides=frozenset(admin_sides)
    )
    for number in range(messages):
        made.source.deliver("INBOX", f"Subject: {name} {number}\r\n\r\nbody\r\n".encode())
    return made


def error(code: str, side: Side = Side.SOURCE, reply: str = "") -> MigratorError:
    """Return an error as a store raises it."""
    return MigratorError(code, side=side, reply=reply)


def refusing(subject: bytes):
    """Return the manner of a server that refuses messages with ``subject``."""

    def refuse(message: Message, body: bytes) -> MigratorError | None:
        return MigratorError("message.virus", side=Side.TARGET, reply="virus") if subject in body else None

    return refuse
