"""People who sign in to the panel: their logins, roles, and the links by which somebody chooses a password."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import timedelta
from typing import Final

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.models import Event, OneTimeLink, User
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused

FIRST_NAME: Final = "admin"
LINK_HOURS: Final = 24
_NAME_CHARACTERS: Final = 150
ROLES: Final = ("is_operator", "is_helpdesk", "is_manager", "is_administrator")


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


def link(user: User, *, actor: Actor = "mailferry") -> str:
    """Return the token of a new one-time link for ``user``; earlier ones are void. Their password holds until then."""
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        OneTimeLink.objects.filter(user=user, used_at=None).delete()
        OneTimeLink.objects.create(
            user=user, token_sha256=_hash(token), expires_at=timezone.now() + timedelta(hours=LINK_HOURS)
        )
        record("staff.link.made", actor=actor, user=user.username)
    return token


def create(username: str, full_name: str, roles: Collection[str], *, actor: User) -> tuple[User, str]:
    """Make a login without a password; return it and the token of the link that lets its person choose one.

    ``roles`` are of ROLES. Raises ``Refused`` with the field.
    """
    username = username.strip().casefold()  # sign-in does not tell capitals apart
    _require_name(username)
    _require_roles(roles)
    user = User(username=username, first_name=full_name.strip()[:_NAME_CHARACTERS])
    _give(user, roles)
    user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
            record("staff.created", actor=actor, user=user.username, roles=_names(roles))
            return user, link(user, actor=actor)
    except IntegrityError as error:
        raise Refused("staff.name_taken", "username") from error


def change(user_id: int, full_name: str, roles: Collection[str], *, actor: User) -> User:
    """Give somebody a name and exactly these roles. Raises ``Refused``: no role, or nobody left to administer."""
    _require_roles(roles)
    with transaction.atomic():
        user = _locked(user_id)
        if "is_administrator" not in roles:
            _require_another_administrator(user)
        before = {role for role in ROLES if getattr(user, role)}
        user.first_name, user.last_name = full_name.strip()[:_NAME_CHARACTERS], ""
        _give(user, roles)
        user.save(update_fields=["first_name", "last_name", *ROLES])
        if before != {*roles}:
            record("staff.roles.changed", actor=actor, user=user.username, roles=_names(roles), were=_names(before))
    return user


def close(user_id: int, *, actor: User) -> User:
    """Let somebody in no more; who is signed in is out at the next page. Raises ``Refused`` for the last one."""
    with transaction.atomic():
        user = _locked(user_id)
        _require_another_administrator(user)
        _set_open(user, False, actor)
    return user


def open_again(user_id: int, *, actor: User) -> User:
    """Let somebody in again, with the password they had."""
    with transaction.atomic():
        user = _locked(user_id)
        _set_open(user, True, actor)
    return user


def link_for(user_id: int, *, actor: User) -> tuple[User, str]:
    """Return somebody and the token of a new link for them. Raises ``Refused`` for a login that is closed."""
    user = User.objects.get(pk=user_id)
    if not user.is_active:
        raise Refused("staff.closed")
    return user, link(user, actor=actor)


def change_password(user: User, current: str, password: str) -> None:
    """Give somebody another password, who knows the one they have.

    Raises ``Refused`` for a wrong one, or Django's ``ValidationError`` for one that is too easy.
    """
    if not user.check_password(current):
        raise Refused("staff.wrong_password", "current")
    validate_password(password, user)
    user.set_password(password)
    with transaction.atomic():
        user.save(update_fields=["password"])
        record("staff.password.changed", actor=user)


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


def _require_name(username: str) -> None:
    try:
        User.username_validator(username)
    except ValidationError:
        raise Refused("staff.name", "username") from None
    if not username or len(username) > _NAME_CHARACTERS:
        raise Refused("staff.name", "username")
    if User.objects.filter(username__iexact=username).exists():
        raise Refused("staff.name_taken", "username")


def _require_roles(roles: Collection[str]) -> None:
    if not {*roles} or not {*roles} <= {*ROLES}:
        raise Refused("staff.no_role", "roles")


def _require_another_administrator(user: User) -> None:
    """Refuse to take ``user`` from the administrators when no other one can sign in."""
    if not (user.is_administrator and user.is_active):
        return
    others = User.objects.filter(is_administrator=True, is_active=True).exclude(pk=user.pk)
    if not any(other.has_usable_password() for other in others):
        raise Refused("staff.last_administrator")


def _locked(user_id: int) -> User:
    """Return somebody, with every administrator locked: two must not each take the role from the other at once."""
    list(User.objects.select_for_update().filter(is_administrator=True).order_by("pk").values_list("pk"))
    return User.objects.select_for_update().get(pk=user_id)


def _set_open(user: User, is_open: bool, actor: User) -> None:
    if user.is_active == is_open:
        return
    user.is_active = is_open
    user.save(update_fields=["is_active"])
    record("staff.opened" if is_open else "staff.closed", actor=actor, user=user.username)


def _give(user: User, roles: Collection[str]) -> None:
    for role in ROLES:
        setattr(user, role, role in roles)


def _names(roles: Collection[str]) -> list[str]:
    return [role.removeprefix("is_") for role in ROLES if role in roles]


def _good_links() -> QuerySet[OneTimeLink]:
    return OneTimeLink.objects.filter(used_at=None, expires_at__gt=timezone.now(), user__is_active=True)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
