"""The table of edges, and what each state means to people."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from campaigns.states import FAMILY, TRANSITIONS, WORKED_ON, AccountState, Family, is_edge

S = AccountState

# As the design draws them, letter by letter.
EDGES = {
    "a": [(S.NEW, S.CHECKING)],
    "b": [(S.CHECKING, S.STAGING), (S.CHECKING, S.READY)],
    "c": [(S.STAGING, S.READY)],
    "d": [(S.CHECKING, S.FAILED), (S.STAGING, S.FAILED)],
    "e": [(S.READY, S.STAGING)],
    "f": [(S.READY, S.CUTTING_OVER)],
    "g": [(S.CUTTING_OVER, S.DONE)],
    "h": [(S.CUTTING_OVER, S.ROLLING_BACK)],
    "h'": [(S.CUTTING_OVER, S.HELD)],
    "h''": [(S.HELD, S.CUTTING_OVER), (S.HELD, S.ROLLING_BACK)],
    "i": [(S.CUTTING_OVER, S.ATTENTION), (S.ROLLING_BACK, S.ATTENTION)],
    "k": [(S.ROLLING_BACK, end) for end in (S.READY, S.FAILED, S.EXCLUDED)],
    "l": [(S.FAILED, end) for end in (S.CHECKING, S.STAGING, S.READY)],
    "m": [(S.ATTENTION, end) for end in (S.CUTTING_OVER, S.ROLLING_BACK, S.DONE, S.FAILED)],
    "n": [(S.NEW, S.EXCLUDED), (S.READY, S.EXCLUDED), (S.FAILED, S.EXCLUDED), (S.EXCLUDED, S.NEW)],
    "o": [(S.DONE, S.ROLLING_BACK)],
    "o'": [(S.ROLLING_BACK, S.DONE)],
}


@pytest.mark.parametrize(("start", "end"), list(itertools.product(S, S)))
def test_a_step_is_allowed_exactly_when_the_design_draws_it(start: S, end: S) -> None:
    assert is_edge(start, end) == any((start, end) in edges for edges in EDGES.values())


def test_every_edge_carries_its_letter() -> None:
    assert {edge: letter for letter, edges in EDGES.items() for edge in edges} == TRANSITIONS


def test_the_diagram_in_the_readme_is_the_table() -> None:
    text = (Path(__file__).parents[2] / "campaigns/README.md").read_text()
    drawn = re.findall(r"^    (\w+) --> (\w+): (\S+)$", text, flags=re.MULTILINE)
    assert {(S(start), S(end)): letter for start, end, letter in drawn} == TRANSITIONS


def test_every_state_belongs_to_a_family_and_every_family_has_a_state() -> None:
    assert FAMILY.keys() == set(S)
    assert set(FAMILY.values()) == set(Family)


def test_a_state_that_is_worked_on_is_shown_as_working() -> None:
    assert {state for state in S if FAMILY[state] is Family.WORKING} == WORKED_ON


def test_every_state_can_be_reached_and_only_done_needs_a_person_to_go_on() -> None:
    assert {end for _, end in TRANSITIONS} == set(S)
    assert {start for start, _ in TRANSITIONS} == set(S)
