"""Steps that only a person can do: looked at by a check, or recorded as done by hand, with a name and a reason.

A step is confirmed when every line of what its check saw is good; a look that finds something confirms nothing, and
takes nothing back. What a person records without a check, or against it, is kept apart: with their name, why, and
what the check had seen. Whoever waits for the step goes on at once. It is for one night: with the next go it counts no
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as OutOfTime
from functools import partial
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils import timezone

from campaigns.bridge import by_hand
from campaigns.bridge.lease import LOCKED_OUT, LeaseKind
from campaigns.bridge.ledger import storable
from campaigns.models import Batch, Confirmation, PlaceBook, Run, User
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError
from migrator.journal import StepKind
from migrator.preflight.by_hand import CHECKS
from migrator.preflight.evidence import Evidence
from migrator.recipes import recipe_of

LOOKED: Final = "batch.by_hand.looked"
CONFIRMED: Final = "batch.by_hand.confirmed"
BY_HAND: Final = "batch.by_hand.recorded"
WITHDRAWN: Final = "batch.by_hand.withdrawn"
MOST_SECONDS: Final = 25.0
MOST_REASON: Final = 500
_MOST_LINES: Final = 300  # of evidence that are kept


class HandStep(NamedTuple):
    """A step of a recipe that a person does: where it stands, and what proves it; nothing does where that is empty."""

    position: int
    check: str


def hand_steps(batch: Batch) -> list[HandStep]:
    """Return the steps of a batch's recipe that a person does, in order."""
    steps = recipe_of(batch.campaign.recipe, batch.campaign.steps).steps
    return [HandStep(at, step.check) for at, step in enumerate(steps) if step.kind is StepKind.PERSON]


def is_confirmed(batch_id: int, position: int, check: str = "") -> bool:
    """Tell whether a step has been confirmed, for the check of that name."""
    rows = Confirmation.objects.filter(batch=batch_id, position=position, check_name=check)
    return rows.filter(confirmed_at__isnull=False).exists()


def look(batch: Batch, position: int, *, actor: User, seconds: float = MOST_SECONDS) -> Confirmation:
    """Look whether a step was done, and confirm it when all is well. Raises ``Refused``. Changes our rows alone."""
    step = _step(batch, position)
    if step.check not in CHECKS:
        raise Refused("by_hand.no_check")
    found = look_at(batch, step.check, seconds)
    is_good = bool(found) and all(one.is_good for one in found)
    _note_greetings(batch, step.check, found)
    with transaction.atomic():
        row = _row(batch, step)
        now = timezone.now()
        row.evidence = [_storable(one) for one in found[:_MOST_LINES]]
        row.looked_at, row.looked_by = now, actor.get_username()
        if is_good and row.confirmed_at is None:
            row.confirmed_at, row.confirmed_by, row.reason = now, actor.get_username(), ""
            _wake(batch)
        row.save()
        bad = sum(not one.is_good for one in found)
        name = CONFIRMED if is_good else LOOKED
        record(name, actor=actor, **_ids(batch), position=position, check=step.check, bad=bad)
    return row


def look_at(batch: Batch, check: str, seconds: float = MOST_SECONDS) -> list[Evidence]:
    """Return what a check sees of a batch, within ``seconds`` whatever servers do."""
    try:
        grounds = by_hand.grounds(batch, check)
    except MigratorError as error:
        return [Evidence(error.code, False, found=error.reply)]
    return _within(seconds, partial(CHECKS[check], grounds))


def record_by_hand(batch: Batch, position: int, reason: str, *, actor: User) -> Confirmation:
    """Record that a step was done, on somebody's word. Raises ``Refused``: without a reason, done already."""
    step, reason = _step(batch, position), " ".join(reason.split())
    if not reason or len(reason) > MOST_REASON:
        raise Refused("by_hand.reason", "reason")
    with transaction.atomic():
        row = _row(batch, step)
        if row.confirmed_at is not None:
            raise Refused("by_hand.confirmed")
        row.confirmed_at, row.confirmed_by, row.reason = timezone.now(), actor.get_username(), reason
        row.save()
        _wake(batch)
        record(BY_HAND, actor=actor, **_ids(batch), position=position, check=step.check, reason=reason)
    return row


