"""A list that was uploaded, as its page shows it: the result, the rows to look at, the first rows under their meanings.

No password and nothing that could be one leaves here: of such cells, and of columns that nobody has said the meaning
of, only how long they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext, ngettext

from campaigns.models import UploadedList
from campaigns.selectors import list_words
from campaigns.selectors.csv_cells import Cell
from campaigns.services import list_columns, lists
from campaigns.services.rosters import LOGINS_AND_PASSWORDS
from campaigns.states import Family
from migrator.rosters import tsv

KINDS: Final = ("refused", "warned", "left_alone", "changed", "gone")
_SECRET: Final = frozenset(name for name in LOGINS_AND_PASSWORDS if name.endswith("password"))
_LONGEST_CELL: Final = 60
_FIRST_SIGHT: Final = 25  # rows of each kind, before one of them is asked for


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with one fate: how many, and its sign."""

    kind: str
    rows: int
    family: Family
    words: str


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A row to look at."""

    family: Family
    fate: str
    line: int | None
    login: str
    reason: str


@dataclass(frozen=True, slots=True)
class ListView:
    """An uploaded list. ``usable``: rows that are added or changed; ``shown``: rows to look at, some of ``all``."""

    uploaded: UploadedList
    sentence: str
    facts: str
    usable: int
    added: int
    changed: int
    refused: int
    parts: Sequence[Part]
    families: dict[Family, int]
    kind: str
    shown: Sequence[LookedAt]
    all: int

    @property
    def has_earlier(self) -> bool:
        """True when the campaign had accounts before: the difference is what matters then."""
        figures = self.uploaded.report["figures"]
        return any(figures[name] for name in ("changed", "same", "left_alone", "gone"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list: its title, and what it is taken for."""

    place: int
    title: str
    field: str


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a list. Each cell is its text, or how long it is where it is not shown."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[tuple[str, Column]]]


def view(uploaded: UploadedList, kind: str = "") -> ListView:
    """Return what a list would do. ``kind``: one of KINDS, when only those rows are to be looked at."""
    report = uploaded.report
    figures: dict[str, int] = report["figures"]
    kind = kind if kind in KINDS else ""
    kinds = (kind,) if kind else KINDS
    most = lists.SHOWN if kind else _FIRST_SIGHT
    return ListView(
        uploaded=uploaded,
        sentence=_sentence(figures, report["rows"]),
        facts=_facts(uploaded),
        usable=figures["added"] + figures["changed"],
        added=figures["added"],
        changed=figures["changed"],
        refused=figures["refused"],
        parts=_parts(figures),
        families=_families(figures),
        kind=kind,
        shown=[row for one in kinds for row in _rows(report, one)[:most]],
        all=sum(figures[one] for one in kinds),
    )


def _sentence(figures: dict[str, int], rows: int) -> str:
    usable = figures["added"] + figures["changed"] + figures["same"]
    told = ngettext("%(usable)s of %(rows)s row can be used", "%(usable)s of %(rows)s rows can be used", rows) % {
        "usable": f"{usable:,}",
        "rows": f"{rows:,}",
    }
    if figures["warned"]:
        told += gettext(", %(n)s of them with a warning") % {"n": f"{figures['warned']:,}"}
    if figures["refused"]:
        told += "; " + ngettext("%(n)s is refused", "%(n)s are refused", figures["refused"]) % {
            "n": f"{figures['refused']:,}"
        }
    return f"{told}."


def _facts(uploaded: UploadedList) -> str:
    shape = uploaded.reading["shape"]
    width = len(shape["names"])
    named = uploaded.file_name or gettext("Pasted list")
    told = ngettext("%(n)d column", "%(n)d columns", width) % {"n": width}
    if width > 1:
        told += gettext(", apart by %(mark)s") % {"mark": list_words.SEPARATORS[shape["separator"]]}
    heading = gettext("the first line names them") if shape["has_heading"] else gettext("no heading")
    return f"{named}: {told}, {heading}."


