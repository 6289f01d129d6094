"""A campaign in three pages: servers, method, list. Each is kept when it is left; nothing runs before Start."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.lists import ListForm, ReadingForm
from campaigns.forms.planning import CuttingForm, MethodForm, ServersForm, refused
from campaigns.models import CampaignDraft, User
from campaigns.permissions import Verb
from campaigns.selectors import kinds, methods, plans
from campaigns.services import drafts, lists
from campaigns.services.drafts import Started
from campaigns.services.imports import ChangedMeanwhile, Cutting
from campaigns.services.lists import ListGone
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views import list_pages
from campaigns.views.access import require
from migrator.rosters.base import BadRoster


def _draft_for(request: HttpRequest, draft_id: int) -> tuple[CampaignDraft, User]:
    user = require(request, Verb.PLAN)
    for draft in CampaignDraft.objects.select_related("source", "target").filter(pk=draft_id, owner=user):
        return draft, user
    raise Http404


@require_http_methods(["GET", "HEAD", "POST"])
def servers(request: HttpRequest, draft_id: int | None = None) -> HttpResponse:
    """Page one: name and servers."""
    user = require(request, Verb.PLAN)
    draft = None if draft_id is None else _draft_for(request, draft_id)[0]
    chosen = {"name": draft.name, "source": draft.source, "target": draft.target} if draft else plans.only_servers()
    form = ServersForm(request.POST or None, initial=chosen)
    if request.method == "POST" and form.is_valid():
        found = form.cleaned_data
        try:
            draft = drafts.save(draft, found["name"], source=found["source"], target=found["target"], owner=user)
        except Refused as refusal:
            refused(form, gettext(refusal.sentence), "name")
        else:
            return redirect("draft_method", draft.pk)
    context = {"nav": "campaigns", "form": form, "draft": draft, "page": 1, "ground": plans.ground()}
    return render(request, "campaigns/new_servers.html", context, status=list_pages.response_status(form))


@require_http_methods(["GET", "HEAD", "POST"])
def method(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Page two: the method and its options."""
    draft, _ = _draft_for(request, draft_id)
    ground = plans.ground()
    form = MethodForm(request.POST or None, initial=_chosen(draft, ground))
    if request.method == "POST" and form.is_valid():
        drafts.save_options(draft, form.options())
        return redirect("draft_list", draft.pk)
    context = {
        "nav": "campaigns", "form": form, "draft": draft, "page": 2, "ground": ground, "methods": methods.METHODS,
    }  # fmt: skip
    return render(request, "campaigns/new_method.html", context, status=list_pages.response_status(form))


def _chosen(draft: CampaignDraft, ground: plans.Ground) -> dict[str, Any]:
    if not draft.has_method:
        only = plans.only_connectors()
        return {"method": "ahead", **only} if "source_directory" in only else {"method": "plain"}
    options = draft.options
    is_governed = bool(options.get("source_directory") or options.get("target_directory"))
    services = ",".join(options.get("services", ()))
    return {**options, "services": services, "method": methods.method(options["recipe"], is_governed).key}


