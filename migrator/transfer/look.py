"""Look at a target before writing to it: what is there that no record claims?

The answer to every doubt of the engine. After a crash or a lost answer the doubtful messages are among the UIDs from
the intent on; on a first contact the target may hold anything. Only what is unclaimed is read.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from migrator.mail import Flags, MessageMeta
from migrator.packed import Column
from migrator.stores.base import ReadRequest, ScanRequest, TargetStore, Trouble
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.match import identities
from migrator.transfer.per_message import FlagChange
from migrator.transfer.plan import FlagTable
from migrator.transfer.uid_map import UidMap


class Unclaimed:
    """Messages of a target folder that no record claims, ascending by UID. Packed: 10 octets a message."""

    def __init__(self, table: FlagTable) -> None:
        self._table = table
        self.uids, self._flags, self._sizes = Column(), Column("H"), Column()

    def add(self, meta: MessageMeta) -> None:
        """Add one message."""
        self.uids.append(meta.uid)
        self._flags.append(self._table.number(meta.flags))
        self._sizes.append(meta.size_bytes)

    def get(self, uid: int) -> tuple[Flags, int] | None:
        """Return flags and size of ``uid``; None when it is none of them."""
        uids = self.uids.packed
        at = bisect_left(uids, uid)
        if at == len(uids) or uids[at] != uid:
            return None
        return self._table.flags(self._flags[at]), self._sizes[at]


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
    _identify(target, [(by_path[raw], found) for raw, found in unclaimed.items() if found.uids], note)
    for folder in folders:
        _place(folder)


def _scan_after(folder: FolderPass) -> int:
    if folder.compared:
        return 0
    assert folder.look_from is not None
    return min(folder.look_from, next(iter(_foreign(folder)), folder.look_from)) - 1


def _foreign(folder: FolderPass) -> Mapping[int, bytes]:
    """Return what is known of messages that nobody claims, ascending by UID."""
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
    claimed = folder.claimed(look_from) if look_from is not None else UidMap()
    unclaimed = Unclaimed(folder.table)
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
            unclaimed.add(meta)
    return unclaimed


def _wanted_flags(folder: FolderPass) -> UidMap:
    """Return the numbers of the flags that target messages shall have, by their UIDs."""
    wanted = UidMap("H")
    if folder.knowledge is not None:
        for uid, number in folder.compared:
            target_uid = folder.knowledge.target_uid(uid)
            if target_uid:
                wanted.put(target_uid, number)
    return wanted


def _identify(
    target: TargetStore, found: list[tuple[FolderPass, Unclaimed]], note: Callable[[bytes], None] | None
) -> None:
    """Give every unclaimed message its digests: from the ledger where it is known, else by reading it."""
    requests = []
    for folder, unclaimed in found:
        known = _foreign(folder)
        unread = unclaimed.uids.packed
        if known:
            unread = array(unread.typecode, (uid for uid in unread if uid not in known))
        if unread:
            requests.append(ReadRequest(folder.target_path, unread, folder.state.target_uidvalidity or None))
        for uid, digest in known.items():
            if (about := unclaimed.get(uid)) is not None:
                folder.candidates.add(uid, (digest,), *about)
    by_path = {folder.target_path.raw: (folder, unclaimed) for folder, unclaimed in found}
    for item in target.read(requests) if requests else ():
        folder, unclaimed = by_path[item.path.raw]
        if isinstance(item, Trouble):
            folder.error = item.error
            continue
        if note is not None and item.whole is not None:
            note(item.whole)
        names = identities(item)
        if (about := unclaimed.get(item.uid)) is not None:
            folder.candidates.add(item.uid, names, *about)


def _place(folder: FolderPass) -> None:
    """Find copied messages whose place the server did not tell (no UIDPLUS), before anything else is matched."""
    for record in folder.homeless():
        found = folder.candidates.take(record.canonical)
        if found is not None:
            folder.place(record.uid, found[0])
