"""One account: its page, what keeps it fresh, and what may be asked for it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from campaigns import tasks
from campaigns.forms.account import FolderRuleForm, PasswordForm, ReasonForm, ResolveForm
from campaigns.forms.base import PageForm
from campaigns.models import Account, Event, User
from campaigns.permissions import Verb, may
from campaigns.selectors import account_page, stories, words
from campaigns.selectors.account_page import AccountPage, Mend
from campaigns.selectors.csv_cells import Cell, rows_to_csv
from campaigns.services import accounts, acts, folder_rules, passwords
from campaigns.services.accounts import Verdict
from campaigns.services.acts import Act
from campaigns.services.folder_rules import Action
from campaigns.services.refusals import Refused
from campaigns.states import AccountState, Owner
from campaigns.views.access import account_for, require, way_back
from migrator.secret import Secret

_PARTS: Final = ("sentence", "facts", "steps", "mail", "timeline")


@require_safe
def account(request: HttpRequest, account_id: int) -> HttpResponse:
    """Show everything about one account."""
    found = account_for(request, account_id, Verb.LOOK_UP)
    return _show(request, found)


def _show(request: HttpRequest, found: Account, wrong: PageForm | None = None) -> HttpResponse:
    """Show the page, with the form that was ``wrong`` as it was filled in."""
    is_all = request.GET.get("events") == "all"
    page = account_page.view(found, events=account_page.MOST_EVENTS if is_all else account_page.EVENTS)
    context = _context(request, page) | _forms(page, wrong)
    context |= {"nav": "campaigns", "live": page.live_seconds, "is_all": is_all, "wrong": wrong}
    context["seen"] = "".join(_marks(context).values())
    return render(request, "accounts/page.html", context, status=422 if wrong else 200)


def _context(request: HttpRequest, page: AccountPage) -> dict[str, Any]:
    found = page.account
    user = request.user
    can = {act.value: act in page.possible and may(user, acts.verb(act, found), found.campaign) for act in Act}
    can["manage"] = may(user, Verb.RUN, found.campaign)
    can["resolve"] = may(user, Verb.RESOLVE, found.campaign)
    can["export"] = may(user, Verb.EXPORT, found.campaign)
    can["plan"] = may(user, Verb.PLAN, found.campaign)
    can["read"] = may(user, Verb.READ, found.campaign)
    can["take_back"] = page.state is AccountState.DONE and may(user, Verb.CUT_OVER, found.campaign)
    return {
        "page": page,
        "account": found,
        "batch": found.batch,
        "campaign": found.campaign,
        "can": can,
        "problem": page.problem,
        "demo": settings.DEMO,
        "is_alone": page.problem is None or page.problem.mend is Mend.WAIT,
    }


def _forms(page: AccountPage, wrong: PageForm | None) -> dict[str, Any]:
    problem = page.problem
    side = problem.side if problem and problem.side else "source"
    fresh: list[PageForm] = [
        PasswordForm(initial={"sides": side}),
        FolderRuleForm(initial={"folder": problem.folder if problem else ""}),
        ResolveForm(can_go_back=page.account.owner == Owner.SOURCE or page.account.return_asked_at is not None),
    ]
    names = ("password_form", "rule_form", "resolve_form")
    return {name: wrong if type(wrong) is type(form) else form for name, form in zip(names, fresh, strict=True)}


# The live page


def _marks(context: dict[str, Any]) -> dict[str, str]:
    """Return a mark of each part that may change while it is looked at. What holds a form stays as it is."""
    rendered = {part: render_to_string(f"accounts/_{part}.html", context) for part in _PARTS}
    page: AccountPage = context["page"]
    state = repr((page.account.state, page.account.is_stopped, page.possible, page.problem))
    return {part: _mark(text) for part, text in rendered.items()} | {"state": _mark(state)}


def _mark(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


@require_safe
def account_live(request: HttpRequest, account_id: int) -> HttpResponse:
    """Return the parts of an account's page that changed since ``seen``, or 204."""
    found = account_for(request, account_id, Verb.LOOK_UP)
    is_all = request.GET.get("events") == "all"
    page = account_page.view(found, events=account_page.MOST_EVENTS if is_all else account_page.EVENTS)
    context = _context(request, page)
    marks = _marks(context)
    seen = request.GET.get("seen", "")
    fresh = {part for place, (part, mark) in enumerate(marks.items()) if seen[place * 8 : place * 8 + 8] != mark}
    if fresh:
        response = render(request, "accounts/live.html", context | {"fresh": fresh})
    else:
        response = HttpResponse(status=204)
    response["X-Live-Seen"] = "".join(marks.values())
    response["X-Live-Seconds"] = str(page.live_seconds)
    response["X-Live-At"] = date_format(timezone.localtime(page.now), "H:i:s T")
    response["Cache-Control"] = "no-store"
    return response


