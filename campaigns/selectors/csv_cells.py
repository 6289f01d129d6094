"""Tables as CSV that a spreadsheet opens without running anything that stands in them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from migrator.rosters.cells import harmless

Cell = str | int | float | datetime | None

_ROWS_AT_ONCE: Final = 200


def rows_to_csv(header: Iterable[str], rows: Iterable[Iterable[Cell]]) -> Iterator[str]:
    """Return a table as CSV (RFC 4180) in pieces, read from ``rows`` as they are asked for. Texts are made harmless.

    Numbers stay numbers, times are written with their zone, None is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([harmless(title) for title in header])
    for number, row in enumerate(rows, start=1):
        writer.writerow([_cell(cell) for cell in row])
        if number % _ROWS_AT_ONCE == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _cell(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    return harmless(cell) if isinstance(cell, str) else cell
