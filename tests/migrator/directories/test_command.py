"""A directory told by two programs of the operator's keeps the contract of directories."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest

from migrator.directories import DIRECTORIES
from migrator.entries import Json, open_connector
from migrator.errors import MigratorError
from tests.contracts.directory import DirectoryContract
from tests.contracts.entries import ANNA, BERT, CLARA, Place

_PROGRAM = """\
#!/usr/bin/env python3
import fcntl, json, sys
path = {path!r}
with open(path, "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    people = json.load(file)
    address, *words = sys.argv[1:]
    if address not in people:
        sys.exit(67)
    if not words:
        print(people[address])
    elif people[address] == words[0]:
        people[address] = words[1]
        file.seek(0)
        file.truncate()
        json.dump(people, file)
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "people.json"
    path.write_text(json.dumps({ANNA: "open", BERT: "", CLARA: "shut"}))
    program = tmp_path / "status"
    program.write_text(_PROGRAM.format(path=str(path)))
    program.chmod(0o755)
    return path


def directory(book: Path, **more: Json) -> Any:
    program = str(book.parent / "status")
    options: dict[str, Json] = {"find": program, "replace": program, "open_value": "open", "closed_value": "closed"}
    return open_connector(DIRECTORIES, "command", options | more)


class TestCommandDirectory(DirectoryContract):
    @pytest.fixture
    def place(self, book: Path) -> Place:
        def meddle(address: str) -> None:
            with book.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                people = json.load(file)
                people[address] = "theirs"
                file.seek(0)
                file.truncate()
                json.dump(people, file)

        return Place(lambda: directory(book), meddle)


def test_values_that_programs_cannot_print_are_refused(book: Path) -> None:
    with pytest.raises(MigratorError) as refusal:
        directory(book, open_value=True, closed_value=False)
    assert refusal.value.code == "connector.invalid"
    assert "texts" in refusal.value.reply
