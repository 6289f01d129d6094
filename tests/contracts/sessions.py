"""The contract of sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from migrator.errors import MigratorError
from migrator.sessions.base import Sessions
from tests.contracts.entries import ANNA, BERT, NOBODY

PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Club:
    """Where users sign in: ``sign_in`` opens one more session of a user and leaves it open, working."""

    open: Callable[[], Any]
    sign_in: Callable[[str], object]


def settles_at(sessions: Sessions, address: str, count: int) -> bool:
    """Tell whether ``address`` comes to have ``count`` sessions; servers take a moment to know."""
    end = time.monotonic() + PATIENCE_SECONDS
    while sessions.open(address) != count:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class SessionsContract:
    """Subclasses bring the fixture ``club``."""

    def test_who_is_not_signed_in_has_no_session_and_ending_that_is_success(self, club: Club) -> None:
        sessions = club.open()
        assert sessions.open(ANNA) == 0
        assert sessions.open(NOBODY) == 0
        sessions.end(ANNA)
        assert sessions.open(ANNA) == 0

    def test_every_session_of_one_user_ends_and_no_other(self, club: Club) -> None:
        sessions = club.open()
        for address in (ANNA, ANNA, BERT):
            club.sign_in(address)
        assert settles_at(sessions, ANNA, 2)
        assert settles_at(sessions, BERT, 1)
        sessions.end(ANNA)
        assert settles_at(sessions, ANNA, 0)
        assert sessions.open(BERT) == 1

    def test_ending_is_not_locking_out(self, club: Club) -> None:
        sessions = club.open()
        club.sign_in(ANNA)
        assert settles_at(sessions, ANNA, 1)
        sessions.end(ANNA)
        assert settles_at(sessions, ANNA, 0)
        club.sign_in(ANNA)
        assert settles_at(sessions, ANNA, 1)

    @pytest.mark.parametrize("address", ["", "anna@example.test\r\nbert@example.test", "anna\0@example.test"])
    def test_an_unspeakable_address_is_refused(self, club: Club, address: str) -> None:
        for attempt in (club.open().open, club.open().end):
            with pytest.raises(MigratorError) as refusal:
                attempt(address)
            assert refusal.value.code == "address.bad"

    @pytest.mark.parametrize("address", ["*", "anna*", "?nna@example.test"])
    def test_an_address_means_nothing_but_itself(self, club: Club, address: str) -> None:
        club.sign_in(ANNA)
        sessions = club.open()
        assert settles_at(sessions, ANNA, 1)
        try:
            sessions.end(address)
        except MigratorError as refusal:
            assert refusal.code == "address.bad"  # noqa: PT017  either answer is right, nothing else
        assert sessions.open(ANNA) == 1

    def test_after_closing_the_next_call_connects_anew(self, club: Club) -> None:
        sessions = club.open()
        sessions.close()
        sessions.close()
        assert sessions.open(ANNA) == 0
