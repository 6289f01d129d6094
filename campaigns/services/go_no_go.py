"""May this batch go tonight? Looked at before somebody says go, and stored with the forecast when they do.

Two kinds of findings: those without which nobody can say go, and those that a person weighs. The first are few: what
would leave users locked out with nobody knowing, or make every move fail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Min
from django.db.models.functions import Lower
from django.utils import timezone

from campaigns.models import Account, AccountName, Batch, BatchCount, Campaign, GoSaid, Server
from campaigns.services import (
    alarm_channels,
    batches,
    confirmations,
    doctor,
    names,
    night_forecast,
    preflights,
    watchdog,
)
from campaigns.services.events import Actor
from campaigns.services.night_forecast import Forecast
from campaigns.services.refusals import Refused
from campaigns.states import AccountState
from migrator.entries import Trait, has_trait
from migrator.holds import HOLDS
from migrator.journal import StepKind
from migrator.recipes import recipe_of
from migrator.routes import ROUTES

_S = AccountState
_NAMED: Final = 5  # addresses that a finding names
_STALE: Final = timedelta(hours=36)  # a copy ahead that is older leaves more for the night than was measured


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``is_needed``: without it nobody says go. ``facts`` fill in its sentence."""

    code: str  # key of selectors.night.SENTENCES, with ".well" or ".not"
    is_well: bool
    is_needed: bool = False
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def blocks(self) -> bool:
        """True when it keeps everybody from saying go."""
        return self.is_needed and not self.is_well


@dataclass(frozen=True, slots=True)
class Look:
    """How a batch stands before its night."""

    findings: list[Finding]
    forecast: Forecast | None

    @property
    def may_go(self) -> bool:
        """True when nothing keeps anybody from saying go."""
        return not any(finding.blocks for finding in self.findings)


def look(batch: Batch, now: datetime | None = None) -> Look:
    """Look at everything that should be well before ``batch`` goes. It comes with its campaign and its servers."""
    now = now or timezone.now()
    counts = dict(BatchCount.objects.filter(batch=batch).values_list("state", "accounts"))
    to_move = sum(counts.get(state, 0) for state in night_forecast.TO_MOVE)
    foreseen = night_forecast.of_batch(batch, to_move)
    state = _State(batch, now, counts, foreseen)
    return Look([finding for check in _CHECKS for finding in check(state)], foreseen)


def go(batch: Batch, *, actor: Actor, despite: str = "") -> None:
    """Say go, with what was found and foreseen kept beside it. Raises ``Refused``.

    ``despite`` is why somebody with a shell on the host says go though something that is needed is not well; where all
    is well nobody needs it, and it is not kept.
    """
    now = timezone.now()
    seen = look(batch, now)
    with transaction.atomic():
        # Whoever changes the method waits for this row, and takes back what was said before.
        Campaign.objects.select_for_update(no_key=True).get(pk=batch.campaign_id)
        is_well = seen.may_go and _is_well_still(batch, now)
        if not is_well and not despite:
            raise Refused("batch.no_go")
        confirmations.withdraw_past(batch, actor=actor)
        batches.go(batch, actor=actor, **({} if is_well else {"despite": despite}))
        GoSaid.objects.create(
            batch=batch,
            said_at=now,
            said_by=actor if isinstance(actor, str) else actor.get_username(),
            findings=[asdict(finding) for finding in seen.findings],
            forecast=asdict(seen.forecast) if seen.forecast else {},
        )


def _is_well_still(batch: Batch, now: datetime) -> bool:
    """Look once more at what is needed: somebody may have changed the method since."""
    fresh = Batch.objects.select_related("campaign__source", "campaign__target").get(pk=batch.pk)
    state = _State(fresh, now, {}, None)
    return not any(finding.blocks for check in (_alarm, _method, _opened) for finding in check(state))


def locks_out(batch: Batch) -> bool:
    """True when users of a batch are refused somewhere, or their mail held, while they move.

    A directory or a hold does that, or a person who closes the old server to everybody.
    """
    campaign = batch.campaign
    columns = ("source_directory_id", "target_directory_id", "hold_id")
    if any(getattr(campaign, column, None) is not None for column in columns):
        return True
    return watchdog.closes_by_hand(recipe_of(campaign.recipe, campaign.steps).steps)


def is_watched(batch: Batch) -> bool:
    """True when somebody may be left without a mailbox: locked out, or between two servers where a route switches."""
    return locks_out(batch) or batch.campaign.route_id is not None


@dataclass(frozen=True, slots=True)
class _State:
    batch: Batch
    now: datetime
    counts: dict[str, int]
    forecast: Forecast | None


def _alarm(state: _State) -> Iterator[Finding]:
    """Somebody reads alarms tonight: a test was acknowledged, by a way that is not being moved."""
    if not is_watched(state.batch):
        return
    if settings.DEMO:
        yield Finding("alarm_demo", True)
        return
    channels = alarm_channels.proved(state.batch.campaign, state.now)
    names = ", ".join(channel.name for channel in channels)
    yield Finding("alarm", bool(channels), True, {"channels": names} if names else {})


