"""CSV exports: nothing in them is run by a spreadsheet, nothing is lost, and they need no memory of their length."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from campaigns.selectors.csv_cells import rows_to_csv
from migrator.rosters.cells import harmless, original

FORMULAS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "=cmd|' /C calc'!A0"]


def table(text: Iterator[str]) -> list[list[str]]:
    return list(csv.reader("".join(text).splitlines(keepends=True)))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_could_be_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert table(rows_to_csv([text], [[text]])) == [[f"'{text}"], [f"'{text}"]]


def test_what_is_no_formula_stays_as_it_is() -> None:
    row = ["anna@x.test", "a=b", 'say "yes"', "one\ntwo", "'quoted'", "", "Zoë"]
    assert table(rows_to_csv(["a"], [row]))[1] == row


def test_numbers_and_times_are_no_texts() -> None:
    row = [-5, 1.5, None, datetime(2030, 3, 1, 22, tzinfo=UTC)]
    assert table(rows_to_csv(["a"], [row]))[1] == ["-5", "1.5", "", "2030-03-01T22:00:00+00:00"]


@given(some.text() | some.text("'=+ a"))
def test_every_text_comes_back(text: str) -> None:
    assert original(harmless(text)) == text


@given(some.text())
def test_no_cell_begins_as_a_formula(text: str) -> None:
    assert harmless(text).lstrip(" ")[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}


def test_a_long_table_comes_in_pieces() -> None:
    asked = []

    def rows() -> Iterator[list[int]]:
        for number in range(1000):
            asked.append(number)
            yield [number]

    pieces = rows_to_csv(["number"], rows())
    next(pieces)
    assert len(asked) < 300
    assert len("".join(pieces).splitlines()) == 800
