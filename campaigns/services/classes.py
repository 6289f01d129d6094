"""Classes of folders of an account: copied after its mail, once it is copied ahead and again before its switch.

What a side says is told in the account's history and keeps no account back: the mail is what the night is for. A side
without a command line of CommuniGate is told, no fault, unless the campaign has a connection to it.
"""

from __future__ import annotations

from typing import Final

from django.db import transaction

from campaigns.bridge import beside, copying
from campaigns.bridge.connect import Approach
from campaigns.bridge.lease import Lease, hold
from campaigns.bridge.ledger import OrmLedger
from campaigns.bridge.sink import OrmSink
from campaigns.models import Account, Event
from campaigns.services.events import record
from migrator.errors import MigratorError, Side
from migrator.events import ClassesAbsent
from migrator.transfer.folder_classes import copy_classes

COPIED: Final = "account.classes.copied"
ABSENT: Final = "account.classes.absent"
FAILED: Final = "account.classes.failed"
NIGHT_SECONDS: Final = 20.0  # for which a locked-out person waits for an answer about classes
_NOBODY: Final = "classes.unreachable"


def copy_ahead(lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink) -> None:
    """Copy the classes of an account whose user still works, where its options say so. Raises ``LeaseLost``."""
    if copying.copies_classes(approach.account, approach.options):
        _carry(lease, approach, ledger, sink, is_admitted=True)


def copy_in_the_night(lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink) -> None:
    """Do so in the night, with short patience; a side found to have none before is not asked again."""
    if copying.copies_classes(approach.account, approach.options) and not _was_absent(approach.account):
        _carry(lease, approach, ledger, sink, is_admitted=False)


def _was_absent(account: Account) -> bool:
    last = Event.objects.filter(account=account, name__in=(COPIED, ABSENT, FAILED)).order_by("-pk").first()
    return last is not None and last.name == ABSENT


def _carry(lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink, *, is_admitted: bool) -> None:
    limits = approach.limits if is_admitted else beside.in_a_hurry(approach.limits, NIGHT_SECONDS)
    try:
        with (
            beside.classes(approach, Side.SOURCE, limits, is_admitted=is_admitted) as source,
            beside.classes(approach, Side.TARGET, limits, is_admitted=is_admitted) as target,
        ):
            copy_classes(source, target, ledger, sink, before_change=lease.check)
    except MigratorError as error:
        if error.code.startswith("ledger."):
            raise
        _tell(error, lease, approach, sink)


def _tell(error: MigratorError, lease: Lease, approach: Approach, sink: OrmSink) -> None:
    side, account = error.side, approach.account
    if side is not None and error.code == _NOBODY and beside.command_line(approach, side) is None:
        return sink.emit(ClassesAbsent(side=side, error=error))
    sink.flush()
    ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
    with transaction.atomic():
        hold(lease)
        record(FAILED, actor=lease.holder or "worker", **ids, code=error.code, side=side or "", reply=error.reply)
    return None
