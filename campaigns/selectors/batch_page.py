"""The head of a batch's page: how it stands in one sentence, what to do next, and what went wrong, by cause.

Everything here comes from five queries, however many accounts the batch has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from django.db.models import Count, Min, Q
from django.utils import timezone
from django.utils.translation import gettext

from campaigns.models import Account, Batch, Event
from campaigns.selectors import batch as batch_selector
from campaigns.selectors import words
from campaigns.selectors.batch_rows import PROBLEMS, Filter
from campaigns.selectors.figures import Figures
from campaigns.services import together
from campaigns.services.accounts import PASSWORD_CODES
from campaigns.services.watchdog import WATCHED
from campaigns.states import FAMILY, AccountState, Family
from migrator.recipes import recipe_of

_S = AccountState

RUNNING_SECONDS: Final = 2
IDLE_SECONDS: Final = 15
# Of so long the pace is measured, from so many accounts on, once a hundredth is through.
_MEASURED: Final = timedelta(minutes=30)
_FEWEST: Final = 3
_SHARE: Final = 0.01
_MINUTES: Final = 5  # an end that is foreseen is told in steps of so many


class Phase(StrEnum):
    """Where a batch is, as its sentence tells it."""

    EMPTY = "empty"
    PLANNED = "planned"
    STAGING = "staging"  # checked and copied ahead; nobody is moved yet
    MOVING = "moving"
    ENDED = "ended"


class Next(StrEnum):
    """The one thing to do next. What an operator does with the whole batch, or a place to go to."""

    START = "start"
    RESUME = "resume"
    DECIDE = "decide"
    APPROVE = "approve"
    GO = "go"
    NEXT_STEP = "next_step"  # together, step by step: all wait for a word
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Pace:
    """What is measured of the accounts of a batch."""

    seconds_left: float | None
    locked_out: int  # users who are refused on both servers until somebody decides
    locked_now: int = 0  # all who are refused on both servers at this moment
    locked_since: datetime | None = None  # the longest of them


@dataclass(frozen=True, slots=True)
class Problem:
    """Accounts that have the same cause."""

    family: Family
    accounts: int
    code: str
    side: str
    sentence: str
    cure: str
    account: int | None  # the one, where there is only one

    @property
    def asked(self) -> Filter:
        """The filter that finds them."""
        return Filter(state=self.family.value, cause=self.code or "none", side=self.side)

    @property
    def can_retry(self) -> bool:
        """True where trying again is what mends them, once the cause is gone."""
        return self.family is not Family.ATTENTION

    @property
    def wants_list(self) -> bool:
        """True where new passwords for many come by a list."""
        return self.code in PASSWORD_CODES


@dataclass(frozen=True, slots=True)
class BatchPage:
    """A batch as its page shows it."""

    batch: Batch
    figures: Figures
    waits_for: str
    phase: Phase
    pace: Pace
    problems: list[Problem]
    next: Next | None
    paused_because: str
    now: datetime

    @property
    def next_step(self) -> str:
        """The step that all wait to take, in words; "" where the batch waits for nobody's word."""
        if self.waits_for != "step":
            return ""
        position = together.waits_for_step(self.batch, self.now) or 0
        step = recipe_of(self.batch.campaign.recipe, self.batch.campaign.steps).steps[position]
        return words.step(step.kind, step.side or "")

    @property
    def can_stop(self) -> bool:
        """True while anybody is being moved."""
        return bool(self.figures.states[_S.CUTTING_OVER])

    @property
    def total(self) -> int:
        """All its accounts."""
        return self.figures.accounts

    @property
    def done(self) -> int:
        """Accounts on the new server."""
        return self.figures.families[Family.DONE]

    @property
    def ready(self) -> int:
        """Accounts that are copied ahead."""
        return self.figures.families[Family.READY]

    @property
    def working(self) -> int:
        """Accounts that are worked on."""
        return self.figures.families[Family.WORKING]

    @property
    def to_decide(self) -> int:
        """Accounts that need a decision."""
        return self.figures.families[Family.ATTENTION]

    @property
    def failed(self) -> int:
        """Accounts that did not move."""
        return self.figures.families[Family.FAILED]

    @property
    def to_move(self) -> int:
        """Accounts that would be moved once somebody says go."""
        return sum(self.figures.states[state] for state in _GOING)

    @property
    def in_trouble(self) -> int:
        """Accounts behind all causes."""
        return sum(problem.accounts for problem in self.problems)

    @property
    def can_let_back(self) -> bool:
        """True when somebody is on the way or locked out, before the switch."""
        return any(self.figures.states[state] for state in (_S.CUTTING_OVER, _S.HELD))

    @property
    def is_open(self) -> bool:
        """True while something may be done with the batch."""
        return self.batch.campaign.closed_at is None

    @property
    def is_resting(self) -> bool:
        """True while batch or campaign is paused."""
        return self.batch.is_paused or self.batch.campaign.is_paused

    @property
    def ends_at(self) -> datetime | None:
        """When it will have ended, not more precisely than it can be known, and never before now."""
        left = self.pace.seconds_left
        if left is None:
            return None
        at = self.now + timedelta(seconds=left, minutes=_MINUTES)
        return at - timedelta(minutes=at.minute % _MINUTES, seconds=at.second, microseconds=at.microsecond)

    @property
    def live_seconds(self) -> int:
        """How often the page looks again; 0 when nothing happens any more without a person."""
        if self.batch.ended_at is not None or not self.is_open or self.phase is Phase.EMPTY:
            return 0
        is_busy = self.working or self._is_moving or self._is_about_to
        return RUNNING_SECONDS if is_busy else IDLE_SECONDS

    @property
    def _is_about_to(self) -> bool:
        """True when no person is waited for: it was started or told to go just now, and no worker is at it yet."""
        if self.phase is Phase.STAGING:
            return not self.is_resting and any(self.figures.states[state] for state in _TO_COPY)
        return self.phase is Phase.MOVING and not self.waits_for

    @property
    def _is_moving(self) -> bool:
        return not self.is_resting and self.pace.seconds_left is not None

    @property
    def title_number(self) -> str:
        """The number that needs the reader, with its words; else how far it is."""
        if self.to_decide:
            return words.counted_needs(self.to_decide)
        if self.failed:
            return gettext("%(n)s not moved") % {"n": f"{self.failed:,}"}
        return gettext("%(done)s of %(total)s") % {"done": f"{self.done:,}", "total": f"{self.total:,}"}


