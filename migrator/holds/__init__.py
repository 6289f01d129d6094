"""Holds: inbound mail waits, on neither side, and flows on later. Kinds by name."""

from __future__ import annotations

from typing import Final

from migrator.entries import Kind

HOLDS: Final[dict[str, Kind]] = {}
