"""The check before copying: who would fail and why, how long it takes, what is not moved."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_POST, require_safe

from campaigns.models import Batch
from campaigns.permissions import Verb, may
from campaigns.selectors import survey as selector
from campaigns.selectors import survey_rows, words
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.services import surveys
from campaigns.services.refusals import Refused
from campaigns.views.access import batch_for, require

LIVE_SECONDS: Final = 2


@require_safe
def batch_survey(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show what the last survey of a batch has found."""
    batch = batch_for(request, batch_id, Verb.READ)
    return render(request, "survey/page.html", _context(request, batch, selector.view(batch)))


@require_safe
def batch_survey_live(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Return the page's parts anew while accounts are looked at; nothing where nobody was since."""
    batch = batch_for(request, batch_id, Verb.READ)
    looked_at, seconds = selector.seen_so_far(batch), LIVE_SECONDS
    if looked_at is not None and request.GET.get("seen") == str(looked_at):
        response = HttpResponse(status=204)
    else:
        page = selector.view(batch)
        looked_at, seconds = page.looked_at, LIVE_SECONDS if page.is_under_way else 0
        response = render(request, "survey/live.html", _context(request, batch, page))
    response["X-Live-Seen"] = str(looked_at)
    response["X-Live-Seconds"] = str(seconds)
    response["X-Live-At"] = date_format(timezone.localtime(), "H:i:s T")
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def batch_survey_ask(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Begin a survey."""
    batch = batch_for(request, batch_id, Verb.RUN)
    try:
        surveys.ask(batch, actor=require(request, Verb.RUN, campaign=batch.campaign))
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    return redirect("batch_survey", batch_id=batch.pk)


@require_safe
def batch_survey_csv(request: HttpRequest, batch_id: int) -> StreamingHttpResponse:
    """Return every finding of every account, as CSV: the page shows the first of each kind."""
    batch = batch_for(request, batch_id, Verb.EXPORT)
    pieces = rows_to_csv(survey_rows.heads(), survey_rows.table(batch))
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="batch-{batch.pk}-check.csv"'
    return response


def _context(request: HttpRequest, batch: Batch, page: selector.SurveyPage) -> dict[str, object]:
    return {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "page": page,
        "live": LIVE_SECONDS if page.is_under_way else 0,
        "can_export": may(request.user, Verb.EXPORT, batch.campaign),
        "can_ask": may(request.user, Verb.RUN, batch.campaign),
    }


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/survey", batch_survey, name="batch_survey"),
    path("batches/<int:batch_id>/survey/live", batch_survey_live, name="batch_survey_live"),
    path("batches/<int:batch_id>/survey.csv", batch_survey_csv, name="batch_survey_csv"),
    path("batches/<int:batch_id>/survey/ask", batch_survey_ask, name="batch_survey_ask"),
]