# Acts


@require_POST
def account_act(request: HttpRequest, account_id: int) -> HttpResponse:
    """Do one thing for an account, and go back to where it was asked."""
    found = account_for(request, account_id, *acts.VERBS.values())
    asked = request.POST.get("act", "")
    if asked not in list(Act) or asked == Act.FINISH:
        messages.error(request, gettext("There is no such action. Nothing was done."))
        return _back(request, found)
    act = Act(asked)
    user = require(request, acts.verb(act, found), campaign=found.campaign)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        wrong = " ".join(str(error) for errors in form.errors.values() for error in errors)
        messages.error(request, gettext("Nothing was done. Reason: %(wrong)s") % {"wrong": wrong})
        return _back(request, found)
    try:
        acts.carry_out(act, found.pk, actor=user, reason=form.cleaned_data["reason"])
    except Refused as refusal:
        messages.error(request, f"{found.source_login}: {words.refusal(refusal.code)}")
    else:
        tasks.wake_after_commit()
        messages.success(request, _told(act, found))
    return _back(request, found)


def _told(act: Act, found: Account) -> str:
    told = {
        Act.RETRY: gettext("%(address)s is tried again."),
        Act.STOP: gettext("%(address)s stops at the next safe place."),
        Act.GO_ON: gettext("%(address)s goes on."),
        Act.LEAVE_OUT: gettext("%(address)s is left out of the move."),
        Act.TAKE_IN: gettext("%(address)s is taken back in."),
        Act.LET_BACK: gettext("%(address)s goes back to the old server."),
        Act.VOUCH: gettext("%(address)s goes on: both mailboxes belong to one person."),
    }
    return told[act] % {"address": found.source_login}


def _back(request: HttpRequest, found: Account) -> HttpResponse:
    return way_back(request, "back", reverse("account", args=[found.pk]))


@require_POST
@sensitive_post_parameters()
def account_password(request: HttpRequest, account_id: int) -> HttpResponse:
    """Store another password, and try again where that is wanted."""
    found = account_for(request, account_id, Verb.RUN)
    user = require(request, Verb.RUN, campaign=found.campaign)
    form = PasswordForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form)
    try:
        passwords.replace(found.pk, form.chosen_sides, Secret(form.cleaned_data["password"]), actor=user)
    except Refused as refusal:
        form.add_error("password", words.refusal(refusal.code))
        return _show(request, found, form)
    return _saved(request, found, user, gettext("The new password is stored."))


@require_POST
def account_rule(request: HttpRequest, account_id: int) -> HttpResponse:
    """Set the rule of one folder, and try again where that is wanted."""
    found = account_for(request, account_id, Verb.RUN)
    user = require(request, Verb.RUN, campaign=found.campaign)
    form = FolderRuleForm(request.POST)
    if not form.is_valid():
        return _show(request, found, form)
    action = Action(form.cleaned_data["action"])
    name = form.cleaned_data["name"] if action is Action.RENAME else ""
    try:
        folder_rules.set_rule(found.pk, form.cleaned_data["folder"], action, actor=user, name=name)
    except Refused as refusal:
        form.add_error("folder" if refusal.code in _OF_FOLDER else "name", words.refusal(refusal.code))
        return _show(request, found, form)
    return _saved(request, found, user, gettext("The rule is kept; the next copy of this account keeps to it."))


