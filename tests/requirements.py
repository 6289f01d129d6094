"""The requirement ledger: which requirement ids a test shows, and which are open.

Ids are S-1 .. S-135 (what a migration system must do), D-1 .. D-109 (protocol edge cases) and C-1 .. C-68 (server
replies). A test carries its ids as ``@pytest.mark.req("S-50", "D-62")``, written out, so that reading the files is
enough. Every id without a test stands in open_requirements.toml with its reason.

    python -m tests.requirements           what is shown, what is open; fails when the two do not add up
    python -m tests.requirements --mend    take ids that have a test by now out of open_requirements.toml
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

COUNTS = {"S": 135, "D": 109, "C": 68}
ALL = tuple(f"{letter}-{number}" for letter, count in COUNTS.items() for number in range(1, count + 1))
ORDER = {name: place for place, name in enumerate(ALL)}
TESTS = Path(__file__).parent
OPEN = TESTS / "open_requirements.toml"
NEVER_COLLECTED = ("benchmarks", "rigs")
RANGE = re.compile(r"([A-Z])-(\d+)(?:\.\.\1-(\d+))?")

OPEN_HEAD = """\
# Requirements without a test, each with its reason. An id leaves this file in the change that brings its test:
# python -m tests.requirements --mend
"""


class LedgerError(Exception):
    """open_requirements.toml cannot be read as one."""


@dataclass(slots=True)
class Shown:
    """The ids that tests carry, with the tests, and what is wrong with how they are carried."""

    tests: dict[str, list[str]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """Ids that are open for one reason."""

    ids: tuple[str, ...]
    reason: str


def expand(spelling: str) -> Iterator[str]:
    """Yield the ids of ``S-4`` or ``S-4..S-9``; raise LedgerError for anything else."""
    match = RANGE.fullmatch(spelling)
    if match is None:
        raise LedgerError(f"{spelling!r} is neither an id like S-4 nor a range like S-4..S-9.")
    letter, first, last = match.groups()
    for number in range(int(first), int(last or first) + 1):
        yield f"{letter}-{number}"


def compact(ids: Iterable[str]) -> list[str]:
    """Return known ids in their order, neighbours joined to ranges: the inverse of expand()."""
    runs: list[list[str]] = []
    for name in sorted(set(ids), key=ORDER.__getitem__):
        if runs and runs[-1][-1][0] == name[0] and ORDER[runs[-1][-1]] + 1 == ORDER[name]:
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs]


def read_tests(folder: Path = TESTS) -> Shown:
    """Read the ids out of all test files under ``folder``, without running them."""
    shown = Shown()
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(folder).parts[0] not in NEVER_COLLECTED:
            _read_file(path, path.relative_to(folder).as_posix(), shown)
    return shown


def _read_file(path: Path, name: str, shown: Shown) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    owners = {id(mark): node for node in ast.walk(tree) for mark in getattr(node, "decorator_list", ())}
    for mark in filter(_is_req, ast.walk(tree)):
        owner = owners.get(id(mark))
        place = f"{name}::{owner.name}" if owner else f"{name}:{mark.lineno}"
        if owner and not _is_test(owner):
            shown.complaints.append(f"{place} carries requirement ids, but is not a test.")
        for argument in mark.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                shown.tests.setdefault(argument.value, []).append(place)
            else:
                shown.complaints.append(f"{place} carries an id that is not written out: {ast.unparse(argument)}.")


def _is_req(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.req")


def _is_test(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return any(_is_test(part) for part in node.body)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def read_open(path: Path = OPEN) -> list[OpenEntry]:
    """Read the open ids; raise LedgerError when the file is not as it must be."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("open", [])
        return [OpenEntry(tuple(chain.from_iterable(map(expand, table["ids"]))), table["reason"]) for table in tables]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise LedgerError(f"{path.name} does not read as [[open]] tables with ids and reason: {error}.") from error


def find_complaints(shown: Shown, entries: Sequence[OpenEntry]) -> list[str]:
    """Return one sentence for each place where tests and open entries do not add up to all ids, once each."""
    opened = Counter(name for entry in entries for name in entry.ids)
    complaints = list(shown.complaints)
    for name, tests in shown.tests.items():
        if name not in ORDER:
            complaints.append(f"{name} is not a requirement, but {tests[0]} carries it.")
        elif name in opened:
            complaints.append(f"{name} has a test ({tests[0]}), but is still in {OPEN.name}: take it out (--mend).")
    for name, times in opened.items():
        if name not in ORDER:
            complaints.append(f"{name} is not a requirement, but stands in {OPEN.name}.")
        elif times > 1:
            complaints.append(f"{name} stands {times} times in {OPEN.name}.")
    for name in ALL:
        if name not in shown.tests and name not in opened:
            complaints.append(f"{name} has no test and no reason in {OPEN.name}: write one of them.")
    complaints += [f"The open entry of {entry.ids[0]} has no reason." for entry in entries if not entry.reason.strip()]
    return complaints


def mend(entries: Iterable[OpenEntry], shown: Shown) -> list[OpenEntry]:
    """Return the entries without the ids that have a test. Never adds one: a reason is for a person to give."""
    left = [OpenEntry(tuple(name for name in entry.ids if name not in shown.tests), entry.reason) for entry in entries]
    return [entry for entry in left if entry.ids]


def write_open(entries: Iterable[OpenEntry], path: Path = OPEN) -> None:
    """Write the open ids, compact and in a stable form."""
    path.write_text(OPEN_HEAD + "".join(_table(entry) for entry in entries), encoding="utf-8")


def _table(entry: OpenEntry) -> str:
    quoted = [f'"{name}"' for name in compact(entry.ids)]
    line = f"ids = [{', '.join(quoted)}]"
    if len(line) > 120:
        rows = (", ".join(quoted[start : start + 8]) for start in range(0, len(quoted), 8))
        line = "ids = [\n" + "".join(f"    {row},\n" for row in rows) + "]"
    reason = entry.reason.replace("\\", "\\\\").replace('"', '\\"')
    return f'\n[[open]]\n{line}\nreason = "{reason}"\n'


def report(shown: Shown) -> str:
    """Return the lines people read: per kind, what has a test and what has none."""
    lines = []
    for letter, count in COUNTS.items():
        names = [name for name in ALL if name[0] == letter]
        with_test = [name for name in names if name in shown.tests]
        lines.append(f"{letter}: {len(with_test)} of {count} have a test: {', '.join(compact(with_test)) or 'none'}")
        lines.append(f"   without one: {', '.join(compact(set(names) - set(with_test))) or 'none'}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Report, or mend and report. Returns 0 when tests and open entries add up, else 1."""
    shown = read_tests()
    try:
        if "--mend" in arguments:
            write_open(mend(read_open(), shown))
        complaints = find_complaints(shown, read_open())
    except LedgerError as error:
        complaints = [str(error)]
    print(report(shown))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
