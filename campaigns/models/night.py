"""The night of a batch: what was foreseen when somebody said go, and how much mail is held while it runs."""

from __future__ import annotations

from django.db import models

from campaigns.models.account import Account
from campaigns.models.campaign import Batch


class GoSaid(models.Model):
    """Somebody said go: what was looked at then, and what was foreseen, to be held against what came."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="goes")
    said_at = models.DateTimeField()
    said_by = models.CharField(max_length=150)
    findings = models.JSONField(default=list)  # services.go_no_go.Finding
    forecast = models.JSONField(default=dict)  # services.night_forecast.Forecast; empty when nothing was measured


class BatchHeld(models.Model):
    """New mail that waits for users of a batch, as the hold said last."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="held")
    counted_at = models.DateTimeField()
    messages = models.PositiveIntegerField(default=0)
    accounts = models.PositiveIntegerField(default=0)  # for whom any waits
    unknown = models.PositiveIntegerField(default=0)  # accounts of which the hold did not say it
    oldest_at = models.DateTimeField(null=True)
    oldest_account = models.ForeignKey(Account, on_delete=models.SET_NULL, null=True, related_name="+")
    error_code = models.CharField(max_length=64, blank=True)
    aside = models.PositiveIntegerField(default=0)  # messages that a person or a filter put on hold
    at_senders = models.PositiveIntegerField(default=0)  # accounts of which more waits at senders, uncounted
    left = models.PositiveIntegerField(default=0)  # messages that were held and wait still after the release
    to_prove = models.PositiveIntegerField(default=0)  # accounts that are held, or released and not seen empty since


class AccountHeld(models.Model):
    """New mail that waits for one user, as the hold said last; after the release, what is left of it."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="held_mail")
    cutover = models.PositiveIntegerField()  # of the account, as in the journal
    counted_at = models.DateTimeField()
    is_released = models.BooleanField(default=False)  # it was counted after the release
    messages = models.PositiveIntegerField(default=0)
    oldest_at = models.DateTimeField(null=True)
    aside = models.PositiveIntegerField(default=0)
    is_at_senders = models.BooleanField(default=False)
    error_code = models.CharField(max_length=64, blank=True)  # why the hold did not say; the figures are nothing then