_OF_FOLDER: Final = frozenset({"folder_rule.folder", "folder_rule.copied"})


def _saved(request: HttpRequest, found: Account, user: User, told: str) -> HttpResponse:
    """Tell that something was stored; try again when that was asked for, too."""
    if request.POST.get("then") == Act.RETRY:
        try:
            accounts.retry(found.pk, actor=user)
        except Refused as refusal:
            messages.warning(request, f"{told} {words.refusal(refusal.code)}")
            return redirect("account", account_id=found.pk)
        tasks.wake_after_commit()
        told = f"{told} {_told(Act.RETRY, found)}"
    messages.success(request, told)
    return redirect("account", account_id=found.pk)


@require_POST
def account_rule_clear(request: HttpRequest, account_id: int) -> HttpResponse:
    """Take the rule of one folder away."""
    found = account_for(request, account_id, Verb.RUN)
    user = require(request, Verb.RUN, campaign=found.campaign)
    try:
        folder_rules.clear_rule(found.pk, request.POST.get("folder", ""), actor=user)
    except Refused as refusal:
        messages.error(request, words.refusal(refusal.code))
    else:
        messages.success(request, gettext("The rule is gone; the next copy of this account does without it."))
    return redirect("account", account_id=found.pk)


@require_POST
def account_resolve(request: HttpRequest, account_id: int) -> HttpResponse:
    """Decide about an account of which it is not known how far it came."""
    found = account_for(request, account_id, Verb.RESOLVE)
    user = require(request, Verb.RESOLVE, campaign=found.campaign)
    form = ResolveForm(request.POST, can_go_back=found.owner == Owner.SOURCE)
    if not form.is_valid():
        return _show(request, found, form)
    try:
        verdict = Verdict(form.cleaned_data["verdict"])
        accounts.resolve(found.pk, verdict, actor=user, reason=form.cleaned_data["reason"])
    except Refused as refusal:
        form.add_error("verdict", words.refusal(refusal.code))
        return _show(request, found, form)
    tasks.wake_after_commit()
    messages.success(request, gettext("Your decision is kept, and carried out now."))
    return redirect("account", account_id=found.pk)


# Download


@require_safe
def account_log(request: HttpRequest, account_id: int) -> StreamingHttpResponse:
    """Return everything that happened to an account, the first event first, as CSV."""
    found = account_for(request, account_id, Verb.LOOK_UP)
    header = (gettext("Time"), gettext("What happened"), gettext("Who"), gettext("Code"))
    response = StreamingHttpResponse(rows_to_csv(header, _log_rows(found)), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="account-{found.pk}.csv"'
    return response


def _log_rows(found: Account) -> Iterator[tuple[Cell, ...]]:
    rows = Event.objects.filter(account=found).select_related("actor").order_by("pk")
    for event in rows.iterator(chunk_size=500):
        yield timezone.localtime(event.at), stories.story(event), stories.actor(event), event.name


urlpatterns: Final[list[URLPattern]] = [
    path("accounts/<int:account_id>", account, name="account"),
    path("accounts/<int:account_id>/live", account_live, name="account_live"),
    path("accounts/<int:account_id>/act", account_act, name="account_act"),
    path("accounts/<int:account_id>/password", account_password, name="account_password"),
    path("accounts/<int:account_id>/rule", account_rule, name="account_rule"),
    path("accounts/<int:account_id>/rule/clear", account_rule_clear, name="account_rule_clear"),
    path("accounts/<int:account_id>/resolve", account_resolve, name="account_resolve"),
    path("accounts/<int:account_id>/log.csv", account_log, name="account_log"),
]
