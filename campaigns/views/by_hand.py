"""Steps of a batch that a person does: looked at, recorded with a reason, or taken back."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from campaigns.forms.by_hand import ByHandForm
from campaigns.models import Batch
from campaigns.permissions import Verb, may
from campaigns.selectors import by_hand as selector
from campaigns.selectors import words
from campaigns.services import confirmations
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views.access import batch_for, require
from campaigns.views.beforehand import PLACERS


@require_safe
def batch_by_hand(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show what a person does in the night of a batch, and what proves it."""
    return _page(request, batch_for(request, batch_id, Verb.READ))


def _page(
    request: HttpRequest, batch: Batch, form: ByHandForm | None = None, position: int | None = None
) -> HttpResponse:
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "page": selector.view(batch),
        "form": form or ByHandForm(),
        "wrong": position,
        "can_act": may(request.user, Verb.CUT_OVER, batch.campaign),
        "can_place": any(may(request.user, verb, batch.campaign) for verb in PLACERS),
    }
    return render(request, "batch/by_hand.html", context, status=422 if form else 200)


@require_POST
def batch_by_hand_look(request: HttpRequest, batch_id: int, position: int) -> HttpResponse:
    """Look whether a step was done."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    user = require(request, Verb.CUT_OVER, campaign=batch.campaign)
    try:
        row = confirmations.look(batch, position, actor=user)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    else:
        if row.confirmed_at is None:
            messages.warning(request, gettext("Not yet: see what speaks against it."))
        else:
            messages.success(request, gettext("It was done. Who waits for it goes on."))
            wake_after_commit()
    return _back(batch, position)


@require_POST
def batch_by_hand_record(request: HttpRequest, batch_id: int, position: int) -> HttpResponse:
    """Record a step as done, on the word of who says so."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    user = require(request, Verb.CUT_OVER, campaign=batch.campaign)
    form = ByHandForm(request.POST)
    if not form.is_valid():
        return _page(request, batch, form, position)
    try:
        confirmations.record_by_hand(batch, position, form.cleaned_data["reason"], actor=user)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    else:
        messages.success(request, gettext("Recorded with your name. Who waits for it goes on."))
        wake_after_commit()
    return _back(batch, position)


@require_POST
def batch_by_hand_withdraw(request: HttpRequest, batch_id: int, position: int) -> HttpResponse:
    """Take a confirmation back."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    user = require(request, Verb.CUT_OVER, campaign=batch.campaign)
    try:
        confirmations.withdraw(batch, position, actor=user)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    return _back(batch, position)


def _back(batch: Batch, position: int) -> HttpResponse:
    response = redirect("batch_by_hand", batch_id=batch.pk)
    response["Location"] += f"#step-{position}"
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/by-hand", batch_by_hand, name="batch_by_hand"),
    path("batches/<int:batch_id>/by-hand/<int:position>/look", batch_by_hand_look, name="batch_by_hand_look"),
    path("batches/<int:batch_id>/by-hand/<int:position>/record", batch_by_hand_record, name="batch_by_hand_record"),
    path(
        "batches/<int:batch_id>/by-hand/<int:position>/withdraw",
        batch_by_hand_withdraw,
        name="batch_by_hand_withdraw",
    ),
]
