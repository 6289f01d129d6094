"""What stands around every page: where its reader may go, and in which colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from campaigns.models import User
from campaigns.permissions import Verb, verbs

THEME_COOKIE: Final = "mailferry_theme"
THEMES: Final = ("light", "dark")


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the main navigation. ``part`` is what the pages below it call themselves (``nav`` in a template)."""

    part: str
    words: str
    url: str


# part, words, name of the page, verbs of which one is needed
_PLACES: Final = (
    ("home", gettext_lazy("What needs me"), "home", (Verb.RUN, Verb.MANAGE_SERVERS)),
    ("campaigns", gettext_lazy("Campaigns"), "campaigns", (Verb.READ,)),
    ("people", gettext_lazy("People"), "people", (Verb.LOOK_UP,)),
    ("servers", gettext_lazy("Servers"), "servers", (Verb.PLAN, Verb.MANAGE_SERVERS)),
    ("staff", gettext_lazy("Staff logins"), "staff", (Verb.MANAGE_STAFF,)),
    ("alarms", gettext_lazy("Alarms"), "alarms", (Verb.RUN, Verb.MANAGE_SERVERS)),
    ("log", gettext_lazy("Log"), "log", (Verb.READ,)),
)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Return the context that the base template needs, and what the reader may do (``may.run`` and so on)."""
    user = getattr(request, "user", None)
    theirs = verbs(user) if isinstance(user, User) and user.is_active else frozenset()
    theme = theme_of(request)
    return {
        "places": _places(theirs),
        "may": rights(theirs),
        "theme": theme,
        "other_theme": THEMES[1 - THEMES.index(theme)],
        "other_theme_words": gettext("Change to the light theme" if theme == "dark" else "Change to the dark theme"),
    }


def rights(theirs: frozenset[Verb]) -> dict[str, bool]:
    """Return what a template asks as ``may.run`` and so on."""
    return {verb.value: verb in theirs for verb in Verb}


def _places(theirs: frozenset[Verb]) -> list[Place]:
    return [Place(part, str(words), reverse(name)) for part, words, name, any_of in _PLACES if theirs & {*any_of}]


def theme_of(request: HttpRequest) -> str:
    """Return the theme of the profile, else of the cookie, else light."""
    user = getattr(request, "user", None)
    chosen = getattr(user, "theme", "") or request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]
