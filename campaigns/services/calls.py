"""Calls of users: what helpdesk notes of them, and what it hands on to the operator."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from campaigns.models import Account
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused

NOTED: Final = "account.call.noted"
TOLD: Final = "account.operator.told"
LOOKED: Final = "account.operator.looked"
NAMES: Final = (NOTED, TOLD, LOOKED)
LONGEST: Final = 200


def note(account: Account, text: str, *, actor: Actor) -> None:
    """Note a call in one line. Raises ``Refused``: without a word, or too long."""
    _tell(account, NOTED, actor, note=_line(text))


def tell_operator(account: Account, text: str, *, actor: Actor) -> None:
    """Put an account on the operator's home, with what the user says if there is a word. Raises ``Refused``."""
    note = _line(text) if text.strip() else ""
    with transaction.atomic():
        if Account.objects.filter(pk=account.pk, told_at=None).update(told_at=timezone.now()) != 1:
            raise Refused("call.told")
        _tell(account, TOLD, actor, note=note)


def look(account: Account, *, actor: Actor) -> None:
    """Take an account from the operator's home: somebody has looked. Raises ``Refused``."""
    with transaction.atomic():
        if Account.objects.filter(pk=account.pk, told_at__isnull=False).update(told_at=None) != 1:
            raise Refused("call.not_told")
        _tell(account, LOOKED, actor)


def _line(text: str) -> str:
    line = " ".join(text.replace("\0", " ").split())
    if not line:
        raise Refused("call.empty")
    if len(line) > LONGEST:
        raise Refused("call.long")
    return line


def _tell(account: Account, name: str, actor: Actor, note: str = "") -> None:
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    record(name, actor=actor, **ids, note=note)
