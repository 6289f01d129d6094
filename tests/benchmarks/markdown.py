"""The table for readers: each scene with its limit, ours and theirs, and below it the goals by number."""

from __future__ import annotations

import platform
from pathlib import Path
from statistics import median
from typing import Final

from tests.benchmarks import goals
from tests.benchmarks.contests import US
from tests.benchmarks.goals import Measured, Row
from tests.benchmarks.report import MIB, Cell
from tests.benchmarks.scenes import SCENES

BEGIN: Final = "<!-- the table: python -m tests.benchmarks --table FOLDER --readme -->"
END: Final = "<!-- the table ends -->"
_HEAD: Final = (
    "mail", "RTT", "who", "runs", "copy", "of the limit", "times ours", "second run", "trips", "its trips", "CPU",
    "peak", "the copy is",
)  # fmt: skip
_WORDS: Final = {True: "met", False: "**missed**", None: "-"}


def page(scenes: dict[str, list[Cell]], cores: int) -> str:
    """Return the whole: the goals, and a table for each scene."""
    seen = Measured([cell for cells in scenes.values() for cell in cells])
    told = f"Dovecot on both sides, Python {platform.python_version()}, {cores} cores. Seconds, MiB; medians."
    parts = [told, _goals(goals.rows(seen.cells))]
    for name, cells in scenes.items():
        lines = [line for cell in cells for line in _lines(cell, seen)]
        parts.append(f"**{SCENES[name].title}** (`--scene {name}`)\n\n{_grid(_HEAD, lines)}")
    return "\n\n".join(parts)


def _grid(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _lines(cell: Cell, seen: Measured) -> list[tuple[str, ...]]:
    where = (cell.corpus.name, f"{cell.rtt_ms} ms")
    failed = [(*where, name, *[""] * 9, why.replace("|", "/")) for name, why in cell.failures.items()]
    alone = median(run.seconds for run in cell.ceilings)
    servers = (*where, "servers alone", str(len(cell.ceilings)), f"{alone:.2f}", *[""] * 8)
    return [servers, *(_line(cell, name, where, seen.limit(cell)) for name in cell.results), *failed]


def _line(cell: Cell, name: str, where: tuple[str, str], limit: float) -> tuple[str, ...]:
    results, seconds = cell.results[name], goals.middle(cell, who=name)
    ours = goals.middle(cell) if US in cell.results and name != US else None
    trips = ["/".join(f"{median(side):g}" for side in zip(*counted, strict=True)) for counted in (
        [lap.round_trips for lap in laps if lap.round_trips]
        for laps in ([each.copy for each in results], [each.again for each in results])
    )]  # fmt: skip
    return (
        *where, f"**{name}**" if name == US else name, str(len(results)), f"{seconds:.2f}", f"{limit / seconds:.2f}",
        f"{seconds / ours:.1f}" if ours else "", f"{goals.middle(cell, who=name, lap='again'):.2f}", *trips,
        f"{goals.middle(cell, 'cpu_seconds', name):.2f}",
        f"{max(each.copy.peak_bytes for each in results) / MIB:.0f}",
        "; ".join(sorted({each.verdict for each in results})),
    )  # fmt: skip


def _goals(rows: list[Row]) -> str:
    lines = [(str(row.number), row.goal, row.measured, _WORDS[row.is_met]) for row in rows]
    met, missed = (sum(row.is_met is verdict for row in rows) for verdict in (True, False))
    told = f"**Goals**: {met} met, {missed} missed, {len(rows) - met - missed} not measured here."
    return f"{told}\n\n{_grid(('#', 'goal', 'measured', ''), lines)}"


def put(text: str, readme: Path) -> None:
    """Write ``text`` between the two markers of ``readme``. Raises ValueError when they are not there."""
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table: {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
