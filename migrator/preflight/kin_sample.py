"""A few messages of both sides, read for a survey: whose mailbox is it, and how fast is it read."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from migrator.errors import MigratorError
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, Message, MessageMeta
from migrator.preflight.foreseen import Sample
from migrator.stores.base import ReadRequest, ScanRequest, SourceStore, TargetStore
from migrator.transfer.kinship import (
    KNOWN,
    LEAST,
    SAMPLE,
    SAMPLE_BYTES,
    Correspondents,
    are_akin,
    are_strangers,
    strangers,
    writers,
)
from migrator.transfer.match import identities

_EVIDENCE = 10  # messages that are read to see whether their owner wrote them
_LOOKED_AT = 4 * SAMPLE  # of a target folder, the last so many messages are listed


class Written(NamedTuple):
    """Of how many messages that were read the owner of the mailbox is the writer."""

    by_owner: int
    read: int

    @property
    def is_doubtful(self) -> bool:
        """True when enough was read to say that this is no folder of sent mail."""
        return self.read >= LEAST and 2 * self.by_owner < self.read


def written(source: SourceStore, path: FolderPath, uids: Collection[int], kin: Collection[str]) -> Written:
    """Read a few messages of a folder and count whose From names somebody of ``kin``; reads only. One send."""
    by_owner = read = 0
    for item in source.read([ReadRequest(path, list(uids)[-_EVIDENCE:])]) if uids else ():
        if isinstance(item, Message) and item.whole is not None:
            read += 1
            by_owner += any(are_akin(writer, kin) for writer in writers(item.whole))
    return Written(by_owner, read)


class KinSample:
    """What the newest small messages of two mailboxes name. Bodies are looked through, and dropped."""

    def __init__(self, limits: Limits) -> None:
        self._most_bytes = min(SAMPLE_BYTES, limits.whole_bytes)
        self._source, self._target = Correspondents(), Correspondents()
        self._identities: set[bytes] = set()
        self._shared = 0

    def read_source(self, source: SourceStore, newest: Mapping[FolderPath, Collection[int]]) -> Sample:
        """Read the messages ``newest`` names, as far as there is room in a sample; return how long that took."""
        requests, room = [], SAMPLE
        for path, uids in newest.items():
            chosen = list(uids)[-max(1, room // 2) :] if room > 0 else []
            room -= len(chosen)
            requests.append(ReadRequest(path, chosen))
        begun, count, octets = time.monotonic(), 0, 0
        for item in source.read(requests):
            if isinstance(item, Message):
                count, octets = count + 1, octets + item.size_bytes
                if item.whole is not None:
                    self._source.note(item.whole)
                self._identities.update(identities(item))
        return Sample(count, octets, round(time.monotonic() - begun, 4))

    def read_target(self, target: TargetStore, folders: Sequence[Folder]) -> None:
        """Read the newest small messages of ``folders``; two sends."""
        requests = [ScanRequest(each.path, after_uid=max(0, (each.uidnext or 0) - _LOOKED_AT)) for each in folders]
        newest: dict[FolderPath, list[int]] = {}
        for item in target.scan(requests):
            if isinstance(item, MessageMeta) and item.size_bytes <= self._most_bytes:
                newest.setdefault(item.path, []).append(item.uid)
        share = max(1, SAMPLE // max(1, len(newest)))
        for message in target.read([ReadRequest(path, uids[-share:]) for path, uids in newest.items()]):
            if isinstance(message, Message):
                if message.whole is not None:
                    self._target.note(message.whole)
                self._shared += not self._identities.isdisjoint(identities(message))

    def verdict(self, kin: Collection[str]) -> MigratorError | None:
        """Return the error of two mailboxes of different people, as a pass would raise it."""
        is_same_mail = self._shared >= max(2, KNOWN * self._source.messages)
        if is_same_mail or not are_strangers(self._source, self._target, kin):
            return None
        return strangers(self._source, self._target)
