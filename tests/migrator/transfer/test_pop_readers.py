"""What a program that reads by POP3 makes of the new mailbox: it knows messages by their names alone."""

from __future__ import annotations

import pytest

from migrator.stores.pop3_listing import PopListing
from migrator.transfer.pop_readers import compare

OLD = PopListing(3, {b"a": 1000, b"b": 20_000, b"c": 300_000}, "%f")


@pytest.mark.parametrize(
    ("target", "counts"),
    [
        (PopListing(3, {b"a": 1000, b"b": 20_000, b"c": 300_000}, "%f"), (3, 0, 0)),
        (PopListing(3, {b"a": 1400, b"b": 20_900, b"c": 310_000}, "%f"), (3, 0, 0)),  # sizes are told in many ways
        (PopListing(3, {b"1": 1000, b"2": 20_000, b"3": 300_000}, "%u"), (0, 3, 0)),
        (PopListing(4, {b"a": 1000, b"b": 2000, b"c": 300_000, b"d": 1}, "%f"), (2, 1, 1)),
        (PopListing(3, None, ""), (0, 3, 0)),
        (PopListing(0, {}, ""), (0, 0, 0)),
    ],
)
def test_messages_are_kept_fetched_again_or_taken_for_others(target: PopListing, counts: tuple[int, int, int]) -> None:
    found = compare(OLD, target)
    assert (found.kept, found.again, found.mixed) == counts
    assert found.messages == target.messages
    assert (found.form, found.target_form) == ("%f", target.form)


def test_where_the_old_server_gave_no_names_all_is_fetched_again() -> None:
    assert compare(PopListing(3, None, ""), OLD).again == 3


def test_where_the_old_mailbox_is_empty_nothing_is_fetched_again() -> None:
    assert compare(PopListing(0, {}, ""), OLD).again == 0
