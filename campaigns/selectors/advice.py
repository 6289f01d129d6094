"""Advice which method a campaign should take, with what is known of it: how many people, how long one copy takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.utils.functional import Promise

from campaigns.models import Account, Campaign, SurveyedAccount
from campaigns.selectors import adviser
from campaigns.selectors.adviser import Advice, Downtime, Effort
from campaigns.selectors.methods import METHODS
from migrator.preflight.foreseen import AccountSurvey
from migrator.preflight.pace import forecast

Words = str | Promise

_MOST_SURVEYS: Final = 5000  # from which the time is told; of more, by their share


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known of a campaign. ``seconds``: one copy of everybody, None where nothing was measured."""

    people: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class AdviceView:
    """A method, why, and what users will notice of it."""

    title: Words
    reasons: tuple[Words, ...]
    needs: tuple[Words, ...]
    told: tuple[tuple[Words, Words], ...]
    otherwise: Words


def ground(campaign: Campaign) -> Ground:
    """Return what is known of a campaign."""
    people = Account.objects.filter(campaign=campaign).exclude(state="excluded").count()
    rows = SurveyedAccount.objects.filter(account__campaign=campaign, taken_at__isnull=False)
    taken = rows.values_list("found", flat=True)[:_MOST_SURVEYS]
    surveys = [AccountSurvey.from_json(found) for found in taken if found]
    lanes = max(1, min(settings.LANES, campaign.source.max_lanes, campaign.target.max_lanes))
    told = forecast(surveys, lanes) if surveys else None
    return Ground(people, told.seconds * max(1.0, people / len(surveys)) if told else None)


def view(answers: Mapping[str, Any], known: Ground) -> AdviceView:
    """Return the advice for what was answered; the time that was measured counts for the people it was measured of."""
    people = int(answers["people"])
    seconds = known.seconds * people / known.people if known.seconds is not None and known.people else None
    found = adviser.advise(people, Downtime(answers["downtime"]), Effort(answers["effort"]), seconds=seconds)
    return _worded(found)


def _worded(found: Advice) -> AdviceView:
    return AdviceView(title(found.method), found.reasons, found.needs, told(found.method), title(found.otherwise))


def title(method: str) -> Words:
    """Return what a method is called."""
    return next((one.title for one in METHODS if one.key == method), method)


def told(method: str) -> tuple[tuple[Words, Words], ...]:
    """Return what users will notice of a method: each question with its answer."""
    found = next((one for one in METHODS if one.key == method), None)
    return tuple(found.told) if found else ()
