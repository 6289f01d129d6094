"""The states of one account, the edges between them, and what each means for people: the one place.

Everything else asks here. The letters of the edges are those of the diagram in README.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class AccountState(StrEnum):
    """Where an account is on its way."""

    NEW = "new"
    CHECKING = "checking"
    STAGING = "staging"
    READY = "ready"
    CUTTING_OVER = "cutting_over"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    HELD = "held"
    FAILED = "failed"
    ATTENTION = "attention"
    EXCLUDED = "excluded"


class Owner(StrEnum):
    """Which server is the user's. UNKNOWN only between begin and done of SWITCH."""

    SOURCE = "source"
    TARGET = "target"
    UNKNOWN = "unknown"


class Family(StrEnum):
    """What a state means to somebody who looks at many."""

    WAITING = "waiting"
    WORKING = "working"
    READY = "ready"
    DONE = "done"
    ATTENTION = "attention"
    FAILED = "failed"


FAMILY: Final = {
    AccountState.NEW: Family.WAITING,
    AccountState.EXCLUDED: Family.WAITING,
    AccountState.CHECKING: Family.WORKING,
    AccountState.STAGING: Family.WORKING,
    AccountState.CUTTING_OVER: Family.WORKING,
    AccountState.ROLLING_BACK: Family.WORKING,
    AccountState.READY: Family.READY,
    AccountState.DONE: Family.DONE,
    AccountState.ATTENTION: Family.ATTENTION,
    AccountState.HELD: Family.ATTENTION,
    AccountState.FAILED: Family.FAILED,
}

_S = AccountState
TRANSITIONS: Final[dict[tuple[AccountState, AccountState], str]] = {
    (_S.NEW, _S.CHECKING): "a",
    (_S.CHECKING, _S.STAGING): "b",
    (_S.CHECKING, _S.READY): "b",
    (_S.STAGING, _S.READY): "c",
    (_S.CHECKING, _S.FAILED): "d",
    (_S.STAGING, _S.FAILED): "d",
    (_S.READY, _S.STAGING): "e",
    (_S.READY, _S.CUTTING_OVER): "f",
    (_S.CUTTING_OVER, _S.DONE): "g",
    (_S.CUTTING_OVER, _S.ROLLING_BACK): "h",
    (_S.CUTTING_OVER, _S.HELD): "h'",
    (_S.HELD, _S.CUTTING_OVER): "h''",
    (_S.HELD, _S.ROLLING_BACK): "h''",
    (_S.CUTTING_OVER, _S.ATTENTION): "i",
    (_S.ROLLING_BACK, _S.ATTENTION): "i",
    (_S.ROLLING_BACK, _S.READY): "k",
    (_S.ROLLING_BACK, _S.FAILED): "k",
    (_S.ROLLING_BACK, _S.EXCLUDED): "k",
    (_S.FAILED, _S.CHECKING): "l",
    (_S.FAILED, _S.STAGING): "l",
    (_S.FAILED, _S.READY): "l",
    (_S.ATTENTION, _S.CUTTING_OVER): "m",
    (_S.ATTENTION, _S.ROLLING_BACK): "m",
    (_S.ATTENTION, _S.DONE): "m",
    (_S.ATTENTION, _S.FAILED): "m",
    (_S.NEW, _S.EXCLUDED): "n",
    (_S.READY, _S.EXCLUDED): "n",
    (_S.FAILED, _S.EXCLUDED): "n",
    (_S.EXCLUDED, _S.NEW): "n",
    (_S.DONE, _S.ROLLING_BACK): "o",
    (_S.ROLLING_BACK, _S.DONE): "o'",
}

# States in which a worker has something to do, if nothing holds the account up.
WORKED_ON: Final = frozenset({_S.CHECKING, _S.STAGING, _S.CUTTING_OVER, _S.ROLLING_BACK})


def is_edge(start: AccountState, end: AccountState) -> bool:
    """True when an account may go from ``start`` to ``end`` in one step."""
    return (start, end) in TRANSITIONS
