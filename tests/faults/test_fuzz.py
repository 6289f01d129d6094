"""A few examples of everything that is fuzzed (see fuzz.py)."""

from __future__ import annotations

import random

import pytest

from tests.faults.fuzz import SUBJECTS, search


@pytest.mark.parametrize("name", SUBJECTS)
def test_whatever_is_read_is_understood_or_refused(name: str) -> None:
    seed = random.randrange(1 << 31)
    print(f"seed {seed}")
    search(SUBJECTS[name], examples=60, seed_value=seed)
