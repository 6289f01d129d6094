"""Campaigns, batches and accounts as the commands tell of them: sentences for people, facts for programs."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

from django.db.models import Count

from campaigns.models import Account, Batch, JournalEntry
from campaigns.selectors.account import AccountView
from campaigns.selectors.batch import BatchView
from campaigns.selectors.figures import Figures
from campaigns.selectors.overview import CampaignView
from campaigns.selectors.survey import SurveyPage
from migrator.errors import CATALOGUE

Facts = dict[str, Any]

_BATCH: Final = ("id", "number", "name", "starts_at", "started_at", "window_begins_at", "window_ends_at", "go_at")
_ACCOUNT: Final = (
    "id",
    "source_login",
    "target_login",
    "display_name",
    "state",
    "owner",
    "step",
    "state_since",
    "not_before",
    "attempts",
    "is_stopped",
    "messages_total",
    "messages_done",
    "messages_left",
    "bytes_done",
    "lockout_seconds",
    "error_code",
    "error_side",
    "error_reply",
)
_STEP: Final = ("cutover", "kind", "side", "status", "begun_at", "ended_at")


def figures_sentence(figures: Figures) -> str:
    """Return how many accounts are where."""
    states = ", ".join(f"{count:,} {state.value}" for state, count in sorted(figures.states.items()))
    return f"{figures.accounts:,} accounts" + (f": {states}." if states else ".")


def campaign_facts(view: CampaignView) -> Facts:
    """Return a campaign with its batches."""
    campaign = view.campaign
    return {
        "name": campaign.name,
        "recipe": campaign.recipe,
        "source": campaign.source.name,
        "target": campaign.target.name,
        "is_paused": campaign.is_paused,
        "closed_at": campaign.closed_at,
        "states": _states(view.figures),
        "batches": [{"number": batch.number, "states": _states(figures)} for batch, figures in view.batches],
    }


def batch_facts(view: BatchView) -> Facts:
    """Return a batch, what it waits for, and why accounts of it failed or wait."""
    facts = {name: getattr(view.batch, name) for name in (*_BATCH, "ended_at", "is_paused")}
    return facts | {
        "states": _states(view.figures),
        "waits_for": view.waits_for,
        "causes": dict(causes_of(view.batch.pk)),
        "lockout": lockout_facts(view.batch.pk),
    }


def causes_of(batch_id: int) -> list[tuple[str, int]]:
    """Return the causes that accounts of a batch failed or wait for, the most frequent first."""
    rows = Account.objects.filter(batch=batch_id).exclude(error_code="").values_list("error_code")
    return list(rows.annotate(accounts=Count("pk")).order_by("-accounts", "error_code"))


def lockout_facts(batch_id: int) -> Facts | None:
    """Return for how many users of a batch sign-in was refused, and for how long; None while it was for nobody."""
    rows = Account.objects.filter(batch=batch_id, lockout_seconds__isnull=False)
    seconds = [float(one) for one in rows.values_list("lockout_seconds", flat=True) if one is not None]
    if not seconds:
        return None
    return {"users": len(seconds), "median_seconds": median(seconds), "worst_seconds": max(seconds)}


def cause_sentence(code: str) -> str:
    """Return the words for a cause."""
    known = CATALOGUE.get(code, CATALOGUE["unknown"])
    return f"{known.sentence} {known.next_step}".strip()


def account_facts(view: AccountView) -> Facts:
    """Return an account with the steps of its cutovers and its latest events. Nothing that was saved is in it."""
    facts = {name: getattr(view.account, name) for name in _ACCOUNT}
    events = [{"at": one.at, "name": one.name, "actor": one.actor_name, "facts": one.data} for one in view.events]
    steps = JournalEntry.objects.filter(account=view.account).order_by("cutover", "position").values(*_STEP)
    place = {"batch": view.account.batch.number, "waits_for": view.waits_for}
    return facts | place | {"steps": list(steps), "events": events}


def _states(figures: Figures) -> dict[str, int]:
    return {state.value: count for state, count in sorted(figures.states.items())}


def survey_facts(batch: Batch, page: SurveyPage) -> Facts:
    """Return what the last survey of a batch has found, for programs; of each finding the first accounts."""
    told = page.outlook.forecast if page.outlook else None
    return {
        "number": batch.number,
        "accounts": page.accounts,
        "looked_at": page.looked_at,
        "is_under_way": page.is_under_way,
        "error_code": page.survey.error_code if page.survey else "",
        "stops": page.stops,
        "found": [
            {
                "severity": section.severity,
                "code": group.code,
                "accounts": group.accounts,
                "first": [one.login for one in group.first],
            }
            for section in page.sections
            for group in section.groups
        ],
        "forecast_seconds": [told.lowest, told.seconds, told.highest] if told else None,
    }
