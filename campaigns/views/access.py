"""Who may open a page, and the thing it is about: the first line of every view."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

from campaigns.models import Account, Batch, Campaign, User
from campaigns.permissions import Verb, may

Row = TypeVar("Row", bound=Model)


def reader(request: HttpRequest) -> User:
    """Return who asks, for pages that everybody has who is signed in."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def require(request: HttpRequest, *verbs: Verb, campaign: Campaign | None = None) -> User:
    """Return who asks, when one of ``verbs`` is theirs. Raises ``PermissionDenied``: a page with status 403."""
    if not any(may(request.user, verb, campaign) for verb in verbs):
        raise PermissionDenied
    return reader(request)


def campaign_for(request: HttpRequest, campaign_id: int, *verbs: Verb) -> Campaign:
    """Return a campaign in which the asker may do one of ``verbs``. Raises ``PermissionDenied``, ``Http404``."""
    require(request, *verbs)
    related = ("source", "target", *Campaign.CONNECTORS)
    campaign = _find(Campaign.objects.select_related(*related), campaign_id)
    require(request, *verbs, campaign=campaign)
    return campaign


def batch_for(request: HttpRequest, batch_id: int, *verbs: Verb) -> Batch:
    """Return a batch in whose campaign the asker may do one of ``verbs``. Raises as ``campaign_for``."""
    require(request, *verbs)
    of_campaign = ("source", "target", "hold", "route")
    rows = Batch.objects.select_related(*(f"campaign__{name}" for name in of_campaign), "held__oldest_account")
    secrets = (f"held__oldest_account__{side}_secret" for side in ("source", "target"))
    batch = _find(rows.defer(*secrets), batch_id)
    require(request, *verbs, campaign=batch.campaign)
    return batch


def account_for(request: HttpRequest, account_id: int, *verbs: Verb) -> Account:
    """Return an account in whose campaign the asker may do one of ``verbs``. Raises as ``campaign_for``."""
    require(request, *verbs)
    rows = Account.objects.select_related("batch", "campaign", "source", "target", "held_mail")
    account = _find(rows.defer("source_secret", "target_secret"), account_id)
    require(request, *verbs, campaign=account.campaign)
    return account


def way_back(request: HttpRequest, field: str, otherwise: str) -> HttpResponseRedirect:
    """Lead back to the page of ours that a form names in ``field``, else to the address ``otherwise``."""
    back = request.POST.get(field, "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(
        back, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return HttpResponseRedirect(back if is_ours else otherwise)


def _find(rows: QuerySet[Row], key: int) -> Row:
    found: Iterable[Row] = rows.filter(pk=key)
    for row in found:
        return row
    raise Http404
