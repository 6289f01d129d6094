"""Folders of the source that got another name since an earlier pass: the same folder, not a new one.

The numbering tells (RFC 3501 §2.3.1.1): a folder that is gone and one that is new share a UIDVALIDITY that nobody else
has, and the new one has at least the UIDs that the old one had. Servers that number a folder anew when it is renamed
(Cyrus, Courier) are asked what the new folder holds: nearly all that was copied from the old one, by size and date.
Where neither is certain, it is a new folder: its mail is then copied once more under the new name; nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from migrator.mail import Folder
from migrator.stores.base import ScanRequest, SourceStore, Trouble
from migrator.transfer.ledger import FolderState, Ledger

MOST_COMPARED: Final = 100_000  # messages of a folder; bigger ones are copied anew, for the memory it would take
LEAST_COMMON: Final = 0.8  # of what was copied; the owner may have removed some since
Traits = Counter[tuple[int, int | None]]  # size and date of messages


def renamed_since(listed: Sequence[Folder], states: Iterable[FolderState]) -> Mapping[bytes, bytes]:
    """Return the raw target names of folders that were renamed and kept their numbers, by their raw source names."""
    known = list(states)
    numberings = Counter(folder.uidvalidity for folder in listed)
    gone = [state for state in _gone(listed, known) if state.source_uidvalidity]
    numberings_gone = Counter(state.source_uidvalidity for state in gone)
    was = {state.source_uidvalidity: state for state in gone if numberings_gone[state.source_uidvalidity] == 1}
    return {
        folder.path.raw: was[folder.uidvalidity].target
        for folder in _strangers(listed, known)
        if folder.uidvalidity in was
        and numberings[folder.uidvalidity] == 1
        and (folder.uidnext or 0) >= (was[folder.uidvalidity].source_uidnext or 1)
    }


def renumbered_since(
    source: SourceStore, listed: Sequence[Folder], ledger: Ledger, states: Sequence[FolderState]
) -> Mapping[bytes, bytes]:
    """Return the same for folders that were numbered anew. Asks only where one folder is gone and another is new."""
    kept = renamed_since(listed, states)
    gone = [state for state in _gone(listed, states) if state.target not in kept.values()]
    new = [
        folder
        for folder in _strangers(listed, states)
        if folder.path.raw not in kept and folder.selectable and 0 < (folder.messages or 0) <= MOST_COMPARED
    ]
    if not gone or not new:
        return {}
    was = {state.target: _traits_copied(ledger, state) for state in gone}
    return alike({target: traits for target, traits in was.items() if traits}, _traits_listed(source, new))


def alike(was: Mapping[bytes, Traits], now: Mapping[bytes, Traits]) -> dict[bytes, bytes]:
    """Pair names of now with those of before whose messages they hold, where that is one to one."""
    found = [
        (name, target)
        for target, copied in was.items()
        for name, traits in now.items()
        if (copied & traits).total() >= LEAST_COMMON * copied.total()
    ]
    names, targets = Counter(name for name, _ in found), Counter(target for _, target in found)
    return {name: target for name, target in found if names[name] == targets[target] == 1}


def _gone(listed: Sequence[Folder], states: Sequence[FolderState]) -> list[FolderState]:
    names = {folder.path.raw for folder in listed}
    # Where somebody else has its target by now, it was found again by another name already.
    held = {state.target for state in states if state.source in names}
    return [state for state in states if state.source not in names and state.leaves and state.target not in held]


def _strangers(listed: Sequence[Folder], states: Sequence[FolderState]) -> list[Folder]:
    recorded = {state.source for state in states}
    return [folder for folder in listed if folder.path.raw not in recorded]


def _traits_copied(ledger: Ledger, state: FolderState) -> Traits:
    found: dict[int, tuple[int, int | None]] = {}  # a message may be written down twice, when its place is found
    for leaf in ledger.leaves(state.source):
        if leaf.source_uidvalidity == state.source_uidvalidity and len(found) <= MOST_COMPARED:
            found.update(
                (record.uid, (record.size_bytes, record.internal_date))
                for record in leaf.records()
                if record.outcome is not None and record.outcome.is_on_target
            )
    return Counter(found.values())


def _traits_listed(source: SourceStore, folders: Sequence[Folder]) -> dict[bytes, Traits]:
    traits: dict[bytes, Traits] = {folder.path.raw: Counter() for folder in folders}
    for meta in source.scan([ScanRequest(folder.path, folder.uidvalidity) for folder in folders]):
        if not isinstance(meta, Trouble):
            traits[meta.path.raw][meta.size_bytes, meta.internal_date] += 1
    return traits


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
