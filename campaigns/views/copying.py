"""How mail is copied: the options of a campaign, and what one account does otherwise."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from campaigns.bridge import copying
from campaigns.bridge.copying import CopyOptions
from campaigns.forms.copying import CopyingForm, FolderForm
from campaigns.models import Campaign, User
from campaigns.permissions import Verb
from campaigns.selectors import copying as selector
from campaigns.selectors import folder_tree
from campaigns.services import copy_options, folder_trials
from campaigns.services.refusals import Refused
from campaigns.tasks import wake_after_commit
from campaigns.views.access import account_for, campaign_for, require


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_copying(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show and change how all accounts of a campaign are copied."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    user = require(request, Verb.PLAN)
    options = copying.of_campaign(campaign)
    seen = _seen(request, options)
    form = CopyingForm(request.POST or None, source=campaign.source, target=campaign.target, options=options)
    if request.method == "POST" and form.is_valid():
        try:
            changed = copy_options.set_for_campaign(campaign.pk, form.options(), actor=user, seen=seen)
        except Refused as refused:
            seen = _refuse(form, refused, seen, options)
        else:
            _tell(request, changed)
            return redirect("campaign_copying", campaign.pk)
    page = {"campaign": campaign, "form": form, "history": selector.history(campaign), "seen": seen}
    page["exceptions"] = selector.accounts_with_exceptions(campaign)
    page["more"] = selector.more_with_exceptions(campaign)
    return _page(request, "copying/campaign.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
def account_copying(request: HttpRequest, account_id: int) -> HttpResponse:
    """Show and change how one account is copied."""
    account = account_for(request, account_id, Verb.PLAN)
    user = require(request, Verb.PLAN)
    options = copying.of_account(account)
    seen = _seen(request, options)
    form = CopyingForm(request.POST or None, source=account.source, target=account.target, options=options)
    if request.method == "POST" and form.is_valid():
        try:
            changed = copy_options.set_for_account(account.pk, form.options(), actor=user, seen=seen)
        except Refused as refused:
            seen = _refuse(form, refused, seen, options)
        else:
            _tell(request, changed)
            return redirect("account_copying", account.pk)
    page = {
        "campaign": account.campaign,
        "account": account,
        "form": form,
        "history": selector.history(account),
        "seen": seen,
    }
    page["exceptions"] = selector.exceptions(account)
    return _page(request, "copying/account.html", page)


@require_http_methods(["GET", "HEAD", "POST"])
def campaign_folders(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Try the options about folders on real accounts, and keep them for the campaign."""
    campaign = campaign_for(request, campaign_id, Verb.PLAN)
    user = require(request, Verb.PLAN)
    options, suggested = copying.of_campaign(campaign), folder_tree.suggested(campaign)
    sides = {"source": campaign.source, "target": campaign.target}
    form = FolderForm(request.POST or None, **sides, options=options, accounts=suggested)
    seen = _seen(request, options)
    page: dict[str, Any] = {"campaign": campaign, "form": form, "trees": None, "has_accounts": bool(suggested)}
    if request.method == "POST" and form.is_valid():
        try:
            if "save" in request.POST:
                _tell(request, copy_options.set_for_campaign(campaign.pk, form.options(), actor=user, seen=seen))
                return redirect("campaign_folders", campaign.pk)
            page["trees"] = _tried(campaign, form, user)
            page["differs"] = form.options() != options
        except Refused as refused:
            seen = _refuse(form, refused, seen, options)
    return _page(request, "copying/folders.html", {**page, "seen": seen})


def _tried(campaign: Campaign, form: FolderForm, user: User) -> list[folder_tree.Tree] | None:
    options = form.options()
    copy_options.require_sound(options)
    accounts, nobody = folder_tree.named(campaign, form.cleaned_data["accounts"])
    if nobody or not accounts:
        told = gettext("Nobody in this campaign is called %(names)s at the old server.") % {"names": ", ".join(nobody)}
        form.add_error("accounts", told if nobody else gettext("Name an account."))
        return None
    return folder_tree.trees(folder_trials.try_folders(campaign, accounts, options, actor=user))


def _seen(request: HttpRequest, options: CopyOptions) -> str:
    """Return the mark of the options that somebody was shown: those the page came with, else those of now."""
    return request.POST.get("seen", "") or copy_options.mark(options)


def _refuse(form: CopyingForm, refused: Refused, seen: str, options: CopyOptions) -> str:
    """Say why; return the mark that the page keeps. Who was told that others changed something may save again."""
    form.add_error(refused.field if refused.field in form.fields else None, gettext(refused.sentence))
    return copy_options.mark(options) if refused.code == copy_options.MEANWHILE else seen


def _tell(request: HttpRequest, changed: list[str]) -> None:
    if changed:
        messages.success(request, gettext("Saved. It counts from the next look at each account on."))
        wake_after_commit()
    else:
        messages.success(request, gettext("Nothing has changed."))


def _page(request: HttpRequest, template: str, page: dict[str, Any]) -> HttpResponse:
    status = 422 if page["form"].errors else 200
    return render(request, template, {"nav": "campaigns", **page}, status=status)


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns/<int:campaign_id>/copying", campaign_copying, name="campaign_copying"),
    path("campaigns/<int:campaign_id>/folders", campaign_folders, name="campaign_folders"),
    path("accounts/<int:account_id>/copying", account_copying, name="account_copying"),
]
