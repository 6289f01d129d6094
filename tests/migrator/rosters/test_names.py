"""What other users are called on the target: as a list says, else as those who move suggest, never as somebody else."""

from __future__ import annotations

import pytest

from migrator.rosters.names import Names

SAME = [("anna", "anna")]


@pytest.mark.parametrize(
    ("users", "source", "target"),
    [
        (SAME, "bert", "bert"),
        (SAME, "bert@example.org", "bert@example.org"),
        ([("anna", "anna.b"), ("bert", "b.bert")], "Bert", "b.bert"),
        ([("anna", "anna.b"), ("bert", "b.bert")], "carl", "carl"),
        ([("anna", "anna@new.example")], "bert", "bert@new.example"),
        ([("anna", "anna@new.example")], "bert@old.example", "bert@old.example"),
        ([("anna@old.example", "anna")], "bert@OLD.example", "bert"),
        ([("anna@old.example", "anna@new.example")], "bert@old.example", "bert@new.example"),
        ([("anna@old.example", "anna@new.example")], "bert", "bert"),
        ([("anna", "anna@one.example"), ("bert", "bert@two.example")], "carl", "carl"),
        # there, carl is the new name of anna
        ([("anna", "carl"), ("bert", "bert")], "carl", None),
        ([("anna", "carl"), ("bert", "bert")], "CARL", None),
    ],
)
def test_a_user_is_found_by_the_name_on_the_target(users, source, target) -> None:
    assert Names(users)(source) == target
