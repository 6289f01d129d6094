"""The numbered goals of the copy engine, and what came out, over the cells of all scenes that were measured."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from statistics import median
from typing import Final, NamedTuple

from tests.benchmarks.contests import OUR_LANES, US, Ours
from tests.benchmarks.report import MIB, Cell, limit_seconds
from tests.benchmarks.settings import ASKED, DISK, SINGLES, SLOW, TLS, USUAL, Setting

MEGABYTE: Final = 1e6
CORPORA: Final = ("typical", "small", "large")


class Row(NamedTuple):
    """One goal; ``is_met`` is None where nothing was measured that could show it."""

    number: int
    goal: str
    measured: str
    is_met: bool | None


class Measured:
    """Looks things up in the cells of all scenes."""

    def __init__(self, cells: list[Cell]) -> None:
        self.cells = cells

    def cell(self, corpus: str, rtt_ms: int = 0, setting: Setting = USUAL, who: str = US) -> Cell | None:
        """Return the cell with the most mail in which ``who`` copied ``corpus``."""
        fitting = [
            cell for cell in self.cells
            if cell.corpus.name.partition("/")[0] == corpus and (cell.rtt_ms, cell.setting) == (rtt_ms, setting)
            and cell.results.get(who) and cell.results.get(US)
        ]  # fmt: skip
        return max(fitting, key=lambda cell: cell.corpus.messages * cell.corpus.accounts, default=None)

    def limit(self, cell: Cell) -> float:
        """Return what the servers alone take there."""
        alone = limit_seconds(cell, self.cells)
        return median(run.seconds for run in cell.ceilings) if alone is None else alone


def rows(cells: list[Cell]) -> list[Row]:
    """Return all goals in the order of their numbers."""
    seen = Measured(cells)
    makers = (_share, _ratios, _round_trips, _best_peers, _ladder, _unchanged, _memory, _cpu, _many, _lines, _disk)
    return [row for make in makers for row in make(seen)]


def middle(cell: Cell, name: str = "seconds", who: str = US, lap: str = "copy") -> float:
    """Return the median of one figure of one contestant."""
    return median(getattr(getattr(result, lap), name) or 0 for result in cell.results[who])


def _least(number: int, goal: str, cell: Cell | None, value: float | None, least: float, unit: str = "x") -> Row:
    if cell is None or value is None:
        return Row(number, goal, "not measured", None)
    return Row(number, goal, f"{value:.2f}{unit} ({cell.title})", value >= least)


def _most(number: int, goal: str, cell: Cell | None, value: float | None, most: float, unit: str) -> Row:
    if cell is None or value is None:
        return Row(number, goal, "not measured", None)
    return Row(number, goal, f"{value:.2f}{unit} ({cell.title})", value <= most)


def _share(seen: Measured) -> Iterator[Row]:
    for corpus, least in zip(CORPORA, (0.8, 0.8, 0.7), strict=True):
        cell = seen.cell(corpus)
        share = seen.limit(cell) / middle(cell) if cell else None
        yield _least(1, f"{corpus}: at least {least} of what the servers alone can do", cell, share, least, "")


def _against(seen: Measured, number: int, peer: str, corpus: str, least: float, where: tuple[int, Setting]) -> Row:
    cell = seen.cell(corpus, *where, who=peer)
    goal = f"{corpus}{f', {where[0]} ms away' if where[0] else ''}: {peer} takes at least {least:g} times as long"
    ratio = middle(cell, who=peer) / middle(cell) if cell else None
    return _least(number, goal, cell, ratio, least)


def _ratios(seen: Measured) -> Iterator[Row]:
    for peer, wanted in (("imapsync", (12, 30, 7)), ("dsync", (1.2, 1.5, 1.0))):
        for corpus, least in zip(CORPORA, wanted, strict=True):
            yield _against(seen, 2, peer, corpus, least, (0, USUAL))


def _round_trips(seen: Measured) -> Iterator[Row]:
    for rtt_ms, wanted in ((20, (100, 150)), (80, (140, 250))):
        for corpus, least in zip(CORPORA, wanted, strict=False):
            yield _against(seen, 3, "imapsync", corpus, least, (rtt_ms, USUAL))
    for rtt_ms in (20, 80):
        for corpus in CORPORA:
            cell, near = seen.cell(corpus, rtt_ms), seen.cell(corpus)
            same = cell and near and cell.corpus.name == near.corpus.name
            trips = (middle(cell) - seen.limit(near)) / (rtt_ms / 1000) if cell and near and same else None
            goal = f"{corpus}, {rtt_ms} ms away: the limit without distance and at most 12 round trips"
            yield _most(3, goal, cell, trips, 12, " round trips")


def _best_peers(seen: Measured) -> Iterator[Row]:
    for rtt_ms, dsync, mbsync in ((20, 8, 10), (80, 15, 8)):
        yield _against(seen, 4, "dsync", "typical", dsync, (rtt_ms, USUAL))
        yield _against(seen, 4, "mbsync", "small", mbsync, (rtt_ms, USUAL))


def _ladder(seen: Measured) -> Iterator[Row]:
    for setting, least in ((SINGLES, 80), (ASKED, 3)):
        row = _against(seen, 5, "imapsync", "small", least, (20, setting))
        yield row._replace(goal=f"{setting.name}: {row.goal}")
    cell = seen.cell("small", 20, ASKED)
    # of imapsync, 3 times as fast by one connection and 18 times by 8
    yield _least(5, "no LITERAL+: 8 connections are worth 6 times one", cell, _worth(cell, 8), 6)


def _unchanged(seen: Measured) -> Iterator[Row]:
    cell = seen.cell("small", 80)
    counted = [max(each.again.round_trips) for each in cell.results[US] if each.again.round_trips] if cell else []
    trips = median(counted) if counted else None
    yield _most(6, "unchanged, 80 ms away: at most 5 round trips", cell, trips, 5, " round trips")
    seconds = middle(cell, lap="again") if cell else None
    yield _most(6, "unchanged, 80 ms away: at most 0.45 s", cell, seconds, 0.45, " s")
    yield Row(6, "unchanged, without records: no body is read", "the target is read back whole, by design", False)


def _memory(seen: Measured) -> Iterator[Row]:
    for corpus, most in (("typical", 32), ("small", 32), ("large", 32), ("huge", 8)):
        cell = seen.cell(corpus)
        used = max(each.copy.over_idle_bytes or 0 for each in cell.results[US]) / MIB if cell else None
        what = "one message of 200 MB" if corpus == "huge" else corpus
        yield _most(7, f"{what}: at most {most} MiB over idle", cell, used, most, " MiB")


def _cpu(seen: Measured) -> Iterator[Row]:
    for corpus, setting, per_megabyte in (*((name, USUAL, 0.001) for name in CORPORA), ("typical", TLS, 0.004)):
        cell = seen.cell(corpus, 0, setting)
        if cell is None:
            yield Row(8, f"{corpus} {setting.name}: CPU", "not measured", None)
            continue
        megabytes = _octets(cell) / MEGABYTE
        most = 0.1 + 1e-5 * cell.corpus.messages + per_megabyte * megabytes
        goal = f"{corpus} {setting.name}".rstrip() + f": at most {most:.2f} s of CPU"
        yield _most(8, goal, cell, middle(cell, "cpu_seconds"), most, " s")
        share = middle(cell, "cpu_seconds") / middle(cell, "server_cpu_seconds")
        yield _most(8, goal.partition(":")[0] + ": at most a third of the servers' CPU", cell, share, 1 / 3, "")


def _octets(cell: Cell) -> int:
    """Return how much mail there is; a corpus draws its sizes so that their sum is the same each time."""
    return sum(cell.corpus.sizes(Random(0), cell.corpus.messages)) * cell.corpus.accounts


def _many(seen: Measured) -> Iterator[Row]:
    cell = seen.cell("many")
    seconds = middle(cell) if cell else None
    yield _most(9, f"200 accounts of 150 messages, {OUR_LANES} lanes: at most 4.5 s", cell, seconds, 4.5, " s")
    peak = max(each.copy.peak_bytes for each in cell.results[US]) / MIB if cell else None
    yield _most(9, "the same: at most 64 MiB in all", cell, peak, 64, " MiB")


def _lines(seen: Measured) -> Iterator[Row]:
    cell = seen.cell("typical", 0, TLS)
    yield _most(10, "typical, TLS on both sides: at most 1.7 s", cell, middle(cell) if cell else None, 1.7, " s")
    cell = seen.cell("typical", 20, SLOW)
    wire = middle(cell, "sent_bytes") / SLOW.rate if cell else 0
    share = wire / middle(cell) if cell else None
    yield _least(10, "100 Mbit/s: at least 0.95 of what the line carries", cell, share, 0.95, "")


def _disk(seen: Measured) -> Iterator[Row]:
    for corpus in ("typical", "small"):
        row = _against(seen, 11, "dsync", corpus, 1, (0, DISK))
        yield row._replace(goal=f"disk, {row.goal}")
        cell = seen.cell(corpus, 0, DISK)
        yield _least(11, f"disk, {corpus}: a second connection is worth 1.2", cell, _worth(cell, 2), 1.2)


def _worth(cell: Cell | None, connections: int) -> float | None:
    who = Ours(connections).name
    return middle(cell) / middle(cell, who=who) if cell and cell.results.get(who) else None
