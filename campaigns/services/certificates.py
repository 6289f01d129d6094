"""Exceptions for certificates that nobody vouches for: one certificate, that somebody looked at, for one server.

Only what the last test of the server showed can be accepted, so that nobody accepts what nobody has seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from campaigns.models import Event, Server, User
from campaigns.services.events import record
from campaigns.services.refusals import Refused
from migrator.stores import trust

TESTED: Final = "server.tested"
CHANGED: Final = ("server.changed", "server.certificate.accepted", "server.certificate.dropped")
COLUMNS: Final = ("pinned_sha256", "pinned_name", "pinned_by", "pinned_at")
MOST_NAME: Final = 255


def shown(server: Server) -> Mapping[str, Any] | None:
    """Return the certificate that the last test showed and did not accept; None when there is none to accept."""
    rows = Event.objects.filter(account=None, data__row=server.pk, name__in=(TESTED, *CHANGED)).order_by("-pk")
    last = rows.first()
    if last is None or last.name != TESTED:
        return None  # what was tested has been changed since
    facts = (found.get("facts", {}) for found in last.data.get("found", ()) if found.get("outcome") == "bad")
    return next((fact for fact in facts if fact.get("fingerprint")), None)


def accept(server: Server, fingerprint: str, *, actor: User) -> None:
    """Accept exactly the certificate with ``fingerprint`` for ``server``. Raises ``Refused`` unless it was shown."""
    facts = shown(server)
    if facts is None or facts["fingerprint"] != fingerprint:
        raise Refused("certificate.not_shown")
    server.pinned_sha256 = fingerprint
    server.pinned_name = (", ".join(facts.get("names", ())))[:MOST_NAME]
    server.pinned_by, server.pinned_at = actor.username, timezone.now()
    _store(server, "server.certificate.accepted", fingerprint, actor, names=facts.get("names", []))


def drop(server: Server, *, actor: User) -> None:
    """Accept the certificate no more; nothing happens where there is none."""
    was = server.pinned_sha256
    if not was:
        return
    server.pinned_sha256 = server.pinned_name = server.pinned_by = ""
    server.pinned_at = None
    _store(server, "server.certificate.dropped", was, actor)


def _store(server: Server, event: str, fingerprint: str, actor: User, **data: Any) -> None:
    with transaction.atomic():
        server.save(update_fields=COLUMNS)
        told = trust.readable(fingerprint)
        record(event, actor=actor, row=server.pk, called=server.name, fingerprint=told, **data)
