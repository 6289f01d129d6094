"""A list for a campaign that is there: brought, looked at, corrected, and only then imported."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.lists import ListForm, ReadingForm
from campaigns.forms.planning import CuttingForm, refused
from campaigns.models import Campaign, UploadedList, User
from campaigns.permissions import Verb
from campaigns.selectors import methods, plans
from campaigns.services import batches, imports, lists, preflights
from campaigns.services.imports import ChangedMeanwhile, Imported
from campaigns.services.lists import ListGone
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views import list_pages
from campaigns.views.access import campaign_for, require
from migrator.rosters.base import BadRoster


@require_http_methods(["GET", "HEAD", "POST"])
def import_list(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Take a list, and show what it would do."""
    campaign, user = _asked(request, campaign_id)
    if request.method == "POST":
        form = list_pages.take(request, user, campaign)
        return _page(request, campaign, user, form) if form.errors else redirect("import_list", campaign.pk)
    return _page(request, campaign, user)


def _asked(request: HttpRequest, campaign_id: int) -> tuple[Campaign, User]:
    return campaign_for(request, campaign_id, Verb.PLAN), require(request, Verb.PLAN)


def _page(
    request: HttpRequest,
    campaign: Campaign,
    user: User,
    form: ListForm | None = None,
    *,
    reading: ReadingForm | None = None,
    cutting: CuttingForm | None = None,
) -> HttpResponse:
    uploaded = lists.find(user, campaign)
    status = list_pages.response_status(form, reading, cutting)
    context: dict[str, Any] = {
        "nav": "campaigns",
        "campaign": campaign,
        "method": methods.method_of(campaign),
        "is_proved": preflights.is_accepted(campaign),
    }
    if uploaded is None or form is not None:
        context["form"] = form or ListForm()
        return render(request, "lists/bring.html", context, status=status)
    context |= list_pages.context_of(request, uploaded, reading)
    context["cutting"] = cutting or CuttingForm()
    return render(request, "lists/look.html", context, status=status)


@require_POST
def reading(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Read the list by other columns."""
    campaign, user = _asked(request, campaign_id)
    uploaded = lists.find(user, campaign)
    if uploaded is None:
        return _gone(request, campaign)
    form = list_pages.read_anew(request, uploaded)
    return _page(request, campaign, user, reading=form) if form.errors else redirect("import_list", campaign.pk)


@require_POST
def confirm(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Import the list as it was looked at."""
    campaign, user = _asked(request, campaign_id)
    uploaded = lists.find(user, campaign)
    if uploaded is None:
        return _gone(request, campaign)
    if list_pages.is_another(request, uploaded):
        return redirect("import_list", campaign.pk)
    form = CuttingForm(request.POST)
    if form.is_valid():
        try:
            done = _import(campaign, uploaded, form, user)
        except ListGone:
            return _gone(request, campaign)
        except (ChangedMeanwhile, BadRoster) as error:
            if not list_pages.changed_meanwhile(form, uploaded, error):
                return _gone(request, campaign)
        except Refused as refusal:
            refused(form, gettext(refusal.sentence))
        else:
            return _imported(request, campaign, user, done, starts_now=form.starts_now)
    return _page(request, campaign, user, cutting=form)


def _import(campaign: Campaign, uploaded: UploadedList, form: CuttingForm, user: User) -> Imported:
    done = imports.take_in(
        campaign,
        lists.path_of(uploaded),
        lists.reading_of(uploaded),
        actor=user,
        cutting=list_pages.cutting_of(form),
        without_refused=True,
        expected=uploaded.report["figures"],
    )
    lists.discard(uploaded)
    return done


def _imported(
    request: HttpRequest, campaign: Campaign, user: User, done: Imported, *, starts_now: bool
) -> HttpResponse:
    if starts_now and preflights.is_accepted(campaign):
        batches.start_due(done.batches, actor=user)
    wake_after_commit()
    figures = done.comparison.figures
    told = gettext("Imported: %(added)s, and %(changed)s changed.")
    shown = {"added": plans.account_words(figures["added"]), "changed": f"{figures['changed']:,}"}
    messages.success(request, told % shown)
    return redirect("batches", campaign.pk)


def _gone(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    messages.error(request, gettext(list_pages.GONE))
    return redirect("import_list", campaign.pk)


@require_POST
def discard(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Forget the list, to bring another one."""
    campaign, user = _asked(request, campaign_id)
    uploaded = lists.find(user, campaign)
    if uploaded is not None:
        lists.discard(uploaded)
    return redirect("import_list", campaign.pk)


@require_safe
def refused_rows(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """Give the refused rows back, as a file to mend."""
    campaign, user = _asked(request, campaign_id)
    return list_pages.refused_rows(user, lists.find(user, campaign)) or _gone(request, campaign)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>/list", import_list, name="import_list"),
    path("campaigns/<int:campaign_id>/list/reading", reading, name="import_reading"),
    path("campaigns/<int:campaign_id>/list/import", confirm, name="import_confirm"),
    path("campaigns/<int:campaign_id>/list/discard", discard, name="import_discard"),
    path("campaigns/<int:campaign_id>/list/refused.csv", refused_rows, name="import_refused"),
]
