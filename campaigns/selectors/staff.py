"""Staff logins as their pages list them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext_lazy

from campaigns.models import OneTimeLink, User
from campaigns.services.staff import ROLES

ROLE_WORDS: Final = {
    "is_operator": gettext_lazy("Operator"),
    "is_helpdesk": gettext_lazy("Helpdesk"),
    "is_manager": gettext_lazy("Manager"),
    "is_administrator": gettext_lazy("Administrator"),
}
ROLES_EXPLAINED: Final = {
    "is_operator": gettext_lazy("Plans and runs moves: everything but servers' passwords and staff logins."),
    "is_helpdesk": gettext_lazy("Looks one person up, tries again, stops one account. Nothing in bulk."),
    "is_manager": gettext_lazy("Reads everything, exports it, approves the end."),
    "is_administrator": gettext_lazy("Sets up servers, connections and staff logins."),
}


@dataclass(frozen=True, slots=True)
class StaffRow:
    """One login. ``link_until``: a link by which its person chooses a password is under way."""

    id: int
    name: str
    username: str
    roles: tuple[str, ...]
    last_sign_in: datetime | None
    is_open: bool
    has_password: bool
    link_until: datetime | None


def logins() -> list[StaffRow]:
    """Return all staff logins by name, the closed ones last."""
    links = dict(
        OneTimeLink.objects.filter(used_at=None, expires_at__gt=timezone.now()).values_list("user", "expires_at")
    )
    return [_row(user, links.get(user.pk)) for user in User.objects.order_by("-is_active", "username")]


def login(user: User) -> StaffRow:
    """Return one login."""
    links = OneTimeLink.objects.filter(user=user, used_at=None, expires_at__gt=timezone.now())
    return _row(user, links.values_list("expires_at", flat=True).first())


def _row(user: User, link_until: datetime | None) -> StaffRow:
    return StaffRow(
        id=user.pk,
        name=user.get_full_name(),
        username=user.username,
        roles=tuple(str(ROLE_WORDS[role]) for role in ROLES if getattr(user, role)),
        last_sign_in=user.last_login,
        is_open=user.is_active,
        has_password=user.has_usable_password(),
        link_until=link_until,
    )
