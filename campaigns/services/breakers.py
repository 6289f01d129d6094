"""One breaker for each server: when the server itself is at fault, nobody new is sent there for a while.

It opens at the first such error, with one event and not one for each of a thousand accounts. When its time is over a
single account tries (half open). What comes of that closes the breaker, or opens it for twice as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from campaigns.models import Server
from campaigns.services.events import Actor, record
from migrator.errors import MigratorError

FIRST_SECONDS: Final = 15.0
LONGEST_SECONDS: Final = 300.0
_REPLY_CHARACTERS: Final = 500


def failed(server_id: int, error: MigratorError, now: datetime | None = None) -> float:
    """Note an error of radius *server*. Returns after how many seconds another try makes sense.

    While the breaker is open, errors of accounts that were under way change nothing.
    """
    now = now or timezone.now()
    with transaction.atomic():
        server = Server.objects.select_for_update(no_key=True).get(pk=server_id)
        until = server.breaker_until
        if until is None or until <= now:
            until = _open(server, error, now)
        return (until - now).total_seconds()


def _open(server: Server, error: MigratorError, now: datetime) -> datetime:
    is_first = server.breaker_failures == 0
    seconds = min(FIRST_SECONDS * 2.0**server.breaker_failures, LONGEST_SECONDS)
    until = now + timedelta(seconds=max(seconds, error.retry_after or 0.0))
    server.breaker_failures += 1
    server.breaker_until = until
    server.breaker_code, server.breaker_reply = error.code, error.reply[:_REPLY_CHARACTERS]
    server.save(update_fields=["breaker_failures", "breaker_until", "breaker_code", "breaker_reply"])
    if is_first:
        record("server.breaker.opened", actor="mailferry", server=server.pk, code=error.code)
    return until


def worked(server_ids: Iterable[int], now: datetime | None = None) -> None:
    """Note that work against these servers went well. Closes a breaker that is half open."""
    now = now or timezone.now()
    rows = Server.objects.filter(pk__in=set(server_ids), breaker_failures__gt=0, breaker_until__lte=now)
    for server_id in list(rows.values_list("pk", flat=True)):  # none, nearly always: no lock is taken for nothing
        close(server_id)


def close(server_id: int, *, actor: Actor = "mailferry") -> None:
    """Send accounts to the server again, at once."""
    with transaction.atomic():
        rows = Server.objects.filter(pk=server_id, breaker_failures__gt=0)
        if rows.update(breaker_failures=0, breaker_until=None, breaker_code="", breaker_reply=""):
            record("server.breaker.closed", actor=actor, server=server_id)


def room(server: Server, taken: int, now: datetime) -> int:
    """Return how many more accounts ``server`` may have when ``taken`` are on it: one at a time while half open."""
    if not server.breaker_failures:
        return max(0, server.max_lanes - taken)
    if server.breaker_until is not None and server.breaker_until > now:
        return 0
    return max(0, 1 - taken)
