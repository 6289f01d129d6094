"""Figures for monitoring."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from campaigns.selectors import monitoring


@login_not_required
@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer programs of this machine, or whoever knows MAILFERRY_METRICS_TOKEN (``Authorization: Bearer``)."""
    if not (_knows_token(request) or _is_local(request)):
        return HttpResponse(
            "Ask from this machine, or with the metrics token.\n", status=403, content_type="text/plain"
        )
    return HttpResponse(monitoring.exposition(), content_type=CONTENT_TYPE_LATEST)


def _knows_token(request: HttpRequest) -> bool:
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return bool(settings.METRICS_TOKEN) and secrets.compare_digest(given.encode(), settings.METRICS_TOKEN.encode())


def _is_local(request: HttpRequest) -> bool:
    """True for a program of this machine. Behind a proxy everybody seems to be one, so there nobody is."""
    if settings.TRUSTED_PROXY or {"X-Forwarded-For", "Forwarded"} & set(request.headers):
        return False
    return _is_loopback(request.META["REMOTE_ADDR"]) and _is_loopback(urlsplit(settings.URL).hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
