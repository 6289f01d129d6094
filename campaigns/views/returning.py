"""Taking people back to the old server: what goes with them and how long it takes, then one button."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from campaigns import tasks
from campaigns.forms.returning import FirstFewForm, OthersForm, ReturnForm
from campaigns.models import Account, Batch
from campaigns.permissions import Verb
from campaigns.selectors import returning, words
from campaigns.services import returns
from campaigns.services.refusals import Refused
from campaigns.views.access import account_for, batch_for, reader
from migrator.errors import MigratorError


@require_safe
def account_back(request: HttpRequest, account_id: int) -> HttpResponse:
    """Show what taking one person back means."""
    return _account_page(request, account_for(request, account_id, Verb.CUT_OVER), ReturnForm())


@require_POST
def account_back_look(request: HttpRequest, account_id: int) -> HttpResponse:
    """Count what came to the new server since."""
    account = account_for(request, account_id, Verb.CUT_OVER)
    try:
        returns.look(_whole(account), actor=reader(request))
    except (Refused, MigratorError) as error:
        messages.error(request, _sentence(error))
    return redirect("account_back", account_id=account.pk)


@require_POST
def account_back_go(request: HttpRequest, account_id: int) -> HttpResponse:
    """Have one person taken back."""
    account = account_for(request, account_id, Verb.CUT_OVER)
    form = ReturnForm(request.POST)
    if not form.is_valid():
        return _account_page(request, account, form, status=422)
    try:
        returns.take_back(account.pk, actor=reader(request), reason=form.cleaned_data["reason"])
    except Refused as refusal:
        form.add_error(None, words.refusal(refusal.code))
        return _account_page(request, account, form, status=422)
    tasks.wake_after_commit()
    messages.success(request, gettext("Is taken back to the old server. This page tells how far it is."))
    return redirect("account", account_id=account.pk)


def _whole(account: Account) -> Account:
    """Return the account with its passwords, which pages do without."""
    return Account.objects.select_related("campaign", "batch", "source", "target").get(pk=account.pk)


def _sentence(error: Refused | MigratorError) -> str:
    return words.refusal(error.code) if isinstance(error, Refused) else words.cause(error.code, error.side or "")


def _account_page(request: HttpRequest, account: Account, form: ReturnForm, status: int = 200) -> HttpResponse:
    account.batch.campaign = account.campaign
    page = returning.of_account(account)
    context = {
        "nav": "campaigns",
        "account": account,
        "batch": account.batch,
        "campaign": account.campaign,
        "page": page,
        "refusal": words.refusal(page.refusal) if page.refusal else "",
        "form": form,
    }
    return render(request, "returning/account.html", context, status=status)


@require_safe
def batch_back(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show what taking a batch back means, and how far that is."""
    return _batch_page(request, batch_for(request, batch_id, Verb.CUT_OVER))


@require_POST
def batch_back_look(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Count what came to the new server since, for some of a batch."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    try:
        returns.look_at_some(batch, actor=reader(request))
    except (Refused, MigratorError) as error:
        messages.error(request, _sentence(error))
    return redirect("batch_back", batch_id=batch.pk)


@require_POST
def batch_back_go(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Have the first few of a batch taken back, or all the others."""
    batch = batch_for(request, batch_id, Verb.CUT_OVER)
    is_first = request.POST.get("who") != "others"
    form: ReturnForm = (
        FirstFewForm(request.POST) if is_first else OthersForm(request.POST, accounts=returns.standing(batch).done)
    )
    if not form.is_valid():
        return _batch_page(request, batch, form)
    try:
        first = int(form.cleaned_data["first"]) if is_first else None
        reason = form.cleaned_data["reason"]
        asked = returns.take_batch_back(batch, first=first, actor=reader(request), reason=reason)
    except Refused as refusal:
        form.add_error(None, words.refusal(refusal.code))
        return _batch_page(request, batch, form)
    tasks.wake_after_commit()
    told = ngettext("%(n)s person is taken back.", "%(n)s people are taken back.", asked.accounts)
    messages.success(request, told % {"n": f"{asked.accounts:,}"})
    for code, accounts in asked.refused.most_common():
        text = gettext("%(n)s refused: %(reason)s") % {"n": f"{accounts:,}", "reason": words.refusal(code)}
        messages.warning(request, text)
    return redirect("batch_back", batch_id=batch.pk)


def _batch_page(request: HttpRequest, batch: Batch, form: ReturnForm | None = None) -> HttpResponse:
    page = returning.of_batch(batch)
    empty = OthersForm(accounts=page.standing.done) if page.standing.may_all else FirstFewForm()
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "page": page,
        "refusal": words.refusal(page.refusal) if page.refusal else "",
        "form": form or empty,
    }
    return render(request, "returning/batch.html", context, status=422 if form is not None else 200)


urlpatterns: Final[list[URLPattern]] = [
    path("accounts/<int:account_id>/back", account_back, name="account_back"),
    path("accounts/<int:account_id>/back/look", account_back_look, name="account_back_look"),
    path("accounts/<int:account_id>/back/go", account_back_go, name="account_back_go"),
    path("batches/<int:batch_id>/back", batch_back, name="batch_back"),
    path("batches/<int:batch_id>/back/look", batch_back_look, name="batch_back_look"),
    path("batches/<int:batch_id>/back/go", batch_back_go, name="batch_back_go"),
]
