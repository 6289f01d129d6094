"""Equal messages of one folder stored once: because somebody wants it so, or because the target merges them anyway.

Equal is what has one canonical form (digest.py). The first keeps its flags and date; the others are counted, and only
when the first is on the target for certain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from migrator.mail import Digest, Message
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.ledger import Ledger

Place = tuple[bytes, int]  # source folder (raw name) and UID


class StoredOnce:
    """What is on its way to each folder, or there. Some 200 octets a message."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._first: dict[bytes, dict[bytes, int]] = {}  # folder -> canonical digest -> UID that stands for all
        self._big_sizes: dict[bytes, set[int]] = {}  # folder -> sizes of recorded messages
        self._sent: set[tuple[bytes, bytes]] = set()  # folder and digest, without an answer yet
        self._twins: dict[Place, Digest] = {}
        self.known: dict[Place, Digest] = {}  # of big messages that were read ahead

    def is_twin(self, folder: FolderPass, uid: int, digest: Digest) -> bool:
        """True when another message stands for ``uid``; else it is on its way from now on."""
        first = self._of(folder).setdefault(digest.canonical, uid)
        if first == uid:
            self._sent.add((folder.key, digest.canonical))
            return False
        self._twins[folder.key, uid] = digest
        return True

    def note_stored(self, folder: FolderPass, messages: Iterable[Message]) -> None:
        """Take notice of messages that are on the target."""
        first = self._of(folder)
        for message in messages:
            if message.digest is not None:
                first.setdefault(message.digest.canonical, message.uid)
                self._sent.discard((folder.key, message.digest.canonical))

    def settle(self, folders: Sequence[FolderPass]) -> None:
        """Count the twins of what is stored, once nothing is on its way; the others must go themselves."""
        by_key = {folder.key: folder for folder in folders}
        for (key, uid), digest in self._twins.items():
            if (key, digest.canonical) in self._sent:
                by_key[key].unfeed([uid])
            else:
                by_key[key].settle_twin(uid, digest)
        for key, canonical in self._sent:
            self._first[key].pop(canonical, None)
        self._twins.clear()
        self._sent.clear()

    def suspects(self, folder: FolderPass, above_bytes: int) -> list[int]:
        """Return the big messages that may be twins, by their sizes: they are read ahead, before anything is sent."""
        self._of(folder)
        sizes = {uid: folder.pending.size_bytes(folder.position(uid)) for uid in folder.unsettled()}
        big = {uid: size for uid, size in sizes.items() if size > above_bytes}
        count, recorded = Counter(big.values()), self._big_sizes[folder.key]
        return [uid for uid, size in big.items() if count[size] > 1 or size in recorded]

    def _of(self, folder: FolderPass) -> dict[bytes, int]:
        first = self._first.get(folder.key)
        if first is None:
            first, sizes = self._first.setdefault(folder.key, {}), self._big_sizes.setdefault(folder.key, set())
            now = folder.state.source_uidvalidity, folder.state.target_uidvalidity
            for leaf in self._ledger.leaves(folder.key) if folder.state.leaves else ():
                if (leaf.source_uidvalidity, leaf.target_uidvalidity) != now:
                    continue
                for record in leaf.records():
                    if record.outcome is not None and record.outcome.is_on_target:
                        first.setdefault(record.canonical, record.uid)
                        sizes.add(record.size_bytes)
        return first
