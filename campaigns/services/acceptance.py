"""After a night: is it as it should be? What the rows say of all accounts, and what a sign-in shows of some.

A sign-in is the user's own, with the password that the list brought: an administrator who gets in proves nothing about
what its user will see. One try each, a few accounts, the biggest mailbox among them. It reads nothing but counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.db.models import Q

from campaigns.bridge import places
from campaigns.bridge.by_hand import place_book, queue_of
from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.models import Account, AccountHeld, Batch, BatchCount, BatchHeld, Event
from campaigns.services import accounts, to_oneself, watchdog
from campaigns.services.events import Actor, record
from campaigns.states import AccountState
from migrator.errors import MigratorError, Side
from migrator.preflight.probe import PATIENCE

_S = AccountState

TRIED: Final = 3
PASSED: Final = "account.acceptance.passed"
FAILED: Final = "account.acceptance.failed"
QUEUE_SECONDS: Final = 15.0  # somebody waits for the page, and for the sign-ins after this
QUEUE_SEEN: Final = "batch.queue.seen"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``is_well`` is None where nobody has looked. ``facts`` fill in its sentence."""

    code: str
    is_well: bool | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tried:
    """How one sign-in went. ``error``: why it did not, or why less mail is there than was moved."""

    account: Account
    messages: int = 0
    error: MigratorError | None = None


def checks(batch: Batch) -> list[Check]:
    """Look at what the rows say of a batch, which comes with its campaign. Ten queries."""
    counts = {state: n for state, n in BatchCount.objects.filter(batch=batch).values_list("state", "accounts") if n}
    found = [_moved(counts), _compared(batch), _locked(batch), *_held(batch), _signed_in(batch)]
    return [*found, *_arrives(batch), *_queue(batch)]


def _moved(counts: dict[str, int]) -> Check:
    done = counts.get(_S.DONE, 0)
    wanted = sum(counts.values()) - counts.get(_S.EXCLUDED, 0)
    return Check("moved", done == wanted, {"done": done, "accounts": wanted})


def _compared(batch: Batch) -> Check:
    without = Account.objects.filter(batch=batch, state=_S.DONE, verified_at=None).count()
    return Check("compared", not without, {"accounts": without})


def _locked(batch: Batch) -> Check:
    is_locked = Q(locked_at__isnull=False)
    if watchdog.stopped_since(batch) is not None:
        is_locked |= watchdog.AT_OLD_SERVER
    locked = Account.objects.filter(is_locked, batch=batch).count()
    return Check("locked", not locked, {"accounts": locked})


def _held(batch: Batch) -> Iterator[Check]:
    if getattr(batch.campaign, "hold_id", None) is None:
        return
    held = BatchHeld.objects.filter(batch=batch).first()
    if held is None or held.unknown:
        yield Check("held", None)
    elif held.messages or held.left:
        yield Check("held", False, {"messages": held.messages + held.left})
    elif held.to_prove:
        yield Check("held_unproved", None, {"accounts": held.to_prove})
    else:
        of_batch = AccountHeld.objects.filter(account__batch=batch, is_released=True)
        asked, at_senders = of_batch.count(), of_batch.filter(is_at_senders=True).exists()
        has_moved = Account.objects.filter(batch=batch, state=_S.DONE).exists()
        is_well = True if asked or not has_moved else None  # nobody was asked about: a night of an earlier version
        yield Check("held_senders" if at_senders else "held", is_well, {"accounts": asked})


def _signed_in(batch: Batch) -> Check:
    """Tell how the last sign-in of each account went that was tried."""
    rows = Event.objects.filter(Q(name=PASSED) | Q(name=FAILED), batch=batch).order_by("pk")
    last = dict(rows.values_list("account_id", "name"))
    failed = sum(name == FAILED for name in last.values())
    return Check("signed_in", None if not last else not failed, {"tried": len(last), "failed": failed})


def _arrives(batch: Batch) -> Iterator[Check]:
    """Tell whether an account for tests saw its own message arrive on the new server since this batch moved."""
    if batch.campaign.target.kind != places.IMAP or batch.go_at is None:
        return
    rows = Event.objects.filter(account=None, name=to_oneself.ENDED, data__row=batch.campaign.target_id)
    last = rows.filter(at__gt=batch.go_at).order_by("-pk").first()
    if last is None:
        yield Check("arrives", None)
    else:
        yield Check("arrives", bool(last.data["is_well"]), {"account": last.data["account"]})


def _queue(batch: Batch) -> Iterator[Check]:
    """Tell what was seen last of the queue of the old server since the night, where somebody said how it is seen."""
    if not may_see_queue(batch):
        return
    rows = Event.objects.filter(account=None, batch=batch, name=QUEUE_SEEN)
    if since := batch.ended_at or batch.go_at:
        rows = rows.filter(at__gt=since)
    last = rows.order_by("-pk").first()
    waiting = last.data.get("messages") if last else None
    yield Check("queue", None if waiting is None else not waiting, {"messages": waiting or 0})


def may_see_queue(batch: Batch) -> bool:
    """Return whether an administrator said by which program the old server's queue is seen."""
    return bool(place_book(batch.campaign).queue_program)


def look_at_queue(batch: Batch, *, actor: Actor) -> MigratorError | None:
    """See how many messages wait on the old server, note it, and return why that could not be seen."""
    try:
        queue = queue_of(place_book(batch.campaign), QUEUE_SECONDS)
        if queue is None:
            return None
        facts: dict[str, Any] = {"messages": queue.count().messages}
    except MigratorError as error:
        record(QUEUE_SEEN, actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, code=error.code)
        return error
    record(QUEUE_SEEN, actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, **facts)
    return None


def candidates(batch: Batch, count: int = TRIED) -> list[Account]:
    """Return accounts of a batch that may sign in by themselves: the biggest mailbox, then some by chance."""
    rows = Account.objects.filter(batch=batch, state=_S.DONE, target_secret__isnull=False)
    rows = rows.filter(refused_secret="").select_related("batch", "campaign", "source", "target")
    biggest = list(rows.order_by("-messages_done", "pk")[:1])
    return biggest + list(rows.exclude(pk__in=[one.pk for one in biggest]).order_by("?")[: count - len(biggest)])


def try_batch(batch: Batch, *, actor: Actor, world: World = WORLD) -> list[Tried]:
    """Sign in as some users of a batch, and store how that went. Empty where nobody's password is known."""
    return [try_account(account, actor=actor, world=world) for account in candidates(batch)]


def try_account(account: Account, *, actor: Actor, world: World = WORLD) -> Tried:
    """Sign in at the new server as the user, once; see whether all mail that was moved is there."""
    try:
        tried = Tried(account, _messages(account, world))
    except MigratorError as error:
        tried = Tried(account, error=error)
        accounts.remember_refused(account, error)
    else:
        if tried.messages < account.messages_done:
            tried = Tried(account, tried.messages, MigratorError("acceptance.mail_missing"))
    facts: dict[str, Any] = {"messages": tried.messages, "expected": account.messages_done}
    if tried.error is not None:
        facts |= {"code": tried.error.code, "side": Side.TARGET.value}
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    with transaction.atomic():
        record(FAILED if tried.error else PASSED, actor=actor, **ids, **facts)
    return tried


def _messages(account: Account, world: World) -> int:
    with Approach(account, world) as approach:
        if account.target.kind != places.IMAP:
            raise MigratorError("acceptance.not_read", side=Side.TARGET)
        with world.target(approach.endpoint(Side.TARGET, as_admin=False), PATIENCE) as target:
            return sum(folder.messages or 0 for folder in target.folders() if folder.selectable)
