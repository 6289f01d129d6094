"""What a survey foresees of messages: how many and how big they are, and what becomes of their flags. Flat memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from migrator.entries import Json
from migrator.errors import MigratorError, Side
from migrator.mail import DELETED, Flags, FolderPath, MessageMeta
from migrator.preflight.foreseen import EXAMPLES, Foreseen, Severity
from migrator.stores.base import Allowance, Trouble
from migrator.transfer.kinship import SAMPLE_BYTES
from migrator.transfer.plan import CopyPolicy, flag_fates

MOST_FLAGS: Final = 10_000  # different ones that are counted in one folder; a hostile server shows more


class Sums:
    """What the messages of an account come to, folder by folder."""

    def __init__(self) -> None:
        self.messages = 0  # that would be copied
        self.size_bytes = 0
        self.biggest_bytes = 0
        self.listed = 0  # in the folder that came last
        self._deleted = 0
        self._too_big: list[int] = [0, 0]  # messages, the biggest one's size
        self._too_big_in: dict[str, None] = {}
        self._lost: Counter[str] = Counter()
        self._lost_in: dict[str, None] = {}
        self._crowded: dict[str, Counter[str]] = {}  # folders with more keywords than are kept

    def folder(
        self,
        path: FolderPath,
        items: Iterator[MessageMeta | Trouble],
        policy: CopyPolicy,
        allowance: Allowance,
        newest: deque[int] | None,
    ) -> MigratorError | None:
        """Add one folder; return what ended its list early. ``newest`` takes the UIDs of its last small messages."""
        sets: Counter[Flags] = Counter()
        self.listed, limit, wanted = 0, allowance.append_limit_bytes, policy.wanted
        for item in items:
            if isinstance(item, Trouble):
                return item.error
            self.listed += 1
            size, flags = item.size_bytes, item.flags
            if DELETED in flags and not policy.copy_deleted:
                self._deleted += 1
            elif wanted.leaves_out(item):
                continue
            elif limit is not None and size > limit:
                self._too_big = [self._too_big[0] + 1, max(size, self._too_big[1])]
                self._too_big_in.setdefault(path.display)
            else:
                self.messages += 1
                self.size_bytes += size
                if flags in sets or len(sets) < MOST_FLAGS:
                    sets[flags] += 1
                if newest is not None and size <= SAMPLE_BYTES:
                    newest.append(item.uid)
            self.biggest_bytes = max(size, self.biggest_bytes)
        self._count_flags(path, sets, allowance)
        return None

    def _count_flags(self, path: FolderPath, sets: Counter[Flags], allowance: Allowance) -> None:
        lost, keywords = Counter[str](), Counter[str]()
        for flags, count in sets.items():
            for flag, fate in flag_fates(flags, allowance.permanent_flags).items():
                if fate is None:
                    lost[flag] += count
                elif not fate.startswith("\\"):
                    keywords[fate] += count
        self._lost += lost
        if lost:
            self._lost_in.setdefault(path.display)
        most = min(filter(None, (allowance.most_keywords, allowance.kept_keywords)), default=None)
        if most is not None and len(keywords) > most:
            self._crowded[path.display] = keywords

    def found(self, allowance: Allowance) -> Iterator[Foreseen]:
        """Yield what becomes of messages and their flags."""
        count, biggest = self._too_big
        if count:
            facts: dict[str, Json] = {"limit": allowance.append_limit_bytes, "biggest": biggest}
            names = tuple(self._too_big_in)[:EXAMPLES]
            yield Foreseen("message.too_big", Severity.LOSES, Side.TARGET, count, names, facts)
        if self._deleted:
            yield Foreseen("message.marked_deleted", Severity.NOTES, Side.SOURCE, self._deleted)
        if self._lost:
            names = tuple(f"{flag} ({count:,})" for flag, count in self._lost.most_common(EXAMPLES))
            folders: list[Json] = [*self._lost_in]
            told: dict[str, Json] = {"folders": folders[:EXAMPLES]}
            yield Foreseen("flags.lost", Severity.LOSES, Side.TARGET, self._lost.total(), names, told)
        for folder, keywords in self._crowded.items():
            is_refused = allowance.most_keywords is not None and len(keywords) > allowance.most_keywords
            code, severity = ("flags.too_many", Severity.LOSES) if is_refused else ("flags.many", Severity.NOTES)
            seldom = tuple(f"{flag} ({count:,})" for flag, count in keywords.most_common()[: -EXAMPLES - 1 : -1])
            limit = allowance.most_keywords if is_refused else allowance.kept_keywords
            of_folder: dict[str, Json] = {"folder": folder, "limit": limit}
            yield Foreseen(code, severity, Side.TARGET, len(keywords), seldom, of_folder)
