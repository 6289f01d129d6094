"""The contract of directories."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.directories.base import ALL_SERVICES, Service
from migrator.entries import Values
from migrator.errors import MigratorError
from tests.contracts.entries import ANNA, CLARA, EntriesContract, Place


class DirectoryContract(EntriesContract):
    """Subclasses bring the fixture ``place``."""

    def changed(self, connector: Any, values: Values) -> Values:
        return connector.closed(values, ALL_SERVICES)

    def test_who_is_closed_is_disabled_until_the_saved_values_are_back(self, place: Place) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        assert not directory.is_disabled(ANNA)
        directory.replace(ANNA, before, directory.closed(before))
        assert directory.is_disabled(ANNA)
        directory.replace(ANNA, directory.closed(before), before)
        assert not directory.is_disabled(ANNA)

    def test_refusing_to_read_alone_refuses_to_read(self, place: Place) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        directory.replace(ANNA, before, directory.closed(before, {Service.READING}))
        assert directory.is_disabled(ANNA)

    def test_who_was_closed_before_is_closed_after(self, place: Place) -> None:
        directory = place.open()
        before = directory.find(CLARA)
        assert directory.is_disabled(CLARA)
        assert directory.closed(before) == before

    def test_who_was_made_closed_can_be_opened(self, place: Place) -> None:
        directory = place.open()
        before = directory.find(ANNA)
        closed = directory.closed(before)
        directory.replace(ANNA, before, closed)
        directory.replace(ANNA, closed, directory.opened(closed))
        assert not directory.is_disabled(ANNA)

    def test_whether_nobody_is_disabled_is_no_question(self, place: Place) -> None:
        with pytest.raises(MigratorError) as refusal:
            place.open().is_disabled(self.nobody)
        assert refusal.value.code == "directory.missing"
