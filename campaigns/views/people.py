"""Helpdesk's pages: one search box, and for each person one page that is read from top to bottom during a call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from campaigns import tasks
from campaigns.forms.calls import NoteForm
from campaigns.models import Account, User
from campaigns.permissions import Verb, may
from campaigns.selectors import people as found_people
from campaigns.selectors import person as answered
from campaigns.services import accounts, acts, calls
from campaigns.services.acts import Act
from campaigns.services.refusals import Refused
from campaigns.views.access import account_for, require


@require_safe
def people(request: HttpRequest) -> HttpResponse:
    """Look somebody up; the one person found opens at once."""
    require(request, Verb.LOOK_UP)
    query = request.GET.get("q", "").replace("\0", "").strip()
    found = found_people.find(query) if query else None
    if found and found.only:
        return redirect("person", found.only.pk)
    return render(request, "people/found.html", {"nav": "people", "query": query, "found": found})


@require_safe
def person(request: HttpRequest, account_id: int) -> HttpResponse:
    """Answer a call about one mailbox."""
    account = account_for(request, account_id, Verb.LOOK_UP)
    return _page(request, account, NoteForm())


def _page(request: HttpRequest, account: Account, form: NoteForm) -> HttpResponse:
    context = {
        "nav": "people",
        "person": answered.view(account),
        "form": form,
        "can_look": may(request.user, Verb.RUN, account.campaign),
        "can": {verb.value: may(request.user, verb, account.campaign) for verb in _BUTTONS},
    }
    return render(request, "people/person.html", context, status=422 if form.errors else 200)


_BUTTONS: Final = (Verb.RETRY_ACCOUNT, Verb.STOP_ACCOUNT, Verb.ASK_PASSWORD, Verb.NOTE_CALL)


@require_POST
def note_call(request: HttpRequest, account_id: int) -> HttpResponse:
    """Note a call, in one line."""
    account = account_for(request, account_id, Verb.NOTE_CALL)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _page(request, account, form)
    calls.note(account, form.cleaned_data["note"], actor=require(request, Verb.NOTE_CALL))
    messages.success(request, gettext("The call is noted."))
    return redirect("person", account.pk)


def _retry(account: Account, user: User) -> str:
    accounts.retry(account.pk, actor=user)
    tasks.wake_after_commit()
    return gettext("It is tried again at once.")


def _resume(account: Account, user: User) -> str:
    accounts.resume(account.pk, actor=user)
    tasks.wake_after_commit()
    return gettext("The mailbox goes on with its move.")


def _stop(account: Account, user: User) -> str:
    accounts.request_stop(account.pk, actor=user)
    return gettext("The mailbox rests as soon as its copy reaches a place to go on from.")


def _tell(account: Account, user: User) -> str:
    calls.tell_operator(account, "", actor=user)
    return gettext("The operator is told: this mailbox stands on the first page of every operator now.")


def _look(account: Account, user: User) -> str:
    calls.look(account, actor=user)
    return gettext("Noted that somebody has looked.")


# What each button needs when nobody is being moved, and does.
_ACTS: Final[dict[str, tuple[Verb, Callable[[Account, User], str]]]] = {
    "retry": (Verb.RETRY_ACCOUNT, _retry),
    "resume": (Verb.RETRY_ACCOUNT, _resume),
    "stop": (Verb.STOP_ACCOUNT, _stop),
    "tell": (Verb.NOTE_CALL, _tell),
    "looked": (Verb.RUN, _look),
}


# Which act a button stands for: that of somebody who is locked out, or about to be, takes another right.
_OF_ACCOUNTS: Final = {"retry": Act.RETRY, "resume": Act.GO_ON, "stop": Act.STOP}


@require_POST
def person_act(request: HttpRequest, account_id: int, act: str) -> HttpResponse:
    """Do what one of the buttons says. What cannot be done now is told in its place."""
    if act not in _ACTS:
        raise Http404
    verb, do = _ACTS[act]
    account = account_for(request, account_id, verb)
    if act in _OF_ACCOUNTS and not may(request.user, acts.verb(_OF_ACCOUNTS[act], account), account.campaign):
        messages.error(
            request, gettext("This mailbox is in the middle of its move. Tell the operator; nothing was done.")
        )
        return redirect(_back(request, account))
    try:
        messages.success(request, do(account, require(request, verb)))
    except Refused as refusal:
        messages.error(request, gettext(refusal.sentence))
    return redirect(_back(request, account))


def _back(request: HttpRequest, account: Account) -> str:
    return reverse("home") if request.POST.get("back") == "home" else reverse("person", args=(account.pk,))


urlpatterns: Final[list[URLPattern]] = [
    path("people", people, name="people"),
    path("people/<int:account_id>", person, name="person"),
    path("people/<int:account_id>/call", note_call, name="note_call"),
    path("people/<int:account_id>/<str:act>", person_act, name="person_act"),
]
