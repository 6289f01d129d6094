"""Where every message is: counted for each account when a pass ends, and added up for each batch by the ticker.

Every message that a pass has listed is in one box, and the boxes make up all of them. The ledger keeps the sums of a
folder with every commit; an account notes those of its folders, a batch those of its accounts: no page reads records.
One batch is counted a tick, the one that was counted longest ago.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q
from django.utils import timezone

from campaigns.models import Account, Batch, BatchMail
from campaigns.states import AccountState
from migrator.mail import Outcome
from migrator.transfer.ledger import FolderState

# moved: on the new server, its account too; ahead: copied, its account still on the old one; pending: not copied yet;
# already: was there before; skipped: in folders that rules leave out; removed: by their owners; flagged: marked as
# deleted, and so not copied; empty: nothing to copy; left: behind, with a reason
BOXES: Final = ("moved", "ahead", "pending", "already", "skipped", "removed", "flagged", "empty", "left")

AGAIN_SECONDS: Final = 10.0  # a batch in which something happens
RARELY_SECONDS: Final = 3600.0  # one that has ended: late mail may come
_RATE_SECONDS: Final = 60.0  # over which a rate is measured
_LEAST_RATE_SECONDS: Final = 5.0


def columns(states: Iterable[FolderState], skipped: int) -> dict[str, Any]:
    """Return the columns of an account whose ledger says ``states``: exact, where progress was only counted.

    ``skipped``: messages of folders that a rule leaves out; they are in no ledger, and left behind all the same.
    """
    totals, removed = Counter[Outcome](), 0
    for state in states:
        totals.update(state.totals)
        removed += state.removed
    there = sum(count for outcome, count in totals.items() if outcome.is_on_target or outcome.is_represented)
    left = totals.total() - there
    done = max(0, there - removed)
    return {
        "messages_total": max(0, there + left - removed) + skipped,
        "messages_done": done,
        "messages_left": left + skipped,
        "messages_skipped": skipped,
        "messages_pending": 0,
        "outcomes": _outcomes(totals, there, removed) | {"done": done},
    }


_LEFT: Final = (Outcome.TOO_BIG, Outcome.REFUSED, Outcome.UNREADABLE, Outcome.UNCONFIRMED, Outcome.FILTERED)


def _outcomes(totals: Counter[Outcome], there: int, removed: int) -> dict[str, int]:
    vanished = totals[Outcome.VANISHED]
    # What vanished while it was copied is not listed by the next pass, and counted as removed then: once is enough.
    gone = min(there, max(0, removed - vanished))
    return {
        "there": there - gone,
        "already": totals[Outcome.ALREADY_THERE] + sum(n for it, n in totals.items() if it.is_represented),
        "removed": vanished + gone,
        "flagged": totals[Outcome.MARKED_DELETED],
        "empty": totals[Outcome.EMPTY],
        "left": sum(totals[outcome] for outcome in _LEFT),
    }


def boxes_of(state: str, messages_done: int, pending: int, skipped: int, outcomes: Mapping[str, int]) -> Counter[str]:
    """Return how many messages of an account are in which of BOXES. Pure."""
    there = outcomes.get("there", 0) + max(0, messages_done - outcomes.get("done", 0))  # and what came since
    already = min(there, outcomes.get("already", 0))
    boxes = Counter({name: outcomes.get(name, 0) for name in ("removed", "flagged", "empty", "left")})
    boxes |= Counter({"already": already, "pending": pending, "skipped": skipped})
    boxes["moved" if state == AccountState.DONE else "ahead"] = there - already
    return boxes


@dataclass(slots=True)
class _Sums:
    """What the accounts of a batch come to."""

    boxes: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)
    accounts: int = 0


def count_next(now: datetime | None = None) -> int | None:
    """Count the batch that needs it most. Returns its key; None when every figure is fresh enough."""
    now = now or timezone.now()
    fresh, rare = now - timedelta(seconds=AGAIN_SECONDS), now - timedelta(seconds=RARELY_SECONDS)
    is_moving = Q(mail__counted_at__lt=fresh) & (Q(ended_at=None) | Q(ended_at__gte=F("mail__counted_at")))
    rows = Batch.objects.filter(Q(mail=None) | is_moving | Q(mail__counted_at__lt=rare), started_at__isnull=False)
    rows = rows.filter(campaign__closed_at=None).order_by(F("mail__counted_at").asc(nulls_first=True), "pk")
    key = rows.values_list("pk", flat=True).first()
    if key is not None:
        count(key, now)
    return key


def count(batch_id: int, now: datetime | None = None) -> None:
    """Add up the mail of a batch."""
    now = now or timezone.now()
    sums = _added_up(batch_id)
    before = BatchMail.objects.filter(batch=batch_id).first()
    figures: dict[str, Any] = {name: sums.boxes[name] for name in BOXES} | {name: sums.sizes[name] for name in _SIZES}
    figures |= {"counted_at": now, "counted_accounts": sums.accounts, **_rate(before, sums.sizes["bytes_done"], now)}
    BatchMail.objects.update_or_create(batch_id=batch_id, defaults=figures)


_SIZES: Final = ("bytes_total", "bytes_done", "bytes_moved")
_READ: Final = ("state", "messages_done", "messages_pending", "messages_skipped", "outcomes")


def _added_up(batch_id: int) -> _Sums:
    sums = _Sums()
    rows = Account.objects.filter(batch=batch_id, progress_at__isnull=False)
    for *account, total, done in rows.values_list(*_READ, "bytes_total", "bytes_done").iterator():
        sums.accounts += 1
        sums.boxes.update(boxes_of(*account))
        sums.sizes.update(bytes_total=max(total, done), bytes_done=done)
        if account[0] == AccountState.DONE:
            sums.sizes["bytes_moved"] += done
    return sums


def _rate(before: BatchMail | None, size: int, now: datetime) -> dict[str, Any]:
    """Return how fast mail moves since the mark, and the mark, which follows after a minute."""
    if before is None or size < before.mark_bytes:
        return {"mark_at": now, "mark_bytes": size, "bytes_per_second": 0.0}
    seconds = (now - before.mark_at).total_seconds()
    if seconds < _LEAST_RATE_SECONDS:
        return {}
    rate = {"bytes_per_second": (size - before.mark_bytes) / seconds}
    return rate if seconds < _RATE_SECONDS else {**rate, "mark_at": now, "mark_bytes": size}
