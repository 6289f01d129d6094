"""What a store or a connector has beyond its contract is seen, also behind one that stands for it."""

from __future__ import annotations

from typing import Any

import pytest

from campaigns.bridge.fences import FencedConnector, FencedSource, FencedStore
from migrator.steps.held import KeepingHold
from migrator.stores import base
from migrator.stores.base import offers

IN_BASE = [one for one in vars(base).values() if getattr(one, "__module__", "") == base.__name__]
PROTOCOLS: list[Any] = [KeepingHold, *(one for one in IN_BASE if getattr(one, "_is_protocol", False))]


class Full:
    """Has one thing of each kind."""

    notes = "none"

    def quotas(self) -> list[int]:
        return [7]

    def kept(self) -> str:
        return "mail"


@pytest.mark.parametrize(
    ("stand_in", "method"),
    [
        (FencedStore(Full(), lambda: None), "quotas"),
        (FencedSource(Full(), lambda: None), "quotas"),
        (FencedConnector(Full(), lambda: None, []), "kept"),
        (Full(), "kept"),
    ],
)
def test_what_a_stand_in_hands_through_is_offered(stand_in: object, method: str) -> None:
    assert offers(stand_in, method)
    assert not offers(stand_in, "pop_name_of")
    assert not offers(stand_in, "notes"), "it is no method"


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_nobody_asks_a_store_for_its_kind(protocol: Any) -> None:
    """From Python 3.12 on the answer would be no for all that a stand-in hands through: it is an error on each."""
    with pytest.raises(TypeError):
        isinstance(FencedStore(Full(), lambda: None), protocol)
