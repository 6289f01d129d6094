"""List a source whose messages have names instead of numbers, with the numbers that the ledger keeps for them."""

from __future__ import annotations

from typing import cast

from migrator.errors import MigratorError
from migrator.mail import Folder
from migrator.stores.base import NamingSource, SourceStore
from migrator.transfer.ledger import Ledger, NamingLedger


def list_source(source: SourceStore, ledger: Ledger, *, keep: bool = True) -> list[Folder]:
    """Return the folders of ``source``; the ledger has every number before anything can be recorded under it.

    ``keep`` False writes nothing: the numbers of new messages hold for this session only. Raises ``MigratorError`` for
    a ledger that cannot keep them.
    """
    if not source.features.names_messages:
        return source.folders()
    if not isinstance(ledger, NamingLedger):
        raise MigratorError("ledger.keeps_no_names")
    naming = cast(NamingSource, source)
    naming.recall(ledger.message_names())
    folders = naming.folders()
    fresh = naming.take_fresh_names()
    if fresh and keep:
        ledger.note_names(fresh)
    return folders
