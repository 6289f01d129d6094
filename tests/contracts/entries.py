"""What holds for every connector that keeps values beside addresses. Subclassed by the suites of its rooms."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from migrator.entries import Entries, Values
from migrator.errors import MigratorError

ANNA = "anna@example.test"
BERT = "bert@example.test"
CLARA = "clara@example.test"  # closed by somebody, long ago
NOBODY = "nobody@example.test"


@dataclass(frozen=True)
class Place:
    """Where Anna, Bert and Clara have their entries; all are served by the source, Anna and Bert are admitted.

    ``open`` connects anew; ``meddle`` changes the governed values of an entry as somebody else would, so that they
    are neither what they were nor what the connector makes of them.
    """

    open: Callable[[], Any]
    meddle: Callable[[str], None]


class EntriesContract:
    """Subclasses bring the fixture ``place`` and say what a change is."""

    nobody = NOBODY  # has no entry

    def changed(self, connector: Any, values: Values) -> Values:
        """Return what this room's main change makes of ``values``."""
        raise NotImplementedError

    def test_what_is_found_is_the_same_each_time_and_survives_json(self, place: Place) -> None:
        connector: Entries = place.open()
        found = connector.find(ANNA)
        assert found
        assert connector.find(ANNA) == found
        assert json.loads(json.dumps(dict(found))) == found

    def test_nobody_is_found_where_no_entry_is(self, place: Place) -> None:
        assert place.open().find(self.nobody) is None

    def test_a_change_is_exactly_what_was_decided_and_touches_nobody_else(self, place: Place) -> None:
        connector = place.open()
        before, bert, clara = (connector.find(name) for name in (ANNA, BERT, CLARA))
        wanted = self.changed(connector, before)
        assert wanted != before
        assert wanted.keys() == before.keys()
        connector.replace(ANNA, before, wanted)
        assert place.open().find(ANNA) == wanted
        assert (connector.find(BERT), connector.find(CLARA)) == (bert, clara)

    def test_deciding_changes_nothing_and_is_the_same_each_time(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        assert self.changed(connector, before) == self.changed(connector, before)
        assert self.changed(connector, self.changed(connector, before)) == self.changed(connector, before)
        assert connector.find(ANNA) == before

    def test_a_change_and_back_leaves_exactly_what_was(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        saved = json.loads(json.dumps(dict(before)))
        wanted = self.changed(connector, before)
        connector.replace(ANNA, before, wanted)
        place.open().replace(ANNA, json.loads(json.dumps(dict(wanted))), saved)
        assert place.open().find(ANNA) == before

    def test_a_change_made_twice_is_made_once(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        wanted = self.changed(connector, before)
        connector.replace(ANNA, before, wanted)
        connector.replace(ANNA, before, wanted)
        assert connector.find(ANNA) == wanted

    def test_the_change_of_somebody_else_is_never_overwritten(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        wanted = self.changed(connector, before)
        place.meddle(ANNA)
        theirs = connector.find(ANNA)
        assert theirs not in (before, wanted)
        for expected, to in ((before, wanted), (wanted, before)):
            with pytest.raises(MigratorError) as refusal:
                connector.replace(ANNA, expected, to)
            assert refusal.value.code == "directory.changed"
        assert connector.find(ANNA) == theirs

    def test_where_no_entry_is_nothing_is_changed_and_none_is_made(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        with pytest.raises(MigratorError) as refusal:
            connector.replace(self.nobody, before, self.changed(connector, before))
        assert refusal.value.code == "directory.missing"
        assert connector.find(self.nobody) is None

    @pytest.mark.parametrize("address", ["", "anna@example.test\r\nbert@example.test", "anna\0@example.test"])
    def test_an_unspeakable_address_is_refused_before_it_is_sent(self, place: Place, address: str) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        for attempt in (lambda: connector.find(address), lambda: connector.replace(address, before, before)):
            with pytest.raises(MigratorError) as refusal:
                attempt()
            assert refusal.value.code == "address.bad"

    @pytest.mark.parametrize("address", ["*", "anna@example.test)(uid=*", "' OR '1'='1", "%", "_nna@example.test"])
    def test_an_address_means_nothing_but_itself(self, place: Place, address: str) -> None:
        try:
            assert place.open().find(address) is None
        except MigratorError as refusal:
            assert refusal.code == "address.bad"  # noqa: PT017  either answer is right, nothing else

    def test_after_closing_the_next_call_connects_anew(self, place: Place) -> None:
        connector = place.open()
        before = connector.find(ANNA)
        connector.close()
        connector.close()
        assert connector.find(ANNA) == before
