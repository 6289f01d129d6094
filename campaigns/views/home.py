"""What somebody who signed in finds first: how many accounts of each campaign are in which state, for now as JSON."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from campaigns.permissions import Verb, may
from campaigns.selectors import overview


@require_safe
def home(request: HttpRequest) -> JsonResponse:
    """Answer whoever may read."""
    if not may(request.user, Verb.READ):
        raise PermissionDenied
    return JsonResponse({"campaigns": overview.campaigns()})
