"""A go is for the night that was looked at: with another method, or other connections, somebody says it anew."""

from __future__ import annotations

from typing import Final

from django.db.models import Q

from campaigns.models import Batch, Campaign, Connector, Server
from campaigns.services.events import Actor, record

VOID: Final = "batch.go_void"


def take_back(nights: Q, *, actor: Actor) -> int:
    """Take back what was said for open batches of campaigns that fit ``nights``; return of how many.

    Who moves is finished as ever. Call it in the transaction that changes what the night goes by. It waits for whoever
    is saying go for one of them (go_no_go.go), and whoever says it next looks at what was changed.
    """
    rows = Campaign.objects.filter(nights, closed_at=None).select_for_update(no_key=True).order_by("pk")
    campaigns = list(rows.values_list("pk", flat=True))
    gone = Batch.objects.filter(campaign__in=campaigns, go_at__isnull=False, ended_at=None)
    voided = 0
    for batch_id, campaign_id in gone.order_by("pk").values_list("pk", "campaign_id"):
        if Batch.objects.filter(pk=batch_id, go_at__isnull=False).update(go_at=None):
            record(VOID, actor=actor, campaign_id=campaign_id, batch_id=batch_id)
            voided += 1
    return voided


def through(connector: Connector) -> Q:
    """Return the nights that go by a connection."""
    found = Q(pk=None)
    for name in Campaign.CONNECTORS:
        found |= Q(**{name: connector.pk})
    return found


def between(server: Server) -> Q:
    """Return the nights from or to a server."""
    return Q(source=server.pk) | Q(target=server.pk)
