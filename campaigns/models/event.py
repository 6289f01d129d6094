"""What happened, by whom: append-only. Texts are codes and data, worded when they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models.account import Account
from campaigns.models.campaign import Batch, Campaign


class KeptRows(models.QuerySet["Event"]):
    """Rows that are written once. The purge of a closed campaign goes past this by ``_raw_delete``, and says so."""

    def delete(self) -> NoReturn:
        raise TypeError("events are not deleted")

    def update(self, **fields: object) -> NoReturn:
        raise TypeError("events are not altered")

    def of_campaign_alone(self, campaign_id: int, *names: str) -> Iterator[Event]:
        """Yield the events ``names`` of a campaign that are about no account, in the order of this query."""
        # Without a condition on the campaign the index begins with the events of no account, which are few.
        return (event for event in self.filter(account=None, name__in=names) if event.campaign_id == campaign_id)


class Event(models.Model):
    """One thing that happened. ``name`` is dotted (``account.cutover.switch.done``); never mail content, no secret."""

    at = models.DateTimeField(auto_now_add=True)
    name = models.CharField(max_length=100)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    actor_name = models.CharField(max_length=150)  # of the person, or of the part of Mailferry that acted
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, null=True, related_name="events", db_index=False)
    data = models.JSONField(default=dict)

    objects = KeptRows.as_manager()

    class Meta:
        indexes = (
            models.Index(fields=("account", "id"), name="event_account"),
            models.Index(fields=("campaign", "id"), name="event_campaign"),
            models.Index(fields=("batch", "id"), name="event_batch"),
            models.Index(fields=("at",), name="event_at"),  # where in the ids a time is
            # The few among many: what is not about an account, and what people did.
            models.Index(fields=("id",), name="event_without_account", condition=Q(account__isnull=True)),
            models.Index(fields=("id",), name="event_of_people", condition=Q(actor__isnull=False)),
        )

    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("an event is not deleted")
