"""The table of ratios and the goals, from the medians of all runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from statistics import median
from typing import Final, NamedTuple

from tests.benchmarks.ceiling import ROUND_TRIPS, Ceiling
from tests.benchmarks.contests import OUR_LANES, US, Lap, Result
from tests.benchmarks.corpora import Corpus
from tests.benchmarks.settings import USUAL, Setting

MIB: Final = 1024 * 1024
GOAL_SHARE: Final = {"large": 0.7}
GOAL_SHARE_ELSE: Final = 0.8
GOAL_ROUND_TRIPS: Final = 12
GOAL_AGAIN_ROUND_TRIPS: Final = 5
GOAL_LANE_MIB: Final = 32
GOAL_MANY_SECONDS: Final = 4.5


@dataclass(slots=True)
class Cell:
    """All runs over one corpus at one distance, in one setting of the servers."""

    corpus: Corpus
    rtt_ms: int
    setting: Setting = USUAL
    ceilings: list[Ceiling] = field(default_factory=list)
    results: dict[str, list[Result]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.corpus.name} {self.rtt_ms} ms {self.setting.name}".rstrip()


class Goal(NamedTuple):
    """One goal and what came out."""

    text: str
    is_met: bool


def _middle(laps: list[Lap], name: str) -> float:
    return median(getattr(lap, name) or 0 for lap in laps)


def without_delay(cell: Cell, cells: list[Cell]) -> Cell | None:
    """Return the cell of the same corpus at no distance, where it was measured."""
    same = [
        other
        for other in cells
        if (other.corpus.name, other.rtt_ms, other.setting) == (cell.corpus.name, 0, cell.setting)
    ]
    return same[0] if same and same[0].ceilings else None


def limit_seconds(cell: Cell, cells: list[Cell]) -> float | None:
    """Return what the servers alone take: measured without delay in the same run, plus five round trips."""
    near = without_delay(cell, cells)
    return _alone(near) + ROUND_TRIPS * cell.rtt_ms / 1000 if near else None


def _alone(cell: Cell) -> float:
    return median(run.seconds for run in cell.ceilings)


def table(cells: list[Cell]) -> str:
    """Return one table: a line for each contestant in each cell, medians, and what each ratio is."""
    head = ("corpus and RTT", "contestant", "runs", "copy s", "best s", "limit/copy", "copy/ours", "again s", "trips",
            "again trips", "CPU s", "servers' CPU", "cores busy", "peak MiB", "over idle", "the copy is")  # fmt: skip
    rows = [head]
    for cell in cells:
        limit = limit_seconds(cell, cells)
        ours = [result.copy for result in cell.results.get(US, [])]
        our_seconds = _middle(ours, "seconds") if ours else None
        if cell.ceilings:
            rows.append(_ceiling_row(cell))
        rows += [_row(cell, name, limit, our_seconds) for name in cell.results]
        rows += [(cell.title, name, *[""] * 13, why) for name, why in cell.failures.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(f"{word:<{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _ceiling_row(cell: Cell) -> tuple[str, ...]:
    source, target = (median(getattr(run, side) for run in cell.ceilings) for side in ("source", "target"))
    both = [run.seconds for run in cell.ceilings]
    note = f"source {source:.2f} s, target {target:.2f} s"
    return (
        cell.title,
        "servers alone",
        str(len(cell.ceilings)),
        f"{median(both):.2f}",
        f"{min(both):.2f}",
        *[""] * 10,
        note,
    )


def _row(cell: Cell, name: str, limit: float | None, ours: float | None) -> tuple[str, ...]:
    results = cell.results[name]
    copies, agains = [result.copy for result in results], [result.again for result in results]
    seconds = _middle(copies, "seconds")
    over_idle = max(lap.over_idle_bytes or 0 for lap in copies)
    return (
        cell.title, name, str(len(results)), f"{seconds:.2f}", f"{min(lap.seconds for lap in copies):.2f}",
        f"{limit / seconds:.2f}" if limit else "", f"{seconds / ours:.1f}" if ours else "",
        f"{_middle(agains, 'seconds'):.3f}", _trips(copies), _trips(agains),
        f"{_middle(copies, 'cpu_seconds'):.2f}", f"{_middle(copies, 'server_cpu_seconds'):.2f}", _busy(copies),
        f"{max(lap.peak_bytes for lap in copies) / MIB:.0f}", f"{over_idle / MIB:.1f}" if over_idle else "",
        "; ".join(sorted({result.verdict for result in results})),
    )  # fmt: skip


def _busy(laps: list[Lap]) -> str:
    """Return the share of the machine that the copy and both servers took: near 100 % no waiting is left to save."""
    cores = os.cpu_count() or 1
    shares = [(lap.cpu_seconds + lap.server_cpu_seconds) / (lap.wall_seconds * cores) for lap in laps]
    return f"{median(shares):.0%}"


def _trips(laps: list[Lap]) -> str:
    counted = [lap.round_trips for lap in laps if lap.round_trips]
    return "/".join(f"{median(side):g}" for side in zip(*counted, strict=True)) if counted else ""


def goals(cells: list[Cell]) -> list[Goal]:
    """Return the goals that these cells can show, met or missed. Cut-down corpora show none: the start weighs more."""
    found = []
    for cell in cells:
        if cell.results.get(US) and "/" not in cell.corpus.name and cell.setting == USUAL:
            found += _cell_goals(cell, without_delay(cell, cells))
    return found


def _cell_goals(cell: Cell, near: Cell | None) -> list[Goal]:
    results = cell.results[US]
    copies, agains = [result.copy for result in results], [result.again for result in results]
    found = [_memory_goal(cell, copies), _same_goal(cell, results)]
    if cell.corpus.name == "many" and cell.rtt_ms == 0:
        found.append(_many_goal(cell, copies))
    if cell.corpus.name not in ("many", "huge") and cell.rtt_ms == 0:
        found.append(_share_goal(cell, copies))
    if cell.corpus.name != "many" and cell.rtt_ms and near:
        found += [_distance_goal(cell, near), *_again_goals(cell, agains)]
    return found


def _many_goal(cell: Cell, copies: list[Lap]) -> Goal:
    seconds = _middle(copies, "seconds")
    return Goal(f"{cell.title}: {seconds:.2f} s, wanted {GOAL_MANY_SECONDS}", seconds <= GOAL_MANY_SECONDS)


def _share_goal(cell: Cell, copies: list[Lap]) -> Goal:
    share, wanted = _alone(cell) / _middle(copies, "seconds"), GOAL_SHARE.get(cell.corpus.name, GOAL_SHARE_ELSE)
    return Goal(f"{cell.title}: {share:.3f} of the limit, wanted {wanted}", share >= wanted)


def _distance_goal(cell: Cell, near: Cell) -> Goal:
    rtt_seconds = cell.rtt_ms / 1000
    seconds, ours_near = (_middle([result.copy for result in one.results[US]], "seconds") for one in (cell, near))
    trips, slope = (seconds - _alone(near)) / rtt_seconds, (seconds - ours_near) / rtt_seconds
    text = (
        f"{cell.title}: the limit without delay and {trips:.1f} round trips, wanted {GOAL_ROUND_TRIPS} "
        f"({slope:.1f} above our own time without delay)"
    )
    return Goal(text, trips <= GOAL_ROUND_TRIPS)


def _memory_goal(cell: Cell, copies: list[Lap]) -> Goal:
    lanes = min(OUR_LANES, cell.corpus.accounts)
    used = max(lap.over_idle_bytes or 0 for lap in copies) / MIB
    text = (
        f"{cell.title}: {used:.1f} MiB over idle with {lanes} lane{'s' * (lanes > 1)}, wanted {GOAL_LANE_MIB} per lane"
    )
    return Goal(text, used <= GOAL_LANE_MIB * lanes)


def _same_goal(cell: Cell, results: list[Result]) -> Goal:
    verdicts = {result.verdict for result in results}
    return Goal(f"{cell.title}: the copy is {'; '.join(sorted(verdicts))}", verdicts == {"identical"})


def _again_goals(cell: Cell, agains: list[Lap]) -> list[Goal]:
    counted = [max(lap.round_trips) for lap in agains if lap.round_trips]
    if not counted:
        return []
    trips = median(counted)
    text = f"{cell.title}: unchanged second run in {trips:g} round trips, wanted {GOAL_AGAIN_ROUND_TRIPS}"
    return [Goal(text, trips <= GOAL_AGAIN_ROUND_TRIPS)]
