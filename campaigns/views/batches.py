"""The batches of a campaign: a table, the plan of one, and cutting one into smaller ones."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.planning import BatchForm, SplitForm, refused
from campaigns.models import Batch
from campaigns.permissions import Verb
from campaigns.selectors import batch as batch_selector
from campaigns.selectors import methods, overview, plans
from campaigns.services import batches, preflights
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views.access import batch_for, campaign_for, require
from campaigns.views.list_pages import response_status


@require_safe
def batch_table(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the batches of a campaign."""
    campaign = campaign_for(request, campaign_id, Verb.READ)
    figures = overview.figures(campaign)
    context = {
        "nav": "campaigns",
        "campaign": campaign,
        "lines": plans.batches(campaign),
        "families": dict(figures.families),
        "accounts": figures.accounts,
        "sentence": plans.campaign_sentence(campaign, figures),
        "need_person": plans.need_person(figures),
        "method": methods.method_of(campaign),
        "is_proved": preflights.is_accepted(campaign),
    }
    return render(request, "batches/table.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def plan(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show and set name, times and limits of a batch."""
    batch = batch_for(request, batch_id, Verb.PLAN)
    form = BatchForm(request.POST or None, batch=batch)
    if request.method == "POST" and form.is_valid():
        try:
            batches.plan(
                batch,
                actor=require(request, Verb.PLAN),
                timetable=form.timetable(batch),
                name=form.cleaned_data["name"],
                modes=form.modes(),
                **form.limits(),
            )
        except Refused as refusal:
            refused(form, gettext(refusal.sentence), refusal.field or None)
        else:
            wake_after_commit()
            messages.success(request, gettext("The plan of batch %(name)s is saved.") % {"name": batch.name})
            return redirect("batches", batch.campaign_id)
    return _plan_page(request, batch, form, SplitForm(prefix="split"))


def _plan_page(request: HttpRequest, batch: Batch, form: BatchForm, splitting: SplitForm) -> HttpResponse:
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "figures": batch_selector.view(batch.pk).figures,
        "form": form,
        "splitting": splitting,
    }
    return render(request, "batches/plan.html", context, status=response_status(form, splitting))


@require_POST
def split(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Cut a batch that is not started into smaller ones."""
    batch = batch_for(request, batch_id, Verb.PLAN)
    form = SplitForm(request.POST, prefix="split")
    if form.is_valid():
        try:
            made = batches.split(batch, size=form.cleaned_data["size"], actor=require(request, Verb.PLAN))
        except Refused as refusal:
            refused(form, gettext(refusal.sentence), "size")
        else:
            told = ngettext("%(n)d batch more.", "%(n)d batches more.", len(made)) % {"n": len(made)}
            messages.success(request, told if made else gettext("The batch is no larger than that: it stays whole."))
            return redirect("batches", batch.campaign_id)
    return _plan_page(request, batch, BatchForm(batch=batch), form)


@require_POST
def go_on(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Start a batch, or end its pause. What locks people is said on its own page."""
    batch = batch_for(request, batch_id, Verb.RUN)
    user = require(request, Verb.RUN)
    try:
        if request.POST.get("act") == "resume":
            batches.resume(batch, actor=user)
            told = gettext("Batch %(name)s goes on.")
        else:
            batches.start(batch, actor=user)
            told = gettext("Batch %(name)s is started: its accounts are checked, then copied.")
        messages.success(request, told % {"name": batch.name})
        wake_after_commit()
    except Refused as refusal:
        messages.error(request, gettext(refusal.sentence))
    return redirect("batches", batch.campaign_id)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>/batches", batch_table, name="batches"),
    path("batches/<int:batch_id>/plan", plan, name="batch_plan"),
    path("batches/<int:batch_id>/split", split, name="batch_split"),
    path("batches/<int:batch_id>/go-on", go_on, name="batch_go_on"),
]
