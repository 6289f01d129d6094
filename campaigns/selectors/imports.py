"""What an import would do: the list row by row, before anybody decides."""

from __future__ import annotations

from pathlib import Path

from campaigns.models import Campaign
from campaigns.services import rosters
from campaigns.services.rosters import Comparison, Reading


def preview(campaign: Campaign, path: Path, reading: Reading) -> Comparison:
    """Return what each row would become, and who is gone. Raises ``BadRoster``, ``OSError``."""
    return rosters.compare(campaign, path, reading)
