"""What every account list becomes: rows to carry out, rows refused with their line and a sentence, columns ignored.

Nothing in a list is repaired or guessed. A row that is not clear is refused, and the caller decides whether the others
may start without it.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from migrator.secret import Secret


@dataclass(frozen=True, slots=True)
class RosterRow:
    """One account. A password is None where an administrator signs in instead of the user."""

    line: int  # in the file, the first is 1
    source_user: str
    target_user: str
    source_password: Secret | None
    target_password: Secret | None
    others: Mapping[str, str] = field(default_factory=dict)  # further columns that were asked for, as they stand


class Refusal(NamedTuple):
    """A row that is not started, and why. The sentence never repeats a password."""

    line: int
    sentence: str


class Needs(NamedTuple):
    """Which sides need a password of the user; False where an administrator signs in."""

    source_password: bool = True
    target_password: bool = True


class BadRoster(ValueError):
    """A list that cannot be read as a whole; the text is the sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Roster:
    """A list as read."""

    rows: Sequence[RosterRow]
    refusals: Sequence[Refusal] = ()
    ignored_columns: Sequence[str] = ()

    def checked(self, *, same_server: bool) -> Roster:
        """Refuse rows that meet in one mailbox too; ``same_server`` says that source and target are one server."""
        overlaps = [*_shared_targets(self.rows)]
        if same_server:
            overlaps += _loops(self.rows)
        refused = {refusal.line: refusal for refusal in reversed(overlaps)}
        rows = [row for row in self.rows if row.line not in refused]
        return replace(self, rows=rows, refusals=sorted([*self.refusals, *refused.values()]))


def _shared_targets(rows: Iterable[RosterRow]) -> Iterable[Refusal]:
    by_target: dict[str, list[RosterRow]] = defaultdict(list)
    for row in rows:
        by_target[mailbox_key(row.target_user)].append(row)
    for group in by_target.values():
        if len(group) > 1:
            sentence = (
                f"{named_lines(group)} lead to one target mailbox, {group[0].target_user}: their mail would be mixed."
            )
            yield from (Refusal(row.line, sentence) for row in group)


def _loops(rows: Sequence[RosterRow]) -> Iterable[Refusal]:
    targets = {mailbox_key(row.target_user): row for row in rows}
    for row in rows:
        filled_by = targets.get(mailbox_key(row.source_user))
        if filled_by is row:
            yield Refusal(row.line, f"The source and the target are one mailbox, {row.source_user}.")
        elif filled_by:
            sentence = (
                f"{named_lines([filled_by, row])}: {row.source_user} is filled by one row and copied by the other."
            )
            yield from (Refusal(line, sentence) for line in (filled_by.line, row.line))


def mailbox_key(user: str) -> str:
    """Return what two names of one mailbox have in common."""
    # most servers do not tell capitals in user names apart: two rows that differ only so are one mailbox for us
    return unicodedata.normalize("NFC", user).casefold()


def named_lines(rows: Iterable[RosterRow]) -> str:
    """Return the lines of several rows as sentences name them: "Lines 2 and 5"."""
    numbers = [f"{row.line:,}" for row in sorted(rows, key=lambda row: row.line)]
    if len(numbers) > 5:
        return f"Lines {', '.join(numbers[:5])} and {len(numbers) - 5:,} more"
    return f"Lines {', '.join(numbers[:-1])} and {numbers[-1]}"
