"""People who sign in to the panel: the first administrator, and the links by which somebody chooses a password."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import Final

from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.models import Event, OneTimeLink, User

FIRST_NAME: Final = "admin"
LINK_HOURS: Final = 24


class LinkRefused(Exception):
    """The link was used, is too old, or never was."""


def first_link() -> str | None:
    """Return the token of a new link for the first administrator; None once somebody administers.

    Asked again before the link was used, it gives a new token and the one before is void: only its hash was kept.
    """
    administrators = User.objects.filter(is_administrator=True, is_active=True)
    if any(user.has_usable_password() for user in administrators):
        return None
    roles = {"is_administrator": True, "is_operator": True}
    user, is_new = User.objects.get_or_create(username=FIRST_NAME, defaults=roles)
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return link(user)


def link(user: User) -> str:
    """Return the token of a new one-time link for ``user``; earlier ones are void."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        OneTimeLink.objects.filter(user=user, used_at=None).delete()
        OneTimeLink.objects.create(
            user=user, token_sha256=_hash(token), expires_at=timezone.now() + timedelta(hours=LINK_HOURS)
        )
        Event.objects.create(name="staff.link.made", actor_name="mailferry", data={"user": user.username})
    return token


def find_link(token: str) -> OneTimeLink:
    """Return the link whose token this is. Raises ``LinkRefused``."""
    link = _good_links().filter(token_sha256=_hash(token)).first()
    if link is None:
        raise LinkRefused
    return link


def whose(link_id: int) -> User:
    """Return the person whom a link lets in. Raises ``LinkRefused``."""
    link = _good_links().filter(pk=link_id).select_related("user").first()
    if link is None:
        raise LinkRefused
    return link.user


def choose_password(link_id: int, password: str) -> User:
    """Use up a link and give its person ``password``.

    Raises ``LinkRefused``, or Django's ``ValidationError`` for a password that is too easy; then the link stays good.
    """
    user = whose(link_id)
    validate_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        # On columns of the row alone: with a join PostgreSQL decides in a subquery, which a race does not repeat.
        if OneTimeLink.objects.filter(pk=link_id, used_at=None).update(used_at=timezone.now()) != 1:
            raise LinkRefused  # somebody was faster
        user.save(update_fields=["password"])
        Event.objects.create(name="staff.password.chosen", actor=user, actor_name=user.username)
    return user


def choose_looks(user: User, **looks: str) -> None:
    """Keep how pages look to somebody: ``time_zone``, ``theme``, ``language``. Nothing else of a person is set here."""
    for name, value in looks.items():
        if name not in ("time_zone", "theme", "language"):
            raise ValueError(name)
        setattr(user, name, value)
    user.save(update_fields=list(looks))


def _good_links() -> QuerySet[OneTimeLink]:
    return OneTimeLink.objects.filter(used_at=None, expires_at__gt=timezone.now(), user__is_active=True)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
