"""Where somebody lands is told by how folders are numbered, and not at all where both sides number alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from migrator.errors import Side
from migrator.mail import Folder
from migrator.preflight.front_door import lands_at


class _Mailbox:
    def __init__(self, numbers: Mapping[str, int | None]) -> None:
        self._numbers = numbers

    def __enter__(self) -> _Mailbox:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def folders(self) -> list[Folder]:
        return [Folder((name,), uidvalidity=number) for name, number in self._numbers.items()]


def opener(**numbers: int | None) -> Any:
    return lambda: _Mailbox(numbers)


OLD = {"INBOX": 1, "Sent": 2, "list": None}
NEW = {"INBOX": 1, "Sent": 7, "Trash": 8}


@pytest.mark.parametrize(
    ("front", "side"),
    [
        (OLD, Side.SOURCE),
        (NEW, Side.TARGET),
        ({"INBOX": 1}, None),  # numbered alike
        ({"INBOX": 9, "Sent": 2}, None),  # a third server
        ({**NEW, "INBOX": 9}, None),
        ({}, None),
    ],
)
def test_the_side_whose_numbers_are_seen_is_behind_the_door(front: Mapping[str, int | None], side: Side | None) -> None:
    assert lands_at(opener(**front), opener(**OLD), opener(**NEW)) is side
