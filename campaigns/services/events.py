"""Writing down what happened: one row each, in the transaction of what it tells."""

from __future__ import annotations

from typing import Any

from campaigns.models import Event, User

# A person, or the name of the part of Mailferry that acted.
Actor = User | str


def record(
    name: str,
    *,
    actor: Actor,
    campaign_id: int | None = None,
    batch_id: int | None = None,
    account_id: int | None = None,
    **facts: Any,
) -> None:
    """Store one event. ``facts`` are codes and numbers, empty ones left out: no secret, no content of mail."""
    person = actor if isinstance(actor, User) else None
    Event.objects.create(
        name=name,
        actor=person,
        actor_name=actor.get_username() if isinstance(actor, User) else actor,
        campaign_id=campaign_id,
        batch_id=batch_id,
        account_id=account_id,
        data={key: value for key, value in facts.items() if value != ""},
    )
