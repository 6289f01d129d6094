"""The log of everything that happened: filtered by the address of the page, and exported."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from campaigns.forms.log import LogForm
from campaigns.permissions import Verb
from campaigns.selectors import log as events
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.views.access import require


@require_safe
def log(request: HttpRequest) -> HttpResponse:
    """Show the events that are asked for, the newest first, a hundred at a time."""
    require(request, Verb.READ)
    form = LogForm(request.GET)
    page = events.page(form.wanted(), _before(request)) if form.is_valid() else None
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "nav": "log",
        "form": form,
        "page": page,
        "query": query.urlencode(),
        "is_first": "before" not in request.GET,
    }
    return render(request, "log/log.html", context, status=422 if form.errors else 200)


def _before(request: HttpRequest) -> int | None:
    text = request.GET.get("before", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


@require_safe
def log_csv(request: HttpRequest) -> HttpResponseBase:
    """Export the events that are asked for, as they are read from the database."""
    require(request, Verb.EXPORT)
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "log/log.html", {"nav": "log", "form": form, "query": ""}, status=422)
    pieces = rows_to_csv(events.HEADER, events.table(form.wanted()))
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="mailferry-log.csv"'
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("log", log, name="log"),
    path("log.csv", log_csv, name="log_csv"),
]
