"""Staff logins: who signs in, and what they may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.staff import LoginForm, NewLoginForm
from campaigns.models import User
from campaigns.permissions import Verb
from campaigns.selectors import staff as selector
from campaigns.services import staff as service
from campaigns.services.refusals import Refused
from campaigns.views.access import require
from campaigns.views.servers import add_refusal


@require_safe
def staff(request: HttpRequest) -> HttpResponse:
    """List all staff logins."""
    require(request, Verb.MANAGE_STAFF)
    return render(request, "staff/list.html", {"nav": "staff", "logins": selector.logins()})


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def staff_new(request: HttpRequest) -> HttpResponse:
    """Make a login, and show once the link by which its person chooses a password."""
    actor = require(request, Verb.MANAGE_STAFF)
    form = NewLoginForm(request.POST or None)
    if form.is_valid():
        try:
            user, token = service.create(**form.cleaned_data, actor=actor)
            return _link(request, user, token)
        except Refused as refused:
            add_refusal(form, refused)
    return render(request, "staff/new.html", {"nav": "staff", "form": form}, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def staff_login(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show one login, and change its name and roles."""
    actor = require(request, Verb.MANAGE_STAFF)
    user = _find(user_id)
    roles = [role for role in service.ROLES if getattr(user, role)]
    form = LoginForm(request.POST or None, initial={"full_name": user.get_full_name(), "roles": roles})
    if form.is_valid():
        try:
            service.change(user.pk, **form.cleaned_data, actor=actor)
            messages.success(request, gettext("%(name)s is saved.") % {"name": user.username})
            return redirect("staff_login", user_id=user.pk)
        except Refused as refused:
            add_refusal(form, refused)
    page = {"nav": "staff", "form": form, "login": selector.login(user), "is_me": user.pk == actor.pk}
    return render(request, "staff/login.html", page, status=422 if form.errors else 200)


@require_POST
@never_cache
def staff_link(request: HttpRequest, user_id: int) -> HttpResponse:
    """Make a new link for somebody, and show it once."""
    actor = require(request, Verb.MANAGE_STAFF)
    try:
        return _link(request, *service.link_for(_find(user_id).pk, actor=actor))
    except Refused as refused:
        messages.error(request, gettext(refused.sentence))
        return redirect("staff_login", user_id=user_id)


@require_POST
def staff_close(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let somebody in no more."""
    actor = require(request, Verb.MANAGE_STAFF)
    done = gettext("The login is closed. Nobody gets in by it any more.")
    return _act(request, user_id, done, lambda: service.close(user_id, actor=actor))


@require_POST
def staff_open(request: HttpRequest, user_id: int) -> HttpResponse:
    """Let somebody in again."""
    actor = require(request, Verb.MANAGE_STAFF)
    return _act(request, user_id, gettext("The login is open."), lambda: service.open_again(user_id, actor=actor))


def _act(request: HttpRequest, user_id: int, done: str, act: Callable[[], object]) -> HttpResponse:
    _find(user_id)
    try:
        act()
        messages.success(request, done)
    except Refused as refused:
        messages.error(request, gettext(refused.sentence))
    return redirect("staff_login", user_id=user_id)


def _link(request: HttpRequest, user: User, token: str) -> HttpResponse:
    """Show a link in the answer itself: it is kept nowhere, not even for a redirect."""
    page = {
        "nav": "staff",
        "login": selector.login(user),
        "link": settings.URL + reverse("open_link", args=[token]),
        "hours": service.LINK_HOURS,
    }
    return render(request, "staff/link.html", page)


def _find(user_id: int) -> User:
    for user in User.objects.filter(pk=user_id):
        return user
    raise Http404


urlpatterns: Final[list[URLPattern]] = [
    path("staff", staff, name="staff"),
    path("staff/new", staff_new, name="staff_new"),
    path("staff/<int:user_id>", staff_login, name="staff_login"),
    path("staff/<int:user_id>/link", staff_link, name="staff_link"),
    path("staff/<int:user_id>/close", staff_close, name="staff_close"),
    path("staff/<int:user_id>/open", staff_open, name="staff_open"),
]
