"""One run of a worker over one account: what it works with, and how its row and its errors are written.

Servers and transactions never mix: rows are read, servers are talked to, then rows are written, each with the epoch.
``LeaseLost`` passes through: whoever has the account now goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from campaigns.bridge import beside, copying
from campaigns.bridge.connect import Approach, World
from campaigns.bridge.lease import Lease, LeaseLost, hold, write
from campaigns.bridge.ledger import OrmLedger, storable
from campaigns.bridge.sink import OrmSink
from campaigns.models import Account, Campaign, Run
from campaigns.services import (
    accounts,
    breakers,
    confirmations,
    folder_rules,
    mail_counts,
    names,
)
from campaigns.services.events import record
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.journal import StepKey
from migrator.limits import Clock, StopSignal
from migrator.recipes import Recipe
from migrator.stores.base import SourceStore
from migrator.transfer.plan import CopyPolicy, Mode
from migrator.transfer.pop_names import PopNamer

SLICE_SECONDS: Final = 600.0  # then others have their turn

log = logging.getLogger(__name__)


def policy_of(approach: Approach, mode: Mode) -> CopyPolicy:
    """Return how an account is copied: as its campaign and its own rules say."""
    account, options = approach.account, approach.options
    rules = copying.rules(account, options, folder_rules.rules_of(account))
    kin = None if account.is_one_person else names.kin(account)
    return copying.policy(account, options, CopyPolicy(mode, rules=rules, kin=kin))


@dataclass(slots=True)
class Work:
    """One run of one account, and what it works with."""

    lease: Lease
    account: Account
    approach: Approach
    sink: OrmSink
    ledger: OrmLedger
    outcome: str = "ended"
    figures: dict[str, Any] = field(default_factory=dict)
    gate: int | None = None  # together: before this position all steps were open
    waits_for_others: bool = False  # it has taken all of them

    @property
    def state(self) -> AccountState:
        return AccountState(self.account.state)

    @property
    def recipe(self) -> Recipe:
        return self.approach.recipe

    @property
    def mode(self) -> Mode:
        """How mail is copied: where its owner works on the target already, it is only added."""
        return Mode.CATCH_UP if self.account.arrives_first else Mode.STAGE

    def is_approved(self, key: StepKey, check: str) -> bool:
        """Tell whether a step of a person was confirmed for the account's batch."""
        return confirmations.is_confirmed(self.account.batch_id, key.position, check)

    @property
    def deadline(self) -> float:
        """When the night must have switched (seconds since the epoch): counted from its begin, whoever works on it."""
        since = self.account.state_since
        if self.account.batch.is_together:  # who waits for the others is not locked out yet
            since = self.account.locked_at or timezone.now()
        passed = (timezone.now() - since).total_seconds()
        return self.approach.world.clock.now() + self.account.batch.cutover_seconds - passed

    @property
    def identities(self) -> tuple[str, str]:
        """The two mailboxes as the ledger calls them."""
        return self.approach.identity(Side.SOURCE), self.approach.identity(Side.TARGET)

    def policy(self, mode: Mode) -> CopyPolicy:
        return policy_of(self.approach, mode)

    def pop_namer(self, *, is_admitted: bool = False) -> Callable[[SourceStore], PopNamer] | None:
        """What names the messages of a source as POP3 programs know them, where an option asks for that."""
        is_asked = copying.keeps_pop_names(self.account, self.approach.options)
        return beside.pop_namer(self.approach, is_admitted=is_admitted) if is_asked else None

    def named(self, policy: CopyPolicy, source: SourceStore, *, is_admitted: bool = False) -> CopyPolicy:
        """Return ``policy`` with those names, for an open source. Raises ``MigratorError``."""
        namer = self.pop_namer(is_admitted=is_admitted)
        return policy if namer is None else replace(policy, pop_name_of=namer(source))

    def terms(self) -> dict[str, Any]:
        """What passes share: they end with the slice."""
        world = self.approach.world
        stop = _Slice(self.lease.stop, world.clock, world.clock.monotonic() + SLICE_SECONDS)
        return {"sink": self.sink, "limits": self.approach.limits, "clock": world.clock, "stop": stop}

    def go(self, to: AccountState, reason: str = "", **columns: Any) -> None:
        """Bring the account into another state."""
        teller = self.lease.holder or "worker"
        accounts.transition(
            self.account.pk, expect=self.state, to=to, lease=self.lease, actor=teller, reason=reason, **columns
        )
        self.account.state = to.value

    def settle(
        self, error: MigratorError, *, wait_in: AccountState | None = None, give_up: AccountState = AccountState.FAILED
    ) -> None:
        """Give the account what an error deserves (see ``accounts.settle``)."""
        self.outcome = error.code
        error.reply = storable(error.reply)
        with transaction.atomic():  # it may open a breaker or pause the campaign: not for whoever lost the lease
            hold(self.lease)
            accounts.settle(self.lease, error, state=self.state, wait_in=wait_in, give_up=give_up)

    def note_success(self) -> None:
        """Tell the breakers of both servers that they work."""
        breakers.worked((self.account.source_id, self.account.target_id))


