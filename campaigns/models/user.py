"""Staff who sign in to the panel, and the one-time links that let them choose a password."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A staff login. Roles are flags: one person may have several. What a role may do: ``permissions.may``."""

    is_operator = models.BooleanField(default=False)
    is_helpdesk = models.BooleanField(default=False)
    is_manager = models.BooleanField(default=False)
    is_administrator = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=16, blank=True)
    theme = models.CharField(max_length=8, blank=True)  # "light", "dark" or as the system


class OneTimeLink(models.Model):
    """A link that signs one person in once, to choose a password. Only the hash of its token is kept."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="links")
    token_sha256 = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
