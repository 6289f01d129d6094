"""What keeps the page of a batch fresh: the parts that changed since it looked last, or nothing.

How a batch stands is read once for all who look at it within a second or so, and rendered once for all who see the
same: the same rights, zone, language and filter. What is anybody's own, the token of their forms, is put in last.

A page sends back what it has ``seen``: the moment its data is from, and a mark of each part. Nobody is answered from
what is older than what they have seen, so that what somebody did shows on their next page and stays.
"""

from __future__ import annotations

import secrets
import threading
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from campaigns.models import User
from campaigns.permissions import Verb, may, verbs
from campaigns.selectors import batch_page, batch_rows
from campaigns.selectors.batch_page import BatchPage
from campaigns.selectors.batch_rows import Filter, Row
from campaigns.templatetags import ui
from campaigns.views.access import batch_for, require
from campaigns.views.frame import rights
from campaigns.views.shared import Pace, Shared

_MOST_ROWS: Final = 200  # of a page that asks for news
_MOST_BATCHES: Final = 64  # that are looked at at once
_MOST_LOOKS: Final = 32  # of one batch at one moment
_MOST_ROWS_KEPT: Final = 4000
_KEPT_SECONDS: Final = 1.5  # or half of the pause between two questions, where many ask
_MOST_ANSWERS: Final = 10  # a second
_MARK: Final = 6
_AT: Final = 13
_TOKEN: Final = f"token-{secrets.token_hex(16)}"  # stands in shared parts for the token of whoever reads them


