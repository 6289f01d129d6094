"""Look at a target before writing to it: what is there that no record claims?

The answer to every doubt of the engine. After a crash or a lost answer the doubtful messages are among the UIDs from
the intent on; on a first contact the target may hold anything. Only what is unclaimed is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from migrator.mail import Flags, MessageMeta
from migrator.stores.base import ReadRequest, ScanRequest, TargetStore, Trouble
from migrator.transfer.folder_pass import FlagChange, FolderPass
from migrator.transfer.match import identities

Unclaimed = dict[int, tuple[Flags, int]]  # target UID -> flags, size


def look(target: TargetStore, folders: Sequence[FolderPass], note: Callable[[bytes], None] | None = None) -> None:
    """Fill the candidates of folders with ``look_from`` and the flag changes of folders with ``compared`` messages.

    One pipelined scan over all of them, then one pipelined read of what no record claims. Reads only; repeatable.
    ``note`` is given the small ones of these messages.
    """
    by_path = {folder.target_path.raw: folder for folder in folders}
    requests = [
        ScanRequest(folder.target_path, folder.state.target_uidvalidity or None, _scan_after(folder))
        for folder in folders
    ]
    unclaimed: dict[bytes, Unclaimed] = {}
    for raw, items in groupby(target.scan(requests), key=lambda item: item.path.raw):
        folder = by_path[raw]
        unclaimed[raw] = _examine(folder, _metas(folder, items))
    _identify(target, [(by_path[raw], found) for raw, found in unclaimed.items() if found], note)
    for folder in folders:
        _place(folder)


def _scan_after(folder: FolderPass) -> int:
    if folder.compared:
        return 0
    assert folder.look_from is not None
    return min([folder.look_from, *_foreign(folder)]) - 1


def _foreign(folder: FolderPass) -> dict[int, bytes]:
    return folder.knowledge.foreign if folder.knowledge else {}


def _metas(folder: FolderPass, items: Iterator[MessageMeta | Trouble]) -> Iterator[MessageMeta]:
    for item in items:
        if isinstance(item, Trouble):
            folder.error = item.error
        else:
            yield item


def _examine(folder: FolderPass, metas: Iterator[MessageMeta]) -> Unclaimed:
    """Split what the target lists: messages whose flags are compared, and messages no record claims."""
    wanted = _wanted_flags(folder)
    foreign = _foreign(folder)
    look_from = folder.look_from
    claimed = folder.knowledge.claimed(look_from or 0) if folder.knowledge and look_from else set()
    unclaimed: Unclaimed = {}
    for meta in metas:
        number = wanted.get(meta.uid)
        if number is not None:
            flags = folder.table.flags(number)
            if flags != meta.flags:
                folder.flag_changes[meta.uid] = FlagChange(flags, meta.flags)
        if look_from is None:
            continue
        folder.looked_to = max(folder.looked_to, meta.uid + 1)
        if meta.uid in claimed:
            continue
        if meta.uid >= look_from or meta.uid in foreign:
            unclaimed[meta.uid] = (meta.flags, meta.size_bytes)
    return unclaimed


def _wanted_flags(folder: FolderPass) -> dict[int, int]:
    if not folder.compared or folder.knowledge is None:
        return {}
    known = folder.knowledge
    placed = ((known.target_uid(uid), number) for uid, number in folder.compared)
    return {target_uid: number for target_uid, number in placed if target_uid}


def _identify(
    target: TargetStore, found: list[tuple[FolderPass, Unclaimed]], note: Callable[[bytes], None] | None
) -> None:
    """Give every unclaimed message its digests: from the ledger where it is known, else by reading it."""
    digests: dict[bytes, dict[int, tuple[bytes, ...]]] = {}
    requests = []
    for folder, unclaimed in found:
        known: dict[int, tuple[bytes, ...]] = {
            uid: (digest,) for uid, digest in _foreign(folder).items() if uid in unclaimed
        }
        digests[folder.target_path.raw] = known
        unread = [uid for uid in unclaimed if uid not in known]
        if unread:
            requests.append(ReadRequest(folder.target_path, unread, folder.state.target_uidvalidity or None))
    by_path = {folder.target_path.raw: folder for folder, _ in found}
    for item in target.read(requests) if requests else ():
        if isinstance(item, Trouble):
            by_path[item.path.raw].error = item.error
        else:
            if note is not None and item.whole is not None:
                note(item.whole)
            digests[item.path.raw][item.uid] = identities(item)
    for folder, unclaimed in found:
        for uid, names in sorted(digests[folder.target_path.raw].items()):
            folder.candidates.add(uid, names, *unclaimed[uid])


def _place(folder: FolderPass) -> None:
    """Find copied messages whose place the server did not tell (no UIDPLUS), before anything else is matched."""
    for record in list(folder.unplaced.values()):
        found = folder.candidates.take(record.canonical)
        if found is not None:
            folder.place(record, found[0])