@dataclass(frozen=True, slots=True)
class _Slice:
    """Stops a pass when its lane is asked to end, or when its time is over."""

    stop: StopSignal
    clock: Clock
    end: float

    def is_set(self) -> bool:
        return self.stop.is_set() or self.clock.monotonic() >= self.end


@contextmanager
def at_work(lease: Lease, kind: str, world: World) -> Iterator[Work]:
    """Write the row of a run around the work. What nobody foresaw leaves it open: it did not end."""
    related = ("batch", "source", "target", "campaign")
    rows = lease.rows().select_related(*related, *(f"campaign__{name}" for name in Campaign.CONNECTORS))
    account = rows.first()
    if account is None:
        raise LeaseLost(f"account {lease.account_id}, epoch {lease.epoch}")
    run = Run.objects.create(account=account, kind=kind, lease_epoch=lease.epoch, holder=lease.holder)
    sink = OrmSink(lease, account, run.pk, world.clock)
    with Approach(account, world, lease.check) as approach:
        work = Work(lease, account, approach, sink, OrmLedger(lease))
        try:
            yield work
            sink.flush()
        except LeaseLost:
            _end(run, "lease_lost", work.figures)
            _tell_late_changes(work)
            raise
    _end(run, work.outcome, work.figures)


def _tell_late_changes(work: Work) -> None:
    """Call a person where a change may have reached a directory after the account had become somebody else's."""
    for address in work.approach.late:
        log.error("account %s: a change of %s may have come after the lease was lost", work.account.pk, address)
        ids = {"campaign_id": work.account.campaign_id, "batch_id": work.account.batch_id}
        record("account.changed_late", actor=work.lease.holder or "worker", account_id=work.account.pk, **ids)


def _end(run: Run, outcome: str, figures: dict[str, Any]) -> None:
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now(), outcome=outcome, figures=figures)


def count_mail(work: Work) -> None:
    """Set the account's figures to what the ledger says: exact, where progress was only counted. Raises ``LeaseLost``.

    Messages of folders that a rule leaves out are in no ledger, and left behind all the same.
    """
    states = work.ledger.states()
    size, skipped = Account.objects.values_list("bytes_done", "messages_skipped").get(pk=work.account.pk)
    skipped = work.sink.skipped_messages(skipped)
    write(work.lease, bytes_total=size, **mail_counts.columns(states, skipped))


def error_columns(error: MigratorError) -> dict[str, Any]:
    """Return the columns of an account that tell of ``error``, from now on."""
    side = error.side.value if error.side else ""
    return {
        "error_code": error.code,
        "error_side": side,
        "error_reply": storable(error.reply),
        "error_at": timezone.now(),
    }


def tell_error(work: Work, name: str, error: MigratorError, **facts: Any) -> None:
    """Record an event ``name`` of the account about ``error``. Raises ``LeaseLost``."""
    account = work.account
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    with transaction.atomic():
        hold(work.lease)
        record(name, actor=work.lease.holder or "worker", **ids, code=error.code, side=error.side or "", **facts)