@require_http_methods(["GET", "HEAD", "POST"])
def list_and_start(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Page three: the list, and Start."""
    draft, user = _draft_for(request, draft_id)
    if request.method == "POST":
        form = list_pages.take(request, user, draft)
        return _page(request, draft, user, form) if form.errors else redirect("draft_list", draft.pk)
    return _page(request, draft, user)


def _page(
    request: HttpRequest,
    draft: CampaignDraft,
    user: User,
    form: ListForm | None = None,
    *,
    reading: ReadingForm | None = None,
    cutting: CuttingForm | None = None,
) -> HttpResponse:
    uploaded = lists.find(user, draft)
    options = draft.options
    is_governed = bool(options.get("source_directory") or options.get("target_directory"))
    context: dict[str, Any] = {
        "nav": "campaigns",
        "draft": draft,
        "page": 3,
        "method": methods.method(options.get("recipe", "plain"), is_governed),
        "is_proved": not is_governed,
        "changes": kinds.changes(draft.source, draft.target),
    }
    if uploaded is None or form is not None:
        context["form"] = form or ListForm()
        context["refusal"] = cutting
    else:
        context |= list_pages.context_of(request, uploaded, reading)
        context["cutting"] = cutting or CuttingForm()
    name = "campaigns/new_bring.html" if "form" in context else "campaigns/new_start.html"
    return render(request, name, context, status=list_pages.response_status(form, reading, cutting))


@require_POST
def reading(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Read the list by other columns."""
    draft, user = _draft_for(request, draft_id)
    uploaded = lists.find(user, draft)
    if uploaded is None:
        return _gone(request, draft)
    form = list_pages.read_anew(request, uploaded)
    return _page(request, draft, user, reading=form) if form.errors else redirect("draft_list", draft.pk)


def _gone(request: HttpRequest, draft: CampaignDraft) -> HttpResponse:
    messages.error(request, gettext(list_pages.GONE))
    return redirect("draft_list", draft.pk)


@require_POST
def start(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Make the campaign, with its list, and start it."""
    draft, user = _draft_for(request, draft_id)
    uploaded = lists.find(user, draft)
    is_without_list = "without_list" in request.POST
    if uploaded is None and not is_without_list:
        return _gone(request, draft)
    if uploaded is not None and list_pages.is_another(request, uploaded):
        return redirect("draft_list", draft.pk)
    form = CuttingForm({name: field.initial for name, field in CuttingForm.base_fields.items()})
    if not is_without_list:
        form = CuttingForm(request.POST)
    if form.is_valid():
        try:
            done = drafts.start(
                draft,
                actor=user,
                cutting=list_pages.cutting_of(form) if uploaded else Cutting(),
                uploaded=uploaded,
                starts_now=form.starts_now,
            )
        except ListGone:
            return _gone(request, draft)
        except (ChangedMeanwhile, BadRoster) as error:
            assert uploaded is not None
            if not list_pages.changed_meanwhile(form, uploaded, error):
                return _gone(request, draft)
        except Refused as refusal:
            refused(form, gettext(refusal.sentence))
        else:
            return _started(request, done)
    return _page(request, draft, user, cutting=form)


def _started(request: HttpRequest, done: Started) -> HttpResponse:
    campaign = done.campaign
    wake_after_commit()
    if done.waits_for_proof:
        told = gettext("%(name)s is planned. Prove its method, then start it: until then nothing runs.")
    elif any(batch.started_at for batch in done.batches):
        told = gettext("%(name)s has begun.")
    else:
        told = gettext("%(name)s is planned.")
    messages.success(request, told % {"name": campaign.name})
    return redirect(_place_after(done))


def _place_after(done: Started) -> str:
    if done.waits_for_proof:
        return reverse("campaign_prove", args=[done.campaign.pk])
    if len(done.batches) == 1:
        return reverse("batch", args=[done.batches[0].pk])
    return reverse("batches", args=[done.campaign.pk])


@require_POST
def discard_list(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Forget the list, to bring another one."""
    draft, user = _draft_for(request, draft_id)
    uploaded = lists.find(user, draft)
    if uploaded is not None:
        lists.discard(uploaded)
    return redirect("draft_list", draft.pk)


@require_POST
def discard(request: HttpRequest, draft_id: int) -> HttpResponse:
    """Forget the whole draft."""
    draft, _ = _draft_for(request, draft_id)
    drafts.discard(draft)
    messages.success(request, gettext("The draft %(name)s is gone.") % {"name": draft.name})
    return redirect("campaigns")


@require_safe
def refused_rows(request: HttpRequest, draft_id: int) -> HttpResponseBase:
    """Give the refused rows back, as a file to mend."""
    draft, user = _draft_for(request, draft_id)
    return list_pages.refused_rows(user, lists.find(user, draft)) or _gone(request, draft)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/new", servers, name="campaign_new"),
    path("campaigns/new/<int:draft_id>", servers, name="draft"),
    path("campaigns/new/<int:draft_id>/method", method, name="draft_method"),
    path("campaigns/new/<int:draft_id>/list", list_and_start, name="draft_list"),
    path("campaigns/new/<int:draft_id>/list/reading", reading, name="draft_reading"),
    path("campaigns/new/<int:draft_id>/list/discard", discard_list, name="draft_list_discard"),
    path("campaigns/new/<int:draft_id>/list/refused.csv", refused_rows, name="draft_refused"),
    path("campaigns/new/<int:draft_id>/start", start, name="draft_start"),
    path("campaigns/new/<int:draft_id>/discard", discard, name="draft_discard"),
]
