"""Which values admit and which refuse, and what an entry becomes."""

from __future__ import annotations

import pytest

from migrator.directories.base import ALL_SERVICES, Service
from migrator.directories.status import Status
from migrator.entries import Json
from migrator.options import Options


def sims(name: str = "emailPersonStatus", **more: Json) -> Status:
    return Status.of(Options(more), name, is_list=True)


def column(**more: Json) -> Status:
    return Status.of(Options({"open_value": "on", "closed_value": "off", **more}), "state", is_list=False)


@pytest.mark.parametrize(
    ("name", "value", "refuses"),
    [
        ("emailPersonStatus", "active", False),
        ("emailPersonStatus", "ACTIVE ", False),
        ("emailPersonStatus", "inactive", True),
        ("emailPersonStatus", "never heard of", True),
        ("mailUserStatus", "active", False),
        ("mailUserStatus", "overquota", False),
        ("mailUserStatus", "hold", True),
        ("mailuserstatus", "disabled", True),
        ("inetUserStatus", "overquota", True),
        ("inetUserStatus", "deleted", True),
    ],
)
def test_the_known_attributes_mean_what_their_servers_take_them_for(name: str, value: str, refuses: bool) -> None:
    assert sims(name).refuses({name: [value]}) is refuses


def test_a_missing_value_admits_unless_said_otherwise() -> None:
    assert not sims().refuses({"emailPersonStatus": []})
    assert not column().refuses({"state": None})
    assert column(absent_admits=False).refuses({"state": None})


def test_of_several_values_one_that_refuses_is_enough() -> None:
    assert sims().refuses({"emailPersonStatus": ["active", "inactive"]})


@pytest.mark.parametrize("value", [["Active"], [], ["active", "ACTIVE"]])
def test_closing_makes_senders_wait(value: list[str]) -> None:
    assert sims().closed({"emailPersonStatus": value}, ALL_SERVICES) == {"emailPersonStatus": ["inactive"]}


@pytest.mark.parametrize("value", ["inactive", "Disabled", "deleted", "hold"])
def test_who_is_closed_already_stays_as_written(value: str) -> None:
    assert sims().closed({"emailPersonStatus": [value]}, ALL_SERVICES) == {"emailPersonStatus": [value]}


def test_one_status_closes_all_services_and_closing_none_changes_nothing() -> None:
    open_values = {"emailPersonStatus": ["active"]}
    assert sims().closed(open_values, {Service.SENDING}) == {"emailPersonStatus": ["inactive"]}
    assert sims().closed(open_values, ()) == open_values


def test_opening_admits_and_leaves_who_is_admitted() -> None:
    assert sims().opened({"emailPersonStatus": ["inactive"]}) == {"emailPersonStatus": ["active"]}
    assert sims().opened({"emailPersonStatus": ["ACTIVE"]}) == {"emailPersonStatus": ["ACTIVE"]}
    assert sims().opened({"emailPersonStatus": []}) == {"emailPersonStatus": []}


def test_a_column_may_hold_numbers_or_truth() -> None:
    numbers = column(open_value=1, closed_value=0)
    assert numbers.refuses({"state": 0})
    assert not numbers.refuses({"state": 1})
    assert numbers.refuses({"state": True})
    assert numbers.closed({"state": 1}, ALL_SERVICES) == {"state": 0}
    truth = column(open_value=True, closed_value=False)
    assert truth.refuses({"state": False})
    assert not truth.refuses({"state": True})


def test_more_than_one_value_may_admit() -> None:
    status = column(admitting_values=["trial", "ON"])
    assert [status.refuses({"state": value}) for value in ("trial", "on", "off")] == [False, False, True]


@pytest.mark.parametrize("value", ["disabled", "Deleted", "removed"])
def test_a_status_that_bounces_mail_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="returned to its senders"):
        sims("mailUserStatus", closed_value=value)


@pytest.mark.parametrize(
    "options",
    [
        {"closed_value": "ON "},
        {"closed_value": None},
        {"open_value": None},
        {"admitting_values": ["off"]},
    ],
)
def test_values_that_do_not_tell_open_from_closed_are_refused(options: dict[str, Json]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        column(**options)


def test_an_attribute_holds_texts() -> None:
    with pytest.raises(ValueError, match="must be texts"):
        sims(open_value=1)


@pytest.mark.parametrize(
    ("services", "value"), [({Service.READING}, "sendonly"), (ALL_SERVICES, "inactive"), (frozenset(), "active")]
)
def test_where_a_value_refuses_reading_alone_its_owner_may_go_on_sending(services: set[Service], value: str) -> None:
    status = sims(reading_value="sendonly")
    assert status.closed({"emailPersonStatus": ["active"]}, services) == {"emailPersonStatus": [value]}
    assert status.refuses({"emailPersonStatus": ["sendonly"]})


@pytest.mark.parametrize("value", ["active", "overquota", "disabled", 1])
def test_a_value_for_reading_that_admits_or_sends_mail_back_is_refused(value: Json) -> None:
    with pytest.raises(ValueError, match=r"reading_value|returned to its senders"):
        sims("mailUserStatus", reading_value=value)
