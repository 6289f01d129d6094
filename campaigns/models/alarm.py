"""Alarms, and the ways by which they leave."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from campaigns.models.campaign import Batch


class AlarmChannel(models.Model):
    """A way out for alarms. ``options`` are those of its kind (services.alarm_channels)."""

    class Kind(models.TextChoices):
        WEBHOOK = "webhook"
        PROGRAM = "program"
        MAIL = "mail"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    options = models.JSONField(default=dict)  # no secrets
    secret = models.BinaryField(null=True)  # sealed
    is_on = models.BooleanField(default=True)
    changed_at = models.DateTimeField()  # a test from before says nothing of it as it is now
    sent_at = models.DateTimeField(null=True)  # an alarm left by it last
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)  # why it did not, in the other side's words


class Alarm(models.Model):
    """Something that cannot wait until somebody looks: one for each batch and kind, however many accounts it is about.

    A test has a code that only the message shows. Whoever types it in has read the message.
    """

    kind = models.CharField(max_length=32)  # key of services.alarms.KINDS
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, null=True, related_name="alarms")
    channel = models.ForeignKey(AlarmChannel, on_delete=models.CASCADE, null=True, related_name="tests")  # of a test
    code = models.CharField(max_length=16, blank=True)
    wrong_codes = models.PositiveSmallIntegerField(default=0)
    accounts = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(null=True)  # of the one that waits longest
    raised_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # what it was about is over
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    acknowledged_accounts = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("kind", "batch"), condition=Q(ended_at=None, batch__isnull=False), name="alarm_open_once"
            ),
        )


class AlarmSending(models.Model):
    """An alarm on its way out by one channel."""

    alarm = models.ForeignKey(Alarm, on_delete=models.CASCADE, related_name="sendings", db_index=False)
    channel = models.ForeignKey(AlarmChannel, on_delete=models.CASCADE, related_name="sendings")
    due_at = models.DateTimeField(null=True)  # None: nothing more to send
    tries = models.PositiveIntegerField(default=0)  # since it left last
    sent_at = models.DateTimeField(null=True)

    class Meta:
        indexes = (models.Index(fields=("due_at",), name="alarm_due", condition=Q(due_at__isnull=False)),)
        constraints = (models.UniqueConstraint(fields=("alarm", "channel"), name="alarm_sending_once"),)
