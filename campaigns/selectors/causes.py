"""Why accounts were not moved, the most frequent cause first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Min

from campaigns.models import Account, Campaign
from campaigns.selectors import words
from campaigns.states import AccountState, Family

MOST: Final = 5
_STATES: Final = (AccountState.FAILED, AccountState.HELD, AccountState.ATTENTION)


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause, in plain words. ``batches``: in which it occurs; ``batch_id``: the one where it occurs most."""

    code: str
    sentence: str
    accounts: int
    batches: int
    batch_id: int
    first_at: datetime | None
    last_at: datetime | None
    family: Family


def of_campaign(campaign: Campaign, most: int = MOST) -> list[Cause]:
    """Return the causes for which accounts of ``campaign`` failed or need a decision now."""
    rows = Account.objects.filter(campaign=campaign, state__in=_STATES).exclude(error_code="")
    counted = rows.values("error_code", "error_side", "batch", "state").annotate(
        accounts=Count("pk"), first=Min("error_at"), last=Max("error_at")
    )
    found: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in counted:
        found.setdefault((row["error_code"], row["error_side"]), []).append(dict(row))
    causes = [_cause(code, side, parts) for (code, side), parts in found.items()]
    return sorted(causes, key=lambda one: (-one.accounts, one.code))[:most]


def _cause(code: str, side: str, parts: list[dict[str, object]]) -> Cause:
    counts: Counter[int] = Counter()
    for part in parts:
        counts[int(str(part["batch"]))] += int(str(part["accounts"]))
    has_failed = any(part["state"] == AccountState.FAILED for part in parts)
    times = [at for part in parts for at in (part["first"], part["last"]) if isinstance(at, datetime)]
    return Cause(
        code=code,
        sentence=words.cause(code, side),
        accounts=counts.total(),
        batches=len(counts),
        batch_id=max(counts, key=lambda key: (counts[key], -key)),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
        family=Family.FAILED if has_failed else Family.ATTENTION,
    )
