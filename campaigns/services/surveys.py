"""Surveys: every account of a batch is looked at before it is copied. Nothing is written on any server.

Rows are the truth, as everywhere: an account is claimed for a while, looked at, and its row holds what was found. A
worker that dies leaves a claim that runs out. A fault of a whole server ends the survey instead of being met a
thousand times; a password that was refused is remembered, and not sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from campaigns.bridge.connect import WORLD, Approach, World
from campaigns.bridge.ledger import storable
from campaigns.models import Account, Batch, BatchSurvey, Campaign, SurveyedAccount
from campaigns.services import accounts, campaigns, one_run, preflights
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.errors import MigratorError, Radius, Side
from migrator.preflight import Scope, run_checks
from migrator.preflight.base import Subject, sign_in
from migrator.preflight.foreseen import AccountSurvey, Foreseen, Severity, gravest_first
from migrator.preflight.survey import survey_account
from migrator.transfer.plan import Mode

LANES: Final = 4  # of one batch at once; copies of other batches have the rest
SAMPLED: Final = 40  # accounts of a batch from which messages are read
CLAIM_SECONDS: Final = 600.0
RING_SECONDS: Final = 20.0
MOST_TRIES: Final = 3  # of workers that died over it
_NOT_LOOKED_AT: Final = (AccountState.DONE, AccountState.EXCLUDED)


@dataclass(frozen=True, slots=True)
class Call:
    """So many workers are wanted for the survey of a batch."""

    batch_id: int
    workers: int


def ask(batch: Batch, *, actor: Actor) -> None:
    """Begin a survey of all accounts that have not moved; one that goes on begins anew. Raises ``Refused``."""
    with transaction.atomic():
        Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)  # who asks at the same time comes after us
        campaigns.require_open(batch.campaign_id)
        rows = Account.objects.filter(batch=batch).exclude(state__in=_NOT_LOOKED_AT).order_by("pk")
        keys = list(rows.values_list("pk", flat=True))
        if not keys:
            raise Refused("batch.empty")
        BatchSurvey.objects.filter(batch=batch).delete()
        by = actor if isinstance(actor, str) else actor.get_username()
        survey = BatchSurvey.objects.create(batch=batch, asked_at=timezone.now(), asked_by=by)
        step = max(1, len(keys) // SAMPLED)
        SurveyedAccount.objects.filter(account__in=keys).delete()  # of another batch, before they were moved here
        SurveyedAccount.objects.bulk_create(
            (SurveyedAccount(account_id=key, survey=survey, is_sampled=at % step == 0) for at, key in enumerate(keys)),
            batch_size=500,
        )
        record("batch.survey.asked", actor=actor, **_ids(batch), accounts=len(keys))


def due(now: datetime | None = None) -> list[Call]:
    """Return for which surveys workers are to be called now; end those that are through, or of a closed campaign."""
    now = now or timezone.now()
    calls = []
    related = [f"batch__campaign__{side}" for side in Side]
    for survey in BatchSurvey.objects.filter(ended_at=None).select_related(*related):
        left = _waiting(survey.pk).count()
        if not left or survey.batch.campaign.closed_at is not None:
            _end(survey, now)
        elif survey.rung_at is None or survey.rung_at < now - timedelta(seconds=RING_SECONDS):
            busy = _waiting(survey.pk).filter(claimed_until__gte=now).count()
            if workers := min(LANES, left, *_most_lanes(survey.batch)) - busy:
                calls.append(Call(survey.pk, max(0, workers)))
                BatchSurvey.objects.filter(pk=survey.pk).update(rung_at=now)
    return [call for call in calls if call.workers]


def _most_lanes(batch: Batch) -> list[int]:
    """Return how many mailboxes the servers of a batch bear to have open."""
    return [getattr(batch.campaign, side).max_lanes for side in Side]


def take(batch_id: int, now: datetime | None = None) -> SurveyedAccount | None:
    """Claim the next account of a survey; None when there is none, or the survey has ended."""
    now = now or timezone.now()
    if not BatchSurvey.objects.filter(pk=batch_id, ended_at=None).exists():
        return None
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    until = now + timedelta(seconds=CLAIM_SECONDS)
    while row := _waiting(batch_id).filter(free).order_by("pk").first():
        rows = _waiting(batch_id).filter(free, pk=row.pk, tries=row.tries)
        if rows.update(claimed_until=until, tries=F("tries") + 1) == 1:
            return row
    return None


def look(row: SurveyedAccount, *, world: World = WORLD) -> None:
    """Look at one account and store what was found. Changes nothing but our rows."""
    related = ("batch", "source", "target", "campaign")
    account = Account.objects.select_related(*related, *(f"campaign__{name}" for name in Campaign.CONNECTORS)).get(
        pk=row.account_id
    )
    with Approach(account, world) as approach:
        found = _survey(approach, is_sampled=row.is_sampled)
    shared = next((one for one in found.foreseen if _is_shared(one)), None)
    if shared is not None:
        _end_early(row, shared)
        return
    for one in found.foreseen:
        if one.severity is Severity.STOPS and one.side is not None:
            accounts.remember_refused(account, MigratorError(one.code, side=one.side))
    SurveyedAccount.objects.filter(pk=row.pk, survey=row.survey_id).update(
        taken_at=timezone.now(), claimed_until=None, found=_storable(found)
    )


def _waiting(batch_id: int) -> QuerySet[SurveyedAccount]:
    return SurveyedAccount.objects.filter(survey=batch_id, taken_at=None, tries__lt=MOST_TRIES)


def _survey(approach: Approach, *, is_sampled: bool) -> AccountSurvey:
    """Return what the checks before a copy, and a look at all mail, find."""
    try:
        subject = preflights.subject_of(approach)
        failures = run_checks(subject, Scope.STAGE, without=("sign_in", "admin_access"))
        found = [Foreseen.of(failure.error) for failure in failures]
        found += _refused_before(subject)
    except MigratorError as error:
        return AccountSurvey(foreseen=(Foreseen.of(error),))
    if found:
        return AccountSurvey(foreseen=gravest_first(found))
    survey = survey_account(
        lambda: approach.source(is_admitted=True),
        approach.target,
        policy=one_run.policy_of(approach, Mode.STAGE),
        limits=approach.limits,
        is_sampled=is_sampled,
    )
    more = [] if survey.stops else [Foreseen.of(error) for error in _admin_errors(subject)]
    return survey.with_more(more)


def _refused_before(subject: Subject) -> list[Foreseen]:
    return [
        Foreseen.of(MigratorError("sign_in.refused", side=door.side))
        for door in subject.doors
        if door.was_refused and door.password
    ]


def _admin_errors(subject: Subject) -> list[MigratorError]:
    """Return what keeps administrators from mailboxes whose users will be locked out."""
    errors = []
    for door in subject.doors:
        if door.is_governed and door.open_as_admin is None:
            errors.append(MigratorError("preflight.no_admin", side=door.side))
        elif door.is_governed and door.open_as_admin and door.password:
            error = sign_in(door.open_as_admin, door.side)
            errors += [error] if error else []
    return errors


def _is_shared(one: Foreseen) -> bool:
    """True for what is no fault of this account: everybody would meet it."""
    if one.severity is not Severity.STOPS:
        return False
    radius = MigratorError(one.code).radius
    return radius in (Radius.SERVER, Radius.CONFIG)


def _end_early(row: SurveyedAccount, one: Foreseen) -> None:
    SurveyedAccount.objects.filter(pk=row.pk).update(claimed_until=None, tries=0)
    survey = BatchSurvey.objects.select_related("batch").get(pk=row.survey_id)
    error = {
        "error_code": one.code,
        "error_side": one.side.value if one.side else "",
        "error_reply": storable(one.reply),
    }
    with transaction.atomic():
        if BatchSurvey.objects.filter(pk=survey.pk, ended_at=None).update(ended_at=timezone.now(), **error):
            record("batch.survey.stopped", actor="worker", **_ids(survey.batch), code=one.code, side=one.side or "")


def _end(survey: BatchSurvey, now: datetime) -> None:
    with transaction.atomic():
        if BatchSurvey.objects.filter(pk=survey.pk, ended_at=None).update(ended_at=now):
            record("batch.survey.ended", actor="ticker", **_ids(survey.batch))


def _ids(batch: Batch) -> dict[str, int]:
    return {"campaign_id": batch.campaign_id, "batch_id": batch.pk}


def _storable(found: AccountSurvey) -> dict[str, object]:
    """Return what was found for a row: no database takes every octet that a server says."""
    told = found.as_json()
    for one in told["foreseen"]:
        one["reply"] = storable(one["reply"])
        one["examples"] = [storable(name) for name in one["examples"]]
        one["facts"] = {name: storable(fact) if isinstance(fact, str) else fact for name, fact in one["facts"].items()}
    return told
