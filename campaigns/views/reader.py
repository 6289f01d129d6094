"""The reader's own pages: profile, theme, and the help that is one click away everywhere."""

from __future__ import annotations

from typing import Final

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from campaigns.forms.profile import ProfileForm
from campaigns.selectors import words
from campaigns.services import staff
from campaigns.states import AccountState
from campaigns.views.access import reader
from campaigns.views.frame import THEME_COOKIE, THEMES

_YEAR_SECONDS: Final = 365 * 24 * 3600


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and change how pages look to one person."""
    user = reader(request)
    chosen = {"time_zone": user.time_zone, "theme": user.theme, "language": user.language}
    form = ProfileForm(request.POST or None, initial=chosen)
    if request.method == "POST" and form.is_valid():
        staff.choose_looks(user, **form.cleaned_data)
        messages.success(request, gettext("Your profile is saved."))
        return redirect("profile")
    return render(request, "reader/profile.html", {"nav": "profile", "form": form}, status=422 if form.errors else 200)


@require_POST
@login_not_required
def theme(request: HttpRequest) -> HttpResponse:
    """Change between light and dark, and go back to the page."""
    chosen = request.POST.get("theme", "")
    back = request.POST.get("back", "")
    is_ours = url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    response = redirect(back if is_ours else "home")
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
    path("profile/theme", theme, name="theme"),
    path("help/signs", signs, name="signs"),
    path("help/keys", keys, name="keys"),
]
