"""Room made on the demo's new server: what an administrator of a real one does in a console of its own."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from campaigns.demo import directory, dovecot, folder
from campaigns.models import Account
from campaigns.services.events import Actor, record
from campaigns.services.refusals import Refused


def make(account_id: int, *, actor: Actor) -> None:
    """Let the mailbox of an account on the new server grow as it likes. A retry is the second step.

    Raises ``Refused`` outside of the demo, and while its servers do not run.
    """
    servers = folder.servers_folder(settings.DATA) if settings.DEMO else None
    if servers is None or not servers.is_dir():
        raise Refused("demo.not_running")
    account = Account.objects.only("campaign", "batch", "target_login").get(pk=account_id)
    file = servers / "directory.sqlite3"
    directory.set_room(file, account.target_login, 0)
    if dovecot.is_in(servers / "new"):
        dovecot.set_rooms(servers / "new", directory.rooms(file))
    with transaction.atomic():
        ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
        record("demo.room.made", actor=actor, **ids)


def is_full(account: Account) -> bool:
    """True when the account failed, or waits, because its new mailbox is full: then a page may offer room."""
    return bool(settings.DEMO) and account.error_code == "target.full"