def _parts(figures: dict[str, int]) -> list[Part]:
    clean = figures["added"] + figures["changed"] + figures["same"] - figures["warned"]
    counts = [
        ("added", figures["added"], Family.DONE, gettext("added")),
        ("changed", figures["changed"], Family.WORKING, gettext("changed")),
        ("same", figures["same"], Family.WAITING, gettext("as they were")),
        ("left_alone", figures["left_alone"], Family.READY, gettext("left alone: moved, or on the way")),
        ("warned", figures["warned"], Family.ATTENTION, gettext("of these with a warning")),
        ("refused", figures["refused"], Family.FAILED, gettext("refused")),
        ("gone", figures["gone"], Family.WAITING, gettext("not in this list; they stay in the campaign")),
    ]
    if clean == figures["added"] - figures["warned"]:  # a first list
        counts[0] = ("added", clean, Family.DONE, gettext("accepted"))
        counts[4] = ("warned", figures["warned"], Family.ATTENTION, gettext("accepted with a warning"))
    return [Part(*one) for one in counts if one[1] > 0]


def _families(figures: dict[str, int]) -> dict[Family, int]:
    """Return what the bar shows: each row once."""
    warned = min(figures["warned"], figures["added"])
    return {
        Family.DONE: figures["added"] - warned,
        Family.WORKING: figures["changed"],
        Family.READY: figures["left_alone"],
        Family.WAITING: figures["same"],
        Family.ATTENTION: warned,
        Family.FAILED: figures["refused"],
    }


def _rows(report: dict[str, Any], kind: str) -> list[LookedAt]:
    family, fate = list_words.FATES[kind]
    if kind == "gone":
        told = gettext("Stays in the campaign as it is. To leave them out, open the account.")
        return [LookedAt(family, str(fate), None, login, told) for login, _ in report["gone"]]
    return [LookedAt(family, str(fate), row["line"], row["login"], _reason(row, kind)) for row in report[kind]]


def _reason(row: dict[str, Any], kind: str) -> str:
    if kind == "changed":
        return gettext("New: %(fields)s.") % {"fields": list_words.changes(row["changes"])}
    return list_words.reason([(code, facts) for code, facts in row["remarks"]])


def sample(uploaded: UploadedList, rows: int = 10) -> Sample:
    """Return the first rows of a list. Raises ``BadRoster``, ``ListGone``."""
    reading = lists.reading_of(uploaded)
    shape = reading.shape
    assert shape is not None
    meanings = {name: field for field, name in reading.columns.items()}
    columns = [Column(at, name, meanings.get(name, "")) for at, name in enumerate(shape.names)]
    found = tsv.look(lists.path_of(uploaded), rows + shape.has_heading).rows
    wanted = found[shape.has_heading :][:rows]
    return Sample(
        columns, [[(_cell(cell, column), column) for cell, column in zip(row, columns, strict=False)] for row in wanted]
    )


def _cell(text: str, column: Column) -> str:
    if not text:
        return ""
    if column.field in _SECRET:
        return "•" * 6
    if not column.field:
        return ngettext("%(n)d character", "%(n)d characters", len(text)) % {"n": len(text)}
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]}…"


def refused_table(uploaded: UploadedList) -> tuple[list[str], Sequence[list[Cell]]]:
    """Return the refused rows, to be mended and uploaded again: as they stand, with the reason in a last column.

    Raises ``BadRoster``, ``ListGone``.
    """
    names = uploaded.reading["shape"]["names"]
    known = [name for name in names if name != list_columns.REFUSED_TITLE]
    header = [*_titles(uploaded, known), list_columns.REFUSED_TITLE]
    table: list[list[Cell]] = []
    for row, fields in lists.refused_rows(uploaded):
        kept: list[Cell] = [
            cell for at, cell in enumerate(fields) if names[at : at + 1] != [list_columns.REFUSED_TITLE]
        ]
        kept += [""] * (len(known) - len(kept))
        reasons = list_words.reason([(one.code, one.facts) for one in row.remarks])
        table.append([*kept, gettext("Row %(line)s: %(reasons)s") % {"line": row.line, "reasons": reasons}])
    return header, table


def _titles(uploaded: UploadedList, names: Sequence[str]) -> list[str]:
    """Return the titles by which the file will be understood when it comes back, whatever they were."""
    meanings = {name: field for field, name in uploaded.reading["columns"].items()}
    return [meanings.get(name, name) for name in names]
