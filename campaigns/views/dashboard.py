"""The dashboard of a campaign: read, printed, exported; it renews itself."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from campaigns.permissions import Verb
from campaigns.selectors import dashboard
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


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>", campaign, name="campaign"),
]