# On the way, or about to be.
_TO_COPY: Final = (_S.NEW, _S.CHECKING, _S.STAGING)
_GOING: Final = (*_TO_COPY, _S.READY)
_UNDER_WAY: Final = (*_GOING, _S.CUTTING_OVER)


def view(batch: Batch, now: datetime | None = None) -> BatchPage:
    """Return how a batch stands. ``batch`` comes with its campaign."""
    now = now or timezone.now()
    seen = batch_selector.look(batch, now)
    phase = _phase(batch, seen.figures)
    pace = _pace(batch, seen.figures, phase, seen.waits_for, now)
    return BatchPage(
        batch=batch,
        figures=seen.figures,
        waits_for=seen.waits_for,
        phase=phase,
        pace=pace,
        problems=_problems(batch),
        next=_next(batch, seen.figures, phase, seen.waits_for),
        paused_because=_paused_because(batch) if batch.is_paused else "",
        now=now,
    )


def _phase(batch: Batch, figures: Figures) -> Phase:
    if not figures.accounts:
        return Phase.EMPTY
    if batch.started_at is None:
        return Phase.PLANNED
    if batch.ended_at is not None:
        return Phase.ENDED
    has_begun = figures.families[Family.DONE] or figures.states[_S.CUTTING_OVER] or batch.cutovers_begun
    return Phase.MOVING if has_begun or batch.go_at is not None else Phase.STAGING


