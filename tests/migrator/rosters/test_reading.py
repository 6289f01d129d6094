"""Local readers in a list: marked, unmarked, or refused where the mark says neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.rosters import reading, tsv
from migrator.rosters.base import Needs, Roster
from migrator.rosters.tsv import Layout


def read(tmp_path: Path, *marks: str) -> Roster:
    file = tmp_path / "list"
    file.write_text("Name\tLocalReader\n" + "".join(f"u{at}\t{mark}\n" for at, mark in enumerate(marks)))
    return reading.checked(tsv.read(file, Needs(False, False), Layout(may_have=(reading.COLUMN,))))


@pytest.mark.parametrize(("mark", "is_reader"), [("yes", True), ("X", True), ("1", True), ("", False), ("No", False)])
def test_a_mark_says_yes_or_no(tmp_path: Path, mark: str, is_reader: bool) -> None:
    (row,) = read(tmp_path, mark).rows
    assert reading.reads_files(row) is is_reader


def test_a_mark_that_says_neither_is_refused(tmp_path: Path) -> None:
    found = read(tmp_path, "yes", "perhaps", "no")
    assert [row.line for row in found.rows] == [2, 4]
    assert found.refusals == [(3, "LocalReader is neither yes nor no: 'perhaps'.")]
