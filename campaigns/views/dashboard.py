"""The dashboard of a campaign: read, printed, exported; it renews itself."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from campaigns.permissions import Verb
from campaigns.selectors import dashboard
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.views.access import campaign_for

_LIVE_SECONDS: Final = 15


@require_safe
def campaign(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show how far a campaign is."""
    row = campaign_for(request, campaign_id, Verb.READ)
    context = {"nav": "campaigns", "live": _LIVE_SECONDS, "board": dashboard.view(row)}
    if "HX-Request" not in request.headers:
        return render(request, "dashboard/page.html", context)
    response = render(request, "dashboard/_live.html", context)
    response["X-Live-At"] = date_format(timezone.localtime(), "H:i:s T")
    return response


@require_safe
def campaign_csv(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """Export the figures of a campaign, one row a batch."""
    row = campaign_for(request, campaign_id, Verb.EXPORT)
    pieces = rows_to_csv(dashboard.HEADER, dashboard.table(row))
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="mailferry-campaign-{row.pk}.csv"'
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>", campaign, name="campaign"),
    path("campaigns/<int:campaign_id>/dashboard.csv", campaign_csv, name="campaign_csv"),
]
