"""What is being planned: campaigns before they are there, and lists before they are imported."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models.campaign import Campaign
from campaigns.models.server import Server


class CampaignDraft(models.Model):
    """A campaign that somebody began to plan. Nothing runs; it goes when the campaign is made of it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    source = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    target = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    options = models.JSONField(default=dict)  # of services.campaigns.OPTIONS; connectors by their keys
    has_method = models.BooleanField(default=False)  # page two was sent
    changed_at = models.DateTimeField(auto_now=True)


class UploadedList(models.Model):
    """A list that was read and not imported yet. Its text is a private file, named by ``token``, until then."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    draft = models.OneToOneField(CampaignDraft, on_delete=models.CASCADE, null=True, related_name="uploaded")
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    token = models.CharField(max_length=32, unique=True)
    file_name = models.CharField(max_length=255, blank=True)  # empty: pasted
    reading = models.JSONField(default=dict)  # how it is read; see services.lists
    report = models.JSONField(default=dict)  # what it would do; see services.lists
    uploaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("campaign", "owner"), name="uploaded_list_once"),
            models.CheckConstraint(
                condition=Q(draft__isnull=True) ^ Q(campaign__isnull=True), name="uploaded_list_for_one"
            ),
        )
