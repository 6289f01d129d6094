"""The addresses that servers and connectors may be reached at: administrators allow them, nothing goes elsewhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from django.db import transaction

from campaigns.bridge import beside, way_in
from campaigns.bridge.connect import covers, hosts_of
from campaigns.models import AlarmChannel, AllowedAddress, Connector, Server
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)


def allow(text: str, *, actor: Actor) -> AllowedAddress:
    """Allow a host or network. Raises ``Refused``: what is no address, the whole Internet, what is allowed already."""
    host = checked(text)
    with transaction.atomic():
        row, is_fresh = AllowedAddress.objects.get_or_create(host=host)
        if not is_fresh:
            raise Refused("address.there", "host")
        record("address.allowed", actor=actor, host=host)
    return row


def allow_all(hosts: Iterable[str], *, actor: Actor) -> list[str]:
    """Allow what is not allowed yet, for an administrator who sets up what is there; return what was added."""
    allowed = list(AllowedAddress.objects.values_list("host", flat=True))
    added = [host for host in dict.fromkeys(hosts) if host and not any(covers(one, host) for one in allowed)]
    for host in added:
        AllowedAddress.objects.create(host=host)
        record("address.allowed", actor=actor, host=host)
    return added


def remove(address_id: int, *, actor: Actor) -> str:
    """Take an address out and return it. Raises ``Refused`` while something could not be reached without it."""
    with transaction.atomic():
        row = AllowedAddress.objects.select_for_update(no_key=True).get(pk=address_id)
        others = list(AllowedAddress.objects.exclude(pk=row.pk).values_list("host", flat=True))
        for host in _needed():
            if covers(row.host, host) and not any(covers(other, host) for other in others):
                raise Refused("address.in_use")
        row.delete()
        record("address.removed", actor=actor, host=row.host)
    return row.host


def checked(text: str) -> str:
    """Return a name, number or network as it is stored. Raises ``Refused``."""
    host = text.strip().removesuffix(".").casefold()
    try:
        if "/" not in host:
            return host_checked(host)
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        raise Refused("address.host", "host") from None
    if network.prefixlen == 0:
        raise Refused("address.everything", "host")
    return str(network)


def host_checked(text: str) -> str:
    """Return the name or number of one host. Raises ``Refused``."""
    host = text.strip()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    labels = host.encode("idna").split(b".") if _is_encodable(host) else [b""]
    if len(host) > 253 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label.decode()) for label in labels):
        raise Refused("address.host", "host")
    return host


def _is_encodable(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return bool(host)


def _needed() -> Iterator[str]:
    for server in Server.objects.only("host", "admin_access", "token_endpoint", *beside.COLUMNS):
        yield from filter(None, (server.host, way_in.token_host(server), *beside.hosts(server)))
    for options in Connector.objects.values_list("options", flat=True):
        yield from hosts_of(options)
    for channel in AlarmChannel.objects.all():
        yield from filter(None, hosts_of_channel(channel))


def hosts_of_channel(channel: AlarmChannel) -> Iterator[str]:
    """Yield the hosts that a way out for alarms talks to."""
    if channel.kind == AlarmChannel.Kind.WEBHOOK:
        yield urlsplit(str(channel.options.get("url", ""))).hostname or ""
    elif channel.kind == AlarmChannel.Kind.MAIL:
        yield str(channel.options.get("host", ""))
