"""Lists that were uploaded and wait to be looked at: a private file each, and what it would do.

A file holds passwords in the clear. Nobody but its owner reads it here, it is removed with the import, with another
list in its place, when it is discarded, and after a day in any case.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from campaigns.models import Campaign, CampaignDraft, UploadedList, User
from campaigns.services import list_columns, rosters
from campaigns.services.installation import make_private
from campaigns.services.rosters import Comparison, Fate, Reading, Row
from migrator.rosters import cells, tsv
from migrator.rosters.base import BadRoster

MOST_OCTETS: Final = 32 * 1024 * 1024
KEPT: Final = timedelta(days=1)
SHOWN: Final = 200  # rows of each kind that a report keeps
_ORPHANED_SECONDS: Final = 3600.0

Report = dict[str, Any]


class ListGone(Exception):
    """The list is not kept any more."""


def folder() -> Path:
    """Return the private folder of the files, made where it is missing."""
    place: Path = settings.DATA / "lists"
    make_private(place)
    return place


def path_of(uploaded: UploadedList) -> Path:
    """Return where the text of a list is. Raises ``ListGone``."""
    path = folder() / uploaded.token
    if not path.is_file():
        raise ListGone
    return path


def take(
    pieces: Iterable[bytes],
    *,
    owner: User,
    campaign: Campaign | CampaignDraft,
    file_name: str = "",
    domains: tuple[str, str] = ("", ""),
) -> UploadedList:
    """Keep a list for a campaign, or one being planned, in the place of the one before, and read what it would do.

    Raises ``BadRoster`` for what is no list, ``TooLong``; nothing is kept then, and the one before stays.
    """
    discard_old()
    token = secrets.token_hex(16)
    path = folder() / token
    try:
        _write(path, pieces)
        found = list_columns.guess(tsv.look(path))
        reading = {**_stored(found), "source_domain": domains[0], "target_domain": domains[1]}
        place = {"draft": campaign} if isinstance(campaign, CampaignDraft) else {"campaign": campaign}
        uploaded = UploadedList(owner=owner, token=token, file_name=file_name[:255], reading=reading, **place)
        uploaded.report = report(uploaded)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    with transaction.atomic():
        before = list(UploadedList.objects.filter(owner=owner, **place))
        UploadedList.objects.filter(pk__in=[one.pk for one in before]).delete()
        uploaded.save()
    for one in before:
        _remove(one.token)
    return uploaded


class TooLong(BadRoster):
    """More than MOST_OCTETS."""

    def __init__(self) -> None:
        super().__init__(f"The list is larger than {MOST_OCTETS >> 20} MB. Split it.")


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for piece in pieces:
            written += len(piece)
            if written > MOST_OCTETS:
                raise TooLong
            file.write(piece)


def find(owner: User, campaign: Campaign | CampaignDraft) -> UploadedList | None:
    """Return the list that ``owner`` uploaded for a campaign, if it is still kept."""
    place = {"draft": campaign} if isinstance(campaign, CampaignDraft) else {"campaign": campaign}
    uploaded = UploadedList.objects.select_related("draft", "campaign").filter(owner=owner, **place).first()
    return uploaded if uploaded and (folder() / uploaded.token).is_file() else None


def read_anew(uploaded: UploadedList, *, columns: Mapping[str, str], domains: tuple[str, str]) -> None:
    """Read a list by other columns (by field) and domains. Raises ``BadRoster``, ``ListGone``."""
    changed = {"columns": dict(columns), "source_domain": domains[0], "target_domain": domains[1]}
    _reread(uploaded, {**uploaded.reading, **changed})


def take_heading(uploaded: UploadedList, has_heading: bool) -> None:
    """Read a list with or without a heading, and guess its columns anew. Raises ``BadRoster``, ``ListGone``."""
    found = list_columns.guess(tsv.look(path_of(uploaded)), has_heading)
    _reread(uploaded, {**uploaded.reading, **_stored(found)})


def refresh(uploaded: UploadedList) -> None:
    """Find out once more what a list would do. Raises ``BadRoster``, ``ListGone``."""
    _reread(uploaded, uploaded.reading)


def _reread(uploaded: UploadedList, reading: dict[str, Any]) -> None:
    uploaded.reading = reading
    uploaded.report = report(uploaded)
    if not UploadedList.objects.filter(pk=uploaded.pk).update(reading=reading, report=uploaded.report):
        raise ListGone


def _stored(found: list_columns.Guess) -> dict[str, Any]:
    return {"shape": asdict(found.shape), "columns": found.columns}


def reading_of(uploaded: UploadedList) -> Reading:
    """Return how a list is read."""
    stored = uploaded.reading
    shape = tsv.Shape(**stored["shape"])
    return Reading(stored["columns"], stored["source_domain"], stored["target_domain"], shape)


def campaign_of(uploaded: UploadedList) -> Campaign:
    """Return the campaign of a list; for one that is being planned, as it would be, not stored."""
    if uploaded.campaign is not None:
        return uploaded.campaign
    assert uploaded.draft is not None
    return Campaign(name=uploaded.draft.name, source=uploaded.draft.source, target=uploaded.draft.target)


def compare(uploaded: UploadedList) -> Comparison:
    """Judge a list row by row. Raises ``BadRoster``, ``ListGone``."""
    return rosters.compare(campaign_of(uploaded), path_of(uploaded), reading_of(uploaded))


def report(uploaded: UploadedList) -> Report:
    """Return what a list would do, as it is stored: figures, and the rows to look at, some of each kind."""
    found = compare(uploaded)
    warned = [row for row in found.rows if row.remarks and row.fate not in (Fate.REFUSED, Fate.LEFT_ALONE)]
    kinds = {kind: found.with_fate(kind) for kind in (Fate.REFUSED, Fate.LEFT_ALONE, Fate.CHANGED)}
    return {
        "figures": found.figures,
        "rows": len(found.rows),
        "warned": [_told(row) for row in warned[:SHOWN]],
        **{kind.value: [_told(row) for row in rows[:SHOWN]] for kind, rows in kinds.items()},
        "gone": [[one.source_login, one.state] for one in found.gone[:SHOWN]],
    }


def _told(row: Row) -> Report:
    remarks = [[one.code, dict(one.facts)] for one in row.remarks]
    changes = row.changes if row.fate is Fate.CHANGED else []
    return {"line": row.line, "login": row.source_login, "remarks": remarks, "changes": changes}


def refused_rows(uploaded: UploadedList) -> Iterator[tuple[Row, list[str]]]:
    """Return each refused row with its fields as they stand in the list. Raises ``BadRoster``, ``ListGone``."""
    shape = reading_of(uploaded).shape
    assert shape is not None
    refused = {row.line: row for row in compare(uploaded).with_fate(Fate.REFUSED)}
    for number, text in tsv.numbered_lines(path_of(uploaded)):
        if number in refused:
            yield refused[number], shape.fields(text) or [cells.original(text)]


def discard(uploaded: UploadedList) -> None:
    """Forget a list."""
    UploadedList.objects.filter(pk=uploaded.pk).delete()
    _remove(uploaded.token)


def discard_old(now: datetime | None = None) -> int:
    """Forget lists that nobody has imported for a day, and files that belong to none. Return how many went."""
    now = now or timezone.now()
    UploadedList.objects.filter(uploaded_at__lt=now - KEPT).delete()
    known = set(UploadedList.objects.values_list("token", flat=True))
    gone = 0
    for path in folder().iterdir():
        # One that is being uploaded is not known yet.
        if path.name not in known and path.stat().st_mtime < now.timestamp() - _ORPHANED_SECONDS:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _remove(token: str) -> None:
    (folder() / token).unlink(missing_ok=True)
