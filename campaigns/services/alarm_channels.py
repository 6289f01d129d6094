"""The ways by which alarms leave: set up by administrators, proved by a test that somebody has read.

A channel is as good as its last test. What was changed since, what nobody acknowledged, what is older than a day, and
what goes through a mail server that is being moved, proves nothing about tonight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.models import Alarm, AlarmChannel, Campaign, User
from campaigns.services import addresses, alarms
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from migrator.secret import Secret

FRESH: Final = timedelta(hours=24)
# What says where a secret goes: with another value it must be entered again.
_WHERE: Final = ("url", "host", "port", "login", "security")


@dataclass(frozen=True, slots=True)
class Saved:
    """A channel that was saved, and the addresses that are allowed since."""

    channel: AlarmChannel
    allowed: list[str]


def save(
    channel: AlarmChannel | None,
    *,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    secret: Secret | None,
    is_on: bool,
    actor: User,
) -> Saved:
    """Store a channel, a new one where ``channel`` is None. ``secret`` None keeps the stored one. Nothing is sent.

    The kind of a stored one stays. Its host is allowed with it. Raises ``Refused`` with the field, ``MigratorError``.
    """
    row = channel or AlarmChannel(kind=kind)
    is_elsewhere = any(row.options.get(one) != options.get(one) for one in _WHERE)
    if secret is None and row.secret is not None and is_elsewhere:
        raise Refused("connector.password_again", "secret")
    is_other = secret is not None or row.options != dict(options)
    row.name, row.options, row.is_on = name, dict(options), is_on
    if is_other or row.pk is None:
        row.changed_at = timezone.now()
    try:
        with transaction.atomic():
            row.save()
            if secret is not None:
                row.secret = vault.seal(secret, row, "secret")
                row.save(update_fields=["secret"])
            record("alarm.channel.changed" if channel else "alarm.channel.created", actor=actor, called=name)
            return Saved(row, addresses.allow_all(addresses.hosts_of_channel(row), actor=actor))
    except IntegrityError as error:
        raise Refused("alarm.name_taken", "name") from error


def remove(channel: AlarmChannel, *, actor: User) -> None:
    """Take a channel away, with its tests. Alarms stay; they leave by the others."""
    with transaction.atomic():
        record("alarm.channel.removed", actor=actor, called=channel.name)
        channel.delete()


def is_moved(channel: AlarmChannel, campaign: Campaign) -> bool:
    """True when a channel is mail that goes through a server of the campaign: it may be held, too."""
    if channel.kind != AlarmChannel.Kind.MAIL:
        return False
    servers = {campaign.source.host.casefold(), campaign.target.host.casefold()}
    return any(host.casefold() in servers for host in addresses.hosts_of_channel(channel))


def last_proof(channel: AlarmChannel) -> Alarm | None:
    """Return the last test of a channel, as it is now, that somebody has read; None when there is none."""
    rows = Alarm.objects.filter(kind=alarms.TEST, channel=channel, acknowledged_at__isnull=False)
    return rows.filter(raised_at__gte=channel.changed_at).order_by("-acknowledged_at").first()


def proved(campaign: Campaign, now: datetime | None = None) -> list[AlarmChannel]:
    """Return the channels by which an alarm of ``campaign`` would be read now, as far as a test can tell."""
    since = (now or timezone.now()) - FRESH
    rows = AlarmChannel.objects.filter(is_on=True, tests__kind=alarms.TEST, tests__acknowledged_at__gte=since)
    rows = rows.filter(tests__raised_at__gte=F("changed_at"))
    return [channel for channel in rows.order_by("name").distinct() if not is_moved(channel, campaign)]
