"""The state of things as JSON, for machines: campaigns, a batch, its accounts page by page, one account. Reading only.

Whoever asks is signed in and may see it; without that there is an answer in JSON, too, never a page.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Final, ParamSpec

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from campaigns.models import Account, Batch, Campaign, Event
from campaigns.permissions import Verb, may
from campaigns.selectors import account as account_selector
from campaigns.selectors import batch as batch_selector
from campaigns.selectors import overview
from campaigns.selectors.figures import Figures
from campaigns.states import AccountState
from migrator.errors import CATALOGUE

P = ParamSpec("P")
Facts = dict[str, Any]
View = Callable[Concatenate[HttpRequest, P], JsonResponse]


class Refusal(Exception):
    """An answer that is none: its HTTP status, and a code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


def answers(view: Callable[Concatenate[HttpRequest, P], Facts]) -> View[P]:
    """Make a view of a function that returns facts, or raises ``Refusal``."""

    @login_not_required  # whoever is not signed in is told so in JSON
    @require_GET
    @never_cache
    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> JsonResponse:
        try:
            if not request.user.is_authenticated:
                raise Refusal(401, "sign_in_needed")
            return JsonResponse(view(request, *args, **kwargs))
        except Refusal as refusal:
            return JsonResponse({"error": refusal.code}, status=refusal.status)

    return answer


def _require(request: HttpRequest, verb: Verb, campaign: Campaign | None = None) -> None:
    if not may(request.user, verb, campaign):
        raise Refusal(403, "not_allowed")


@answers
def campaigns(request: HttpRequest) -> Facts:
    """All campaigns with their batches and figures."""
    _require(request, Verb.READ)
    return {"campaigns": [_campaign(view) for view in overview.campaigns()]}


@answers
def batch(request: HttpRequest, batch_id: int) -> Facts:
    """One batch with its figures, and what it waits for."""
    found = _find_batch(request, batch_id)
    return _batch(found.batch, found.figures) | {
        "campaign": found.batch.campaign_id,
        "waits_for": found.waits_for,
        "window_begins_at": _time(found.batch.window_begins_at),
        "window_ends_at": _time(found.batch.window_ends_at),
        "families": dict(found.figures.families),
    }


@answers
def accounts(request: HttpRequest, batch_id: int) -> Facts:
    """The accounts of a batch: ``?state=``, ``?after=`` (an id), ``?limit=`` (up to 1,000)."""
    _find_batch(request, batch_id)
    asked = request.GET.get("state", "")
    if asked and asked not in list(AccountState):
        raise Refusal(400, "no_such_state")
    page = batch_selector.accounts(
        batch_id,
        state=AccountState(asked) if asked else None,
        after=_number(request, "after", 0),
        limit=_number(request, "limit", batch_selector.PAGE),
    )
    return {"accounts": [_account(row) for row in page.accounts], "next_after": page.next_after}


@answers
def account(request: HttpRequest, account_id: int) -> Facts:
    """One account with its latest events."""
    _require(request, Verb.LOOK_UP)
    try:
        found = account_selector.view(account_id)
    except Account.DoesNotExist as error:
        raise Refusal(404, "no_such_account") from error
    _require(request, Verb.LOOK_UP, found.account.batch.campaign)
    events = [_event(event) for event in found.events]
    return _account(found.account) | {"waits_for": found.waits_for, "events": events}


def _find_batch(request: HttpRequest, batch_id: int) -> batch_selector.BatchView:
    _require(request, Verb.READ)
    try:
        found = batch_selector.view(batch_id)
    except Batch.DoesNotExist as error:
        raise Refusal(404, "no_such_batch") from error
    _require(request, Verb.READ, found.batch.campaign)
    return found


def _number(request: HttpRequest, name: str, default: int) -> int:
    text = request.GET.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Refusal(400, f"{name}_is_no_number")
    return int(text)


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _campaign(view: overview.CampaignView) -> Facts:
    campaign = view.campaign
    return {
        "id": campaign.pk,
        "name": campaign.name,
        "recipe": campaign.recipe,
        "source": campaign.source.name,
        "target": campaign.target.name,
        "is_paused": campaign.is_paused,
        "closed_at": _time(campaign.closed_at),
        "accounts": view.figures.accounts,
        "states": dict(view.figures.states),
        "batches": [_batch(batch, figures) for batch, figures in view.batches],
    }


def _batch(batch: Batch, figures: Figures) -> Facts:
    return {
        "id": batch.pk,
        "number": batch.number,
        "name": batch.name,
        "starts_at": _time(batch.starts_at),
        "started_at": _time(batch.started_at),
        "go_at": _time(batch.go_at),
        "ended_at": _time(batch.ended_at),
        "is_paused": batch.is_paused,
        "accounts": figures.accounts,
        "states": dict(figures.states),
    }


def _account(account: Account) -> Facts:
    return {
        "id": account.pk,
        "batch": account.batch_id,
        "source_login": account.source_login,
        "target_login": account.target_login,
        "display_name": account.display_name,
        "state": account.state,
        "owner": account.owner,
        "step": account.step,
        "state_since": _time(account.state_since),
        "is_worked_on": account.lease_until is not None,
        "is_stopped": account.is_stopped,
        "attempts": account.attempts,
        "not_before": _time(account.not_before),
        "messages": {
            "total": account.messages_total,
            "done": account.messages_done,
            "left_behind": account.messages_left,
        },
        "bytes": {"total": account.bytes_total, "done": account.bytes_done},
        "lockout_seconds": account.lockout_seconds,
        "error": _error(account),
    }


def _error(account: Account) -> Facts | None:
    if not account.error_code:
        return None
    known = CATALOGUE.get(account.error_code, CATALOGUE["unknown"])
    return {
        "code": account.error_code,
        "side": account.error_side,
        "at": _time(account.error_at),
        "sentence": known.sentence,
        "next_step": known.next_step,
        "reply": account.error_reply,
    }


def _event(event: Event) -> Facts:
    return {"at": _time(event.at), "name": event.name, "actor": event.actor_name, "facts": event.data}


urlpatterns: Final[list[URLPattern]] = [
    path("campaigns", campaigns, name="api_campaigns"),
    path("batches/<int:batch_id>", batch, name="api_batch"),
    path("batches/<int:batch_id>/accounts", accounts, name="api_accounts"),
    path("accounts/<int:account_id>", account, name="api_account"),
]
