"""Cells of tables that spreadsheets open: made harmless on the way out, and as they were on the way back in."""

from __future__ import annotations

from typing import Final

# Spreadsheets take what begins so for a formula; some skip blanks before it, and read the wide forms alike.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MARK: Final = "'"


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: with an apostrophe before it, where it could be one."""
    return f"{_MARK}{text}" if _could_be(text) else text


def original(text: str) -> str:
    """Return what ``harmless`` made its text of."""
    return text[1:] if text.startswith(_MARK) and _could_be(text) else text


def _could_be(text: str) -> bool:
    # One that has apostrophes already gets one more, so that each text has its own way back.
    return text.lstrip(_MARK).lstrip(" ").startswith(_FORMULA)
