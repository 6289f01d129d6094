"""INTERNALDATE in all its forms, read and written."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from migrator.stores.imap_dates import DateReader, DateWriter


def test_a_date_is_an_instant_and_the_zone_it_was_written_in() -> None:
    expected = int(datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC).timestamp())
    assert DateReader().read(b"17-Jul-1996 02:44:25 -0700") == (expected, -420)


@pytest.mark.req("D-84")
def test_every_instant_comes_back_as_it_was_written() -> None:
    seed = 7
    dice = random.Random(seed)
    reader, writer = DateReader(), DateWriter()
    for _ in range(5000):
        zone = dice.choice((0, 60, 120, -420, 330, 345, -210, 840))
        instant = dice.randrange(-3_000_000_000, 5_000_000_000)
        written = writer.write(instant, zone)
        assert written is not None
        there = datetime.fromtimestamp(instant, timezone(timedelta(minutes=zone)))
        assert written == there.strftime('"%d-%b-%Y %H:%M:%S %z"').replace('"0', '" ').encode(), seed
        assert reader.read(written.strip(b'"')) == (instant, zone), seed


@pytest.mark.req("D-83")
@pytest.mark.parametrize(
    ("written", "year", "zone"),
    [
        (b" 1-Jan-2020 00:00:00 +0000", 2020, 0),
        (b"1-Jan-2020 00:00:00 +0000", 2020, 0),
        (b"01-JAN-2020 00:00:00 +0000", 2020, 0),
        (b"01-Jan-2020 00:00:00", 2020, 0),
        (b"01-Jan-2020 00:00:00 GMT", 2020, 0),
        (b"01-Jan-1900 00:00:00 +0000", 1900, 0),
        (b"01-Jan-2106 00:00:00 +0000", 2106, 0),
    ],
)
def test_odd_dates_are_read_leniently(written: bytes, year: int, zone: int) -> None:
    reader = DateReader()
    expected = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()), zone)
    assert [reader.read(written) for _ in range(3)] == [expected] * 3


@pytest.mark.req("D-83")
@pytest.mark.parametrize(
    "written",
    [
        b"00-Jan-0000 00:00:00 +0000",
        b"31-Feb-2020 00:00:00 +0000",
        b"01-Foo-2020 00:00:00 +0000",
        b"01-Jan-2020 25:00:00 +0000",
        b"01-Jan-2020 00:61:00 +0000",
        b"01-Jan-2020 00:00:00 +9999",
        b"01-Jan-2020 0x:00:00 +0000",
        b"",
        b"yesterday",
    ],
)
def test_a_date_that_makes_no_sense_is_none(written: bytes) -> None:
    reader = DateReader()
    reader.read(b"01-Jan-2020 10:00:00 +0000")  # the day is known already
    assert [reader.read(written) for _ in range(3)] == [(None, 0)] * 3


def test_a_year_that_cannot_be_written_is_left_out() -> None:
    assert DateWriter().write(10**15, 0) is None
    assert DateWriter().write(-(10**15), 0) is None
