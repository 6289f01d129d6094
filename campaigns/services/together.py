"""Batches that move together: all accounts take a step before any takes the next.

A batch has a gate: steps before its position are open. Who has taken all that are open waits for the others; when
everybody who is being moved waits, the ticker opens the next step. Who would join later waits for the next round,
which begins when nobody is being moved any more. A paused batch opens no step before anybody has crossed, and one that
goes step by step opens it when the operator says so. Whoever has crossed is brought to the end though it is paused: for
them there is only forward, and until then they are let in nowhere.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from campaigns.bridge.lease import Lease, write
from campaigns.models import Account, Batch, Campaign
from campaigns.services import capacity
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.states import AccountState, Owner
from migrator.journal import StepKind
from migrator.recipes import RecipeStep, recipe_of

OTHERS: Final = "others"  # Account.waiting_for of who has taken all steps that are open
LOOK_SECONDS: Final = 600.0  # until somebody who waits for the others looks again unasked

_S = AccountState
# The column of a campaign without which there is no step of a kind; of DISABLE and ENABLE see is_there
_NEEDS: Final = {
    StepKind.HOLD: "hold_id",
    StepKind.RELEASE: "hold_id",
    StepKind.POPULATE: "population_id",
    StepKind.PUBLISH: "publication_id",
    StepKind.VERIFY: "verify_level",
}


def is_there(campaign: Campaign, step: RecipeStep) -> bool:
    """True when a campaign has what a step needs. See ``migrator.steps.kit.steps_of``."""
    if step.kind in (StepKind.DISABLE, StepKind.ENABLE):
        return getattr(campaign, f"{step.side}_directory_id") is not None
    needed = _NEEDS.get(step.kind)
    return needed is None or bool(getattr(campaign, needed))


def positions(campaign: Campaign) -> list[int]:
    """Return the positions of the steps of a night that a campaign really takes, in order."""
    recipe = recipe_of(campaign.recipe, campaign.steps)
    night = list(enumerate(recipe.steps))[recipe.early :]
    return [place for place, step in night if is_there(campaign, step)]


def takes_newcomers(batch: Batch) -> bool:
    """True unless the others of a batch that moves together are on their way already."""
    return not (batch.is_together and batch.step_gate)


def gate_of(batch_id: int) -> int:
    """Return the position before which all steps are open, as it is now."""
    return Batch.objects.values_list("step_gate", flat=True).get(pk=batch_id)


def wait_for_others(lease: Lease, batch_id: int, gate: int) -> None:
    """Note that an account has taken all steps before ``gate``. Raises ``LeaseLost``.

    Where the next one was opened meanwhile, the account goes on at once: nobody would wake it.
    """
    write(lease, waiting_for=OTHERS, not_before=timezone.now() + timedelta(seconds=LOOK_SECONDS))
    if gate_of(batch_id) != gate:
        write(lease, waiting_for="", not_before=None)


def advance(batches: list[Batch], now: datetime) -> list[int]:
    """Open the next step where everybody waits for it; return the batches. For the ticker."""
    return [batch.pk for batch in batches if batch.is_together and _advance(batch, now, actor="ticker")]


def next_step(batch: Batch, *, actor: Actor) -> None:
    """Open the next step of a batch that goes step by step. Raises ``Refused`` unless everybody waits for it."""
    if not (batch.is_together and batch.is_stepwise):
        raise Refused("batch.not_stepwise")
    if not _advance(batch, timezone.now(), actor=actor, is_asked=True):
        raise Refused("batch.step_under_way")
    batch.refresh_from_db()


def waits_for_step(batch: Batch, now: datetime) -> int | None:
    """Return the position of the step that a batch would take next when somebody says so; None while it needs none."""
    is_asking = batch.is_together and batch.is_stepwise and not _is_held_up(batch)
    if not is_asking or not _all_wait(batch, now):
        return None
    return _following(batch)


def _advance(batch: Batch, now: datetime, *, actor: Actor, is_asked: bool = False) -> bool:
    with transaction.atomic():
        found = Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("campaign").get(pk=batch.pk)
        if not _moving(found).exists():
            _begin_anew(found)
            return False
        if (found.is_stepwise and not is_asked) or _is_held_up(found) or not _all_wait(found, now):
            return False
        position = _following(found)
        if position is None:
            return False
        Batch.objects.filter(pk=found.pk).update(step_gate=position + 1)
        waiting = Account.objects.filter(batch=found, state=_S.CUTTING_OVER, waiting_for=OTHERS)
        accounts = waiting.update(waiting_for="", not_before=None)
        kind = recipe_of(found.campaign.recipe, found.campaign.steps).steps[position].kind
        _tell(found, actor, position=position, step=kind.value, accounts=accounts)
        return True


def _moving(batch: Batch) -> QuerySet[Account]:
    return Account.objects.filter(batch=batch, state__in=(_S.CUTTING_OVER, _S.ROLLING_BACK))


def _begin_anew(batch: Batch) -> None:
    """Nobody is being moved: whoever is ready may form the next round."""
    if batch.step_gate:
        Batch.objects.filter(pk=batch.pk).update(step_gate=0)


def _is_held_up(batch: Batch) -> bool:
    """True while a pause keeps the next step closed: until somebody has crossed who was not there before."""
    crossed = Account.objects.filter(batch=batch, state=_S.CUTTING_OVER, owner=Owner.TARGET, arrives_first=False)
    return (batch.is_paused or batch.campaign.is_paused) and not crossed.exists()


def _all_wait(batch: Batch, now: datetime) -> bool:
    """True when everybody who is being moved has taken all open steps, and nobody is about to join them."""
    moving = Account.objects.filter(batch=batch, state=_S.CUTTING_OVER)
    if not moving.exists() or moving.exclude(waiting_for=OTHERS, lease_until=None).exists():
        return False
    return not (takes_newcomers(batch) and _newcomers(batch, now))


def _newcomers(batch: Batch, now: datetime) -> bool:
    if capacity.waits_for(batch, now):
        return False
    if capacity.is_canary(batch) and batch.cutovers_begun >= batch.canary:
        return False
    rows = Account.objects.filter(batch=batch, state=_S.READY, is_stopped=False, stop_requested=False)
    return rows.filter(Q(not_before=None) | Q(not_before__lte=now)).exists()


def _following(batch: Batch) -> int | None:
    return next((place for place in positions(batch.campaign) if place >= batch.step_gate), None)


def _tell(batch: Batch, actor: Actor, **facts: Any) -> None:
    record("batch.step", actor=actor, campaign_id=batch.campaign_id, batch_id=batch.pk, **facts)
