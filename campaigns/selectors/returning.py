"""What a page says before people are taken back to the old server: how much mail goes with them, and how long it takes.

Durations are measured ones: those of the first few who were taken back, else how long the same people were locked out
when they moved, for the way back takes the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from campaigns.models import Account, Batch, Event, Run, Worker
from campaigns.services import returns
from campaigns.services.returns import Standing
from campaigns.states import AccountState


@dataclass(frozen=True, slots=True)
class Load:
    """What a look found on the new server that no copy brought there. Of a batch: of those looked at, and all."""

    at: datetime
    looked_at: int
    accounts: int
    messages: int
    size_bytes: int

    @property
    def all_messages(self) -> int:
        """How many messages it is for all, if the others have as many."""
        return round(self.messages * self.accounts / self.looked_at) if self.looked_at else 0

    @property
    def all_bytes(self) -> int:
        """How many octets it is for all."""
        return round(self.size_bytes * self.accounts / self.looked_at) if self.looked_at else 0

    @property
    def is_sample(self) -> bool:
        """True when not all were looked at."""
        return self.looked_at < self.accounts


@dataclass(frozen=True, slots=True)
class Duration:
    """How long it takes one person, and all of them at so many at once. ``is_of_returns``: measured on ways back."""

    one_seconds: float
    all_seconds: float
    at_once: int
    is_of_returns: bool


@dataclass(frozen=True, slots=True)
class AccountReturn:
    """What the page of one person's way back shows. ``refusal`` is a code, "" when they can be taken back."""

    account: Account
    refusal: str
    load: Load | None
    duration: Duration | None


@dataclass(frozen=True, slots=True)
class BatchReturn:
    """What the page of a batch's way back shows."""

    batch: Batch
    standing: Standing
    refusal: str
    load: Load | None
    duration: Duration | None
    last: list[Account]  # taken back last
    stayed: list[Account]  # whose way back did not succeed


MOST_NAMED = 20


def of_account(account: Account) -> AccountReturn:
    """Return what is known of the way back of one account."""
    event = _last(account=account, name=returns.LOOKED)
    load = _load(event, 1, 1) if event else None
    return AccountReturn(account, returns.why_not(account), load, _duration(account.batch, 1))


def of_batch(batch: Batch) -> BatchReturn:
    """Return what is known of the way back of a batch."""
    standing = returns.standing(batch)
    event = _last(batch=batch, name=returns.LOOKED_AT_MANY)
    load = _load(event, int(event.data["accounts"]), int(event.data["of"])) if event else None
    rows = Account.objects.filter(batch=batch)
    one = rows.filter(state=AccountState.DONE).select_related("campaign", "source", "target").first()
    back = rows.filter(taken_back_at__isnull=False, owner="source").order_by("-taken_back_at")
    tried = Run.objects.filter(account__batch=batch, kind="rollback", figures__has_key="carried")
    stayed = rows.filter(state=AccountState.DONE, pk__in=tried.exclude(outcome="taken_back").values("account"))
    return BatchReturn(
        batch,
        standing,
        returns.why_not(one) if one else "return.nobody",
        load,
        _duration(batch, standing.done),
        list(back[:MOST_NAMED]),
        list(stayed.order_by("pk")[:MOST_NAMED]),
    )


def _last(**about: Any) -> Event | None:
    return Event.objects.filter(**about).order_by("-pk").first()


def _load(event: Event, looked_at: int, accounts: int) -> Load:
    data = event.data
    return Load(event.at, looked_at, accounts, int(data.get("messages", 0)), int(data.get("bytes", 0)))


def _duration(batch: Batch, accounts: int) -> Duration | None:
    taken = Run.objects.filter(account__batch=batch, kind="rollback", outcome="taken_back")
    seconds = [float(figures["seconds"]) for figures in taken.values_list("figures", flat=True)[:1000]]
    is_of_returns = bool(seconds)
    if not seconds:
        moved = Account.objects.filter(batch=batch, state=AccountState.DONE, lockout_seconds__isnull=False)
        seconds = [one or 0.0 for one in moved.values_list("lockout_seconds", flat=True)[:1000]]
    if not seconds:
        return None
    one = float(median(seconds))
    workers = [row.lanes for row in Worker.objects.all() if "cutover" in row.queues.split(",")]
    lanes = [batch.campaign.source.max_lanes, batch.campaign.target.max_lanes, *([sum(workers)] if workers else [])]
    at_once = max(1, min(lanes))
    return Duration(one, one * -(-accounts // at_once), at_once, is_of_returns)
