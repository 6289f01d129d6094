"""Sieve scripts of an account: copied after its mail, once it is copied ahead and again before its switch.

What a side says is told in the account's history and keeps no account back: the mail is what the night is for. A side
without ManageSieve is told, no fault.
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
from migrator.events import ScriptsAbsent
from migrator.stores.sieve import SieveScripts
from migrator.transfer.sieve import copy_scripts

COPIED: Final = "account.scripts.copied"
ABSENT: Final = "account.scripts.absent"
FAILED: Final = "account.scripts.failed"
LEFT_BEHIND: Final = "account.script.left_behind"
FOLDER_RENAMED: Final = "account.script.folder_renamed"
NIGHT_SECONDS: Final = 20.0  # for which a locked-out person waits for an answer about scripts
_NOBODY: Final = ("server.unreachable", "server.not_sieve")  # what a side without ManageSieve says


def copy_ahead(lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink) -> None:
    """Copy the scripts of an account whose user still works, where its options say so. Raises ``LeaseLost``."""
    if copying.copies_scripts(approach.account, approach.options):
        _Scripts(lease, approach, ledger, sink, is_admitted=True).carry()


def copy_in_the_night(lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink) -> None:
    """Do so in the night, with short patience; a side found to have none before is not asked again."""
    if not copying.copies_scripts(approach.account, approach.options) or _was_absent(approach.account):
        return
    _Scripts(lease, approach, ledger, sink, is_admitted=False).carry()


def _was_absent(account: Account) -> bool:
    last = Event.objects.filter(account=account, name__in=(COPIED, ABSENT, FAILED)).order_by("-pk").first()
    if last is None or last.name != ABSENT:
        return False
    server = account.target if last.data.get("side") == Side.TARGET else account.source
    return not beside.place(server, "sieve_place").is_named


class _Scripts:
    """One walk over the scripts of one account."""

    def __init__(
        self, lease: Lease, approach: Approach, ledger: OrmLedger, sink: OrmSink, *, is_admitted: bool
    ) -> None:
        self._lease, self._approach, self._ledger, self._sink = lease, approach, ledger, sink
        self._is_admitted = is_admitted
        limits = approach.limits
        self._limits = limits if is_admitted else beside.in_a_hurry(limits, NIGHT_SECONDS)

    def carry(self) -> None:
        try:
            with self._of(Side.SOURCE) as source, self._of(Side.TARGET) as target:
                fenced = beside.FencedScripts(target, self._lease.check)
                copy_scripts(source, fenced, self._ledger, self._sink)
        except MigratorError as error:
            if error.code.startswith("ledger."):
                raise
            self._tell(error)

    def _of(self, side: Side) -> SieveScripts:
        return beside.scripts(self._approach, side, self._limits, is_admitted=self._is_admitted)

    def _tell(self, error: MigratorError) -> None:
        side, account = error.side, self._approach.account
        if side is not None and self._is_nobody(error, side):
            return self._sink.emit(ScriptsAbsent(side=side, error=error))
        self._sink.flush()
        ids = {"campaign_id": account.campaign_id, "batch_id": account.batch_id, "account_id": account.pk}
        with transaction.atomic():
            hold(self._lease)
            record(FAILED, actor=self._lease.holder or "worker", **ids, code=error.code, side=side or "")
        return None

    def _is_nobody(self, error: MigratorError, side: Side) -> bool:
        """True when there is no ManageSieve where nobody has said that there is."""
        is_named = beside.place(self._approach.server(side), "sieve_place").is_named
        return error.code in _NOBODY and not is_named