def withdraw(batch: Batch, position: int, *, actor: User) -> None:
    """Take a confirmation back: who comes to the step from now on waits again. Raises ``Refused``."""
    step = _step(batch, position)
    with transaction.atomic():
        row = _row(batch, step)
        if row.confirmed_at is None:
            raise Refused("by_hand.not_confirmed")
        row.confirmed_at, row.confirmed_by, row.reason = None, "", ""
        row.save()
        record(WITHDRAWN, actor=actor, **_ids(batch), position=position, check=step.check)


def withdraw_past(batch: Batch, *, actor: Actor) -> None:
    """Take back what was confirmed for an earlier night: since that was over, the old server may run again.

    What was confirmed after it stands, and everything while somebody of the batch is being moved. Call it in the
    transaction in which somebody says go.
    """
    Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.accounts.filter(state__in=LOCKED_OUT).exists():
        return
    nights = Run.objects.filter(account__batch=batch, kind__in=(LeaseKind.CUTOVER, LeaseKind.ROLLBACK))
    last = nights.aggregate(last=Max(Coalesce("ended_at", "started_at")))["last"]
    past = Confirmation.objects.filter(batch=batch, confirmed_at__lte=last) if last else ()
    for row in past:
        row.confirmed_at, row.confirmed_by, row.reason = None, "", ""
        row.save()
        record(WITHDRAWN, actor=actor, **_ids(batch), position=row.position, check=row.check_name)


def _step(batch: Batch, position: int) -> HandStep:
    found = next((step for step in hand_steps(batch) if step.position == position), None)
    if found is None:
        raise Refused("by_hand.no_step")
    return found


def _row(batch: Batch, step: HandStep) -> Confirmation:
    """Return the locked row of a step; one that was written for another check tells nothing about this one."""
    Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    row = Confirmation.objects.filter(batch=batch, position=step.position).first()
    if row is None:
        return Confirmation(batch=batch, position=step.position, check_name=step.check)
    if row.check_name != step.check:
        return Confirmation(pk=row.pk, batch=batch, position=step.position, check_name=step.check)
    return row


def _wake(batch: Batch) -> None:
    """Let those go on at once who wait for a person."""
    batch.accounts.filter(waiting_for="person", state="cutting_over", lease_until=None).update(not_before=None)


def _note_greetings(batch: Batch, check: str, found: list[Evidence]) -> None:
    """Remember with which words the old server greets while it runs: it is known by them later."""
    if check != "both_listen":
        return
    book = PlaceBook.objects.filter(campaign=batch.campaign_id).first()
    if book is not None:
        old = {f"{name} {row['old']}" for name, row in book.ports.items() if row.get("old")}
        book.greetings |= {one.place: storable(one.found) for one in found if one.is_good and one.place in old}
        book.save(update_fields=["greetings"])


def _within(seconds: float, looks: Callable[[], Iterator[Evidence]]) -> list[Evidence]:
    """Return what ``looks`` sees until the time is up; then it says so, and the rest ends by its own time limits."""
    found: list[Evidence] = []
    pool = ThreadPoolExecutor(1)
    try:
        pool.submit(_gather, looks, found).result(seconds)
    except OutOfTime:
        return [*found, Evidence("line.silent", False)]
    finally:
        pool.shutdown(wait=False)
    return found


def _gather(looks: Callable[[], Iterator[Evidence]], found: list[Evidence]) -> None:
    for one in looks():
        found.append(one)  # noqa: PERF402  one by one: the time may be up at any moment


def _storable(one: Evidence) -> dict[str, object]:
    return {name: storable(value) if isinstance(value, str) else value for name, value in one.as_json().items()}


def _ids(batch: Batch) -> dict[str, int]:
    return {"campaign_id": batch.campaign_id, "batch_id": batch.pk}
