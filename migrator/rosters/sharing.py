"""Rows of a list that are no user's mailbox but shared folders: entries of their own, moved once and not per reader.

``SharedRoot`` names the root at the source as its server does, with the separator at its end (``Public/``), and
``NewSharedRoot`` where its folders go; ``Name`` and ``NewName`` are whoever signs in to read and to write them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from migrator.rosters.base import Refusal, Roster, RosterRow, named_lines

OLD, NEW = "SharedRoot", "NewSharedRoot"
COLUMNS: Final = (OLD, NEW)


def is_shared(row: RosterRow) -> bool:
    """True for a row of shared folders."""
    return bool(row.others.get(OLD, "").strip() or row.others.get(NEW, "").strip())


def checked(roster: Roster, *, same_server: bool) -> Roster:
    """Refuse rows that meet in one mailbox, and shared roots that are named twice: each goes over once."""
    plain = replace(roster, rows=[row for row in roster.rows if not is_shared(row)])
    plain = plain.checked(same_server=same_server)
    shared = [row for row in roster.rows if is_shared(row)]
    refused = {refusal.line: refusal for refusal in (*_twice(shared), *_without_place(shared))}
    rows = sorted([*plain.rows, *(row for row in shared if row.line not in refused)], key=lambda row: row.line)
    return replace(plain, rows=rows, refusals=sorted([*plain.refusals, *refused.values()]))


def _without_place(rows: Sequence[RosterRow]) -> Iterator[Refusal]:
    for row in rows:
        if not row.others.get(OLD, "").strip() or not row.others.get(NEW, "").strip():
            yield Refusal(row.line, f"Shared folders need both: {OLD}, where they are, and {NEW}, where they go.")


def _twice(rows: Sequence[RosterRow]) -> Iterator[Refusal]:
    """Yield the rows of which one root lies in another, or is the same, on either side."""
    for column in COLUMNS:
        met: dict[str, list[RosterRow]] = defaultdict(list)
        for row in rows:
            root = _key(row.others.get(column, ""))
            for other in met:
                if root.startswith(other) or other.startswith(root):
                    met[other].append(row)
                    break
            else:
                met[root].append(row)
        for group in met.values():
            if len(group) > 1:
                sentence = f"{named_lines(group)} name the same shared folders ({column}): they go over once."
                yield from (Refusal(row.line, sentence) for row in group)


def _key(root: str) -> str:
    bare = root.strip().casefold()
    return bare if bare[-1:] in ("/", ".", "\\") else f"{bare}/"
