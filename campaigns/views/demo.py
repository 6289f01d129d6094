"""What only the demo's pages can do: make room on its new mail server, as somebody would in a real one's console."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from campaigns.demo import room
from campaigns.permissions import Verb
from campaigns.services.refusals import Refused
from campaigns.views.access import account_for, reader, way_back


@require_POST
def make_room(request: HttpRequest, account_id: int) -> HttpResponse:
    """Let the new mailbox of an account grow; back to ``next``, else to the account's page, where the retry is."""
    account = account_for(request, account_id, Verb.RUN)
    if not settings.DEMO:
        raise Http404
    try:
        room.make(account.pk, actor=reader(request))
        messages.success(request, gettext("The new mailbox has room now. Try the account again."))
    except Refused as refusal:
        messages.error(request, gettext(refusal.sentence))
    return way_back(request, "next", reverse("account", args=[account.pk]))


urlpatterns: Final[list[URLPattern]] = [path("demo/room/<int:account_id>", make_room, name="demo_room")]