def _mark(*facts: object) -> str:
    return f"{zlib.crc32(repr(facts).encode()):08x}"[:_MARK]


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page shows: the moment of its data, in microseconds, and the marks of its parts and its rows."""

    at: int
    marks: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Seen | None:
        """Read what a page sends back; None for what no page of ours says."""
        try:
            at = int(text[:_AT], 16)
        except ValueError:
            return None
        return cls(at, tuple(text[start : start + _MARK] for start in range(_AT, len(text), _MARK)))

    def __str__(self) -> str:
        return f"{self.at:0{_AT}x}{''.join(self.marks)}"


class Look:
    """How a batch looks to all who have the same rights, zone, language and filter. Parts are made when asked for."""

    def __init__(self, page: BatchPage, asked: Filter, user: User) -> None:
        found = page.batch
        self.page = page
        self.context: dict[str, Any] = {
            "page": page,
            "batch": found,
            "campaign": found.campaign,
            "asked": asked,
            "can_act": page.is_open and may(user, Verb.RUN, found.campaign),
            "here": f"{reverse('batch', args=[found.pk])}{asked.here}",
        }
        self._shared = {"may": rights(verbs(user)), "csrf_token": _TOKEN, "oob": True}
        self.marks = self._marks()
        self._row_marks: dict[int, str] = {}
        self._parts: dict[frozenset[str], str] = {}

    def _marks(self) -> dict[str, str]:
        page, found = self.page, self.page.batch
        head = [render_to_string(f"batch/_{name}.html", self.context) for name in ("sentence", "lead")]
        whole = (found.is_paused, found.go_at, found.canary_passed_at, page.next, page.pace.locked_out, page.waits_for)
        return {
            "head": _mark(head),
            "next": _mark(whole, page.figures.families, page.problems[:1]),
            "bar": _mark(sorted(page.figures.states.items())),
            "needs": _mark(page.problems),
        }

    def seen(self, rows: Iterable[Row]) -> Seen:
        """Return what a page of this look with these rows shows."""
        return Seen(_microseconds(self.page.now), (*self.marks.values(), *map(self.row_mark, rows)))

    def row_mark(self, row: Row) -> str:
        """Return the mark of a row as it looks now."""
        if row.pk not in self._row_marks:
            self._row_marks[row.pk] = _mark(row, ui.ago(row.changed_at))
        return self._row_marks[row.pk]

    def parts(self, fresh: frozenset[str]) -> str:
        """Return the title and some parts, with a stand-in for the token."""
        if fresh not in self._parts:
            context = self.context | self._shared | {"fresh": fresh}
            self._parts[fresh] = render_to_string("batch/live.html", context)
        return self._parts[fresh]

    def row(self, row: Row) -> str:
        """Return a row."""
        zone = timezone.get_current_timezone_name()
        return _row(row, ui.ago(row.changed_at), self.context["can_act"], zone, translation.get_language())


@lru_cache(maxsize=_MOST_ROWS_KEPT)
def _row(row: Row, ago: str, can_act: bool, zone: str, language: str) -> str:
    """Return a row in the zone and the language that are switched on; what looks the same is rendered once."""
    return render_to_string("batch/_rows.html", {"rows": [row], "can_act": can_act, "oob": True})


@dataclass(slots=True)
class News:
    """How a batch stood at one moment. Rows and looks come in as they are asked for, under ``lock``."""

    page: BatchPage
    lock: threading.Lock = field(default_factory=threading.Lock)
    _rows: dict[int, Row | None] = field(default_factory=dict)
    _looks: dict[object, Look] = field(default_factory=dict)

    def rows(self, account_ids: list[int]) -> list[Row]:
        """Return the rows of certain accounts, in their order, without those that are not of this batch."""
        missing = [account_id for account_id in account_ids if account_id not in self._rows]
        if missing:
            found = {row.pk: row for row in batch_rows.some_rows(self.page.batch, missing, self.page.now)}
            self._rows |= {account_id: found.get(account_id) for account_id in missing}
        return [row for account_id in account_ids if (row := self._rows[account_id]) is not None]

    def look(self, asked: Filter, user: User) -> Look:
        """Return how it looks to ``user``, in the zone that is switched on."""
        key = (asked, verbs(user), timezone.get_current_timezone_name())
        if key not in self._looks:
            if len(self._looks) >= _MOST_LOOKS:
                self._looks.clear()
            self._looks[key] = Look(self.page, asked, user)
        return self._looks[key]


_shared: Final[Shared[News]] = Shared(_MOST_BATCHES)
_pace: Final = Pace(_MOST_ANSWERS)


def _news(request: HttpRequest, batch_id: int, seen: Seen | None) -> News:
    """Return how a batch stands, not older than what was seen. Raises as ``batch_for``."""
    asked_at = timezone.now()

    def is_good(news: News) -> bool:
        age = (asked_at - news.page.now).total_seconds()
        kept = max(_KEPT_SECONDS, _pace.many / _MOST_ANSWERS / 2)
        return seen is not None and age < kept and _microseconds(news.page.now) >= seen.at

    def make() -> News:
        now = timezone.now()  # before anything is read
        return News(batch_page.view(batch_for(request, batch_id, Verb.READ), now))

    return _shared.get((batch_id, translation.get_language()), is_good, make)


@require_safe
def batch_live(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Return the parts of a batch's page that changed since ``seen``, or 204. Rows keep their places."""
    require(request, Verb.READ)
    seen = Seen.of(request.GET.get("seen", ""))
    news = _news(request, batch_id, seen)
    user = require(request, Verb.READ, campaign=news.page.batch.campaign)
    with news.lock:
        look = news.look(Filter.of(request.GET.dict()), user)
        rows = news.rows(_row_ids(request))
        html = _changes(look, rows, seen)
        now_seen = seen if seen and not html else look.seen(rows)
    response = _answer(request, html)
    response["X-Live-Seen"] = str(now_seen)
    who = (user.pk, batch_id, request.GET.get("rows", ""))
    response["X-Live-Seconds"] = str(_pace.seconds(who, news.page.live_seconds))
    response["X-Live-At"] = date_format(timezone.localtime(news.page.now), "H:i:s T")
    response["Cache-Control"] = "no-store"
    return response


def _changes(look: Look, rows: list[Row], seen: Seen | None) -> str:
    """Return what of a look was not seen yet, or nothing."""
    marks = seen.marks if seen else ()
    before = dict(zip(look.marks, marks, strict=False))
    rows_before = marks[len(look.marks) :]
    is_known = len(rows_before) == len(rows)
    fresh = frozenset(name for name, mark in look.marks.items() if before.get(name) != mark)
    changed = [row for place, row in enumerate(rows) if not is_known or rows_before[place] != look.row_mark(row)]
    if not (fresh or changed):
        return ""
    told = "".join(map(look.row, changed))
    return look.parts(fresh) + (f"<template>{told}</template>" if told else "")


def _answer(request: HttpRequest, html: str) -> HttpResponse:
    if not html:
        return HttpResponse(status=204)
    return HttpResponse(html.replace(_TOKEN, get_token(request)) if _TOKEN in html else html)


def _row_ids(request: HttpRequest) -> list[int]:
    given = request.GET.get("rows", "").split(",")[:_MOST_ROWS]
    return [int(one) for one in given if one.isascii() and one.isdigit() and len(one) < 19]


urlpatterns: Final[list[URLPattern]] = [path("batches/<int:batch_id>/live", batch_live, name="batch_live")]
