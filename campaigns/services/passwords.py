"""New passwords for accounts that have one already, or none: what mends a refused sign-in.

What is stored is sealed (``secrets``) and told as changed, never shown. The password that is stored already is refused:
it is the one that did not work.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from campaigns.models import Account, User
from campaigns.services import secrets
from campaigns.services.refusals import Refused
from migrator.errors import Side
from migrator.secret import Secret


def replace(account_id: int, sides: Iterable[Side], secret: Secret, *, actor: User) -> None:
    """Store ``secret`` for one side or both, in place of what was there; a retry is allowed then.

    The account's state stays: ``accounts.retry`` is the second step. Raises ``Refused``: no password, or on every side
    the one that is stored.
    """
    if not secret.reveal():
        raise Refused("password.empty")
    account = Account.objects.get(pk=account_id)
    with transaction.atomic():
        changed = [secrets.set_account_password(account, side, secret, actor=actor) for side in sorted(set(sides))]
        if not any(changed):
            raise Refused("password.same")
