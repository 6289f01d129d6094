"""An operator's search: only what it hits is copied; the rest stays behind, counted as outside what was asked for."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import cast

from migrator.errors import MigratorError, Side
from migrator.mail import Outcome
from migrator.stores.base import ScanRequest, SearchingSource, SourceStore, Trouble
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.plan import Append, Depth, Leave


def narrow(source: SourceStore, folders: Sequence[FolderPass], keys: str) -> None:
    """Find out which messages of the folders to scan are wanted. Raises ``MigratorError`` where nobody can search."""
    if not keys:
        return
    if not source.features.searches:
        raise MigratorError("filter.refused", side=Side.SOURCE)
    wanted = {folder.key: folder for folder in folders if folder.depth is not Depth.NONE}
    requests = [ScanRequest(f.source.path, f.state.source_uidvalidity or None) for f in wanted.values()]
    for item in cast(SearchingSource, source).search(requests, keys):
        folder = wanted[item.path.raw]
        if isinstance(item, Trouble):
            folder.error = item.error
        else:
            folder.found = array("Q", item.uids)


def judge(found: Sequence[int], operation: Append | Leave, outcome: Outcome | None) -> Append | Leave | None:
    """Return what is to be done with a message after a search that found ``found``; None: it is left behind already."""
    uid = operation.meta.uid
    at = bisect_left(found, uid)
    is_hit = at < len(found) and found[at] == uid
    if is_hit or (isinstance(operation, Leave) and operation.outcome is Outcome.MARKED_DELETED):
        return operation
    return None if outcome is Outcome.FILTERED else Leave(operation.meta, Outcome.FILTERED)
