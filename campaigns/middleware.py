"""Every page in the time zone and language of whoever reads it."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from campaigns.models import User


class ReaderMiddleware:
    """Switch both on for one request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        with timezone.override(_zone(user)), translation.override(_language(user)):
            return self.get_response(request)


def _zone(user: User | None) -> zoneinfo.ZoneInfo | None:
    """Return the zone of a profile; None, and so the installation's, where there is none or it is no more."""
    try:
        return zoneinfo.ZoneInfo(user.time_zone) if user and user.time_zone else None
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return None


def _language(user: User | None) -> str:
    known = translation.get_supported_language_variant
    try:
        return known(user.language) if user and user.language else known(translation.get_language() or "en")
    except LookupError:
        return "en"
