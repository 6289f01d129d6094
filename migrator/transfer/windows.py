"""Recent mail first: what waits in all folders, parted by age. Inside a part the order of the source is kept. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.transfer.folder_pass import FolderPass

Waiting = Sequence[tuple[FolderPass, Sequence[int]]]

DAY_SECONDS: Final = 86_400
MOST_WINDOWS: Final = 8  # the last one takes whatever is older


def newest_first(waiting: Waiting, days: int) -> Iterator[Waiting]:
    """Yield the messages of the last ``days`` of all folders, then of twice as many days before, and so on.

    Days count back from the newest message, not from a clock. What has no date goes with the newest: nobody can say
    that it is old. Empty parts do not come out.
    """
    newest = max((date for folder, uids in waiting for date in _dates(folder, uids) if date is not None), default=0)
    parts: list[list[tuple[FolderPass, array[int]]]] = [[] for _ in range(MOST_WINDOWS)]
    for folder, uids in waiting:
        own = [array("Q") for _ in range(MOST_WINDOWS)]
        for uid, date in zip(uids, _dates(folder, uids), strict=True):
            own[_window(newest - date, days) if date is not None else 0].append(uid)
        for part, some in zip(parts, own, strict=True):
            if some:
                part.append((folder, some))
    yield from filter(None, parts)


def _dates(folder: FolderPass, uids: Sequence[int]) -> Iterator[int | None]:
    return (folder.pending.date(folder.position(uid))[0] for uid in uids)


def _window(age_seconds: int, days: int) -> int:
    return min(int(math.log2(age_seconds / (days * DAY_SECONDS) + 1)), MOST_WINDOWS - 1)
