"""The contract of holds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from migrator.entries import Values
from migrator.errors import Side
from migrator.holds.base import MailHold
from tests.contracts.entries import ANNA, BERT, EntriesContract, Place

PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class PostOffice(Place):
    """Where mail comes in: ``deliver`` brings a message to a user, ``arrived`` counts those that came through."""

    deliver: Callable[[str, bytes], None]
    arrived: Callable[[str, Side], int]


def settles(hold: MailHold, address: str) -> bool:
    """Tell whether the entry of ``address`` comes to be true of all its mail."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not hold.is_settled(address):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def waits_for(hold: MailHold, address: str, messages: int) -> bool:
    """Tell whether so many messages come to wait for ``address``; servers take a moment."""
    end = time.monotonic() + PATIENCE_SECONDS
    while hold.held(address).messages != messages:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class HoldContract(EntriesContract):
    """Subclasses bring the fixture ``place``, a :class:`PostOffice`; mail that is not held goes to the source."""

    def changed(self, connector: Any, values: Values) -> Values:
        return connector.holding(values)

    def release(self, place: PostOffice, address: str, held: Values, before: Values, side: Side) -> None:
        """Restore the entry as it was before; where something else says to which side mail flows, tell it, too."""
        place.open().replace(address, held, before)

    def test_the_server_is_fit_to_hold_mail(self, place: PostOffice) -> None:
        assert list(place.open().trouble()) == []

    def test_held_mail_waits_and_that_of_others_does_not(self, place: PostOffice) -> None:
        hold = place.open()
        before = hold.find(ANNA)
        hold.replace(ANNA, before, hold.holding(before))
        assert settles(hold, ANNA)
        for address in (ANNA, ANNA, BERT):
            place.deliver(address, b"Subject: x\r\n\r\nx\r\n")
        assert waits_for(hold, ANNA, 2)
        assert waits_for(hold, BERT, 0)
        assert place.arrived(ANNA, Side.SOURCE) == 0

    @pytest.mark.parametrize("side", list(Side))
    def test_released_mail_flows_where_it_is_sent(self, place: PostOffice, side: Side) -> None:
        hold = place.open()
        before = hold.find(ANNA)
        hold.replace(ANNA, before, hold.holding(before))
        place.deliver(ANNA, b"Subject: x\r\n\r\nx\r\n")
        assert waits_for(hold, ANNA, 1)
        self.release(place, ANNA, hold.holding(before), before, side)
        hold.flush(ANNA, side)
        assert waits_for(hold, ANNA, 0)
        assert {at: place.arrived(ANNA, at) for at in Side} == {at: int(at is side) for at in Side}
        hold.flush(ANNA, side)
        assert place.arrived(ANNA, side) == 1
