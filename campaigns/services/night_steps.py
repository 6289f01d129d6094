"""What the steps of a night take beside copying and comparing: holding mail, closing, switching, opening, releasing.

Measured where any account of the campaign has been through them: by the journal. A step that nobody has been through is
assumed, openly: between what it takes where nothing else is going on and what it took on loaded machines of ours. Steps
of a person are not in it: nobody knows how long people take.

Measured when few moved at once, a step may take longer when many do: at the worst its connection serves one person
after the other. The upper end says so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from campaigns.models import Batch, Campaign, JournalEntry
from migrator.journal import EntryStatus, StepKind
from migrator.recipes import RecipeStep, recipe_of

_K = StepKind

# Seconds of one person: alone, usually, and on a loaded machine with many at once.
ASSUMED: Final[dict[StepKind, tuple[float, float, float]]] = {
    _K.POPULATE: (0.1, 0.5, 3.0),
    _K.HOLD: (0.5, 1.5, 6.0),  # until nothing is on its way by what the server read before
    _K.DISABLE: (0.1, 1.0, 4.0),  # sessions are ended, too
    _K.SWITCH: (0.05, 0.3, 2.0),
    _K.PUBLISH: (0.5, 5.0, 60.0),  # until all replicas have it
    _K.ENABLE: (0.05, 0.3, 2.0),
    _K.RELEASE: (0.5, 2.0, 8.0),  # until nothing is left
}
_LOCKED: Final = (_K.DISABLE, _K.SWITCH, _K.PUBLISH, _K.ENABLE)  # nobody can sign in meanwhile
_CONNECTIONS: Final = {
    _K.POPULATE: "population_id",
    _K.HOLD: "hold_id",
    _K.RELEASE: "hold_id",
    _K.SWITCH: "route_id",
    _K.PUBLISH: "publication_id",
}


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds that a step takes for one person. ``measured``: on how many; 0 where it is assumed."""

    kind: str
    low: float
    usual: float
    high: float
    measured: int = 0

    @property
    def is_locked(self) -> bool:
        """True when its person is locked out meanwhile."""
        return self.kind in _LOCKED


def times(batch: Batch, moved: Sequence[int], at_once: int, at_once_then: float) -> list[StepTime]:
    """Return what each step of the night of ``batch`` takes. One query.

    ``moved``: accounts that have been through it, ``at_once_then`` of them at once; in the night it is ``at_once``.
    """
    seconds = _measured(moved)
    hindered = max(1.0, at_once / max(1.0, at_once_then))
    found = []
    for step in steps(batch.campaign):
        took = seconds.get((step.kind.value, step.side.value if step.side else ""), [])
        found.append(_timed(step.kind, took, hindered) if took else StepTime(step.kind.value, *ASSUMED[step.kind]))
    return found


def steps(campaign: Campaign) -> Iterator[RecipeStep]:
    """Yield the steps of the night that work through a connection which the campaign has."""
    recipe = recipe_of(campaign.recipe, campaign.steps)
    for step in recipe.steps[recipe.early :]:
        names: tuple[str, ...] = (_CONNECTIONS.get(step.kind, ""),)
        if step.side is not None:
            names = (f"{step.side.value}_directory_id", f"{step.side.value}_sessions_id")
        if step.kind in ASSUMED and any(getattr(campaign, name, None) is not None for name in names if name):
            yield step


def at_once_when(spans: Sequence[tuple[datetime, datetime]]) -> float:
    """Return how many of the moves that began and ended at ``spans`` went on at once, on the average."""
    if not spans:
        return 1.0
    whole = (max(end for _, end in spans) - min(begin for begin, _ in spans)).total_seconds()
    busy = sum((end - begin).total_seconds() for begin, end in spans)
    return max(1.0, busy / whole) if whole else 1.0


def _measured(moved: Sequence[int]) -> dict[tuple[str, str], list[float]]:
    rows = JournalEntry.objects.filter(account__in=list(moved), status=EntryStatus.DONE.value, ended_at__isnull=False)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    fields: Any = rows.values_list("kind", "side", "begun_at", "ended_at")
    for kind, side, begun, ended in fields:
        seconds[kind, side].append((ended - begun).total_seconds())
    return seconds


def _timed(kind: StepKind, took: Sequence[float], hindered: float) -> StepTime:
    """Return the middle, the mean of all but the slowest tenth, and that tenth, hindered.

    In the slowest tenth are those that failed and were tried again, perhaps hours later.
    """
    ordered = sorted(took)
    kept = ordered[: max(1, len(ordered) - len(ordered) // 10)]
    usual = sum(kept) / len(kept)
    return StepTime(kind.value, min(kept[len(kept) // 2], usual), usual, max(kept[-1] * hindered, usual), len(took))
