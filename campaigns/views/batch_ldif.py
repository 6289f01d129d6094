"""What a batch will write into the directory: a page to read it before, and files for ldapmodify."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.views.decorators.http import require_safe

from campaigns.permissions import Verb, may
from campaigns.selectors import ldif as selector
from campaigns.views.access import batch_for


@require_safe
def batch_ldif(request: HttpRequest, batch_id: int) -> HttpResponse:
    """Show what will be written, as the directory stands now."""
    batch = batch_for(request, batch_id, Verb.READ)
    context = {
        "nav": "campaigns",
        "batch": batch,
        "campaign": batch.campaign,
        "ldif": selector.view(batch, request.GET.get("page", "1")),
        "can_take": may(request.user, Verb.EXPORT, batch.campaign),
    }
    return render(request, "batch/ldif.html", context)


@require_safe
def batch_ldif_file(request: HttpRequest, batch_id: int, step: int) -> StreamingHttpResponse:
    """Hand out one step as ldapmodify reads it; ``?back=1`` what undoes it, ``?groups=1`` for groups."""
    batch = batch_for(request, batch_id, Verb.EXPORT)
    if step not in [one.position for one in selector.steps(batch)]:
        raise Http404
    is_back, is_groups = request.GET.get("back") == "1", request.GET.get("groups") == "1"
    lines = (selector.group_file if is_groups else selector.file)(batch, step, is_back=is_back)
    response = StreamingHttpResponse(lines, content_type="text/plain; charset=us-ascii")
    name = f"batch-{batch.pk}-step-{step + 1}{'-groups' * is_groups}{'-back' * is_back}.ldif"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


urlpatterns: Final[list[URLPattern]] = [
    path("batches/<int:batch_id>/directory", batch_ldif, name="batch_ldif"),
    path("batches/<int:batch_id>/directory/<int:step>.ldif", batch_ldif_file, name="batch_ldif_file"),
]
