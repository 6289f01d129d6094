"""Before the night: names and ports, what mail programs will notice, who still uses the old server, which method."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.bridge import by_hand
from campaigns.forms.by_hand import AdviceForm, LogForm, LookForm, PlacesForm
from campaigns.models import Campaign
from campaigns.permissions import Verb, may
from campaigns.selectors import advice as advice_selector
from campaigns.selectors import old_clients as clients_selector
from campaigns.selectors import programs, words
from campaigns.selectors.csv_cells import rows_to_csv
from campaigns.services import impacts, old_clients, place_books, sign_ins
from campaigns.services.refusals import Refused
from campaigns.views.access import campaign_for, require
from campaigns.views.uploads import was_too_long
from migrator.errors import MigratorError

PLACERS: Final = (Verb.PLAN, Verb.MANAGE_SERVERS)


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_places(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show and change the names and ports before and after the move. Some of it only an administrator may say."""
    campaign = campaign_for(request, campaign_id, *PLACERS)
    user = require(request, *PLACERS, campaign=campaign)
    form = PlacesForm(request.POST or None, book=by_hand.place_book(campaign))
    if request.method == "POST" and form.is_valid():
        try:
            place_books.save(campaign, form.places(), actor=user)
        except Refused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, words.refusal(refused.code))
        else:
            messages.success(request, gettext("Saved."))
            return redirect("campaign_places", campaign.pk)
    return _page(request, campaign, "campaign/places.html", form=form)


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_programs(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show what mail programs will notice, and look anew."""
    campaign = campaign_for(request, campaign_id, Verb.READ)
    form = LookForm(request.POST or None)
    if request.method == "POST":
        user = require(request, Verb.PLAN, campaign=campaign)
        if form.is_valid():
            account = impacts.account_to_look_with(campaign, form.cleaned_data["login"])
            if account is not None:
                try:
                    impacts.look(account, actor=user)
                except MigratorError:
                    messages.error(request, gettext("That could not be seen: the page says why."))
                return redirect("campaign_programs", campaign.pk)
            form.add_error("login", gettext("Nobody on the list has this old user name."))
    page = programs.view(campaign)
    told = programs.announcement(campaign, page)
    return _page(request, campaign, "campaign/programs.html", form=form, page=page, announcement=told)


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_old_clients(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show who still uses the old server, and read a log of it."""
    campaign = campaign_for(request, campaign_id, Verb.READ)
    form = LogForm(initial={"ours": "\n".join(sign_ins.our_addresses(campaign))})
    if request.method == "POST":
        user = require(request, Verb.PLAN, campaign=campaign)
        form = LogForm(request.POST, request.FILES, was_too_long=was_too_long(request))
        if form.is_valid():
            try:
                ours = form.cleaned_data["ours"].split()
                count = old_clients.read_log(campaign, form.cleaned_data["file"].chunks(), actor=user, ours=ours)
            except Refused as refused:
                form.add_error(refused.field or "file", words.refusal(refused.code))
            else:
                told = ngettext("%(n)d way of use was found.", "%(n)d ways of use were found.", count)
                messages.success(request, told % {"n": count})
                return redirect("campaign_old_clients", campaign.pk)
    number = request.GET.get("page", "")
    page = clients_selector.view(campaign, int(number) if number.isascii() and number.isdigit() else 1)
    return _page(request, campaign, "campaign/old_clients.html", form=form, page=page)


@require_safe
def campaign_old_clients_csv(request: HttpRequest, campaign_id: int) -> StreamingHttpResponse:
    """Return everybody with what to do, as CSV for letters."""
    campaign = campaign_for(request, campaign_id, Verb.EXPORT)
    pieces = rows_to_csv(clients_selector.heads(), clients_selector.table(campaign))
    response = StreamingHttpResponse(pieces, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="campaign-{campaign.pk}-old-server.csv"'
    return response


@require_POST
def campaign_old_clients_forget(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Remove what logs told."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    old_clients.forget(campaign, actor=require(request, Verb.PLAN, campaign=campaign))
    return redirect("campaign_old_clients", campaign.pk)


@require_safe
def campaign_advice(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Ask three questions, and say which method to take and why."""
    campaign = campaign_for(request, campaign_id, Verb.READ)
    ground = advice_selector.ground(campaign)
    form = AdviceForm(request.GET or None, initial={"people": ground.people or None})
    found = advice_selector.view(form.cleaned_data, ground) if form.is_bound and form.is_valid() else None
    return _page(request, campaign, "campaign/advice.html", form=form, ground=ground, advice=found)


def _page(request: HttpRequest, campaign: Campaign, template: str, **more: object) -> HttpResponse:
    form = more.get("form")
    is_wrong = getattr(form, "is_bound", False) and bool(getattr(form, "errors", None))
    context = {
        "nav": "campaigns",
        "campaign": campaign,
        "can_plan": may(request.user, Verb.PLAN, campaign),
        "can_export": may(request.user, Verb.EXPORT, campaign),
        **more,
    }
    return render(request, template, context, status=422 if is_wrong and request.method == "POST" else 200)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>/places", campaign_places, name="campaign_places"),
    path("campaigns/<int:campaign_id>/programs", campaign_programs, name="campaign_programs"),
    path("campaigns/<int:campaign_id>/old-clients", campaign_old_clients, name="campaign_old_clients"),
    path("campaigns/<int:campaign_id>/old-clients.csv", campaign_old_clients_csv, name="campaign_old_clients_csv"),
    path(
        "campaigns/<int:campaign_id>/old-clients/forget",
        campaign_old_clients_forget,
        name="campaign_old_clients_forget",
    ),
    path("campaigns/<int:campaign_id>/advice", campaign_advice, name="campaign_advice"),
]
