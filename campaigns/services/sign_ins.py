"""Who signed in at the old server of late, as its logs told: against that a removal of mail there is held.

What is measured are sign-ins in the logs that somebody has brought. They count as known only where these logs reach
without a gap over all the days that are asked for, until now; our own looks, which come every day, keep them from
having gaps where nobody else comes any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from campaigns.models import Account, Batch, Campaign, Event, OldClient
from campaigns.services import old_clients
from campaigns.services.old_clients import GAP
from migrator.preflight.old_clients import Span
from migrator.sessions.ours import OurAddresses


@dataclass(frozen=True, slots=True)
class SignIns:
    """Who of the accounts asked about signed in at the old server, and whether logs reach over all of the time."""

    of: frozenset[int]
    is_known: bool
    knows_us: bool  # whether anybody said from where we come; else each of ``of`` may be ourselves

    @classmethod
    def of_batch(cls, batch: Batch, days: int, now: datetime) -> SignIns:
        """Read it for all accounts of a batch, which comes with its campaign."""
        return cls._of(Account.objects.filter(batch=batch), batch.campaign, days, now)

    @classmethod
    def of_account(cls, account: Account, days: int, now: datetime) -> SignIns:
        """Read it for one account, which comes with its campaign."""
        return cls._of(Account.objects.filter(pk=account.pk), account.campaign, days, now)

    @classmethod
    def _of(cls, accounts: QuerySet[Account], campaign: Campaign, days: int, now: datetime) -> SignIns:
        since = now - timedelta(days=days)
        is_recent = Q(last_at__gte=since) | Q(last_at=None)  # a line without a date may be of today
        recent = OldClient.objects.filter(is_recent, campaign=campaign)
        told = _Told.of(campaign)
        ours, known = OurAddresses(told.ours), old_clients.Known(accounts)
        theirs = recent.filter(account__in=accounts).values_list("account", "address")
        found = {key for key, address in theirs if address not in ours}
        # Whoever shares a name may have come by it; and names may be known by now that were not when the log was read.
        for login, address in recent.filter(account=None).values_list("login", "address").iterator():
            if address not in ours:
                found |= known.all_of(login)
        return cls(frozenset(found), _reach(told.spans, since) >= now - GAP, bool(ours))


def our_addresses(campaign: Campaign) -> list[str]:
    """Return the numbers from which we read mailboxes, as far as anybody has said."""
    return _Told.of(campaign).ours


@dataclass(frozen=True, slots=True)
class _Told:
    """Over which times the logs reach that were read and not forgotten since, and from where we come."""

    spans: list[Span]
    ours: list[str]

    @classmethod
    def of(cls, campaign: Campaign) -> _Told:
        options = campaign.source_sessions.options if campaign.source_sessions else {}
        sessions = [str(one) for one in options.get("our_addresses") or ()]
        spans: list[Span] = []
        ours: list[str] = []
        names = (old_clients.READ, old_clients.FORGOTTEN)
        for event in Event.objects.order_by("pk").of_campaign_alone(campaign.pk, *names):
            if event.name == old_clients.FORGOTTEN:
                spans.clear()
            else:
                ours = event.data.get("ours", [])
            for first, last in event.data.get("spans", ()):  # one that has none was read when nobody saw gaps
                spans.append((datetime.fromisoformat(first), datetime.fromisoformat(last)))
        return cls(spans, list(dict.fromkeys([*sessions, *ours])))


def _reach(spans: Iterable[Span], since: datetime) -> datetime:
    """Return until when logs reach without a gap from ``since`` on."""
    until = since
    for first, last in sorted(spans):
        if first > until + GAP:
            break
        until = max(until, last)
    return until
