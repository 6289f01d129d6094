"""Numbers that are packed come out as they went in, however wide they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.packed import Column


@given(st.lists(st.integers(0, 2**64 - 1)), st.lists(st.integers(0, 2**64 - 1)))
def test_a_column_is_a_list_of_numbers(first: list[int], more: list[int]) -> None:
    column = Column("B", first)
    for number in more:
        column.append(number)
    assert list(column) == first + more
    assert len(column) == len(first + more)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1), st.integers(-(2**63), 2**63 - 1))
def test_a_column_takes_negative_numbers_where_it_began_with_them(numbers: list[int], other: int) -> None:
    column = Column("h", numbers)
    column[0] = other
    assert list(column) == [other, *numbers[1:]]
    assert list(column[:1]) == [other]


def test_a_column_is_as_narrow_as_its_numbers_allow() -> None:
    column = Column("I", range(1000))
    assert column.packed.itemsize == 4
    column.append(2**32)
    assert (column.packed.itemsize, column[999], column[1000]) == (8, 999, 2**32)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_what_does_not_fit_is_an_error_and_changes_nothing(number: int) -> None:
    column = Column("I", [1, 2])
    for add in (column.append, lambda one: column.extend([3, one])):
        with pytest.raises(OverflowError):
            add(number)
    assert list(column) == [1, 2]
