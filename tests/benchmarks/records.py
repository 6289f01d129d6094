"""What scenes measured, kept as JSON lines in a folder, a file for each scene, and read back for the table."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks import corpora
from tests.benchmarks.ceiling import Ceiling
from tests.benchmarks.contests import Lap, Result
from tests.benchmarks.report import Cell
from tests.benchmarks.scenes import SCENES
from tests.benchmarks.settings import SETTINGS


def begin(folder: Path, scene: str) -> Path:
    """Return the file of ``scene``, empty."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{scene}.jsonl"
    file.write_text("")
    return file


def keep(file: Path, cell: Cell) -> None:
    """Append ``cell``, one line for each run."""
    where = {
        "corpus": cell.corpus.name,
        "rtt_ms": cell.rtt_ms,
        "setting": cell.setting.name,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    with file.open("a") as lines:
        for line in _lines(cell):
            lines.write(json.dumps({**where, **line}) + "\n")


def _lines(cell: Cell) -> Iterator[dict[str, object]]:
    for ceiling in cell.ceilings:
        yield {"limit": ceiling._asdict()}
    for name, results in cell.results.items():
        for result in results:
            # asdict leaves tuples as they are, and names are what a reader of the file needs
            laps = {"copy": result.copy._asdict(), "again": result.again._asdict()}
            yield {"contestant": name, **asdict(result), **laps}
    for name, why in cell.failures.items():
        yield {"contestant": name, "failure": why}


def read(folder: Path) -> dict[str, list[Cell]]:
    """Return the cells of each scene whose file is in ``folder``, in the order of the table."""
    files = {name: folder / f"{name}.jsonl" for name in SCENES}
    return {name: _cells(file.read_text().splitlines()) for name, file in files.items() if file.exists()}


def _cells(lines: list[str]) -> list[Cell]:
    found: dict[tuple[object, ...], Cell] = {}
    for line in map(json.loads, lines):
        key = line["corpus"], line["rtt_ms"], line["setting"]
        if key not in found:
            found[key] = Cell(corpora.named(line["corpus"]), line["rtt_ms"], SETTINGS[line["setting"]])
        _take(found[key], line)
    return list(found.values())


def _take(cell: Cell, line: dict) -> None:
    if "limit" in line:
        cell.ceilings.append(Ceiling(**line["limit"]))
    elif "failure" in line:
        cell.failures[line["contestant"]] = line["failure"]
    else:
        result = Result(Lap(**line["copy"]), Lap(**line["again"]), line["verdict"])
        cell.results.setdefault(line["contestant"], []).append(result)
