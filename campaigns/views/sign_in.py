"""Signing in and out: allauth's views with our pages. Nobody signs up, and nothing is sent by mail."""

from __future__ import annotations

from typing import Final

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path


class Staff(DefaultAccountAdapter):  # type: ignore[misc]  # allauth carries no types
    """What allauth asks about staff logins."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def too_many(request: HttpRequest) -> HttpResponse:
    """Say that this address has tried too often."""
    return render(request, "429.html", status=429)


urlpatterns: Final[list[URLPattern]] = [
    path("sign-in", views.login, name="account_login"),
    path("sign-out", views.logout, name="account_logout"),
    path("sign-in/inactive", views.account_inactive, name="account_inactive"),
    path("sign-in/again", views.reauthenticate, name="account_reauthenticate"),
]
