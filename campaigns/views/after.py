"""After the move: late mail, the way back, and the removal of mail from the old server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from campaigns import tasks
from campaigns.forms.retiring import RetirementForm
from campaigns.models import Batch, Retirement
from campaigns.permissions import Verb, may
from campaigns.selectors import after, words
from campaigns.services import retirements
from campaigns.services.refusals import Refused
from campaigns.views.access import batch_for, reader


@require_safe
def batch_after(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show what is left to do for a batch after its move."""
    return _page(request, batch_for(request, batch_id, Verb.READ))


@require_POST
def retirement_ask(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Ask that the mail of a batch be removed from the old server."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    form = RetirementForm(request.POST)
    if not form.is_valid():
        return _page(request, batch, form)
    try:
        retirements.ask(batch, actor=reader(request), **form.cleaned_data)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
        return _page(request, batch, form)
    messages.success(request, gettext("Asked. Somebody else must approve it before anything is removed."))
    return redirect("batch_after", batch_id=batch.pk)


@require_POST
def retirement_approve(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Approve what another person asked for."""
    batch = batch_for(request, batch_id, Verb.APPROVE)
    told = gettext("Approved. The waiting time begins now; until it is over this can be withdrawn.")
    return _act(request, batch, lambda one: retirements.approve(one, actor=reader(request)), told)


@require_POST
def retirement_withdraw(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Remove nothing more."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER, Verb.APPROVE)
    told = gettext("Withdrawn. Nothing more is removed from the old server.")
    return _act(request, batch, lambda one: retirements.withdraw(one, actor=reader(request)), told)


def _act(request: HttpRequest, batch: Batch, act: Callable[[Retirement], None], told: str) -> HttpResponse:
    retirement = retirements.of_batch(batch.pk)
    try:
        if retirement is None:
            raise Refused("retirement.not_open")
        if request.POST.get("retirement") != str(retirement.pk):  # what was on the page is what somebody agrees to
            raise Refused("retirement.another")
        act(retirement)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    else:
        tasks.wake_after_commit()
        messages.success(request, told)
    return redirect("batch_after", batch_id=batch.pk)


def _page(request: HttpRequest, batch: Batch, form: RetirementForm | None = None) -> HttpResponse:
    page = after.view(batch)
    user, campaign = reader(request), batch.campaign
    is_mine = page.retirement is not None and page.retirement.asked_by == user.get_username()
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": campaign,
        "page": page,
        "form": form or RetirementForm(),
        "can_ask": may(user, Verb.CUT_OVER, campaign),
        "can_approve": may(user, Verb.APPROVE, campaign) and not is_mine,
        "can_withdraw": may(user, Verb.CUT_OVER, campaign) or may(user, Verb.APPROVE, campaign),
    }
    return render(request, "returning/after.html", context, status=422 if form is not None else 200)


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/after", batch_after, name="batch_after"),
    path("batches/<int:batch_id>/after/ask", retirement_ask, name="retirement_ask"),
    path("batches/<int:batch_id>/after/approve", retirement_approve, name="retirement_approve"),
    path("batches/<int:batch_id>/after/withdraw", retirement_withdraw, name="retirement_withdraw"),
]
