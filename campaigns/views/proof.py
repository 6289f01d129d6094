"""The proof that a method may lock people out: an administrator opens the mailbox of somebody who is disabled."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from campaigns.forms.proof import ProofForm
from campaigns.permissions import Verb
from campaigns.selectors import proof as selector
from campaigns.selectors import trials
from campaigns.services import preflights
from campaigns.views.access import campaign_for, reader


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_prove(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Explain the proof, and carry it out on the accounts that are named."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    standing = selector.standing(campaign)
    form = ProofForm(standing.sides, request.POST or None)
    refused = []
    if form.is_valid():
        failures = preflights.accept_recipe(
            campaign, form.disabled(), actor=reader(request), world=preflights.IMPATIENT
        )
        if not failures:
            messages.success(request, gettext("It is proved: administrators open the mailboxes of disabled people."))
            return redirect("campaign_prove", campaign_id=campaign.pk)
        refused = trials.refusals((f.error.side or "", f.error.code, f.error.reply) for f in failures)
    page = {"nav": "campaigns", "campaign": campaign, "standing": standing, "form": form, "refused": refused}
    page["first_batch"] = campaign.batches.order_by("number").first()
    return render(request, "campaign/prove.html", page, status=422 if refused or form.errors else 200)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>/prove", campaign_prove, name="campaign_prove")
]
