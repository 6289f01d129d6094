"""The contract of routes."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.entries import Values
from migrator.errors import MigratorError, Side
from tests.contracts.entries import ANNA, BERT, EntriesContract, Place


class RouteContract(EntriesContract):
    """Subclasses bring the fixture ``place``, whose ``meddle`` sends a user to a third server."""

    def changed(self, connector: Any, values: Values) -> Values:
        return connector.routed(values, Side.TARGET)

    def test_a_switch_moves_one_user_and_the_saved_values_move_them_back(self, place: Place) -> None:
        route = place.open()
        before = route.find(ANNA)
        assert route.current(ANNA) is Side.SOURCE
        route.replace(ANNA, before, route.routed(before, Side.TARGET))
        assert (route.current(ANNA), route.current(BERT)) == (Side.TARGET, Side.SOURCE)
        route.replace(ANNA, route.routed(before, Side.TARGET), before)
        assert route.current(ANNA) is Side.SOURCE

    def test_who_is_there_already_stays_as_written(self, place: Place) -> None:
        route = place.open()
        before = route.find(ANNA)
        assert route.routed(before, Side.SOURCE) == before

    def test_a_third_server_is_neither_side(self, place: Place) -> None:
        place.meddle(ANNA)
        assert place.open().current(ANNA) is None

    def test_who_serves_nobody_is_no_question(self, place: Place) -> None:
        with pytest.raises(MigratorError) as refusal:
            place.open().current(self.nobody)
        assert refusal.value.code == "directory.missing"
