"""Where somebody lands who types the bare address or has just signed in: each role has a home of its own."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

from campaigns.models import Campaign, Server
from campaigns.permissions import Verb, may
from campaigns.selectors import needs, overview
from campaigns.views.access import reader


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show operators what needs them; lead managers to the dashboard, helpdesk to the search box."""
    user = reader(request)
    if may(user, Verb.RUN) or may(user, Verb.MANAGE_SERVERS):
        return _operators_home(request)
    if may(user, Verb.READ):
        return _dashboard(request)
    return redirect("people" if may(user, Verb.LOOK_UP) else "profile")


def _operators_home(request: HttpRequest) -> HttpResponse:
    if not Campaign.objects.exists() and not Server.objects.exists():
        return render(request, "home/empty.html", {"nav": "home"})
    context = {"nav": "home", "live": 15, "needs": needs.now_needed(), "campaigns": overview.open_campaigns()}
    if "HX-Request" in request.headers:
        response = render(request, "home/_live.html", context)
        response["X-Live-At"] = date_format(timezone.localtime(), "H:i:s T")
        return response
    return render(request, "home/needs.html", context)


def _dashboard(request: HttpRequest) -> HttpResponse:
    campaign = overview.latest()
    if campaign is None:
        return render(request, "home/nothing.html", {"nav": "campaigns"})
    return redirect("campaign", campaign.pk)
