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
