"""List a source whose messages have names instead of numbers, with the numbers that the ledger keeps for them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import cast

from migrator.errors import MigratorError
from migrator.mail import Folder
from migrator.stores.base import MessageName, NamingSource, SourceStore
from migrator.transfer.ledger import Ledger, NamingLedger, RemovingLedger


def _names(ledger: NamingLedger) -> Iterator[MessageName]:
    """Yield the kept names; of messages that were removed for good only the number, so that nobody gets it again."""
    removed: Container[tuple[bytes, int, int]] = frozenset()
    if isinstance(ledger, RemovingLedger):
        removed = {removal[:3] for removal in ledger.removals() if removal.removed_at is not None}
    for name in ledger.message_names():
        yield name._replace(name=b"") if name[:3] in removed else name


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
    naming.recall(_names(ledger))
    folders = naming.folders()
    fresh = naming.take_fresh_names()
    if fresh and keep:
        ledger.note_names(fresh)
    return folders
