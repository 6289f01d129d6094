"""Where every message of a campaign is: in one named box each, together all that were listed; from batches' figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils.translation import gettext_lazy as _

from campaigns.models import BatchMail
from campaigns.services.mail_counts import BOXES

_WORDS: Final = {
    "moved": ("done", _("On the new server, of accounts that have moved")),
    "ahead": ("ready", _("Copied ahead, to be compared at the move")),
    "pending": ("new", _("Not copied yet")),
    "already": ("done", _("Were already on the new server")),
    "skipped": ("excluded", _("Left out by folder rules")),
    "removed": ("excluded", _("Removed by their owners during the move")),
    "flagged": ("excluded", _("Marked as deleted by their owners")),
    "empty": ("excluded", _("Empty: nothing to copy")),
    "left": ("failed", _("Left behind, each with a reason")),
}
# Shown even when nothing is in them: they are what is asked about.
_ALWAYS: Final = frozenset({"moved", "ahead", "pending", "left"})


@dataclass(frozen=True, slots=True)
class Box:
    """One place where messages are. ``glyph``: of the state whose sign it carries."""

    name: str
    glyph: str
    words: str
    messages: int


@dataclass(frozen=True, slots=True)
class Balance:
    """All boxes. ``counted_at``: of the figure that is the oldest; None when nothing was counted yet."""

    boxes: tuple[Box, ...]
    total: int
    left: int
    accounts: int  # whose mail is counted
    counted_at: datetime | None

    @property
    def completeness(self) -> float | None:
        """Of the messages that were reached, those not left behind, in percent, never rounded up; None before any."""
        reached = sum(box.messages for box in self.boxes if box.name in ("moved", "ahead", "already", "left"))
        return int((reached - self.left) * 100_000 / reached) / 1000 if reached else None


def balance(rows: Iterable[BatchMail]) -> Balance:
    """Add up the figures of batches."""
    counted = list(rows)
    sums = {name: sum(getattr(row, name) for row in counted) for name in BOXES}
    boxes = tuple(
        Box(name, _WORDS[name][0], str(_WORDS[name][1]), sums[name]) for name in BOXES if sums[name] or name in _ALWAYS
    )
    return Balance(
        boxes=boxes,
        total=sum(sums.values()),
        left=sums["left"],
        accounts=sum(row.counted_accounts for row in counted),
        counted_at=min((row.counted_at for row in counted), default=None),
    )
