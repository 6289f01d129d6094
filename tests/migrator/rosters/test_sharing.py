"""Shared folders in a list: entries of their own, each root once."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.rosters import sharing, tsv
from migrator.rosters.base import Needs, Roster
from migrator.rosters.tsv import Layout

HEAD = "Name\tPassword\tNewName\tSharedRoot\tNewSharedRoot\n"


def read(tmp_path: Path, *rows: str, head: str = HEAD) -> Roster:
    file = tmp_path / "list"
    columns = head.count("\t")
    file.write_text(head + "".join(row + "\t" * (columns - row.count("\t")) + "\n" for row in rows))
    found = tsv.read(file, Needs(), Layout(may_have=sharing.COLUMNS))
    return sharing.checked(found, same_server=False)


def test_a_reader_may_stand_beside_the_shared_folders_they_read(tmp_path: Path) -> None:
    found = read(tmp_path, "anna\tpw", "anna\tpw\t\tPublic/\tTeam/", "bert\tpw")
    assert [(row.line, row.source_user, sharing.is_shared(row)) for row in found.rows] == [
        (2, "anna", False), (3, "anna", True), (4, "bert", False)
    ]  # fmt: skip
    assert not found.refusals
    assert not found.ignored_columns


def test_a_list_without_such_columns_is_as_before(tmp_path: Path) -> None:
    found = read(tmp_path, "anna\tpw\tx", "bert\tpw\ty", head="Name\tPassword\tLimit\n")
    assert [row.source_user for row in found.rows] == ["anna", "bert"]
    assert [*found.ignored_columns] == ["Limit"]
    with pytest.raises(tsv.BadRoster, match="SharedRoot more than once"):
        read(tmp_path, "anna\tpw\tx\ty", head="Name\tPassword\tSharedRoot\tSharedRoot\n")


@pytest.mark.parametrize(
    ("one", "other", "column"),
    [
        ("Public/\tA/", "Public/\tB/", "SharedRoot"),
        ("Public/\tA/", "public\tB/", "SharedRoot"),
        ("Public/\tA/", "Public/Sales/\tB/", "SharedRoot"),
        ("Public/Sales/\tA/", "Public/\tB/", "SharedRoot"),
        ("Public.\tA/", "Public.\tB/", "SharedRoot"),
        ("Public/\tTeam/", "Other/\tTeam/", "NewSharedRoot"),
    ],
)
def test_a_root_that_two_rows_name_is_refused_with_both_lines(
    tmp_path: Path, one: str, other: str, column: str
) -> None:
    found = read(tmp_path, f"anna\tpw\t\t{one}", f"bert\tpw\t\t{other}", "carl\tpw")
    assert [row.source_user for row in found.rows] == ["carl"]
    assert [refusal.line for refusal in found.refusals] == [2, 3]
    assert found.refusals[0].sentence == f"Lines 2 and 3 name the same shared folders ({column}): they go over once."


def test_roots_that_only_begin_alike_are_two(tmp_path: Path) -> None:
    found = read(tmp_path, "anna\tpw\t\tPublic/\tA/", "bert\tpw\t\tPublicity/\tB/", "carl\tpw\t\tP2/\tC/")
    assert len(found.rows) == 3


@pytest.mark.parametrize("row", ["anna\tpw\t\tPublic/\t", "anna\tpw\t\t\tTeam/"])
def test_half_an_entry_is_refused(tmp_path: Path, row: str) -> None:
    (refusal,) = read(tmp_path, row, "bert\tpw").refusals
    assert refusal == (2, "Shared folders need both: SharedRoot, where they are, and NewSharedRoot, where they go.")
