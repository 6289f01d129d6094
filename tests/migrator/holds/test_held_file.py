"""When held mail came: delivery agents write that by the clock of their machine, and name no zone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from migrator.holds import held_file
from migrator.holds.held_file import HeldFiles, machine_zone
from migrator.stores.base import ScanRequest
from migrator.stores.mbox import MboxSource

NEW_YORK = ZoneInfo("America/New_York")
MAIL = """\
From x@example.org  Mon Mar  4 22:00:00 2030
Subject: in winter

x

From x@example.org  Thu Jul  4 22:00:00 2030
Subject: in summer

x

"""
CAME = [datetime(2030, 3, 5, 3, tzinfo=UTC).timestamp(), datetime(2030, 7, 5, 2, tzinfo=UTC).timestamp()]


def dates(source: MboxSource) -> list[float | None]:
    with source:
        (inbox,) = source.folders()
        return [item.internal_date for item in source.scan([ScanRequest(inbox.path)])]  # type: ignore[union-attr]


def test_held_mail_is_as_old_as_the_clock_of_its_machine_says_and_arrives_with_that_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "anna").write_text(MAIL)
    (tmp_path / "anna").chmod(0o600)
    (tmp_path / "localtime").write_bytes((Path(TZPATH[0]) / "America/New_York").read_bytes())
    monkeypatch.setattr(held_file, "LOCAL_TIME", tmp_path / "localtime")
    files = HeldFiles(tmp_path)
    assert (files.held("anna").messages, files.held("anna").oldest) == (2, CAME[0])
    assert dates(files.source("anna")) == CAME


def test_the_zone_of_the_machine_is_asked_for_and_not_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "localtime").write_bytes((Path(TZPATH[0]) / "America/New_York").read_bytes())
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        summer = datetime(2030, 7, 4, 22)  # noqa: DTZ001  of no zone
        assert machine_zone(tmp_path / "localtime").utcoffset(summer) == NEW_YORK.utcoffset(summer)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("content", [None, b"", b"Europe/Berlin"])
def test_a_machine_without_a_zone_has_utc(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "localtime").write_bytes(content)
    assert machine_zone(tmp_path / "localtime") is UTC
