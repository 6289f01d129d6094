"""The steps of a night, each on the connectors and stores it is given. ``kit`` builds them in the order of a recipe."""

from __future__ import annotations
