"""What people do by hand in a night and what proves it; names and ports; who still uses the old server."""

from __future__ import annotations

from django.db import models

from campaigns.models.account import Account
from campaigns.models.campaign import Batch, Campaign


class PlaceBook(models.Model):
    """Names and ports of a campaign before and after the move. Only what is filled in is looked at."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, primary_key=True, related_name="place_book")
    ports = models.JSONField(default=dict)  # service -> {"old", "new_before", "new"} -> HOST:PORT
    greetings = models.JSONField(default=dict)  # of the old server while it ran: migrator.preflight.ports.Port.key
    domains = models.JSONField(default=list)
    mx = models.JSONField(default=list)  # who takes their mail after the move
    most_ttl = models.PositiveIntegerField(default=300)  # seconds
    spf = models.JSONField(default=list)  # terms that their policy must hold
    client_names = models.JSONField(default=list)  # that stand in mail programs
    # the program that runs those of the old server's Postfix, by its name in the folder of programs; "" is none
    queue_program = models.CharField(max_length=100, blank=True, default="", db_default="")


class Confirmation(models.Model):
    """A step of a batch's recipe that a person does. Confirmed by what a check saw, or by a name and a reason."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="confirmations", db_index=False)
    position = models.PositiveIntegerField()  # in the recipe
    check_name = models.CharField(max_length=32, blank=True)  # key of migrator.preflight.by_hand.CHECKS
    evidence = models.JSONField(default=list)  # migrator.preflight.evidence.Evidence, of the last look
    looked_at = models.DateTimeField(null=True)
    looked_by = models.CharField(max_length=150, blank=True)
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=150, blank=True)
    reason = models.CharField(max_length=500, blank=True)  # of what was recorded as done by hand

    class Meta:
        constraints = (models.UniqueConstraint(fields=("batch", "position"), name="confirmation_once"),)


class OldClient(models.Model):
    """One person at one service of the old server from one address, as its logs told."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, null=True, related_name="old_clients")
    login = models.CharField(max_length=320)
    service = models.CharField(max_length=16)
    address = models.CharField(max_length=45)
    program = models.CharField(max_length=60, blank=True)
    times = models.PositiveIntegerField()
    last_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("campaign", "login", "service", "address"), name="old_client_once"),
        )
