"""That the mail of a batch may be removed from the old server, and what was removed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models.account import Account
from campaigns.models.campaign import Batch


class Retirement(models.Model):
    """Asked for by one person, approved by another, then waited for: nothing is removed before ``begins_at``."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="retirements", db_index=False)
    quiet_days = models.PositiveIntegerField()  # without mail on the source before an account's mail is removed
    quarantine_days = models.PositiveIntegerField()  # between approval and the first removal
    is_by_log = models.BooleanField(default=False)  # logs of the source must show that nobody signed in there
    reason = models.CharField(max_length=500)
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    approved_by = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True)
    begins_at = models.DateTimeField(null=True)
    withdrawn_by = models.CharField(max_length=150, blank=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("batch",), condition=Q(withdrawn_at__isnull=True), name="retirement_one_open"
            ),
        )


class RemovedMessage(models.Model):
    """migrator.transfer.ledger.Removal: a message that was removed from the source, or is about to be."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+", db_index=False)
    folder = models.BinaryField()  # raw name
    folder_sha256 = models.CharField(max_length=64)
    source_uidvalidity = models.PositiveBigIntegerField()
    uid = models.PositiveBigIntegerField()
    removed_at = models.PositiveBigIntegerField(null=True)  # seconds since the epoch; null: intended

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("account", "folder_sha256", "source_uidvalidity", "uid"), name="removed_message_once"
            ),
        )
        indexes = (
            models.Index(fields=("account",), name="removed_message_intended", condition=Q(removed_at__isnull=True)),
        )
