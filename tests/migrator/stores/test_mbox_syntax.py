"""Separators and fields of state, in every form that was ever written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from migrator.stores import mbox_syntax

WHEN = "Wed Dec  2 05:53"


@pytest.mark.parametrize(
    ("line", "zone", "seconds"),
    [
        ("From user Wed Dec  2 05:53 1992", 0, 0),
        ("From user Wed Dec  2 05:53:22 1992", 0, 22),
        ("From user Wed Dec  2 05:53 PST 1992", -480, 0),
        ("From user Wed Dec  2 05:53:22 PST 1992", -480, 22),
        ("From user Wed Dec  2 05:53 -0700 1992", -420, 0),
        ("From user Wed Dec  2 05:53:22 -0700 1992", -420, 22),
        ("From user Wed Dec  2 05:53 1992 PST", -480, 0),
        ("From user Wed Dec  2 05:53:22 1992 PST", -480, 22),
        ("From user Wed Dec  2 05:53 1992 -0700", -420, 0),
        ("From user Wed Dec  2 05:53:22 1992 -0700", -420, 22),
        ("From user Wed Dec  2 05:53:22 MET DST 1992", 120, 22),
        ("From user Wed Dec  2 05:53:22 92", 0, 22),
        ("From user Wed Dec 02 05:53:22 1992", 0, 22),
        ("From user Wed Dec  2 05:53 1992 remote from host", 0, 0),
        ("From user Wed Dec  2 05:53:22 1992 S 0000012 RF", 0, 22),
        ("From  Wed Dec  2 05:53:22 1992", 0, 22),
        ('From "Anna M." Wed Dec  2 05:53:22 1992', 0, 22),
        ("From Wed Dec 3 anna Wed Dec  2 05:53:22 1992", 0, 22),
    ],
)
def test_every_form_of_a_separator_is_read(line: str, zone: int, seconds: int) -> None:
    found = mbox_syntax.separator(line.encode())
    assert found is not None
    assert found.date is not None
    expected = datetime(1992, 12, 2, 5, 53, seconds, tzinfo=timezone(timedelta(minutes=zone)))
    assert datetime.fromtimestamp(found.date, UTC) == expected
    assert found.zone_minutes == zone
    assert found.has_fields == ("S 0000012" in line)


@pytest.mark.parametrize(
    "line",
    [
        "From here we go on foot",
        "From Wed to Fri 1992",
        "From user Wed Foo  2 05:53:22 1992",
        "From user Dec  2 05:53:22 1992",
        "From user Wed Dec  2 1992",
        "From user Wed Dec  2 05:53:22 19921",
        ">From user Wed Dec  2 05:53:22 1992",
        "from user Wed Dec  2 05:53:22 1992",
    ],
)
def test_what_is_said_in_a_letter_is_no_separator(line: str) -> None:
    assert mbox_syntax.separator(line.encode()) is None


def test_a_date_without_zone_is_in_the_zone_of_the_machine_that_wrote_it() -> None:
    here, there = (mbox_syntax.separator(b"From user Wed Dec  2 05:53 1992", zone) for zone in (0, 60))
    assert here is not None
    assert there is not None
    assert here.date is not None
    assert there.date == here.date - 3600


@pytest.mark.parametrize("day", [b"Feb 30", b"Dec  0"])
def test_a_day_that_never_was_is_no_date_but_a_separator(day: bytes) -> None:
    found = mbox_syntax.separator(b"From user Wed %s 05:53:22 1992" % day)
    assert found is not None
    assert found.date is None


def test_the_date_of_a_message_is_that_of_its_last_hop_else_its_own() -> None:
    received = (
        b"Received: by b\n id 1; Thu, 3 Dec 1992 10:00:00 +0100\nReceived: by a; Wed, 2 Dec 1992 10:00:00 +0000\n"
    )
    own = b"Date: Tue, 1 Dec 1992 10:00:00 +0000\n"
    assert mbox_syntax.date_of(own + received) == (datetime(1992, 12, 3, 9, tzinfo=UTC).timestamp(), 60)
    assert mbox_syntax.date_of(own) == (datetime(1992, 12, 1, 10, tzinfo=UTC).timestamp(), 0)
    assert mbox_syntax.date_of(b"Subject: none\n") == (None, 0)


def test_fields_of_state_become_flags_and_go_and_all_else_stays() -> None:
    header = (
        b"Received: by a\nStatus: RO\nSubject: x\nX-Status: AFTD\nX-Keywords: work  other\nX-UID: 12\n"
        b"Content-Length: 5\nX-Original-Status: R\nstatus-quo: kept\n"
    )
    state = mbox_syntax.state(header, frozenset({"work"}), is_first=False)
    assert state.flags == {"\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "work"}
    assert (state.uid, state.content_length, state.is_told, state.is_pseudo) == (12, 5, True, False)
    expected = b"Received: by a\nSubject: x\nX-Original-Status: R\nstatus-quo: kept\n"
    assert mbox_syntax.without_state(header) == expected
    assert mbox_syntax.without_state(b"Subject: x\nStatus: R") == b"Subject: x"


def test_a_header_goes_to_the_first_empty_line_and_no_further_than_the_limit() -> None:
    assert mbox_syntax.header_length(b"A: b\n\nC: d\n\n") == 5
    assert mbox_syntax.header_length(b"A: b\r\n\r\nx") == 6
    assert mbox_syntax.header_length(b"\nbody") == 0
    assert mbox_syntax.header_length(b"A: b\n") == 5
    endless = b"A: b\n" * mbox_syntax.HEADER_LIMIT
    assert mbox_syntax.header_length(endless[: mbox_syntax.HEADER_LIMIT]) % 5 == 0


@pytest.mark.parametrize(
    ("written", "instant", "minutes"),
    [
        (b"Wed Jul 15 12:00:00 2020", datetime(2020, 7, 15, 10, 0, tzinfo=UTC), 120),
        (b"Wed Jan 15 12:00:00 2020", datetime(2020, 1, 15, 11, 0, tzinfo=UTC), 60),
        (b"Wed Jan 15 12:00:00 -0500 2020", datetime(2020, 1, 15, 17, 0, tzinfo=UTC), -300),
    ],
)
def test_dates_without_a_zone_are_those_of_the_machine_in_summer_and_winter(
    written: bytes, instant: datetime, minutes: int
) -> None:
    found = mbox_syntax.separator(b"From user " + written, ZoneInfo("Europe/Berlin"))
    assert found is not None
    assert (found.date, found.zone_minutes) == (int(instant.timestamp()), minutes)
