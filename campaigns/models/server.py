"""Where mail lives and who governs it: mail servers, connectors, and the addresses administrators allow."""

from __future__ import annotations

from django.db import models


class Security(models.TextChoices):
    """How a line is protected."""

    TLS = "tls"
    STARTTLS = "starttls"
    PLAIN = "plain"


class AllowedAddress(models.Model):
    """A host (name, address or network) that servers and connectors may point to. Only administrators add one."""

    host = models.CharField(max_length=255, unique=True)


class Server(models.Model):
    """A mail server, its limits, and its breaker."""

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=16, default="imap")  # key of migrator.stores.STORES
    # Empty, and 0, where mail lies in files of this machine
    host = models.CharField(max_length=255, blank=True)
    port = models.PositiveIntegerField()
    # Where files are: below a folder of settings.MAIL_FOLDERS, * for the person's name (bridge.places)
    path = models.CharField(max_length=500, blank=True)
    security = models.CharField(max_length=8, choices=Security.choices, default=Security.TLS)
    ca_pem = models.TextField(blank=True)
    accepts_any_certificate = models.BooleanField(default=False)
    # An exception: exactly this certificate is accepted, whoever vouches for it or not.
    pinned_sha256 = models.CharField(max_length=64, blank=True)
    pinned_name = models.CharField(max_length=255, blank=True)  # what the certificate calls itself
    pinned_by = models.CharField(max_length=150, blank=True)
    pinned_at = models.DateTimeField(null=True)
    product = models.CharField(max_length=32, blank=True)  # whose manners it has; empty: as it says itself
    admin_login = models.CharField(max_length=255, blank=True)
    admin_access = models.CharField(max_length=255, default="authzid")  # see bridge.way_in
    token_endpoint = models.CharField(max_length=500, blank=True)
    admin_secret = models.BinaryField(null=True)  # sealed (bridge.vault)
    # Where other services of its mailboxes are (bridge.beside): HOST:PORT; empty: its own host, the usual port
    sieve_place = models.CharField(max_length=255, blank=True)
    pop3_place = models.CharField(max_length=255, blank=True)
    max_lanes = models.PositiveIntegerField(default=8)  # accounts worked on at once
    breaker_failures = models.PositiveIntegerField(default=0)  # errors of radius server in a row
    breaker_until = models.DateTimeField(null=True)  # no new work before
    breaker_code = models.CharField(max_length=64, blank=True)
    breaker_reply = models.CharField(max_length=500, blank=True)


class Connector(models.Model):
    """What governs mail and people beside a mail server. ``kind`` is a key of the engine's registry of its room."""

    class Room(models.TextChoices):
        DIRECTORY = "directory"
        ROUTE = "route"
        SESSIONS = "sessions"
        HOLD = "hold"
        POPULATION = "population"
        PUBLICATION = "publication"

    room = models.CharField(max_length=16, choices=Room.choices)
    kind = models.CharField(max_length=32)
    name = models.CharField(max_length=100, unique=True)
    options = models.JSONField(default=dict)  # no secrets
    secret = models.BinaryField(null=True)  # sealed