def _pace(batch: Batch, figures: Figures, phase: Phase, waits_for: str, now: datetime) -> Pace:
    """Measure how fast accounts come through, of those that came through lately. One query."""
    goal = _S.READY if phase is Phase.STAGING else _S.DONE
    lately = Q(state=goal, state_since__gte=now - _MEASURED)
    found = Account.objects.filter(batch=batch).aggregate(
        came=Count("pk", filter=lately),
        first=Min("state_since", filter=lately),
        locked=Count("pk", filter=Q(state__in=(_S.ATTENTION, _S.HELD), locked_at__isnull=False)),
        now=Count("pk", filter=_LOCKED),
        since=Min("locked_at", filter=_LOCKED),
    )
    left = sum(figures.states[state] for state in (_TO_COPY if phase is Phase.STAGING else _UNDER_WAY))
    is_going = phase is Phase.STAGING or (phase is Phase.MOVING and not waits_for)
    through = figures.states[goal]
    seconds = None
    if is_going and left and not _rests(batch) and through >= _SHARE * figures.accounts and found["came"] >= _FEWEST:
        seconds = left / found["came"] * max((now - found["first"]).total_seconds(), 1.0)
    return Pace(seconds, found["locked"], found["now"], found["since"])


_LOCKED: Final = Q(state__in=WATCHED, locked_at__isnull=False)


def _rests(batch: Batch) -> bool:
    return batch.is_paused or batch.campaign.is_paused


def median_lockout(batch: Batch) -> float | None:
    """Return for how many seconds users of this campaign were locked out, in the middle; None before the first."""
    rows = Account.objects.filter(campaign=batch.campaign_id, lockout_seconds__isnull=False)
    rows = rows.order_by("lockout_seconds")
    seconds = list(rows.values_list("lockout_seconds", flat=True))
    return seconds[len(seconds) // 2] if seconds else None


def _problems(batch: Batch) -> list[Problem]:
    """Return the causes for which accounts wait or failed: what needs a decision first, then the most frequent."""
    rows = Account.objects.filter(PROBLEMS, batch=batch).values("error_code", "error_side", "state")
    found: dict[tuple[Family, str, str], tuple[int, int]] = {}
    for row in rows.annotate(accounts=Count("pk"), one=Min("pk")).order_by("state"):
        key = (FAMILY[AccountState(row["state"])], row["error_code"], row["error_side"])
        accounts, one = found.get(key, (0, row["one"]))
        found[key] = (accounts + row["accounts"], one)
    problems = [_problem(*key, accounts, one) for key, (accounts, one) in found.items()]
    return sorted(problems, key=lambda one: (_PROBLEM_ORDER.index(one.family), -one.accounts, one.code, one.side))


_PROBLEM_ORDER: Final = (Family.ATTENTION, Family.FAILED, Family.WORKING, Family.READY, Family.WAITING, Family.DONE)


def _problem(family: Family, code: str, side: str, accounts: int, one: int) -> Problem:
    unsaid = gettext("No cause is known; see what happened on the page of the account.")
    return Problem(
        family=family,
        accounts=accounts,
        code=code,
        side=side,
        sentence=words.cause(code, side) if code else unsaid,
        cure=words.decision() if family is Family.ATTENTION else (words.cure(code, side) if code else ""),
        account=one if accounts == 1 else None,
    )


def _next(batch: Batch, figures: Figures, phase: Phase, waits_for: str) -> Next | None:
    """Return what to do first of all that could be done; None when there is nothing, or it is not for a batch."""
    if batch.campaign.closed_at is not None or phase is Phase.EMPTY:
        return None
    choices = (
        (Next.START, phase is Phase.PLANNED and not batch.campaign.is_paused),
        (Next.RESUME, batch.is_paused and phase is not Phase.PLANNED),
        (Next.DECIDE, figures.families[Family.ATTENTION] > 0),
        (Next.APPROVE, waits_for == "canary"),
        (Next.GO, waits_for == "go" and figures.states[_S.READY] > 0),
        (Next.NEXT_STEP, waits_for == "step"),
        (Next.RETRY, figures.families[Family.FAILED] > 0 and phase is not Phase.PLANNED),
    )
    return next((choice for choice, is_due in choices if is_due), None)


def _paused_because(batch: Batch) -> str:
    """Return why the batch was paused: the reason somebody gave, or the brake."""
    last = Event.objects.filter(batch=batch, name="batch.paused").order_by("-pk").first()
    reason = str(last.data.get("reason", "")) if last else ""
    return gettext("Too many accounts did not move, so it paused by itself.") if reason == "failures" else reason
