"""The ledger of an account from whose source mail is removed, for whoever holds its lease."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet

from campaigns.bridge.lease import hold
from campaigns.bridge.ledger import OrmLedger, on_the_disk
from campaigns.models import RemovedMessage
from migrator.transfer.ledger import FolderState, Removal

_ROWS_AT_ONCE: Final = 500
_KEY: Final = ("account", "folder_sha256", "source_uidvalidity", "uid")


class RemovingOrmLedger(OrmLedger):
    """Implements ``RemovingLedger`` of :mod:`migrator.transfer.ledger`, too."""

    def intend_removal(self, folder: bytes, source_uidvalidity: int, uids: Sequence[int]) -> None:
        """See RemovingLedger."""
        with on_the_disk(), transaction.atomic():
            hold(self._lease)
            self._put_removals(folder, source_uidvalidity, uids, None)

    def removals(self) -> Iterator[Removal]:
        """See RemovingLedger."""
        rows = RemovedMessage.objects.filter(account=self._account)
        folders = sorted({bytes(name) for name in rows.values_list("folder", flat=True).distinct()})
        for folder in folders:
            of_folder, after = rows.filter(folder_sha256=_hash(folder)), (-1, -1)
            while some := list(_beyond(of_folder, *after).order_by("source_uidvalidity", "uid")[:_ROWS_AT_ONCE]):
                yield from (Removal(folder, row.source_uidvalidity, row.uid, row.removed_at) for row in some)
                after = (some[-1].source_uidvalidity, some[-1].uid)

    def intended_removals(self) -> Mapping[tuple[bytes, int], Sequence[int]]:
        """See RemovingLedger."""
        found: dict[tuple[bytes, int], array[int]] = {}
        rows = RemovedMessage.objects.filter(account=self._account, removed_at=None)
        names = ("folder", "source_uidvalidity", "uid")
        for folder, uidvalidity, uid in sorted((bytes(row[0]), *row[1:]) for row in rows.values_list(*names)):
            found.setdefault((folder, uidvalidity), array("Q")).append(uid)
        return found

    def settle_removals(
        self,
        folder: bytes,
        source_uidvalidity: int,
        *,
        gone: Sequence[int],
        kept: Sequence[int],
        removed_at: int,
        states: Sequence[FolderState] = (),
    ) -> None:
        """See RemovingLedger."""
        with transaction.atomic():
            hold(self._lease)
            self._put_removals(folder, source_uidvalidity, gone, removed_at)
            rows = RemovedMessage.objects.filter(account=self._account, folder_sha256=_hash(folder))
            for some in _pieces(kept):
                rows.filter(source_uidvalidity=source_uidvalidity, uid__in=some).delete()
            if states:
                self.commit(states=states)

    def _put_removals(
        self, folder: bytes, source_uidvalidity: int, uids: Sequence[int], removed_at: int | None
    ) -> None:
        place = {"account_id": self._account, "folder": folder, "folder_sha256": _hash(folder)}
        rows = [
            RemovedMessage(**place, source_uidvalidity=source_uidvalidity, uid=uid, removed_at=removed_at)
            for uid in uids
        ]
        RemovedMessage.objects.bulk_create(
            rows,
            batch_size=_ROWS_AT_ONCE,
            update_conflicts=True,
            unique_fields=list(_KEY),
            update_fields=["removed_at"],
        )


def _hash(folder: bytes) -> str:
    return hashlib.sha256(folder).hexdigest()


def _pieces(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (uids[start : start + _ROWS_AT_ONCE] for start in range(0, len(uids), _ROWS_AT_ONCE))


def _beyond(rows: QuerySet[RemovedMessage], uidvalidity: int, uid: int) -> QuerySet[RemovedMessage]:
    return rows.filter(Q(source_uidvalidity__gt=uidvalidity) | Q(source_uidvalidity=uidvalidity, uid__gt=uid))
