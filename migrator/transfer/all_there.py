"""Is all that the source holds right now on the target, as it is? Asked before a mail file is emptied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from migrator.mail import Folder, Outcome
from migrator.stores.base import ScanRequest, SourceStore, Trouble
from migrator.transfer.ledger import FOREIGN_UID, FolderState, Ledger
from migrator.transfer.numbering import list_source
from migrator.transfer.uid_map import UidMap

# The target holds all octets of these: those of a repaired message are in the source only. An empty one has none.
AS_IT_IS: Final = frozenset((Outcome.COPIED, Outcome.ALREADY_THERE, Outcome.DUPLICATE, Outcome.EMPTY))


def not_there(source: SourceStore, ledger: Ledger) -> Counter[Outcome | None]:
    """List the source anew; count what the ledger does not know to be on the target as it is, by outcome.

    None stands for messages without an outcome: they came after the pass. Raises ``MigratorError`` where the source
    cannot be listed.
    """
    states = {state.source: state for state in ledger.states()}
    missing: Counter[Outcome | None] = Counter()
    for folder in list_source(source, ledger, keep=False):
        missing.update(_missing(source, ledger, folder, states.get(folder.path.raw)))
    return missing


def _missing(
    source: SourceStore, ledger: Ledger, folder: Folder, state: FolderState | None
) -> Iterator[Outcome | None]:
    outcomes = UidMap("B")
    if state is not None and state.source_uidvalidity == folder.uidvalidity:
        outcomes = _outcomes(ledger, state)
    for item in source.scan([ScanRequest(folder.path, folder.uidvalidity)]):
        if isinstance(item, Trouble):
            raise item.error
        number = outcomes.get(item.uid)
        outcome = None if number is None else Outcome(number)
        if outcome not in AS_IT_IS:
            yield outcome


def _outcomes(ledger: Ledger, state: FolderState) -> UidMap:
    """Return the outcomes of one folder by UID: the last record of a message holds."""
    outcomes, now = UidMap("B"), (state.source_uidvalidity, state.target_uidvalidity)
    for leaf in ledger.leaves(state.source):
        if (leaf.source_uidvalidity, leaf.target_uidvalidity) == now:
            for record in leaf.records():
                if record.uid != FOREIGN_UID and record.outcome is not None:
                    outcomes.put(record.uid, record.outcome)
    return outcomes
