"""What the hash table of a Postfix makes of programs that fail, where a script plays them."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.errors import MigratorError, Patience, Radius
from migrator.holds.postfix_hash import HashTable
from migrator.holds.postfix_host import PostfixHost
from tests.contracts.entries import ANNA


def table(folder: Path, words: str) -> HashTable:
    """A table whose programs do what ``words`` of a shell say."""
    program = folder / "through"
    program.touch(0o755)
    program.write_text(f"#!/bin/sh\n{words}\n")
    return HashTable(folder / "hold", PostfixHost((str(program),)))


@pytest.mark.parametrize("words", ["kill -KILL $$", "kill -TERM $$", "echo 'no memory' >&2; exit 75"])
def test_a_program_that_was_ended_is_asked_again_later_and_no_setting_is_to_blame(tmp_path: Path, words: str) -> None:
    found = table(tmp_path, words)
    for ask in (lambda: found.find(ANNA), lambda: found.replace(ANNA, None, "parked:")):
        with pytest.raises(MigratorError) as told:
            ask()
        assert (told.value.code, told.value.radius, told.value.patience) == (
            "command.failed",
            Radius.ACCOUNT,
            Patience.LATER,
        )


def test_a_table_that_cannot_be_read_is_a_matter_of_settings(tmp_path: Path) -> None:
    words = "echo 'postmap: fatal: open database hold.db: No such file or directory' >&2; exit 1"
    with pytest.raises(MigratorError) as told:
        table(tmp_path, words).find(ANNA)
    assert (told.value.code, told.value.radius) == ("connector.invalid", Radius.CONFIG)
    assert "No such file" in told.value.reply
