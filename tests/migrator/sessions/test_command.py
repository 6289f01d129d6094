"""Sessions told by an operator's own programs keep the contract, and their answers are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from migrator.sessions import SESSIONS
from tests.contracts.entries import ANNA
from tests.contracts.sessions import Club, SessionsContract


class TestContract(SessionsContract):
    """The programs are two shell scripts over a folder with a file for each user, a line for each session."""

    @pytest.fixture
    def club(self, tmp_path: Path) -> Club:
        for name, text in (
            ("count", 'cat -- "$(dirname "$0")/of $1" 2>/dev/null | wc -l\n'),
            ("end", 'rm -f -- "$(dirname "$0")/of $1"\n'),
        ):
            (tmp_path / name).write_text("#!/bin/sh\n" + text)
            (tmp_path / name).chmod(0o755)

        def sign_in(address: str) -> None:
            with (tmp_path / f"of {address}").open("a") as file:
                file.write("signed in\n")

        options: dict[str, Json] = {name: [str(tmp_path / name), "{address}"] for name in ("count", "end")}
        return Club(lambda: open_connector(SESSIONS, "command", options), sign_in)


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def sessions(count: str, end: str = "true {address}") -> object:
    return open_connector(SESSIONS, "command", {"count": count.split(" "), "end": end.split(" "), "seconds": 20})


@pytest.mark.parametrize(("printed", "count"), [("0", 0), ("12", 12)])
def test_a_number_is_a_count(printed: str, count: int) -> None:
    assert sessions(f"sh -c echo\t{printed} {{address}}").open(ANNA) == count


@pytest.mark.parametrize("printed", ["", "-1", "two", "1\n2", "1.0", "\N{ARABIC-INDIC DIGIT TWO}"])
def test_what_is_no_number_is_never_taken_for_nobody(printed: str) -> None:
    answer = open_connector(
        SESSIONS, "command", {"count": ["printf", "%.0s" + printed, "{address}"], "end": ["true", "{address}"]}
    )
    assert refusal(lambda: answer.open(ANNA)).code == "sessions.unreadable"


def test_a_program_that_fails_has_told_nothing() -> None:
    assert refusal(lambda: sessions("false {address}").open(ANNA)).code == "command.failed"
    assert refusal(lambda: sessions("true {address}", "false {address}").end(ANNA)).code == "command.failed"
    assert refusal(lambda: sessions("/nowhere/x {address}").open(ANNA)).code == "command.missing"


def test_the_address_stands_where_it_is_written() -> None:
    answer = sessions("printf %s --user={address}")
    assert refusal(lambda: answer.open(ANNA)).reply == f"--user={ANNA}"


def test_without_a_place_of_its_own_the_address_comes_last() -> None:
    assert open_connector(SESSIONS, "command", {"count": ["expr", "length"], "end": ["true"]}).open("anna") == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": ["{address}"], "end": ["kick", "{address}"]},
        {"count": ["who", "{address}"]},
        {"count": ["who", "{address}"], "end": []},
        {"count": ["who", "{address}"], "end": ["kick", "{address}"], "shell": True},
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, Json]) -> None:
    assert refusal(lambda: open_connector(SESSIONS, "command", wrong)).code == "connector.invalid"
