"""The steps of a campaign's night: shown in order, edited, or put back as they are shipped."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from campaigns.forms.steps import StepsFormSet, form_of
from campaigns.models import Campaign
from campaigns.permissions import Verb
from campaigns.selectors import methods, words
from campaigns.services import campaigns, together
from campaigns.services.refusals import Refused
from campaigns.views.access import campaign_for, require
from migrator.recipes import RECIPES, Recipe, recipe_of, stored


@require_http_methods(["GET", "HEAD", "POST"])
def steps(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show and change in which order accounts are moved, and by which steps."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    user = require(request, Verb.PLAN)
    recipe = recipe_of(campaign.recipe, campaign.steps)
    if request.method != "POST":
        return _page(request, campaign, recipe, form_of(recipe.steps))
    form = form_of(recipe.steps, request.POST)
    as_shipped = request.POST.get("act") == "as_shipped"
    if not as_shipped and not form.is_valid():
        return _page(request, campaign, recipe, form, status=422)
    wanted = [] if as_shipped else form.stored()
    if wanted == stored(RECIPES[campaign.recipe].steps):
        wanted = []
    try:
        campaigns.configure(campaign, name=campaign.name, actor=user, steps=wanted)
    except Refused as refusal:
        messages.error(request, gettext(refusal.sentence))
        return _page(request, campaign, recipe, form, status=422)
    messages.success(request, gettext("The steps are saved."))
    return redirect("campaign_steps", campaign.pk)


def _page(
    request: HttpRequest, campaign: Campaign, recipe: Recipe, form: StepsFormSet, *, status: int = 200
) -> HttpResponse:
    context = {
        "nav": "campaigns",
        "campaign": campaign,
        "method": methods.method_of(campaign),
        "form": form,
        "is_edited": bool(campaign.steps),
        "absent": _absent(campaign, recipe),
        "early": recipe.early,
    }
    return render(request, "campaigns/steps.html", context, status=status)


def _absent(campaign: Campaign, recipe: Recipe) -> list[str]:
    """Return the steps that are left out because the campaign has no connection for them, in words."""
    lacking = [step for step in recipe.steps if not together.is_there(campaign, step)]
    return list(dict.fromkeys(words.step(step.kind, step.side or "") for step in lacking))


urlpatterns: Final[list[URLPattern]] = [path("campaigns/<int:campaign_id>/steps", steps, name="campaign_steps")]
