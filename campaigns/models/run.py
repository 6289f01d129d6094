"""Attempts on an account, the journal of outward actions, and the workers that are alive."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models.account import Account


class Run(models.Model):
    """One attempt: a stage slice, a cutover, a roll-back, a catch-up."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="runs", db_index=False)
    kind = models.CharField(max_length=16)  # stage, cutover, rollback, catch_up
    lease_epoch = models.PositiveBigIntegerField()
    holder = models.CharField(max_length=100, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=32, blank=True)
    figures = models.JSONField(default=dict)  # messages, bytes, seconds ... of PassResult

    class Meta:
        indexes = (models.Index(fields=("account", "id"), name="run_account"),)


class JournalEntry(models.Model):
    """One step of one cutover: begun, done or undone. Written before and after the effect, never changed back."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="journal", db_index=False)
    cutover = models.PositiveIntegerField()  # first, second ... of this account
    position = models.PositiveIntegerField()  # in the recipe
    kind = models.CharField(max_length=16)
    connector = models.CharField(max_length=100, blank=True)
    side = models.CharField(max_length=8, blank=True)
    status = models.CharField(max_length=8)  # begun, done, undone
    saved = models.JSONField(default=dict)  # what undo restores: old values, exactly
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "cutover", "position", "kind", "connector", "side"), name="journal_step_once"
            ),
            models.CheckConstraint(condition=Q(status__in=("begun", "done", "undone")), name="journal_status"),
        )


class Worker(models.Model):
    """A process that takes work, and when it was last heard of."""

    name = models.CharField(max_length=100, unique=True)
    queues = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    host = models.CharField(max_length=100)
    beat_at = models.DateTimeField()
    lanes = models.PositiveIntegerField(default=0)
