"""The reader's own pages: profile, theme, and the help that is one click away everywhere."""

from __future__ import annotations

from typing import Final

from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.profile import ProfileForm
from campaigns.forms.staff import PasswordForm
from campaigns.models import User
from campaigns.selectors import words
from campaigns.services import staff
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from campaigns.views.access import reader, way_back
from campaigns.views.frame import THEME_COOKIE, THEMES

_YEAR_SECONDS: Final = 365 * 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and change how pages look to one person."""
    user = reader(request)
    form = _looks(user, request.POST or None)
    if form.is_valid():
        staff.choose_looks(user, **form.cleaned_data)
        messages.success(request, gettext("Your profile is saved."))
        return redirect("profile")
    return _profile(request, form, PasswordForm())


@require_POST
@sensitive_post_parameters()
def password(request: HttpRequest) -> HttpResponse:
    """Give the reader another password. Other browsers they are signed in with must sign in again."""
    user = reader(request)
    form = PasswordForm(request.POST)
    if not ratelimit.consume(request, action="change_password", user=user):
        form.add_error(None, gettext("Too many tries. Wait a minute."))
    elif form.is_valid():
        try:
            staff.change_password(user, form.cleaned_data["current"], form.cleaned_data["password"])
        except Refused as refused:
            form.add_error("current", gettext(refused.sentence))
        except ValidationError as error:
            form.add_error("password", error)
        else:
            update_session_auth_hash(request, user)
            messages.success(request, gettext("Your password is changed."))
            return redirect("profile")
    return _profile(request, _looks(user), form)


def _looks(user: User, data: QueryDict | None = None) -> ProfileForm:
    chosen = {"time_zone": user.time_zone, "theme": user.theme, "language": user.language}
    return ProfileForm(data, initial=chosen)


def _profile(request: HttpRequest, looks: ProfileForm, password: PasswordForm) -> HttpResponse:
    page = {"nav": "profile", "form": looks, "password": password}
    status = 422 if looks.errors or password.errors else 200
    return render(request, "reader/profile.html", page, status=status)


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """Change between light and dark, and go back to the page."""
    chosen = request.POST.get("theme", "")
    response = way_back(request, "back", reverse("home"))
    if chosen in THEMES:
        if request.user.is_authenticated:
            staff.choose_looks(reader(request), theme=chosen)
        response.set_cookie(THEME_COOKIE, chosen, max_age=_YEAR_SECONDS, samesite="Lax", httponly=True)
    return response


@require_safe
def signs(request: HttpRequest) -> HttpResponse:
    """Explain every state: its glyph, its word, what it means."""
    states = [(state, words.STATES_EXPLAINED[state]) for state in AccountState]
    return render(request, "reader/signs.html", {"states": states})


@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """List the keys that pages know."""
    return render(request, "reader/keys.html")


urlpatterns: Final[list[URLPattern]] = [
    path("profile", profile, name="profile"),
    path("profile/password", password, name="password"),
    path("profile/theme", theme, name="theme"),
    path("help/signs", signs, name="signs"),
    path("help/keys", keys, name="keys"),
]
