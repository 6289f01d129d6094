"""Folders of the source that got another name since an earlier pass: the same folder, not a new one. Pure.

Only the numbering tells (RFC 3501 §2.3.1.1): a folder that is gone and one that is new share a UIDVALIDITY that nobody
else has, and the new one has at least the UIDs that the old one had. Where that is not certain, it is a new folder: its
mail is then copied once more under the new name, and nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from migrator.mail import Folder
from migrator.transfer.ledger import FolderState


def renamed_since(listed: Sequence[Folder], states: Iterable[FolderState]) -> Mapping[bytes, bytes]:
    """Return the raw target names of folders that were renamed, by their new raw source names."""
    known = list(states)
    names = {folder.path.raw for folder in listed}
    recorded = {state.source for state in known}
    numberings = Counter(folder.uidvalidity for folder in listed)
    gone = [state for state in known if state.source not in names and state.source_uidvalidity and state.leaves]
    numberings_gone = Counter(state.source_uidvalidity for state in gone)
    was = {state.source_uidvalidity: state for state in gone if numberings_gone[state.source_uidvalidity] == 1}
    return {
        folder.path.raw: was[folder.uidvalidity].target
        for folder in listed
        if folder.path.raw not in recorded
        and folder.uidvalidity in was
        and numberings[folder.uidvalidity] == 1
        and (folder.uidnext or 0) >= (was[folder.uidvalidity].source_uidnext or 1)
    }


def known_targets(listed: Sequence[Folder], states: Iterable[FolderState]) -> dict[bytes, bytes]:
    """Return which raw target name each raw source name has, each target once.

    Of two folders that had one target, which happens when a new folder takes the name that a renamed one left, the
    folder with the numbering that was copied there keeps it.
    """
    known = list(states)
    now = {folder.path.raw: folder.uidvalidity for folder in listed}
    claims: dict[bytes, FolderState] = {}
    for state in known:
        holder = claims.get(state.target)
        if holder is None or now.get(holder.source) != holder.source_uidvalidity:
            claims[state.target] = state
    targets = {state.source: state.target for state in claims.values()}
    return {**targets, **renamed_since(listed, known)}
