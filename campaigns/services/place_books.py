"""The place book of a campaign: names and ports before and after the move, for checks of steps done by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction

from campaigns.bridge import host_files
from campaigns.bridge.by_hand import CHANGED, COLUMNS, VOUCHED
from campaigns.bridge.connect import require_allowed
from campaigns.models import Campaign, PlaceBook, User
from campaigns.services import campaigns
from campaigns.services.addresses import host_checked
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused
from migrator.errors import MigratorError
from migrator.preflight.ports import USUAL_PORTS, Service
from migrator.stores.beside import place_of

MOST_NAMES: Final = 100
MOST_TTL: Final = 604_800
_SPF_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.:/-_+=%{}")


@dataclass(frozen=True, slots=True)
class Places:
    """What somebody planned. ``ports``: service, then column (old, new_before, new), then HOST:PORT."""

    ports: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    domains: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    most_ttl: int = 300
    spf: tuple[str, ...] = ()
    client_names: tuple[str, ...] = ()
    queue_program: str = ""  # by its name among the host's programs


def save(campaign: Campaign, wanted: Places, *, actor: Actor) -> None:
    """Store the place book of a campaign. Raises ``Refused``, with the field: what is no place, or not allowed.

    Of an administrator's, all ports of the new server are vouched for: passwords may go there. Which program is run
    to see the old server's queue only they may say.
    """
    ports = _ports(campaign, wanted.ports)
    columns = {
        "ports": ports,
        "domains": _names(wanted.domains, "domains"),
        "mx": _names(wanted.mx, "mx"),
        "client_names": _names(wanted.client_names, "client_names"),
        "spf": _terms(wanted.spf),
        "most_ttl": wanted.most_ttl,
        "queue_program": wanted.queue_program,
    }
    if not 1 <= wanted.most_ttl <= MOST_TTL:
        raise Refused("places.ttl", "most_ttl")
    with transaction.atomic():
        campaigns.require_open(campaign.pk)
        _require_known_program(campaign, wanted.queue_program, actor)
        PlaceBook.objects.update_or_create(campaign=campaign, defaults=columns)
        record(CHANGED, actor=actor, campaign_id=campaign.pk, **_vouched(ports, actor))


def _require_known_program(campaign: Campaign, name: str, actor: Actor) -> None:
    before = PlaceBook.objects.filter(campaign=campaign).values_list("queue_program", flat=True).first() or ""
    if name == before:
        return
    if isinstance(actor, User) and not actor.is_administrator:
        raise Refused("places.queue_of_administrators", "queue_program")
    if name and name not in host_files.names(host_files.PROGRAM):
        raise Refused("places.queue", "queue_program")


def _vouched(ports: Mapping[str, Mapping[str, str]], actor: Actor) -> dict[str, Any]:
    """Return what an administrator, or whoever has a shell on the host, says of ports; an operator says nothing."""
    if isinstance(actor, User) and not actor.is_administrator:
        return {}
    return {VOUCHED: [row["new"] for row in ports.values() if "new" in row]}


def _ports(campaign: Campaign, wanted: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for service in Service:
        for column in COLUMNS:
            text = wanted.get(service.value, {}).get(column, "").strip()
            if text:
                server = campaign.source if column == "old" else campaign.target
                place = place_checked(text, server.host, USUAL_PORTS[service], f"{service.value}_{column}")
                found.setdefault(service.value, {})[column] = place
    return found


def place_checked(text: str, host: str, port: int, name: str) -> str:
    """Return HOST:PORT as it is stored; what ``text`` leaves out is ``host`` and ``port``. Raises ``Refused``."""
    try:
        place = place_of(text)
        host = host_checked(place.host or host)
    except ValueError:
        raise Refused("places.place", name) from None
    except Refused:
        raise Refused("places.place", name) from None
    try:
        require_allowed(host)
    except MigratorError:
        raise Refused("places.not_allowed", name) from None
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{place.port or port}"


def _names(given: Iterable[str], name: str) -> list[str]:
    found = list(dict.fromkeys(text.strip().removesuffix(".").casefold() for text in given if text.strip()))
    try:
        found = [host_checked(text) for text in found]
    except Refused:
        raise Refused("places.name", name) from None
    if len(found) > MOST_NAMES:
        raise Refused("places.many", name)
    return found


def _terms(given: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(text.strip().casefold() for text in given if text.strip()))
    if len(found) > MOST_NAMES:
        raise Refused("places.many", "spf")
    if any(not set(text) <= _SPF_LETTERS for text in found):
        raise Refused("places.spf", "spf")
    return found
