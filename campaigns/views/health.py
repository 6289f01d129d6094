"""Whether the panel works, for whoever watches it: names of what was looked at, never an address or a figure."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from campaigns.services import doctor


@login_not_required
@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 when everything runs, 503 when something does not. Anybody may ask."""
    findings = doctor.health()
    is_well = all(finding.is_well for finding in findings)
    checks = {"web": True} | {finding.name: finding.is_well for finding in findings}
    return JsonResponse({"ok": is_well, "checks": checks}, status=200 if is_well else 503)
