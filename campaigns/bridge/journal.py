"""The journal of one cutover in the database, for whoever holds the account's lease.

Each write is one transaction with what follows from it: whose the mailbox is, the step that pages show, since when the
user is locked out. What a step saved is sealed: it is whatever a directory keeps beside a user, and that may be secret.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from campaigns.bridge import vault
from campaigns.bridge.lease import Lease, hold, take_owner, write
from campaigns.models import JournalEntry
from campaigns.states import Owner
from migrator.entries import Values
from migrator.errors import Side
from migrator.journal import Entry, EntryStatus, StepKey, StepKind

SEALED: Final = "sealed"
_OWNER_AFTER: Final = {
    EntryStatus.BEGUN: Owner.UNKNOWN,
    EntryStatus.DONE: Owner.TARGET,
    EntryStatus.UNDONE: Owner.SOURCE,
}


class OrmJournal:
    """Implements :class:`migrator.journal.Journal` for cutover number ``cutover`` of the account of ``lease``.

    Writes raise ``LeaseLost`` when the lease is no longer ours: nothing is written, and nothing goes out after that.
    """

    def __init__(self, lease: Lease, cutover: int) -> None:
        self._lease = lease
        self._cutover = cutover

    def entries(self) -> list[Entry]:
        """See Journal."""
        rows = JournalEntry.objects.filter(account=self._lease.account_id, cutover=self._cutover)
        return [self._entry(row) for row in rows.order_by("position", "pk")]

    def begin(self, key: StepKey, saved: Values) -> None:
        """See Journal."""
        self._lease.check()
        now = timezone.now()
        columns = {"status": EntryStatus.BEGUN.value, "saved": self._seal(key, saved), "begun_at": now}
        with transaction.atomic():
            hold(self._lease)
            was_done = JournalEntry.objects.filter(**self._place(key), status=EntryStatus.DONE.value).exists()
            JournalEntry.objects.update_or_create(**self._place(key), defaults={**columns, "ended_at": None})
            self._note(key, EntryStatus.BEGUN, now, is_way_back=was_done)

    def done(self, key: StepKey) -> None:
        """See Journal."""
        self._end(key, EntryStatus.DONE)

    def undone(self, key: StepKey) -> None:
        """See Journal."""
        self._end(key, EntryStatus.UNDONE)

    def _end(self, key: StepKey, status: EntryStatus) -> None:
        now = timezone.now()
        with transaction.atomic():
            hold(self._lease)
            rows = JournalEntry.objects.filter(**self._place(key))
            if rows.update(status=status.value, ended_at=now) != 1:
                raise ValueError(f"step {key} ends without having begun")
            self._note(key, status, now)

    def _note(self, key: StepKey, status: EntryStatus, now: datetime, *, is_way_back: bool = False) -> None:
        """Write into the account what follows from a step that begins or ends."""
        columns: dict[str, object] = {"step": key.kind.value}
        columns |= self._lockout(key, status, now)
        if is_way_back and (key.kind, key.side) == (StepKind.ENABLE, Side.TARGET):
            columns |= {"locked_at": now, "lockout_seconds": None}
        write(self._lease, **columns)
        if key.kind is StepKind.SWITCH:
            take_owner(self._lease.account_id, _OWNER_AFTER[status], self._lease.epoch)

    def _lockout(self, key: StepKey, status: EntryStatus, now: datetime) -> dict[str, object]:
        if key.kind is StepKind.DISABLE and status is EntryStatus.DONE:
            return {"locked_at": Coalesce("locked_at", Value(now)), "lockout_seconds": None}
        is_over = key.kind is StepKind.ENABLE and key.side == Side.TARGET and status is EntryStatus.DONE
        if is_over or (key.kind is StepKind.DISABLE and status is EntryStatus.UNDONE):
            locked_at = self._lease.rows().values_list("locked_at", flat=True).first()
            return {"locked_at": None, "lockout_seconds": (now - locked_at).total_seconds()} if locked_at else {}
        return {}

    def _entry(self, row: JournalEntry) -> Entry:
        key = StepKey(row.position, StepKind(row.kind), row.connector, row.side)
        sealed = sealed_part(row)
        saved = json.loads(vault.vault().unseal(sealed, self._where(key))) if sealed else {}
        return Entry(key, EntryStatus(row.status), saved)

    def _seal(self, key: StepKey, saved: Values) -> dict[str, str]:
        if not saved:
            return {}
        return with_sealed_part(vault.vault().seal(json.dumps(dict(saved)), self._where(key)))

    def _place(self, key: StepKey) -> dict[str, Any]:
        place = {"account_id": self._lease.account_id, "cutover": self._cutover, "position": key.position}
        return place | {"kind": key.kind.value, "connector": key.connector, "side": str(key.side)}

    def _where(self, key: StepKey) -> str:
        place = (self._lease.account_id, self._cutover, key.position, key.kind, key.connector, key.side)
        return "journal/" + "/".join(map(str, place))


def sealed_part(row: JournalEntry) -> bytes | None:
    """Return what is sealed in a row of the journal; None when the step saved nothing."""
    sealed = row.saved.get(SEALED)
    return sealed.encode("ascii") if sealed else None


def with_sealed_part(sealed: bytes) -> dict[str, str]:
    """Return the ``saved`` of a row that holds ``sealed``."""
    return {SEALED: sealed.decode("ascii")}
