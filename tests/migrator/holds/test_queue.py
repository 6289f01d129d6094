"""What a line of postqueue -j says, of whom, and what cannot be read."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from migrator.errors import MigratorError
from migrator.holds.queue import Waiting, noting, plain, read

LINE: dict[str, Any] = {
    "queue_name": "deferred",
    "queue_id": "4F2A1",
    "arrival_time": 1700000000,
    "message_size": 300,
    "forced_expire": False,
    "sender": "outside@example.org",
    "recipients": [
        {"address": "Anna@Example.test", "delay_reason": "deferred transport"},
        {"address": "bert+lists@example.test"},
    ],
}


def test_each_recipient_that_a_message_has_still_to_reach_is_told() -> None:
    assert list(read(json.dumps(LINE))) == [
        Waiting("deferred", "4F2A1", 1700000000.0, "Anna@Example.test", "deferred transport"),
        Waiting("deferred", "4F2A1", 1700000000.0, "bert+lists@example.test", ""),
    ]


def test_what_an_administrator_holds_is_not_ours_to_count() -> None:
    assert list(read(json.dumps({**LINE, "queue_name": "hold"}))) == []
    assert list(read("\n")) == []


def test_what_an_administrator_holds_is_noted_beside_what_flows() -> None:
    found: dict[str, list[Waiting]] = defaultdict(list)
    aside: dict[str, set[str]] = defaultdict(set)
    note = noting({"anna@example.test"}, "", found, set(), aside)
    twice = [LINE["recipients"][0], LINE["recipients"][0]]
    for line in (LINE, {**LINE, "queue_name": "hold", "queue_id": "4F2A2", "recipients": twice}):
        note(json.dumps(line))
    assert [one.id for one in found["anna@example.test"]] == ["4F2A1"]
    assert aside == {"anna@example.test": {"4F2A2"}}


@pytest.mark.parametrize(
    "line", ["postqueue: fatal", "[]", "{}", json.dumps({**LINE, "recipients": ["x"]}), json.dumps(LINE)[:-9]]
)
def test_a_line_that_cannot_be_read_is_an_error_and_no_empty_queue(line: str) -> None:
    with pytest.raises(MigratorError) as caught:
        list(read(line))
    assert caught.value.code == "hold.unreadable"


def test_an_address_is_found_in_any_case_and_with_an_extension_where_the_server_knows_them() -> None:
    found: dict[str, list[Waiting]] = defaultdict(list)
    note = noting({"anna@example.test", "bert@example.test", "clara@example.test"}, "+", found, set())
    note(json.dumps(LINE))
    assert {address: len(rows) for address, rows in found.items()} == {"anna@example.test": 1, "bert@example.test": 1}
    found.clear()
    noting({"bert@example.test"}, "", found, set())(json.dumps(LINE))
    assert not found


@pytest.mark.parametrize(
    ("address", "delimiters", "wanted"),
    [
        ("anna+x@example.test", "+", "anna@example.test"),
        ("anna+x+y@example.test", "+", "anna@example.test"),
        ("anna-x+y@example.test", "+-", "anna@example.test"),
        ("+x@example.test", "+", "+x@example.test"),
        ("anna+x@example.test", "", "anna+x@example.test"),
        ("anna@b+c.example.test", "+", "anna@b+c.example.test"),
    ],
)
def test_an_extension_is_what_follows_the_first_delimiter_of_the_local_part(
    address: str, delimiters: str, wanted: str
) -> None:
    assert plain(address, delimiters) == wanted
