"""How the proof of a campaign's method stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from campaigns.models import Campaign, Event
from campaigns.services import preflights
from migrator.errors import Side


@dataclass(frozen=True, slots=True)
class Standing:
    """``sides``: those that a directory governs. ``at`` and ``actor``: of the last try, whatever came of it."""

    sides: tuple[Side, ...]
    is_accepted: bool
    at: datetime | None
    actor: str
    was_accepted: bool  # before something was changed


def standing(campaign: Campaign) -> Standing:
    """Return how the proof of a campaign stands."""
    names = (preflights.ACCEPTED, preflights.REFUSED)
    last = Event.objects.filter(campaign=campaign, name__in=names).order_by("-pk").first()
    return Standing(
        sides=tuple(preflights.governed_sides(campaign)),
        is_accepted=preflights.is_accepted(campaign),
        at=last.at if last else None,
        actor=last.actor_name if last else "",
        was_accepted=last is not None and last.name == preflights.ACCEPTED,
    )