def _method(state: _State) -> Iterator[Finding]:
    if is_watched(state.batch):
        yield Finding("method", preflights.is_accepted(state.batch.campaign), True)


def _opened(state: _State) -> Iterator[Finding]:
    """An account that is made is made closed, and only the connection to the new server's accounts opens it.

    In a Dovecot by its line in the passwd-file: who is not in the file of those whom it denies is closed still.
    """
    campaign = state.batch.campaign
    steps = recipe_of(campaign.recipe, campaign.steps).steps
    if campaign.population is not None and any(step.kind is StepKind.POPULATE for step in steps):
        opener = campaign.target_directory
        is_denying = (
            opener is not None
            and campaign.population.kind == opener.kind == "dovecot"
            and bool(opener.options.get("deny"))
        )
        yield Finding("opened", opener is not None and not is_denying, True)


def _flow(state: _State) -> Iterator[Finding]:
    """Mail must have somewhere to go: where no route leads it, it flows to the old server.

    What waited flows there, too, but for what a hold keeps in a file: that is brought to the new mailbox.
    """
    campaign = state.batch.campaign
    if campaign.hold is None:
        return
    code = "later" if has_trait(HOLDS, campaign.hold.kind, Trait.KEEPS) else "flow"
    leads = campaign.route is not None and not has_trait(ROUTES, campaign.route.kind, Trait.SIGN_INS_ONLY)
    days = campaign.catch_up_days
    yield Finding(code if days else f"{code}_away", leads, facts={"days": days} if days else {})


def _ready(state: _State) -> Iterator[Finding]:
    ready = state.counts.get(_S.READY, 0)
    others = sum(state.counts.get(one, 0) for one in night_forecast.TO_MOVE) - ready
    yield Finding("ready", ready > 0 and not others, facts={"ready": ready, "others": others})


def _undecided(state: _State) -> Iterator[Finding]:
    undecided = sum(state.counts.get(one, 0) for one in (_S.ATTENTION, _S.HELD))
    yield Finding("undecided", not undecided, facts={"accounts": undecided})


def _overdue(state: _State) -> Iterator[Finding]:
    late = len({one.account_id for one in watchdog.overdue(state.now)})
    yield Finding("overdue", not late, facts={"accounts": late})


def _fresh(state: _State) -> Iterator[Finding]:
    rows = Account.objects.filter(batch=state.batch, state=_S.READY)
    oldest = rows.aggregate(oldest=Min("state_since"))["oldest"]
    if oldest is not None:
        hours = round((state.now - oldest).total_seconds() / 3600)
        yield Finding("fresh", state.now - oldest <= _STALE, facts={"hours": hours})


def _addresses(state: _State) -> Iterator[Finding]:
    """Other addresses of people whose mail is held or sent on by address: Postfix must know whose these are."""
    campaign = state.batch.campaign
    ways = ((HOLDS, campaign.hold), (ROUTES, campaign.route))
    if not any(row is not None and has_trait(registry, row.kind, Trait.BY_ADDRESS) for registry, row in ways):
        return
    moving = AccountName.objects.filter(account__batch=state.batch, account__state__in=night_forecast.TO_MOVE)
    others = moving.filter(kind=names.ADDRESS).exclude(value=Lower(F("account__source_login")))
    found = others.count()
    first = others.order_by("value").values_list("value", flat=True)[:_NAMED] if found else ()
    yield Finding("addresses", not found, facts={"addresses": found, "named": ", ".join(first)} if found else {})


def _servers(state: _State) -> Iterator[Finding]:
    campaign = state.batch.campaign
    at_fault = Server.objects.filter(pk__in=(campaign.source_id, campaign.target_id), breaker_failures__gt=0)
    names = ", ".join(at_fault.values_list("name", flat=True))
    yield Finding("servers", not names, facts={"servers": names} if names else {})


def _programs(_: _State) -> Iterator[Finding]:
    ill = [finding.sentence for finding in doctor.health() if not finding.is_well]
    yield Finding("programs", not ill, facts={"told": " ".join(ill)} if ill else {})


def _window(state: _State) -> Iterator[Finding]:
    begins, ends = state.batch.window_begins_at, state.batch.window_ends_at
    if ends is None:
        return
    if ends <= state.now:
        yield Finding("window_over", False)
        return
    if state.forecast is not None:
        room = (ends - max(state.now, begins or state.now)).total_seconds()
        facts = {"room": room, "seconds": state.forecast.seconds, "high": state.forecast.high}
        yield Finding("window", state.forecast.high <= room, facts=facts)


_CHECKS: Final[tuple[Callable[[_State], Iterator[Finding]], ...]] = (
    _alarm,
    _method,
    _opened,
    _flow,
    _ready,
    _fresh,
    _window,
    _addresses,
    _servers,
    _programs,
    _undecided,
    _overdue,
)
