"""Campaigns: planned, copied for another try, paused, closed."""

from __future__ import annotations

from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import Q, Sum
from django.utils import timezone

from campaigns.bridge import places
from campaigns.models import Account, BatchCount, Campaign, Server
from campaigns.services import void_goes
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from campaigns.states import AccountState, Owner
from migrator.directories.base import Service
from migrator.errors import Side
from migrator.recipes import RECIPES, recipe_of

# Options that a copy of a campaign takes over, beside its two servers.
OPTIONS: Final = (
    *Campaign.CONNECTORS,
    "recipe",
    "steps",
    "services",
    "verify_level",
    "copies_deleted",
    "copy_options",
    "catch_up_minutes",
    "catch_up_days",
    "refresh_hours",
)

# Of these, what a night goes by.
_OF_THE_NIGHT: Final = (*Campaign.CONNECTORS, "recipe", "steps", "services")

# A campaign with such an account cannot be closed: somebody may be locked out, or nobody knows where they are.
_UNSETTLED: Final = (
    AccountState.CUTTING_OVER,
    AccountState.ROLLING_BACK,
    AccountState.HELD,
    AccountState.ATTENTION,
)


def create(name: str, *, source: Server, target: Server, actor: Actor, **options: Any) -> Campaign:
    """Plan a campaign; ``options`` are those of OPTIONS. Raises ``Refused``."""
    campaign = Campaign(name=name.strip(), source=source, target=target, **options)
    if campaign.recipe not in RECIPES:
        raise Refused("campaign.no_recipe")
    _check_night(campaign.recipe, campaign.steps, campaign.services)
    require_sides(source, target)
    if source == target and not campaign.route_id:
        raise Refused("campaign.two_servers")
    try:
        with transaction.atomic():
            campaign.save()
            record("campaign.created", actor=actor, campaign_id=campaign.pk, recipe=campaign.recipe)
    except IntegrityError as error:
        raise Refused("campaign.name_taken") from error
    return campaign


def _check_night(recipe: str, steps: list[list[str]], services: list[str]) -> None:
    """Raise ``Refused`` for steps that make no recipe, and for a lock that leaves people in their mailbox."""
    try:
        recipe_of(recipe, steps)
    except (TypeError, ValueError):
        raise Refused("campaign.bad_steps", "steps") from None
    if (services and Service.READING.value not in services) or not {*services} <= {*Service}:
        raise Refused("campaign.bad_services", "services")


def require_sides(source: Server, target: Server) -> None:
    """Raise ``Refused`` unless mail can be read from ``source`` and brought to ``target``."""
    if not places.serves(source, Side.SOURCE):
        raise Refused("campaign.not_read", "source")
    if not places.serves(target, Side.TARGET):
        raise Refused("campaign.not_written", "target")


def copy(campaign: Campaign, name: str, *, actor: Actor) -> Campaign:
    """Plan another campaign like this one, without its batches and accounts. Raises ``Refused``."""
    options = {option: getattr(campaign, option) for option in OPTIONS}
    return create(name, source=campaign.source, target=campaign.target, actor=actor, **options)


def configure(campaign: Campaign, *, name: str, actor: Actor, **options: Any) -> list[str]:
    """Change the name and ``options`` of a campaign; return what has changed. Raises ``Refused``.

    Who moves just now moves by the method and the connections that they began with: those stay until all are through.
    With others, whoever said go says it anew.
    """
    if options.get("recipe", campaign.recipe) not in RECIPES:
        raise Refused("campaign.no_recipe")
    wanted: dict[str, Any] = {"name": name.strip(), **{key: options[key] for key in OPTIONS if key in options}}
    if wanted.get("recipe", campaign.recipe) != campaign.recipe:
        wanted.setdefault("steps", [])  # what was edited was another recipe
    _check_night(*(wanted.get(key, getattr(campaign, key)) for key in ("recipe", "steps", "services")))
    try:
        with transaction.atomic():
            require_open(campaign.pk)
            present = Campaign.objects.get(pk=campaign.pk)
            changed = sorted(key for key, value in wanted.items() if getattr(present, key) != value)
            if {*changed} & {*_OF_THE_NIGHT} and _is_unsettled(campaign):
                raise Refused("campaign.under_way")
            Campaign.objects.filter(pk=campaign.pk).update(**wanted)
            if changed:
                record("campaign.configured", actor=actor, campaign_id=campaign.pk, fields=changed)
            if {*changed} & {*_OF_THE_NIGHT}:
                void_goes.take_back(Q(pk=campaign.pk), actor=actor)
    except IntegrityError as error:
        raise Refused("campaign.name_taken") from error
    campaign.refresh_from_db()
    return changed


def pause(campaign_id: int, *, actor: Actor, reason: str = "") -> bool:
    """Begin nothing more; what copies stops soon, who is being cut over is finished. False when it was paused."""
    return _set_paused(campaign_id, True, "campaign.paused", actor, reason)


def resume(campaign_id: int, *, actor: Actor) -> bool:
    """Go on after a pause. False when it was not paused."""
    return _set_paused(campaign_id, False, "campaign.resumed", actor, "")


def _set_paused(campaign_id: int, is_paused: bool, name: str, actor: Actor, reason: str) -> bool:
    with transaction.atomic():
        rows = Campaign.objects.filter(pk=campaign_id, is_paused=not is_paused, closed_at=None)
        if rows.update(is_paused=is_paused) != 1:
            return False
        record(name, actor=actor, campaign_id=campaign_id, reason=reason)
        return True


def close(campaign: Campaign, *, actor: Actor) -> None:
    """End a campaign: from now on it is only read. Raises ``Refused`` while anybody's fate is open."""
    with transaction.atomic():
        if Campaign.objects.filter(pk=campaign.pk, closed_at=None).update(closed_at=timezone.now()) != 1:
            raise Refused("campaign.closed")
        is_worked_on = Account.objects.filter(lease_until__isnull=False, campaign=campaign).exists()
        if is_worked_on or _is_unsettled(campaign):
            raise Refused("campaign.unfinished")
        record("campaign.closed", actor=actor, campaign_id=campaign.pk)
    campaign.refresh_from_db()


def _is_unsettled(campaign: Campaign) -> bool:
    counts = BatchCount.objects.filter(batch__campaign=campaign, state__in=_UNSETTLED)
    # Who came to the target first waits there for their old mail, whatever their state says of the night.
    arrived = Account.objects.filter(campaign=campaign, arrives_first=True, owner=Owner.TARGET)
    arrived = arrived.exclude(state__in=(AccountState.DONE, AccountState.EXCLUDED))
    return bool(counts.aggregate(accounts=Sum("accounts"))["accounts"]) or arrived.exists()


def require_open(campaign_id: int) -> None:
    """Raise ``Refused`` when the campaign is closed."""
    if not Campaign.objects.filter(pk=campaign_id, closed_at=None).exists():
        raise Refused("campaign.closed")
