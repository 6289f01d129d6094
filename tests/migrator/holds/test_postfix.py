"""How often held mail is tried at a release, on a Postfix of which a script plays the programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.entries import open_connector
from migrator.errors import Side
from migrator.holds import HOLDS, postfix
from migrator.holds.base import HeldMail
from tests.contracts.entries import ANNA

# Each `postqueue -i` makes the next of the listings the present one; the last one stays.
PROGRAM = """\
#!/bin/sh
cd "$(dirname "$0")"
case "$1 $2" in
    "postqueue -j") cat "listing-$(cat tries)"; [ ! -e missed ] || mv missed "listing-$(cat tries)" ;;
    "postqueue -i") [ ! -e "listing-$(($(cat tries) + 1))" ] || echo $(($(cat tries) + 1)) >tries; echo "$3" >>asked ;;
    *) exit 0 ;;
esac
"""
PARKED = "deferred transport"
FULL = "host new.example.test said: 452 4.2.2 Mailbox full"


def hold_on(folder: Path, reasons: list[str]) -> Any:
    """A hold where each try finds the next of ``reasons``; empty: delivered."""
    program = folder / "through"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    (folder / "tries").write_text("0\n")
    for number, reason in enumerate(reasons):
        row = {
            "queue_name": "deferred",
            "queue_id": "4F2A1",
            "arrival_time": 1700000000,
            "recipients": [{"address": ANNA, "delay_reason": reason}],
        }
        (folder / f"listing-{number}").write_text(json.dumps(row) + "\n" if reason else "")
    return open_connector(
        HOLDS, "postfix", {"table": "hash", "hold_file": str(folder / "hold"), "through": [str(program)]}
    )


@pytest.mark.parametrize(
    ("reasons", "tries"),
    [([PARKED, ""], 1), ([PARKED, PARKED, ""], 2), ([PARKED, FULL], 1), ([FULL, FULL], 1), ([""], 0)],
)
def test_mail_is_tried_until_it_is_parked_no_more_and_once_where_the_server_does_not_take_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reasons: list[str], tries: int
) -> None:
    monkeypatch.setattr(postfix, "RETRY_SECONDS", 0.0)
    hold_on(tmp_path, reasons).flush(ANNA, Side.TARGET)
    asked = tmp_path / "asked"
    assert (asked.read_text() if asked.exists() else "") == "4F2A1\n" * tries


def test_a_release_that_is_parked_again_and_again_comes_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postfix, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(postfix, "FLUSH_SECONDS", 0.5)
    hold = hold_on(tmp_path, [PARKED])
    hold.flush(ANNA, Side.TARGET)
    assert hold.held(ANNA).messages == 1


def test_a_message_that_a_listing_missed_while_it_was_tried_is_not_taken_for_gone(tmp_path: Path) -> None:
    hold = hold_on(tmp_path, [PARKED])
    (tmp_path / "listing-0").rename(tmp_path / "missed")  # from deferred to incoming, which was listed before
    (tmp_path / "listing-0").write_text("")
    assert hold.held(ANNA).messages == 1


def test_all_are_counted_by_one_listing_and_who_has_nothing_by_another(tmp_path: Path) -> None:
    hold = hold_on(tmp_path, [PARKED])
    program = tmp_path / "through"
    program.write_text(PROGRAM.replace('"postqueue -j")', '"postqueue -j") echo x >>listed;'))
    people = [f"u{number}@example.test" for number in range(50)]
    counted = hold.held_of([ANNA.upper(), *people, "not an address"])
    assert counted == {ANNA.upper(): HeldMail(1, 1.7e9), **dict.fromkeys(people, HeldMail(0))}
    assert (tmp_path / "listed").read_text() == "x\n" * 2


def test_lanes_that_ask_at_once_whether_postfix_is_fit_share_an_answer_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postfix, "FRESH_SECONDS", 3600.0)
    program = tmp_path / "through"
    program.touch(0o755)
    program.write_text(f"#!/bin/sh\necho x >>{tmp_path}/asked\n")
    options = {"table": "hash", "hold_file": str(tmp_path / "hold"), "through": [str(program)]}
    found = [[error.code for error in open_connector(HOLDS, "postfix", options).trouble()] for _ in range(5)]
    assert found == [["hold.not_asked", "hold.not_parked", "hold.short_lived", "hold.short_lived"]] * 5
    assert (tmp_path / "asked").read_text().count("x") == 1
    monkeypatch.setattr(postfix, "FRESH_SECONDS", 0.0)
    assert len(list(open_connector(HOLDS, "postfix", options).trouble())) == 4
    assert (tmp_path / "asked").read_text().count("x") == 2
