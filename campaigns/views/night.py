"""The night of a batch on one page: go or no go, the wall while it runs, forecast beside reality afterwards."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import tasks
from campaigns.models import Batch
from campaigns.permissions import Verb, may
from campaigns.selectors import confirming, words
from campaigns.selectors import night as selector
from campaigns.selectors.confirming import Choice, Whole
from campaigns.selectors.night import NightPage
from campaigns.services import acceptance, go_no_go
from campaigns.services.refusals import Refused
from campaigns.views.access import batch_for, reader


@require_http_methods(["GET", "HEAD", "POST"])
def night(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show the night of a batch; say go, once everything that is needed is well."""
    if request.method == "POST":
        return _go(request, batch_id)
    found = batch_for(request, batch_id, Verb.READ)
    page = selector.view(found)
    if "HX-Request" in request.headers:
        response = render(request, "night/_live.html", _context(request, found, page))
        response["X-Live-At"] = date_format(timezone.localtime(), "H:i:s T")
        response["X-Live-Seconds"] = str(page.live_seconds)
        return response
    return _page(request, found, page)


def _go(request: HttpRequest, batch_id: int) -> HttpResponse:
    found = batch_for(request, batch_id, Verb.CUT_OVER)
    page = selector.view(found)
    problem = _problem(request, page)
    if problem:
        return _page(request, found, page, problem)
    try:
        go_no_go.go(found, actor=reader(request))
    except Refused as refusal:
        return _page(request, found, selector.view(found), words.refusal(refusal.code))
    tasks.wake_after_commit()
    messages.success(request, gettext("You said go. Accounts move from now on, within their window."))
    return redirect("night", batch_id=found.pk)


def _problem(request: HttpRequest, page: NightPage) -> str:
    """Return what keeps what was sent from being a go."""
    if not page.is_before:
        return words.refusal("batch.gone")
    accounts = page.page.to_move
    typed = request.POST.get("typed", "").strip().replace(",", "")
    if request.POST.get("number") != f"{accounts}":
        return gettext("Meanwhile it is %(n)s accounts. Look again, then confirm.") % {"n": f"{accounts:,}"}
    if page.wants_number and typed != f"{accounts}":
        return gettext("Type %(n)s to confirm. Nothing was done yet.") % {"n": accounts}
    return ""


def _page(request: HttpRequest, found: Batch, page: NightPage, problem: str = "") -> HttpResponse:
    context = _context(request, found, page) | {"problem": problem, "typed": request.POST.get("typed", "")}
    return render(request, "night/page.html", context, status=422 if problem else 200)


def _context(request: HttpRequest, found: Batch, page: NightPage) -> dict[str, object]:
    can_go = page.page.is_open and may(request.user, Verb.CUT_OVER, found.campaign)
    asks = page.is_before and page.page.to_move > 0
    return {
        "nav": "campaigns",
        "night": page,
        "page": page.page,
        "batch": found,
        "campaign": found.campaign,
        "live": page.live_seconds,
        "can_go": can_go,
        "confirmation": confirming.ask(found, Choice(Whole.GO)) if asks else None,
    }


@require_POST
def night_try(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Sign in as a few users who have moved, and look at the queue of the old server where that can be seen."""
    found = batch_for(request, batch_id, Verb.CUT_OVER)
    unseen = acceptance.look_at_queue(found, actor=reader(request))
    if unseen is not None:
        messages.error(request, words.cause(unseen.code, "source"))
    elif acceptance.may_see_queue(found):
        messages.success(request, gettext("Looked at the queue of the old server."))
    tried = acceptance.try_batch(found, actor=reader(request))
    failed = [one for one in tried if one.error is not None]
    if not tried and not acceptance.may_see_queue(found):
        messages.error(request, gettext("Nobody who has moved can be signed in as: no password is known."))
    for one in failed:
        facts = {"name": one.account.target_login, "why": words.cause(one.error.code, "target")} if one.error else {}
        messages.error(request, gettext("%(name)s: %(why)s") % facts)
    if tried and not failed:
        told = ngettext(
            "Signed in as %(n)d user, who sees all mail that was moved.",
            "Signed in as %(n)d users, who see all mail that was moved.",
            len(tried),
        )
        messages.success(request, told % {"n": len(tried)})
    return redirect("night", batch_id=found.pk)


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/night", night, name="night"),
    path("batches/<int:batch_id>/night/try", night_try, name="night_try"),
]
