"""How long a night takes, and for how long each user is locked out: from what was measured, or not at all.

Before anybody of the campaign has moved, the last copy ahead of each account is the measure: at night it is made
twice, and compared once more. As soon as some have moved, they are the measure. The range is what would come if all
were like the middle one, and if all were like the slowest tenth. Pure, but for ``measure``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

from campaigns.models import Account, Batch, Run
from campaigns.services import beats
from campaigns.states import AccountState

_S = AccountState

COPIES: Final = "copies"  # measured by copies ahead
MOVES: Final = "moves"  # measured by accounts that have moved
FEWEST_MOVES: Final = 3
_LATEST_MOVES: Final = 200
TO_MOVE: Final = (_S.NEW, _S.CHECKING, _S.STAGING, _S.READY)
# A last copy, one more that finds nothing, a comparison: each a walk over the mailbox, as the copy ahead was.
WALKS: Final = 3
_FEWEST_WALKS: Final = 2  # where the first finds nothing


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of single accounts: of their last copy ahead, of whole moves, of the time locked out."""

    copies: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    lockouts: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is foreseen of ``accounts`` that move, so many at once. Seconds."""

    accounts: int
    at_once: int
    basis: str  # COPIES or MOVES
    measured: int  # accounts it is measured on
    copy: float  # the final copy of the account in the middle; 0 where it is measured by moves
    lockout: float  # of the account in the middle
    lockout_worst: float  # of the slowest tenth
    seconds: float  # of all of them
    low: float
    high: float

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Forecast | None:
        """Return what was stored when somebody said go; None where nothing was foreseen."""
        return cls(**stored) if stored else None


def forecast(accounts: int, at_once: int, measured: Measured) -> Forecast | None:
    """Foresee the move of ``accounts``; None when nothing was measured, or nobody is left to move. Pure."""
    if not accounts or at_once < 1:
        return None
    if len(measured.moves) >= FEWEST_MOVES and measured.lockouts:
        moves, lockouts = measured.moves, measured.lockouts
        return _foreseen(accounts, at_once, MOVES, moves, moves, moves, lockouts, 0.0)
    if not measured.copies:
        return None
    quick, slow = ([walks * one for one in measured.copies] for walks in (_FEWEST_WALKS, WALKS))
    return _foreseen(accounts, at_once, COPIES, quick, slow, slow, slow, median(measured.copies))


def _foreseen(
    accounts: int,
    at_once: int,
    basis: str,
    quick: Sequence[float],
    usual: Sequence[float],
    slow: Sequence[float],
    lockouts: Sequence[float],
    copy: float,
) -> Forecast:
    def all_of(seconds: float) -> float:
        return max(seconds * accounts / at_once, seconds)

    mean = sum(usual) / len(usual)
    # The last one begins when all others are through, at the latest.
    tail = max(usual) if len(usual) > 1 else 0.0
    seconds = max(all_of(mean), tail)
    return Forecast(
        accounts=accounts,
        at_once=min(at_once, accounts),
        basis=basis,
        measured=len(usual),
        copy=copy,
        lockout=median(lockouts),
        lockout_worst=slowest_tenth(lockouts),
        seconds=seconds,
        low=min(seconds, all_of(median(quick))),
        high=max(seconds, all_of(slowest_tenth(slow))),
    )


def slowest_tenth(seconds: Sequence[float]) -> float:
    """Return where the slowest tenth begins."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * 0.9) - 1)]


def of_batch(batch: Batch, accounts: int) -> Forecast | None:
    """Foresee the move of ``accounts`` of a batch, as many at once as batch, servers and workers allow."""
    return forecast(accounts, at_once(batch), measure(batch))


def at_once(batch: Batch) -> int:
    """Return how many accounts of a batch move at once. Without workers: as if there were enough."""
    campaign = batch.campaign
    lanes = beats.lanes("cutover") or batch.parallel_cutovers
    return min(batch.parallel_cutovers, lanes, campaign.source.max_lanes, campaign.target.max_lanes)


def measure(batch: Batch) -> Measured:
    """Read what was measured. Four queries."""
    moved = Account.objects.filter(campaign=batch.campaign_id, lockout_seconds__isnull=False)
    latest = list(moved.order_by("-pk").values_list("pk", "lockout_seconds")[:_LATEST_MOVES])
    return Measured(
        copies=_copies(batch),
        moves=_moves([pk for pk, _ in latest]),
        lockouts=[seconds for _, seconds in latest if seconds is not None],
    )


def _copies(batch: Batch) -> list[float]:
    """Return how long the last pass of each account took that waits for its move."""
    rows = Run.objects.filter(account__batch=batch, account__state__in=TO_MOVE, kind="stage", outcome="ended")
    last: dict[int, float] = {}
    for account_id, figures in rows.order_by("pk").values_list("account_id", "figures"):
        if "last_seconds" in figures:
            last[account_id] = float(figures["last_seconds"])
    return list(last.values())


def _moves(account_ids: list[int]) -> list[float]:
    rows = Run.objects.filter(account__in=account_ids, kind="cutover", outcome="done", ended_at__isnull=False)
    seconds: dict[int, float] = {}
    for account_id, began, ended in rows.values_list("account_id", "started_at", "ended_at"):
        if ended is not None:
            seconds[account_id] = (ended - began).total_seconds()
    return list(seconds.values())
