"""The look at a batch before it is copied: who would fail, and why."""

from __future__ import annotations

from django.db import models

from campaigns.models.account import Account
from campaigns.models.campaign import Batch


class BatchSurvey(models.Model):
    """The last survey of a batch. A fault of a whole server ends it early, and stands here."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="survey")
    asked_at = models.DateTimeField()
    asked_by = models.CharField(max_length=150)
    rung_at = models.DateTimeField(null=True)  # workers were called
    ended_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_side = models.CharField(max_length=8, blank=True)
    error_reply = models.TextField(blank=True)


class SurveyedAccount(models.Model):
    """One account of a survey, and what was found: migrator.preflight.foreseen.AccountSurvey, as JSON."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="survey")
    survey = models.ForeignKey(BatchSurvey, on_delete=models.CASCADE, related_name="accounts")
    is_sampled = models.BooleanField(default=False)  # messages are read from it, to measure the old server
    claimed_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    taken_at = models.DateTimeField(null=True)
    found = models.JSONField(default=dict)
