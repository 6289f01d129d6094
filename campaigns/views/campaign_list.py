"""All campaigns, and what is done to one as a whole: settings, a copy, pause, end."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.planning import CopyForm, MethodForm, SettingsForm, refused
from campaigns.models import Campaign
from campaigns.permissions import Verb
from campaigns.selectors import kinds, methods, plans
from campaigns.services import campaigns, preflights
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views.access import campaign_for, require


@require_safe
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Show all campaigns, and those that the reader has begun to plan."""
    user = require(request, Verb.READ)
    lines = plans.campaigns()
    context = {
        "nav": "campaigns",
        "lines": lines,
        "sentence": plans.all_sentence(lines),
        "need_person": sum(line.need_person for line in lines),
        "drafts": plans.drafts(user),
        "ground": plans.ground(),
    }
    return render(request, "campaigns/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show and change name, method and options of a campaign."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    form = SettingsForm(request.POST or None, initial=_chosen(campaign))
    if request.method == "POST" and form.is_valid():
        try:
            name = form.cleaned_data["name"]
            campaigns.configure(campaign, name=name, actor=require(request, Verb.PLAN), **form.options())
        except Refused as refusal:
            refused(form, gettext(refusal.sentence), "name" if refusal.code == "campaign.name_taken" else None)
        else:
            messages.success(request, gettext("The settings are saved."))
            wake_after_commit()
            return redirect("campaign_settings", campaign.pk)
    return _settings_page(request, campaign, form, CopyForm(initial={"name": _copy_name(campaign)}, prefix="copy"))


def _settings_page(request: HttpRequest, campaign: Campaign, form: SettingsForm, copying: CopyForm) -> HttpResponse:
    context = {
        "nav": "campaigns",
        "campaign": campaign,
        "form": form,
        "copying": copying,
        "methods": methods.METHODS,
        "ground": plans.ground(),
        "is_proved": preflights.is_accepted(campaign),
        "changes": kinds.changes_of(campaign),
    }
    wrong = form.errors or copying.errors
    return render(request, "campaigns/settings.html", context, status=422 if wrong else 200)


def _chosen(campaign: Campaign) -> dict[str, Any]:
    fields = (*MethodForm.CONNECTIONS, *MethodForm.OPTIONS, "name")
    shown = {name: getattr(campaign, name) for name in fields} | {"services": ",".join(campaign.services)}
    return {"method": methods.method_of(campaign).key, **shown}


def _copy_name(campaign: Campaign) -> str:
    return gettext("%(name)s (copy)") % {"name": campaign.name[:90]}


@require_POST
def copy(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Plan another campaign like this one."""
    campaign = campaign_for(request, campaign_id, Verb.READ)
    user = require(request, Verb.PLAN)
    copying = CopyForm(request.POST, prefix="copy")
    if copying.is_valid():
        try:
            made = campaigns.copy(campaign, copying.cleaned_data["name"], actor=user)
        except Refused as refusal:
            refused(copying, gettext(refusal.sentence), "name" if refusal.code == "campaign.name_taken" else None)
        else:
            told = gettext("%(name)s is planned like %(other)s. It has no list yet.")
            messages.success(request, told % {"name": made.name, "other": campaign.name})
            return redirect("campaign_settings", made.pk)
    return _settings_page(request, campaign, SettingsForm(initial=_chosen(campaign)), copying)


@require_POST
def pause(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Begin nothing more in a campaign."""
    campaign = campaign_for(request, campaign_id, Verb.RUN)
    campaigns.pause(campaign.pk, actor=require(request, Verb.RUN))
    messages.success(request, gettext("Paused. Who is being moved just now is finished; nothing more begins."))
    return redirect("campaign_settings", campaign.pk)


@require_POST
def resume(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Go on with a campaign."""
    campaign = campaign_for(request, campaign_id, Verb.RUN)
    campaigns.resume(campaign.pk, actor=require(request, Verb.RUN))
    wake_after_commit()
    messages.success(request, gettext("The campaign goes on."))
    return redirect("campaign_settings", campaign.pk)


@require_POST
def close(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """End a campaign."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    try:
        campaigns.close(campaign, actor=require(request, Verb.PLAN))
    except Refused as refusal:
        messages.error(request, gettext(refusal.sentence))
        return redirect("campaign_settings", campaign.pk)
    messages.success(request, gettext("%(name)s is closed. It can be read as before.") % {"name": campaign.name})
    return redirect("campaigns")


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns", campaign_list, name="campaigns"),
    path("campaigns/<int:campaign_id>/settings", settings, name="campaign_settings"),
    path("campaigns/<int:campaign_id>/copy", copy, name="campaign_copy"),
    path("campaigns/<int:campaign_id>/pause", pause, name="campaign_pause"),
    path("campaigns/<int:campaign_id>/resume", resume, name="campaign_resume"),
    path("campaigns/<int:campaign_id>/close", close, name="campaign_close"),
]
