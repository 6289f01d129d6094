"""The rescue folder of a batch, kept current by its nights: what puts every user back on a side when all else is lost.

The database decides what is done, the folder follows at every step. It knows more only when the database was put back
from a backup. Then the folder is believed: it was written before each effect, and the effects are still there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import transaction

from campaigns.bridge import host_files, vault
from campaigns.bridge.connect import Approach, journal_name
from campaigns.bridge.journal import OrmJournal
from campaigns.bridge.lease import LOCKED_OUT, Lease, write
from campaigns.models import Account, Batch, Campaign, Connector
from migrator.errors import MigratorError, Side
from migrator.journal import EntryStatus, Journal
from migrator.recipes import recipe_of
from migrator.rescue import folder as files
from migrator.rescue.folder import Connection, RescueFolder, Room
from migrator.rescue.journals import FileJournal, PairedJournal, adopt

# What a night changes through: sessions keep nothing that could be restored.
_CONNECTORS: Final = tuple(name for name in Campaign.CONNECTORS if not name.endswith("_sessions"))
_written: Final[dict[Path, str]] = {}  # what this process wrote of each batch last


def path_of(batch: Batch) -> Path:
    """Return where the rescue folder of a batch is, or will be."""
    path: Path = settings.DATA / "rescue" / f"batch-{batch.pk}"
    return path


def journal_of(lease: Lease, account: Account, approach: Approach) -> Journal:
    """Return the journal of the account's present cutover, on the database and in the rescue folder.

    What the folder knows and the database does not is taken over first. Raises ``MigratorError`` (rescue.*, secret.*)
    and ``LeaseLost``.
    """
    folder = _folder(account.batch)
    _write_batch(folder, account.batch, account.campaign)
    found = _read(folder, account)
    number = max(account.cutover, int(found.run)) if found and _is_open(found) else account.cutover
    if number != account.cutover:
        write(lease, cutover=number)
        account.cutover = number
    journal = OrmJournal(lease, number)
    paired = PairedJournal(journal, FileJournal(folder, _account(account, approach)))
    if found and int(found.run) == number and found.is_returning != (account.return_asked_at is not None):
        found = replace(found, is_returning=not found.is_returning)
        folder.write_account(found)
    if found and int(found.run) != number:
        folder.write_account(_account(account, approach))  # of a night that a person has ended since
        found = None
    try:
        paired.entries()
    except MigratorError as error:
        if error.code != "rescue.differs" or found is None:
            raise
        adopt(found, journal)
        paired.entries()
    return paired


def knows_a_later_night(account: Account) -> bool:
    """True when the folder knows of steps of a cutover that the database has not heard of: it is from a backup.

    Raises ``MigratorError`` (rescue.*).
    """
    found = _read(_folder(account.batch), account)
    return found is not None and _is_open(found) and int(found.run) > account.cutover


class Resealed(NamedTuple):
    """What a rotation could not seal anew in rescue folders."""

    busy: int = 0  # accounts that are locked out or worked on: only their worker writes their file
    unreadable: int = 0  # folders and accounts that no key opens, or that are damaged


def reseal() -> Resealed:
    """Seal anew, with the first key, what rescue folders hold. Raises ``MigratorError`` (rescue.unwritable)."""
    busy = unreadable = 0
    for path in sorted((settings.DATA / "rescue").glob("batch-*")):
        folder = RescueFolder(path, vault.vault().fernet())
        first = RescueFolder(path, vault.vault().first())
        if not _opens(first.batch):
            if not _opens(folder.batch):
                unreadable += 1
                continue
            folder.write_batch(folder.batch())
        for name in list(folder.names()):
            if _opens(partial(first.account, name)):
                continue
            if not _opens(partial(folder.account, name)):
                unreadable += 1
            elif not _reseal_account(folder, name):
                busy += 1
    return Resealed(busy, unreadable)


def _opens(read: Callable[[], object]) -> bool:
    try:
        read()
    except MigratorError:
        return False
    return True


def _reseal_account(folder: RescueFolder, name: str) -> bool:
    """Write one account's file anew, while nobody may claim the account; False when somebody has it."""
    with transaction.atomic():
        rows = Account.objects.select_for_update(no_key=True).filter(pk=int(name.removeprefix("account-")))
        account = rows.first()
        if account and (account.lease_until is not None or account.state in LOCKED_OUT):
            return False
        found = folder.account(name)
        if found is not None:
            folder.write_account(found)
        return True


def _read(folder: RescueFolder, account: Account) -> files.Account | None:
    try:
        return folder.account(_name(account))
    except OSError as error:
        raise MigratorError("rescue.unwritable", reply=str(error.strerror)) from None


def _is_open(found: files.Account) -> bool:
    return any(entry.status is not EntryStatus.UNDONE for entry in found.entries)


def _folder(batch: Batch) -> RescueFolder:
    return RescueFolder(path_of(batch), vault.vault().fernet())


def _name(account: Account) -> str:
    return f"account-{account.pk}"


def _account(account: Account, approach: Approach) -> files.Account:
    campaign = account.campaign
    return files.Account(
        name=_name(account),
        run=str(account.cutover),
        address=account.source_login,
        source_address=approach.address(Side.SOURCE),
        target_address=approach.address(Side.TARGET),
        source_directory=_named(campaign.source_directory),
        target_directory=_named(campaign.target_directory),
        route=_named(campaign.route),
        hold=_named(campaign.hold),
        population=_named(campaign.population),
        publication=_named(campaign.publication),
        is_returning=account.return_asked_at is not None,
        recipe=approach.recipe,
    )


def _named(row: Connector | None) -> str:
    return journal_name(row) if row else ""


def _write_batch(folder: RescueFolder, batch: Batch, campaign: Campaign) -> None:
    """Write what the accounts share, once, and again when it has changed."""
    rows = [row for name in _CONNECTORS if (row := getattr(campaign, name))]
    mark = _mark([campaign.recipe, campaign.steps], rows)
    if _written.get(folder.path) == mark and (folder.path / "rescue.json").exists():
        return
    connections = {
        journal_name(row): Connection(
            Room(row.room), row.kind, host_files.resolved(row.options), vault.unseal(row, "secret")
        )
        for row in rows
    }
    recipe = recipe_of(campaign.recipe, campaign.steps)
    folder.write_batch(files.Batch(f"{campaign.name}, batch {batch.number}", recipe, connections))
    _written[folder.path] = mark


def _mark(recipe: list[Any], rows: list[Connector]) -> str:
    told: list[Any] = [
        [row.pk, row.kind, host_files.resolved(row.options), bytes(row.secret or b"").hex()] for row in rows
    ]
    return hashlib.sha256(json.dumps([recipe, told], sort_keys=True).encode()).hexdigest()
