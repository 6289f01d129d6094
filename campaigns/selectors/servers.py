"""Servers, connectors and allowed addresses as their pages list them. No secret leaves here, sealed or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext, gettext_lazy, ngettext

from campaigns.bridge import beside, host_files, places, way_in
from campaigns.bridge.connect import covers, hosts_of
from campaigns.models import AllowedAddress, Campaign, Connector, Server
from campaigns.selectors import kinds, trials, words
from campaigns.selectors.trials import Trial
from campaigns.services.connectors import REGISTRIES
from campaigns.states import Family
from migrator.stores import trust

SECURITY: Final = {
    "tls": gettext_lazy("TLS"),
    "starttls": gettext_lazy("STARTTLS"),
    "plain": gettext_lazy("not encrypted"),
}
ROOMS: Final = {
    Connector.Room.DIRECTORY.value: gettext_lazy("Directory"),
    Connector.Room.ROUTE.value: gettext_lazy("Route"),
    Connector.Room.SESSIONS.value: gettext_lazy("Sessions"),
    Connector.Room.HOLD.value: gettext_lazy("Hold for new mail"),
    Connector.Room.POPULATION.value: gettext_lazy("Making accounts"),
    Connector.Room.PUBLICATION.value: gettext_lazy("Publishing changes"),
}
_PLACES: Final = {
    "source": gettext_lazy("old server"),
    "target": gettext_lazy("new server"),
    "source_directory": gettext_lazy("directory of the old server"),
    "target_directory": gettext_lazy("directory of the new server"),
    "route": gettext_lazy("says who serves a person"),
    "source_sessions": gettext_lazy("ends sessions on the old server"),
    "target_sessions": gettext_lazy("ends sessions on the new server"),
    "hold": gettext_lazy("keeps new mail waiting"),
    "population": gettext_lazy("makes accounts on the new server"),
    "publication": gettext_lazy("publishes changes of a directory"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """A campaign, and what it uses a server or connector as."""

    campaign_id: int
    campaign: str
    place: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How something stands, in a glyph and words; ``cause``, why it is not well."""

    family: Family
    words: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class TrustException:
    """The one certificate that is accepted for a server, and who accepted it when."""

    fingerprint: str
    name: str
    by: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One server of the list."""

    id: int
    name: str
    kind: str
    address: str
    security: str
    admin: str
    lanes: int
    uses: tuple[Use, ...]
    trial: Trial | None
    breaker: Standing
    is_allowed: bool
    exception: TrustException | None


@dataclass(frozen=True, slots=True)
class ConnectorRow:
    """One connector of the list."""

    id: int
    name: str
    room: str
    kind: str
    where: str
    uses: tuple[Use, ...]
    trial: Trial | None


@dataclass(frozen=True, slots=True)
class AddressRow:
    """One allowed address, and what could not be reached without it."""

    id: int
    host: str
    uses: tuple[str, ...]


def servers() -> list[ServerRow]:
    """Return all servers by name."""
    rows = list(Server.objects.defer("admin_secret", "ca_pem").order_by("name"))
    used, tested = _uses(("source", "target")), trials.last_trials("server")
    allowed = list(AllowedAddress.objects.values_list("host", flat=True))
    return [_server(row, used[row.pk], tested.get(row.pk), allowed) for row in rows]


def server(row: Server) -> ServerRow:
    """Return one server as its page tells of it."""
    allowed = list(AllowedAddress.objects.values_list("host", flat=True))
    return _server(row, _uses(("source", "target"))[row.pk], trials.last_trial("server", row.pk), allowed)


def connectors() -> list[ConnectorRow]:
    """Return all connectors by room and name."""
    rows = Connector.objects.defer("secret").order_by("room", "name")
    used, tested = _uses(Campaign.CONNECTORS), trials.last_trials("connector")
    return [_connector(row, used[row.pk], tested.get(row.pk)) for row in rows]


def connector(row: Connector) -> ConnectorRow:
    """Return one connector as its page tells of it."""
    return _connector(row, _uses(Campaign.CONNECTORS)[row.pk], trials.last_trial("connector", row.pk))


def standing(rows: Sequence[ServerRow | ConnectorRow]) -> str:
    """Return in one sentence how all that is set up stands: what needs somebody first."""
    if not rows:
        return gettext("Nothing is set up yet.")
    bad = sum(row.trial is not None and not row.trial.is_stale and row.trial.family is Family.FAILED for row in rows)
    untried = sum(row.trial is None or row.trial.is_stale for row in rows)
    if bad:
        text = ngettext("%(n)d of %(all)d does not work.", "%(n)d of %(all)d do not work.", bad)
        return text % {"n": bad, "all": len(rows)}
    if untried:
        text = ngettext("%(n)d of %(all)d is not tested yet.", "%(n)d of %(all)d are not tested yet.", untried)
        return text % {"n": untried, "all": len(rows)}
    return gettext("All %(all)d are tested and work.") % {"all": len(rows)}


def addresses() -> list[AddressRow]:
    """Return all allowed addresses by name, with the servers and connectors that they let us reach."""
    servers = Server.objects.only("name", "host", "admin_access", "token_endpoint", *beside.COLUMNS)
    named = ((row.name, (row.host, way_in.token_host(row), *beside.hosts(row))) for row in servers)
    hosts = [(name, host) for name, its in named for host in its if host]
    for name, options in Connector.objects.values_list("name", "options"):
        hosts += [(name, host) for host in hosts_of(options)]
    return [
        AddressRow(row.pk, row.host, tuple(sorted({name for name, host in hosts if covers(row.host, host)})))
        for row in AllowedAddress.objects.order_by("host")
    ]


def breaker(row: Server) -> Standing:
    """Return whether accounts are sent to a server now."""
    if not row.breaker_failures:
        return Standing(Family.DONE, gettext("In use"))
    cause = words.cause(row.breaker_code)
    until = row.breaker_until
    if until is not None and until > timezone.now():
        told = {"time": date_format(timezone.localtime(until), "H:i")}
        return Standing(Family.ATTENTION, gettext("Left in peace until %(time)s") % told, cause)
    return Standing(Family.ATTENTION, gettext("Tried with one account at a time"), cause)


def _uses(places: Iterable[str]) -> defaultdict[int, tuple[Use, ...]]:
    used: defaultdict[int, tuple[Use, ...]] = defaultdict(tuple)
    for campaign in Campaign.objects.filter(closed_at=None).order_by("name"):
        for place in places:
            key = getattr(campaign, f"{place}_id")
            if key is not None:
                used[key] += (Use(campaign.pk, campaign.name, str(_PLACES[place])),)
    return used


def _server(row: Server, uses: tuple[Use, ...], trial: Trial | None, allowed: list[str]) -> ServerRow:
    return ServerRow(
        id=row.pk,
        name=row.name,
        kind=str(kinds.KINDS[row.kind].label),
        address=places.shown(row),
        security="" if places.is_files(row) else str(SECURITY[row.security]),
        admin=row.admin_login,
        lanes=row.max_lanes,
        uses=uses,
        trial=trial,
        breaker=breaker(row),
        is_allowed=places.is_allowed(row.path) if row.path else any(covers(one, row.host) for one in allowed),
        exception=_exception(row),
    )


def _exception(row: Server) -> TrustException | None:
    if not row.pinned_sha256:
        return None
    return TrustException(trust.readable(row.pinned_sha256), row.pinned_name, row.pinned_by, row.pinned_at)


def _connector(row: Connector, uses: tuple[Use, ...], trial: Trial | None) -> ConnectorRow:
    kind = REGISTRIES[row.room].get(row.kind)
    return ConnectorRow(
        id=row.pk,
        name=row.name,
        room=str(ROOMS[row.room]),
        kind=kind.label if kind else row.kind,
        where=_where(row),
        uses=uses,
        trial=trial,
    )


def _where(row: Connector) -> str:
    """Return where a connector leads: its hosts, its file, or the program that it runs."""
    options = row.options
    for name in ("uris", "host", "path", "doveadm", "count"):
        given = options.get(name)
        if host_files.reference(given):
            return host_files.reference(given)
        if given:
            return " ".join(map(str, given)) if isinstance(given, list) else str(given)
    return "doveadm" if row.kind == "dovecot" else ""
