"""A campaign, its batches, and how many accounts of a batch are in which state."""

from __future__ import annotations

from typing import Final

from django.db import models

from campaigns.models.server import Connector, Server
from campaigns.states import AccountState


class Campaign(models.Model):
    """One move of a platform: two servers, who governs them, and the recipe by which its accounts cross."""

    name = models.CharField(max_length=100, unique=True)
    source = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="+")
    source_directory = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    target_directory = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    route = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    source_sessions = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    target_sessions = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    hold = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    population = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    publication = models.ForeignKey(Connector, on_delete=models.PROTECT, null=True, related_name="+")
    recipe = models.CharField(max_length=32, default="plain")  # key of migrator.recipes.RECIPES
    steps = models.JSONField(default=list)  # as recipes.stored writes them; empty: as the recipe is shipped
    services = models.JSONField(default=list)  # what DISABLE refuses; empty: as the recipe says
    verify_level = models.CharField(max_length=8, default="ledger")
    copies_deleted = models.BooleanField(default=False)
    copy_options = models.JSONField(default=dict)  # what differs from the usual (bridge.copying)
    catch_up_minutes = models.PositiveIntegerField(default=30)
    catch_up_days = models.PositiveIntegerField(default=0)
    refresh_hours = models.PositiveIntegerField(default=24)  # a ready account is copied again so often; 0: never
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)

    # The columns that name a connector
    CONNECTORS: Final = (
        "source_directory",
        "target_directory",
        "route",
        "source_sessions",
        "target_sessions",
        "hold",
        "population",
        "publication",
    )


class Batch(models.Model):
    """Accounts that move together. Nothing runs before ``started_at``; no cutover before ``go_at`` and the window."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="batches", db_index=False)
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=100)
    starts_at = models.DateTimeField(null=True)  # planned
    started_at = models.DateTimeField(null=True)
    window_begins_at = models.DateTimeField(null=True)
    window_ends_at = models.DateTimeField(null=True)
    go_at = models.DateTimeField(null=True)  # the operator said go
    is_paused = models.BooleanField(default=False)
    parallel_cutovers = models.PositiveIntegerField(default=8)
    canary = models.PositiveIntegerField(default=0)  # first accounts cut over, then wait for the operator
    canary_passed_at = models.DateTimeField(null=True)
    cutovers_begun = models.PositiveIntegerField(default=0)  # accounts that ever began one
    stop_at_failed_percent = models.PositiveIntegerField(default=10)
    failures_accepted = models.PositiveIntegerField(default=0)  # so many had failed when the operator said go on
    max_attempts = models.PositiveIntegerField(default=5)
    ready_messages = models.PositiveIntegerField(default=200)  # a pass that moved fewer makes an account ready
    ready_seconds = models.PositiveIntegerField(default=60)
    cutover_seconds = models.PositiveIntegerField(default=900)  # deadline before the point of no return
    is_together = models.BooleanField(default=False)  # all take a step before any takes the next
    is_stepwise = models.BooleanField(default=False)  # together, and the operator says so before each next step
    step_gate = models.PositiveIntegerField(default=0)  # together: steps before this position are open
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("campaign", "number"), name="batch_number"),)


class BatchCount(models.Model):
    """How many accounts of a batch are in one state: kept by every transition, so that pages need no counting."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="counts", db_index=False)
    state = models.CharField(max_length=16, choices=[(s.value, s.value) for s in AccountState])
    accounts = models.IntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("batch", "state"), name="batch_count_state"),)


class BatchMail(models.Model):
    """Where every message of a batch is, and how much mail has moved: added up from its accounts by the ticker."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="mail")
    counted_at = models.DateTimeField()
    counted_accounts = models.PositiveIntegerField(default=0)  # of which a pass has listed the mail
    # Each message is in one of these. The names are those of services.mail_counts.BOXES.
    moved = models.PositiveBigIntegerField(default=0)
    ahead = models.PositiveBigIntegerField(default=0)
    pending = models.PositiveBigIntegerField(default=0)
    already = models.PositiveBigIntegerField(default=0)
    skipped = models.PositiveBigIntegerField(default=0)
    removed = models.PositiveBigIntegerField(default=0)
    flagged = models.PositiveBigIntegerField(default=0)
    empty = models.PositiveBigIntegerField(default=0)
    left = models.PositiveBigIntegerField(default=0)
    bytes_total = models.PositiveBigIntegerField(default=0)
    bytes_done = models.PositiveBigIntegerField(default=0)
    bytes_moved = models.PositiveBigIntegerField(default=0)  # of accounts that are done
    bytes_per_second = models.FloatField(default=0.0)
    mark_at = models.DateTimeField()  # since when, and from how many bytes on, the rate is measured
    mark_bytes = models.PositiveBigIntegerField(default=0)


class MovedHour(models.Model):
    """How many accounts of a batch came to the new server in an hour, less those taken back: kept by transitions."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="moved_hours", db_index=False)
    hour = models.DateTimeField()  # its begin
    accounts = models.IntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("batch", "hour"), name="moved_hour_once"),)
