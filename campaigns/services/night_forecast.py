"""How long a night takes, and for how long each user is locked out: from what was measured, or not at all.

Before three of the campaign have moved, the last copy ahead of each account is the measure: at night it is made
twice, and compared once more. On top comes what the other steps take (:mod:`campaigns.services.night_steps`): measured
once anybody has been through them, and assumed before, which the page says. As soon as three have moved, they are the
measure. The range is what would come if all were like the middle one, and if all were like the slowest tenth, and the
steps at their upper end. Pure, but for ``measure``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from statistics import median
from typing import Any, Final

from campaigns.models import Account, Batch, Run
from campaigns.services import beats, night_steps
from campaigns.services.night_steps import StepTime
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
    steps: list[StepTime] = field(default_factory=list)  # beside copying and comparing


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
    # Of one account, what the steps beside copying take, where the whole is not measured by moves.
    steps: float = 0.0
    steps_low: float = 0.0
    steps_high: float = 0.0
    assumed: list[str] = field(default_factory=list)  # kinds of steps that nobody has been through
    timed: list[str] = field(default_factory=list)  # that somebody has
    timed_on: int = 0  # on so many

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
        hindered = sum(step.high - step.usual for step in measured.steps if step.measured)
        slow = [one + hindered for one in moves]
        return _foreseen(accounts, at_once, MOVES, moves, moves, slow, lockouts, [one + hindered for one in lockouts])
    if not measured.copies:
        return None
    return _by_copies(accounts, at_once, measured)


def _by_copies(accounts: int, at_once: int, measured: Measured) -> Forecast:
    """Foresee walks of the length of each last copy ahead, and the other steps on top."""
    steps = measured.steps
    low, usual, high = (sum(getattr(step, end) for step in steps) for end in ("low", "usual", "high"))
    locked_usual, locked_high = (
        sum(getattr(step, end) for step in steps if step.is_locked) for end in ("usual", "high")
    )
    found = _foreseen(
        accounts,
        at_once,
        COPIES,
        [_FEWEST_WALKS * one + low for one in measured.copies],
        [WALKS * one + usual for one in measured.copies],
        [WALKS * one + high for one in measured.copies],
        [WALKS * one + locked_usual for one in measured.copies],
        [WALKS * one + locked_high for one in measured.copies],
    )
    return replace(
        found,
        copy=median(measured.copies),
        steps=usual,
        steps_low=low,
        steps_high=high,
        assumed=list(dict.fromkeys(step.kind for step in steps if not step.measured)),
        timed=list(dict.fromkeys(step.kind for step in steps if step.measured)),
        timed_on=max((step.measured for step in steps), default=0),
    )


def _foreseen(
    accounts: int,
    at_once: int,
    basis: str,
    quick: Sequence[float],
    usual: Sequence[float],
    slow: Sequence[float],
    lockouts: Sequence[float],
    lockouts_slow: Sequence[float],
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
        copy=0.0,
        lockout=median(lockouts),
        lockout_worst=slowest_tenth(lockouts_slow),
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
    """Read what was measured, of a batch that comes with its campaign. Five queries."""
    moved = Account.objects.filter(campaign=batch.campaign_id, lockout_seconds__isnull=False)
    latest = list(moved.order_by("-pk").values_list("pk", "lockout_seconds")[:_LATEST_MOVES])
    ids = [pk for pk, _ in latest]
    moves = _moves(ids)
    then = night_steps.at_once_when(list(moves.values()))
    return Measured(
        copies=_copies(batch),
        moves=[(ended - began).total_seconds() for began, ended in moves.values()],
        lockouts=[seconds for _, seconds in latest if seconds is not None],
        steps=night_steps.times(batch, ids, at_once(batch), then),
    )


def _copies(batch: Batch) -> list[float]:
    """Return how long the last pass of each account took that waits for its move."""
    rows = Run.objects.filter(account__batch=batch, account__state__in=TO_MOVE, kind="stage", outcome="ended")
    last: dict[int, float] = {}
    for account_id, figures in rows.order_by("pk").values_list("account_id", "figures"):
        if "last_seconds" in figures:
            last[account_id] = float(figures["last_seconds"])
    return list(last.values())


def _moves(account_ids: list[int]) -> dict[int, tuple[datetime, datetime]]:
    rows = Run.objects.filter(account__in=account_ids, kind="cutover", outcome="done", ended_at__isnull=False)
    spans: dict[int, tuple[datetime, datetime]] = {}
    for account_id, began, ended in rows.values_list("account_id", "started_at", "ended_at"):
        if ended is not None:
            spans[account_id] = began, ended
    return spans
