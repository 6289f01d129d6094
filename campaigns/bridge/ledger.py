"""The ledger of one account in the database, for whoever holds the account's lease.

Each transaction begins by holding the row of the account with the epoch of the lease: a worker whose lease went to
another writes nothing, and no two workers ever write side by side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q

from campaigns.bridge import message_names
from campaigns.bridge.lease import Lease, hold
from campaigns.models import Account, LedgerFolder, LedgerLeaf, LeftBehindMessage, SendingMessage, SieveScript
from migrator.errors import MigratorError
from migrator.mail import Outcome
from migrator.stores.base import MessageName
from migrator.transfer.chain import NO_LEAF, Tip, advance
from migrator.transfer.ledger import FolderState, Leaf, LeftBehind, ScriptState, Sending

LEAVES_AT_ONCE: Final = 8  # some 400 KB
ROWS_AT_ONCE: Final = 500
REPLY_CHARACTERS: Final = 500
_SENDING: Final = ("account", "folder_sha256", "source_uidvalidity", "uid")
_LEAF: Final = ("source_uidvalidity", "target_uidvalidity", "number", "packed", "previous", "digest")
# The fields of a FolderState that have no column of their own.
_STATE: Final = tuple(
    field.name for field in fields(FolderState) if field.name not in ("source", "target", "leaves", "tip")
)


class StoredLedger:
    """The reading half of an account's ledger: for whoever looks, without a lease. Others may write meanwhile."""

    def __init__(self, account: int) -> None:
        self._account = account

    def states(self) -> list[FolderState]:
        """See Ledger."""
        rows = LedgerFolder.objects.filter(account=self._account).order_by("source")
        return [_state_of_row(row) for row in rows if row.state]

    def _rows(self, names: Iterable[bytes]) -> dict[bytes, LedgerFolder]:
        rows: dict[bytes, LedgerFolder] = {}
        for some in _pieces([_hash(name) for name in names]):
            found = LedgerFolder.objects.filter(account=self._account, source_sha256__in=some)
            rows.update({bytes(row.source): row for row in found})
        return rows

    def leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger. Raises ``MigratorError("ledger.damaged")`` where the chain does not hold."""
        row = self._rows([folder]).get(folder)
        end, tip = _tip(row), NO_LEAF
        while row is not None and tip.leaves < end.leaves:
            some = LedgerLeaf.objects.filter(folder=row, number__gte=tip.leaves, number__lt=end.leaves)
            found = [_leaf_of_row(folder, one) for one in some.order_by("number")[:LEAVES_AT_ONCE]]
            for leaf in found:
                if (leaf.number, leaf.previous) != tip or not leaf.is_intact():
                    raise _damaged(self._account)
                yield leaf
                tip = Tip(leaf.number + 1, leaf.digest)
            if not found:
                break
        if tip != end:
            raise _damaged(self._account)

    def stored_leaves(self, folder: bytes) -> Iterator[Leaf]:
        """See Ledger."""
        row = self._rows([folder]).get(folder)
        rows, after = LedgerLeaf.objects.filter(folder=row).order_by("number"), -1
        while row is not None:
            some = list(rows.filter(number__gt=after)[:LEAVES_AT_ONCE])
            for one in some:
                yield _leaf_of_row(folder, one)
            if len(some) < LEAVES_AT_ONCE:
                return
            after = some[-1].number

    def left_behind(self) -> Iterator[LeftBehind]:
        """See Ledger."""
        folders = LedgerFolder.objects.filter(account=self._account)
        with_rows = folders.filter(Exists(LeftBehindMessage.objects.filter(folder=OuterRef("pk"))))
        for row in with_rows.order_by("source").only("source"):
            rows, after = LeftBehindMessage.objects.filter(folder=row).order_by("source_uidvalidity", "uid"), (-1, -1)
            while some := list(rows.filter(_later_than(*after))[:ROWS_AT_ONCE]):
                for one in some:
                    place = (bytes(row.source), one.source_uidvalidity, one.uid)
                    yield LeftBehind(*place, Outcome(one.outcome), one.code, one.reply)
                after = (some[-1].source_uidvalidity, some[-1].uid)

    def message_names(self) -> Iterator[MessageName]:
        """See NamingLedger."""
        return message_names.stored(self._account)

    def sending(self) -> list[Sending]:
        """See SendingLedger."""
        rows = SendingMessage.objects.filter(account=self._account)
        return sorted(Sending(bytes(row.folder), row.source_uidvalidity, row.uid, bytes(row.canonical)) for row in rows)

    def script_states(self) -> list[ScriptState]:
        """See ScriptLedger."""
        return sorted(_script_of_row(row) for row in SieveScript.objects.filter(account=self._account))


class OrmLedger(StoredLedger):
    """Implements the Protocols of :mod:`migrator.transfer.ledger` for the account of ``lease``: ``NamingLedger``,
    ``SendingLedger``, ``ScriptLedger``.

    Whatever writes raises ``LeaseLost`` when the lease is no longer ours; nothing is written then.
    """

    def __init__(self, lease: Lease) -> None:
        super().__init__(lease.account_id)
        self._lease = lease

    def bind(self, source: str, target: str) -> None:
        """See Ledger."""
        with transaction.atomic():
            hold(self._lease)
            rows = Account.objects.filter(pk=self._account)
            pair = rows.values_list("ledger_source", "ledger_target").get()
            if pair == ("", ""):
                rows.update(ledger_source=source, ledger_target=target)
            elif pair != (source, target):
                raise MigratorError("ledger.other_pair")

    def begin(self, states: Sequence[FolderState]) -> None:
        """See Ledger."""
        self.commit(states=states)

    def commit(
        self,
        *,
        leaves: Sequence[Leaf] = (),
        states: Sequence[FolderState] = (),
        left_behind: Sequence[LeftBehind] = (),
        resolved: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        """See Ledger."""
        written = {*(leaf.folder for leaf in leaves), *(s.source for s in states), *(row.folder for row in left_behind)}
        with transaction.atomic():
            hold(self._lease)
            before = self._rows(written | {key[0] for key in resolved})
            advance(lambda name: _tip(before.get(name)), leaves, states)
            folders = before | self._put(written, before, leaves, states)
            LedgerLeaf.objects.bulk_create(_row_of_leaf(leaf, folders[leaf.folder].pk) for leaf in leaves)
            _remove_left_behind([(folders[key[0]].pk, *key[1:]) for key in resolved if key[0] in folders])
            _put_left_behind([_row_of_left_behind(row, folders[row.folder].pk) for row in left_behind])

    def note_names(self, names: Sequence[MessageName]) -> None:
        """See NamingLedger."""
        with transaction.atomic():
            hold(self._lease)
            message_names.put(self._account, names)

    def note_sending(self, sending: Sending) -> None:
        """See SendingLedger."""
        row = SendingMessage(account_id=self._account, folder_sha256=_hash(sending.folder), **sending._asdict())
        with on_the_disk(), transaction.atomic():
            hold(self._lease)
            SendingMessage.objects.bulk_create(
                [row], update_conflicts=True, unique_fields=_SENDING, update_fields=["canonical"]
            )

    def clear_sending(self, sending: Sending) -> None:
        """See SendingLedger."""
        with transaction.atomic():
            hold(self._lease)
            rows = SendingMessage.objects.filter(account=self._account, folder_sha256=_hash(sending.folder))
            rows.filter(source_uidvalidity=sending.source_uidvalidity, uid=sending.uid).delete()

    def note_scripts(self, states: Sequence[ScriptState]) -> None:
        """See ScriptLedger."""
        rows = [_row_of_script(self._account, state) for state in states]
        with on_the_disk(), transaction.atomic():
            hold(self._lease)
            SieveScript.objects.bulk_create(
                rows, update_conflicts=True, unique_fields=["account", "name_sha256"], update_fields=["state"]
            )

    def _put(
        self,
        names: Iterable[bytes],
        before: Mapping[bytes, LedgerFolder],
        leaves: Sequence[Leaf],
        states: Sequence[FolderState],
    ) -> dict[bytes, LedgerFolder]:
        """Write the rows of folders as they are after ``leaves`` and ``states``; return them."""
        rows = {name: self._row(name, before.get(name)) for name in names}
        for leaf in leaves:
            rows[leaf.folder].leaves, rows[leaf.folder].tip = leaf.number + 1, leaf.digest
        for state in states:
            row = rows[state.source]
            row.target, row.state, row.leaves, row.tip = state.target, _state_as_json(state), state.leaves, state.tip
        LedgerFolder.objects.bulk_create(
            rows.values(),
            batch_size=ROWS_AT_ONCE,
            update_conflicts=True,
            unique_fields=["account", "source_sha256"],
            update_fields=["target", "state", "leaves", "tip"],
        )
        return rows

    def _row(self, name: bytes, before: LedgerFolder | None) -> LedgerFolder:
        """Return the row of a folder without its key: the insertion finds the one that is there by its name."""
        row = LedgerFolder(account_id=self._account, source=name, source_sha256=_hash(name))
        row.target, row.state = (before.target, before.state) if before else (b"", {})
        row.leaves, row.tip = _tip(before)
        return row


# of each kind of database: how it is asked whether it waits for the disk, and how it is told to
_WAITING: Final = {
    "sqlite": ("PRAGMA synchronous", "PRAGMA synchronous = {}", "FULL"),
    "postgresql": ("SHOW synchronous_commit", "SET synchronous_commit TO {}", "on"),
}


@contextmanager
def on_the_disk() -> Iterator[None]:
    """Let what is committed inside outlive a power failure, also where the database is set to be quick."""
    if connection.in_atomic_block:  # of the caller, whose commit it is
        yield
        return
    ask, tell, patient = _WAITING[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(ask)
        (usual,) = cursor.fetchone()
        cursor.execute(tell.format(patient))
        try:
            yield
        finally:
            cursor.execute(tell.format(usual))


def _hash(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()


def _pieces(hashes: Sequence[str]) -> Iterator[Sequence[str]]:
    return (hashes[start : start + ROWS_AT_ONCE] for start in range(0, len(hashes), ROWS_AT_ONCE))


def _tip(row: LedgerFolder | None) -> Tip:
    return Tip(row.leaves, bytes(row.tip)) if row else NO_LEAF


def _damaged(account: int) -> MigratorError:
    return MigratorError("ledger.damaged", reply=f"account {account}")


def _row_of_leaf(leaf: Leaf, folder: int) -> LedgerLeaf:
    columns = {name: getattr(leaf, name) for name in _LEAF}
    return LedgerLeaf(folder_id=folder, **columns)


def _leaf_of_row(folder: bytes, row: LedgerLeaf) -> Leaf:
    packed, previous, digest = bytes(row.packed), bytes(row.previous), bytes(row.digest)
    return Leaf(folder, row.source_uidvalidity, row.target_uidvalidity, row.number, packed, previous, digest)


def _state_as_json(state: FolderState) -> dict[str, Any]:
    totals = {str(int(outcome)): count for outcome, count in state.totals.items()}
    return {name: getattr(state, name) for name in _STATE} | {"totals": totals}


def _state_of_row(row: LedgerFolder) -> FolderState:
    totals = {Outcome(int(outcome)): count for outcome, count in row.state["totals"].items()}
    columns: dict[str, Any] = row.state | {"totals": totals, "leaves": row.leaves, "tip": bytes(row.tip)}
    return FolderState(source=bytes(row.source), target=bytes(row.target), **columns)


def _row_of_script(account: int, state: ScriptState) -> SieveScript:
    told = {key: value.hex() if isinstance(value, bytes) else value for key, value in state._asdict().items()}
    return SieveScript(account_id=account, name_sha256=_hash(state.name), state=told)


def _script_of_row(row: SieveScript) -> ScriptState:
    told: dict[str, Any] = {key: bytes.fromhex(v) if isinstance(v, str) else v for key, v in row.state.items()}
    return ScriptState(**told)


def _later_than(uidvalidity: int, uid: int) -> Q:
    return Q(source_uidvalidity__gt=uidvalidity) | Q(source_uidvalidity=uidvalidity, uid__gt=uid)


def _row_of_left_behind(row: LeftBehind, folder: int) -> LeftBehindMessage:
    return LeftBehindMessage(
        folder_id=folder,
        source_uidvalidity=row.source_uidvalidity,
        uid=row.uid,
        outcome=int(row.outcome),
        code=row.code,
        reply=storable(row.reply),
    )


def _put_left_behind(rows: Sequence[LeftBehindMessage]) -> None:
    LeftBehindMessage.objects.bulk_create(
        {(row.folder_id, row.source_uidvalidity, row.uid): row for row in rows}.values(),
        batch_size=ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["folder", "source_uidvalidity", "uid"],
        update_fields=["outcome", "code", "reply"],
    )


def _remove_left_behind(keys: Sequence[tuple[int, int, int]]) -> None:
    by_numbering: dict[tuple[int, int], list[int]] = {}
    for folder, uidvalidity, uid in keys:
        by_numbering.setdefault((folder, uidvalidity), []).append(uid)
    for (folder, uidvalidity), uids in by_numbering.items():
        for start in range(0, len(uids), ROWS_AT_ONCE):
            some = uids[start : start + ROWS_AT_ONCE]
            LeftBehindMessage.objects.filter(folder=folder, source_uidvalidity=uidvalidity, uid__in=some).delete()


def storable(reply: str) -> str:
    """Return the words of a server as every database takes them: no NUL, no lone surrogates, not endless."""
    return reply[:REPLY_CHARACTERS].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
