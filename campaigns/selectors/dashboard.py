"""Everything a manager asks on Monday, of one campaign, from figures that are kept: no account is counted here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from campaigns.models import Batch, BatchCount, Campaign
from campaigns.selectors import causes, nights
from campaigns.selectors.causes import Cause
from campaigns.selectors.figures import Figures
from campaigns.selectors.nights import Calendar, Part
from campaigns.states import AccountState, Family


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A campaign at one moment."""

    campaign: Campaign
    figures: Figures
    parts: list[Part]
    calendar: Calendar
    causes: list[Cause]

    @property
    def done(self) -> int:
        """Accounts on the new server."""
        return self.figures.states[AccountState.DONE]

    @property
    def undecided(self) -> int:
        """Accounts that need a decision, or are locked."""
        return self.figures.families[Family.ATTENTION]

    @property
    def failed(self) -> int:
        """Accounts that were not moved."""
        return self.figures.families[Family.FAILED]

    @property
    def is_over(self) -> bool:
        """True when nothing more will happen by itself."""
        return bool(self.parts) and all(part.batch.ended_at is not None for part in self.parts)


def view(campaign: Campaign, now: datetime | None = None) -> Dashboard:
    """Return how far ``campaign`` is."""
    now = now or timezone.now()
    parts = _parts(campaign)
    figures = Figures.of((state, count) for part in parts for state, count in part.figures.states.items())
    trouble = figures.families[Family.FAILED] + figures.families[Family.ATTENTION]
    return Dashboard(
        campaign=campaign,
        figures=figures,
        parts=parts,
        calendar=nights.calendar(parts, timezone.localtime(now).date()),
        causes=causes.of_campaign(campaign) if trouble else [],
    )


def _parts(campaign: Campaign) -> list[Part]:
    states: dict[int, list[tuple[str, int]]] = defaultdict(list)
    rows = BatchCount.objects.filter(batch__campaign=campaign, accounts__gt=0)
    for batch_id, state, accounts in rows.values_list("batch_id", "state", "accounts"):
        states[batch_id].append((state, accounts))
    found = Batch.objects.filter(campaign=campaign).order_by("window_begins_at", "number")
    return [Part(batch, Figures.of(states[batch.pk])) for batch in found]
