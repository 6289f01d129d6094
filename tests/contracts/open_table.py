"""What is different where everybody has an entry: a table that says nothing of a user leaves them where they are."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.errors import MigratorError
from tests.contracts.entries import ANNA, NOBODY, Place


class OpenTable:
    """Mixed in before a contract of entries. An entry without values is no entry in the table."""

    test_nobody_is_found_where_no_entry_is = None
    test_where_no_entry_is_nothing_is_changed_and_none_is_made = None
    test_an_address_means_nothing_but_itself = None
    test_who_serves_nobody_is_no_question = None

    def test_whom_the_table_does_not_hold_can_be_put_in_and_taken_out(self, place: Place) -> None:
        connector: Any = place.open()
        before = connector.find(NOBODY)
        assert set(before.values()) == {None}
        wanted = self.changed(connector, before)  # type: ignore[attr-defined]
        connector.replace(NOBODY, before, wanted)
        assert place.open().find(NOBODY) == wanted
        connector.replace(NOBODY, wanted, before)
        assert place.open().find(NOBODY) == before

    def test_capitals_of_an_address_do_not_matter(self, place: Place) -> None:
        connector: Any = place.open()
        before = connector.find(ANNA)
        wanted = self.changed(connector, before)  # type: ignore[attr-defined]
        connector.replace(ANNA.upper(), before, wanted)
        assert connector.find(ANNA) == wanted

    @pytest.mark.parametrize(
        "address",
        [
            "*",
            "anna",
            "@example.test",
            ".example.test",
            "#anna@example.test",
            "anna@example.test)(uid=*",
            "' OR '1'='1",
            "%@example.test",
            '"anna"@example.test',
            "an na@example.test",
            "anna@example.test parked:",
            "änna@example.test",
            "-anna@example.test",
        ],
    )
    def test_what_a_table_would_take_for_more_than_one_address_is_refused(self, place: Place, address: str) -> None:
        connector: Any = place.open()
        before = connector.find(ANNA)
        for attempt in (lambda: connector.find(address), lambda: connector.replace(address, before, before)):
            with pytest.raises(MigratorError) as refusal:
                attempt()
            assert refusal.value.code == "address.bad"
