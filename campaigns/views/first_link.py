"""The pages behind a one-time link: choose a password, and be signed in.

The link leaves the address bar at once, so that it stands in no log, history or Referer of the page with the form.
"""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from campaigns.services import staff

_IN_SESSION: Final = "first_link"


@login_not_required
@require_safe
@never_cache
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Let whoever holds the link in."""
    try:
        link = staff.find_link(token)
    except staff.LinkRefused:
        return _refused(request)
    request.session.cycle_key()
    request.session[_IN_SESSION] = link.pk
    return redirect("choose_password")


@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@sensitive_post_parameters("password", "again")
def choose_password(request: HttpRequest) -> HttpResponse:
    """Show the form and take the password, from whoever came by a link."""
    link = request.session.get(_IN_SESSION, 0)
    try:
        user = staff.whose(link)
        if request.method != "POST":
            return _form(request, user.username)
        chosen = staff.choose_password(link, _password(request))
    except staff.LinkRefused:
        return _refused(request)
    except ValidationError as error:
        return _form(request, user.username, error.messages)
    login(request, chosen, backend=settings.AUTHENTICATION_BACKENDS[0])
    return redirect("home")


def _password(request: HttpRequest) -> str:
    password = request.POST.get("password", "")
    if password != request.POST.get("again"):
        raise ValidationError(gettext("The two passwords differ."))
    return password


def _form(request: HttpRequest, username: str, problems: list[str] | None = None) -> HttpResponse:
    page = {"username": username, "problems": problems or []}
    return render(request, "first_link/choose.html", page, status=422 if problems else 200)


def _refused(request: HttpRequest) -> HttpResponse:
    return render(request, "first_link/refused.html", status=410)
