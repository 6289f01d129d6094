"""Routes told by an operator's own programs keep the contract, and their answers are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migrator.entries import Json, open_connector
from migrator.errors import MigratorError, Side
from migrator.routes import ROUTES
from tests.contracts.entries import ANNA, BERT, CLARA, NOBODY, Place
from tests.contracts.route import RouteContract

SOURCE, TARGET = "old.example.test", "new.example.test"
FIND = '[ -f "$FOLDER/$1" ] || exit 67\ncat -- "$FOLDER/$1"\n'
REPLACE = """\
exec 9<"$FOLDER"
flock 9
[ "$(cat -- "$FOLDER/$1")" = "$2" ] || exit 1
echo "$3" >"$FOLDER/$1"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file for each user, that holds the name of their server, and the programs beside it."""
    users = tmp_path / "users"
    users.mkdir()
    for address in (ANNA, BERT, CLARA):
        (users / address).write_text(f"{SOURCE}\n")
    lay(tmp_path, "find", FIND)
    lay(tmp_path, "replace", REPLACE)
    return users


def lay(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(f"#!/bin/sh\nFOLDER={tmp_path}/users\n{text}")
    (tmp_path / name).chmod(0o755)


def opened(folder: Path) -> object:
    options: dict[str, Json] = {name: [str(folder.parent / name)] for name in ("find", "replace")}
    return open_connector(ROUTES, "command", {**options, "source": SOURCE, "target": TARGET})


class TestContract(RouteContract):
    @pytest.fixture
    def place(self, folder: Path) -> Place:
        return Place(
            lambda: opened(folder), lambda address: (folder / address).write_text("third.example.test") and None
        )


def refusal(call: Callable[[], object]) -> MigratorError:
    with pytest.raises(MigratorError) as caught:
        call()
    return caught.value


def test_a_program_that_says_it_did_and_did_not_is_found_out(folder: Path) -> None:
    lay(folder.parent, "replace", "exit 0\n")
    route = opened(folder)
    before = route.find(ANNA)
    assert refusal(lambda: route.replace(ANNA, before, route.routed(before, Side.TARGET))).reply == (
        "replace does not change what find finds"
    )


def test_a_program_that_did_and_says_it_did_not_is_believed_by_what_is_there(folder: Path) -> None:
    lay(folder.parent, "replace", f"{REPLACE}exit 1\n")
    route = opened(folder)
    before = route.find(ANNA)
    route.replace(ANNA, before, route.routed(before, Side.TARGET))
    assert route.current(ANNA) is Side.TARGET


def test_a_program_that_fails_has_told_nothing(folder: Path) -> None:
    lay(folder.parent, "find", "echo the table is away >&2; exit 75\n")
    failure = refusal(lambda: opened(folder).find(ANNA))
    assert (failure.code, failure.reply) == ("command.failed", "the table is away")


@pytest.mark.parametrize("printed", ["-rf", "old.example.test\\nnew.example.test", "old\\033.example.test"])
def test_what_is_no_plain_name_is_no_value(folder: Path, printed: str) -> None:
    lay(folder.parent, "find", f"printf -- '{printed}'\n")
    assert refusal(lambda: opened(folder).find(ANNA)).code == "directory.invalid"


def test_who_is_served_by_nobody_yet_is_routed_too(folder: Path) -> None:
    (folder / ANNA).write_text("")
    route = opened(folder)
    before = route.find(ANNA)
    assert (before, route.current(ANNA)) == ({"host": None}, None)
    route.replace(ANNA, before, route.routed(before, Side.TARGET))
    assert route.current(ANNA) is Side.TARGET
    assert route.find(NOBODY) is None


def test_names_of_servers_are_whole(folder: Path) -> None:
    wrong = {"find": "true", "replace": "true", "source": "old", "target": TARGET}
    assert refusal(lambda: open_connector(ROUTES, "command", wrong)).code == "connector.invalid"
