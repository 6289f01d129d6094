"""Whole accounts on their way, in a world in memory and a real database, with the panel's own services at work.

The user lives between the calls that a worker makes: writes where they are let in, and is never let in on both sides.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.connect import World
from campaigns.bridge.lease import Lease, LeaseKind
from campaigns.models import Account, Batch, Campaign, Connector, Server
from campaigns.services import batches, campaigns, preflights, runs, scheduling
from campaigns.states import AccountState
from migrator.entries import Kind
from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Message
from migrator.secret import Secret
from migrator.stores.imap_session import Endpoint
from migrator.testing import (
    FakeClock,
    FaultPlan,
    Killed,
    MemoryFolder,
    MemoryMailbox,
    MemorySource,
    MemoryTarget,
)
from migrator.testing.connectors import ACCOUNTS, QUEUES, REGISTERED, Queue, Rows
from tests.campaigns.crossings import make_admin, make_server
from tests.migrator.nights import Faults
from tests.migrator.transfer.scenes import arrivals, body

S = AccountState
# At so many of its calls a road is interrupted. By hand, MAILFERRY_TEST_SAMPLE=100000 takes all of them.
SAMPLE = int(os.environ.get("MAILFERRY_TEST_SAMPLE", "8"))
LIMITS = Limits(bundle_messages=2, window_messages=4, overlap=False)
HOSTS = {Side.SOURCE: "old.example.test", Side.TARGET: "new.example.test"}
PROBE = "probe@example.test"
WORK: Mapping[LeaseKind, Callable[..., None]] = {
    LeaseKind.STAGE: runs.run_stage,
    LeaseKind.CUTOVER: runs.run_cutover,
    LeaseKind.ROLLBACK: runs.run_rollback,
    LeaseKind.CATCH_UP: runs.run_catch_up,
}


class MailServer:
    """A mail server in memory: lets in whom the directory lets in, and an administrator for everybody."""

    def __init__(self, side: Side, rows: Rows, *, is_governed: bool) -> None:
        self.side = side
        self.rows = rows
        self.is_governed = is_governed
        self.mailboxes: dict[str, MemoryMailbox] = {}
        self.passwords: dict[str, str] = {}
        self.tries: list[str] = []
        self.error: MigratorError | None = None  # what everybody is told
        self.corrupts: set[str] = set()  # of whom what is stored is not what was sent

    def admits(self, login: str) -> bool:
        """True when the user may sign in."""
        if not self.is_governed:
            return True
        row = self.rows[login]
        return row["status"] == "active" and str(row["host"]).casefold() == HOSTS[self.side]

    def sign_in(self, endpoint: Endpoint) -> None:
        """Raise what a server says to whoever it does not let in."""
        self.tries.append(endpoint.username)
        if self.error is not None:
            raise self.error
        if endpoint.authzid is not None:
            if (endpoint.username, endpoint.password.reveal()) != ("admin", "of the admin"):
                raise MigratorError("sign_in.admin_refused", side=self.side)
            return
        login = endpoint.username
        if not self.admits(login) or endpoint.password.reveal() != self.passwords[login]:
            raise MigratorError("sign_in.refused", side=self.side, reply="NO [AUTHENTICATIONFAILED] wrong")

    def mailbox(self, endpoint: Endpoint) -> MemoryMailbox:
        return self.mailboxes.setdefault(endpoint.authzid or endpoint.username, MemoryMailbox())


class _SignedIn:
    """Signs in before anything else."""

    def __init__(self, server: MailServer, endpoint: Endpoint, faults: FaultPlan, limits: Limits) -> None:
        super().__init__(server.mailbox(endpoint), faults, limits)  # type: ignore[call-arg]
        self._sign_in = lambda: server.sign_in(endpoint)

    def _connect(self) -> None:
        if self._session is None:  # type: ignore[attr-defined]
            self._sign_in()
        super()._connect()  # type: ignore[misc]


class _Source(_SignedIn, MemorySource):
    pass


class _Target(_SignedIn, MemoryTarget):
    def __init__(self, server: MailServer, endpoint: Endpoint, faults: FaultPlan, limits: Limits) -> None:
        super().__init__(server, endpoint, faults, limits)
        self._server = server
        self._login = endpoint.authzid or endpoint.username

    def _keep(self, folder: MemoryFolder, message: Message, body: bytes) -> int:
        return super()._keep(folder, message, body.swapcase() if self._login in self._server.corrupts else body)


class Town:
    """A campaign with one batch, its two servers and its directory. ``faults`` break the calls of workers."""

    def __init__(
        self, *, is_governed: bool = True, has_admin: bool = True, holds_mail: bool = False, **fields: Any
    ) -> None:
        self.delivery = {"delivery": "mailbox, forward"} if holds_mail else {}
        self.rows: Rows = {PROBE: {"status": "inactive", "host": HOSTS[Side.SOURCE]}}
        self.source, self.target = (MailServer(side, self.rows, is_governed=is_governed) for side in Side)
        self.clock = FakeClock(timezone.now().timestamp())
        self.faults = Faults()
        self.is_governed = is_governed
        self.letters = 0
        self.hooks: list[tuple[str, Callable[[], object]]] = []  # what happens right before a call, one after the other
        self.outside: list[int] = []  # numbers of the calls that are made outside of any transaction
        self._calls = 0
        self.batch_fields = {"go_at": timezone.now(), "max_attempts": 50, "stop_at_failed_percent": 100}
        self.queue, self.accounts = Queue(self.rows), set[str]()
        self.campaign = self._campaign(has_admin, fields)
        REGISTERED["town"] = (self.rows, self.faults, "of the directory")
        QUEUES["town"], ACCOUNTS["town"] = self.queue, self.accounts

    def _campaign(self, has_admin: bool, fields: Mapping[str, Any]) -> Campaign:
        servers = {side.value: make_server(side.value, HOSTS[side]) for side in Side}
        for server in servers.values() if has_admin else ():
            make_admin(server)
        if self.is_governed:
            staff = self._connector(Connector.Room.DIRECTORY, "staff")
            servers |= {"source_directory": staff, "target_directory": staff}
            servers["route"] = self._connector(Connector.Room.ROUTE, "routes")
        if self.delivery:
            servers["hold"] = self._connector(Connector.Room.HOLD, "queue")
            servers["population"] = self._connector(Connector.Room.POPULATION, "accounts")
        return campaigns.create("the move", **servers, actor="test", **{"refresh_hours": 0, **fields})

    def _connector(self, room: str, name: str) -> Connector:
        row = Connector.objects.create(room=room, kind="memory", name=name, options={"rows": "town"})
        row.secret = vault.seal(Secret("of the directory"), row, "secret")
        row.save()
        return row

    @property
    def world(self) -> World:
        """What workers are connected to."""
        place = "migrator.testing.connectors:Registered"
        return World(
            source=lambda endpoint, limits: _Source(self._at(endpoint), endpoint, self.faults, limits),
            target=lambda endpoint, limits: _Target(self._at(endpoint), endpoint, self.faults, limits),
            directories={"memory": Kind("Memory", f"{place}Directory")},
            routes={"memory": Kind("Memory", f"{place}Route")},
            holds={"memory": Kind("Memory", f"{place}Hold")},
            populations={"memory": Kind("Memory", f"{place}Population")},
            clock=self.clock,
            limits=LIMITS,
        )

    def _at(self, endpoint: Endpoint) -> MailServer:
        return self.source if endpoint.host == HOSTS[Side.SOURCE] else self.target

    def accept(self) -> None:
        """Have the recipe proved."""
        sides = dict.fromkeys(Side, PROBE) if self.is_governed else {}
        failures = preflights.accept_recipe(self.campaign, sides, actor="test", world=self.world)
        assert failures == []
        self.source.tries.clear()
        self.target.tries.clear()

    def move_in(self, *logins: str, has_password: bool = True) -> list[Account]:
        """Fill the batch with users who have mail, and start it."""
        unsaved = [Account(source_login=login, target_login=login) for login in logins]
        (batch,) = batches.cut(self.campaign, unsaved, actor="test")
        for login in logins:
            self._furnish(login)
        found = list(Account.objects.filter(batch=batch).order_by("pk"))
        for account in found if has_password else ():
            for field in ("source_secret", "target_secret"):
                setattr(account, field, vault.seal(Secret(f"of {account.source_login}"), account, field))
            account.save()
        batches.start(batch, actor="test")
        Batch.objects.filter(pk=batch.pk).update(**self.batch_fields)
        return found

    def _furnish(self, login: str) -> None:
        self.rows[login] = {"status": "active", "host": "Old.example.test", "phone": "1", **self.delivery}
        for server in (self.source, self.target):
            server.mailboxes[login] = MemoryMailbox(separator="/" if server is self.source else ".")
            server.passwords[login] = f"of {login}"
        mailbox = self.source.mailboxes[login]
        for number in range(3):
            mailbox.deliver("INBOX", body(f"{login} {number}"), ["\\Seen"] if number else [])
        for _ in range(2):
            mailbox.deliver("Archive/1999", body(f"{login} twice"))

    # What is true of the world

    def live(self, name: str) -> None:
        """Everybody writes a letter now and then where they are let in at the source, and what is planned happens."""
        self._calls += 1
        if not connection.in_atomic_block:
            self.outside.append(len(self.faults.calls))
        assert name.startswith("sql.") or not connection.in_atomic_block, f"{name} within a transaction"
        if self.hooks and name == self.hooks[0][0]:
            self.hooks.pop(0)[1]()
        if self.is_governed and self._calls % 7 == 0:
            for login, mailbox in self.source.mailboxes.items():
                if login != PROBE and self.source.admits(login):
                    self.letters += 1
                    mailbox.deliver("INBOX", body(f"{login} writes {self.letters}"))

    def check(self) -> None:
        """Claim what must hold at every moment."""
        for login in self.rows if self.is_governed else ():
            assert not (self.source.admits(login) and self.target.admits(login)), f"{login}: both sides are open"

    # The panel

    def work(self, *, rounds: int = 60, until: Callable[[], bool] | None = None) -> None:
        """Do what ticker and workers do, until nothing is left to do; time passes at once. Killed workers are reaped.

        With ``until`` it ends there.
        """
        self.faults.live, self.faults.check = self.live, self.check
        for _ in range(rounds):
            if until is not None and until():
                return
            Account.objects.exclude(state=S.DONE).update(not_before=None)
            Server.objects.update(breaker_until=timezone.now())
            leases = scheduling.claim_due(1)
            if not leases:
                return
            for lease in leases:
                self.take(lease)
        raise AssertionError(f"no end: {list(Account.objects.values_list('state', 'error_code'))}")

    def take(self, lease: Lease) -> None:
        """Let one worker take up a claim; when it is killed, find that out."""
        try:
            with self.interrupted():
                taken = scheduling.take_up(lease.account_id, lease.epoch, "a worker")
                if taken is not None:
                    WORK[taken.kind](taken, world=self.world)
                    scheduling.release(taken)
        except Killed:
            connection.close()  # as the end of its process does; what was not committed is gone
            self.faults.revive()
            Account.objects.filter(lease_until__isnull=False).update(lease_until=timezone.now() - timedelta(seconds=1))
            scheduling.reap_expired()

    def interrupted(self) -> ExitStack:
        """Count each statement to the database as a call to the world, to be broken like the others."""

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            name = "sql." + " ".join(sql.split()[:3])
            return self.faults.run(name, lambda: execute(sql, params, many, context))

        stack = ExitStack()
        stack.enter_context(connection.execute_wrapper(count))
        return stack

    # How it must have ended

    def assert_crossed(self, account: Account) -> None:
        """Claim that the user is on the target with all mail, once, and nowhere else."""
        account.refresh_from_db()
        login = account.source_login
        assert (account.state, account.owner) == (S.DONE, "target")
        if self.is_governed:
            assert self.rows[login] == {"status": "active", "host": "new.example.test", "phone": "1", **self.delivery}
        self.assert_copied(login)
        assert account.messages_total == account.messages_done == sum(self.sizes(self.source, login).values())
        assert account.messages_left == 0

    def assert_back(self, account: Account, state: AccountState) -> None:
        """Claim that the user works on the source as before."""
        account.refresh_from_db()
        assert (account.state, account.owner) == (state, "source")
        expected = {"status": "active", "host": "Old.example.test", "phone": "1", **self.delivery}
        assert self.rows[account.source_login] == expected

    def assert_copied(self, login: str) -> None:
        source, target = self.source.mailboxes[login], self.target.mailboxes[login]
        assert arrivals(source, "INBOX") == arrivals(target, "INBOX")
        assert arrivals(source, "Archive/1999") == arrivals(target, "Archive.1999")

    def sizes(self, server: MailServer, login: str) -> Counter[str]:
        return Counter({folder.path.display: len(folder.messages) for folder in server.mailboxes[login]})


def seeded(seed: int, count: int, sample: int = SAMPLE) -> list[int]:
    """Return ``sample`` numbers below ``count``; the seed is told for a repetition."""
    print(f"seed {seed}")
    return sorted(random.Random(seed).sample(range(count), min(sample, count)))


def afresh() -> None:
    """Empty all tables, for another town in the same test."""
    call_command("flush", interactive=False, verbosity=0, reset_sequences=False)
