"""Survey of one account: what a copy would meet, found without writing anything on either side.

Both sides are signed in to and listed at once, then every message is listed in one send, as a pass does: only so are
the biggest message, the labels and the sums exact. From the target is asked what it takes. Nothing is stored, no flag
is set, no folder made. Memory does not grow with messages.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, cast

from migrator.entries import Json
from migrator.errors import CATALOGUE, MigratorError, Patience, Side
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, MessageMeta
from migrator.preflight.foreseen import (
    NOT_SAMPLED,
    AccountSurvey,
    Foreseen,
    Sample,
    Severity,
    gravest_first,
)
from migrator.preflight.foreseen_mail import Sums
from migrator.preflight.foreseen_names import of_groupware, of_names, of_others, of_writers, sent_by_guess
from migrator.preflight.kin_sample import KinSample, written
from migrator.stores.base import (
    Allowance,
    AllowingStore,
    QuotaStore,
    ScanRequest,
    SharingStore,
    SourceStore,
    TargetStore,
    Trouble,
)
from migrator.stores.profiles import Profile, choose
from migrator.transfer.folders import FolderPair
from migrator.transfer.kinship import SAMPLE
from migrator.transfer.listing import map_account
from migrator.transfer.memory_ledger import MemoryLedger
from migrator.transfer.numbering import list_source
from migrator.transfer.plan import CopyPolicy
from migrator.transfer.room import shortages

SAMPLED_FOLDERS: Final = 4
TRIES: Final = 2

Opened = tuple[list[Folder] | None, MigratorError | None, float]


def survey_account(
    open_source: Callable[[], SourceStore],
    open_target: Callable[[], TargetStore],
    *,
    policy: CopyPolicy,
    limits: Limits | None = None,
    is_sampled: bool = True,
    listed: Callable[[], None] = lambda: None,
) -> AccountSurvey:
    """Look at one account and return what was found; raises nothing that a mail server causes.

    ``is_sampled``: read a few messages, to measure how fast that goes; they are read anyway where it must be known
    whose mail both sides hold. ``listed`` is called when both sides have been listed. A line that drops is taken up
    again once: the survey then begins anew.
    """
    limits = limits or Limits()
    survey = None
    for _ in range(TRIES):
        try:
            with open_source() as source, open_target() as target:
                survey = _Survey(source, target, policy, limits, is_sampled)
                is_lost = survey.run(listed)
        except MigratorError as error:  # nothing was to be opened: an account without a password
            return AccountSurvey(foreseen=(Foreseen.of(error),))
        if not is_lost:
            break
    assert survey is not None
    return survey.result()


@dataclass(eq=False)
class _Survey:
    """One account under survey: what is known so far."""

    source: SourceStore
    target: TargetStore
    policy: CopyPolicy
    limits: Limits
    is_sampled: bool
    found: list[Foreseen] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)
    folders: int = 0
    source_folders: list[Folder] = field(default_factory=list)
    target_folders: list[Folder] = field(default_factory=list)
    products: tuple[str, str] = ("", "")
    has_access_lists: tuple[bool, bool] = (False, False)
    opening_seconds: float = 0.0
    sample: Sample = NOT_SAMPLED
    sampled: list[FolderPath] = field(default_factory=list)  # of the first most messages are read

    def run(self, listed: Callable[[], None]) -> bool:
        """Look at everything; return whether a line dropped, so that it is worth another try."""
        try:
            if self.open():
                listed()
                self.look()
        except MigratorError as error:
            self.foresee(Foreseen.of(error))
            return error.patience is Patience.NOW
        return any(CATALOGUE[one.code].patience is Patience.NOW and one.severity is Severity.STOPS
                   for one in self.found if one.code.startswith("line."))  # fmt: skip

    def foresee(self, found: Foreseen) -> None:
        """Note one finding."""
        self.found.append(found)

    def result(self) -> AccountSurvey:
        """Return what was found."""
        return AccountSurvey(
            folders=self.folders,
            messages=self.sums.messages,
            size_bytes=self.sums.size_bytes,
            biggest_bytes=self.sums.biggest_bytes,
            target_messages=sum(folder.messages or 0 for folder in self.target_folders),
            products=self.products,
            has_access_lists=self.has_access_lists,
            opening_seconds=round(self.opening_seconds, 4),
            sample=self.sample,
            foreseen=gravest_first(self.found),
        )

    # Both sides

    def open(self) -> bool:
        """Sign in and list both sides at once; return whether both let us in. Each side's fault is told."""
        here, there = self._listed()
        for _, error, _ in (here, there):
            if error is not None:
                self.foresee(Foreseen.of(error))
        self.opening_seconds = max(here[2], there[2])
        self.source_folders, self.target_folders = here[0] or [], there[0] or []
        return here[0] is not None and there[0] is not None

    def _listed(self) -> tuple[Opened, Opened]:
        def source() -> list[Folder]:
            return list_source(self.source, MemoryLedger(), keep=False)

        if not self.limits.overlap:
            return _timed(source, Side.SOURCE), _timed(self.target.folders, Side.TARGET)
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(_timed, self.target.folders, Side.TARGET)
            return _timed(source, Side.SOURCE), later.result()

    def look(self) -> None:
        """Find out everything else."""
        features, kept = self.source.features, self.target.features
        self.products, self.has_access_lists = (features.product, kept.product), (features.acl, kept.acl)
        mapping = map_account(
            self.source, self.target, self.source_folders, self.target_folders, MemoryLedger(), [], self.policy.rules
        )
        self.folders = len(mapping.pairs)
        self.found += of_names(mapping)
        profile = choose(features.product, {}, frozenset())
        self.found += of_groupware(mapping, profile)
        if features.lists_others:
            self.found += of_others(cast(SharingStore, self.source).folders_of_others())
        allowance = self._allowance()
        guessed = sent_by_guess(mapping, self.target_folders)
        newest = self._scan(mapping.pairs, allowance, guessed)
        self.found += self.sums.found(allowance)
        self._compare_room()
        self._compare_allowance_of_a_day(profile)
        self._look_at_writers(guessed, newest)
        self._look_at_people({path: newest[path] for path in self.sampled})

    def _allowance(self) -> Allowance:
        """Ask what the target takes; of an empty folder where there is one, for that one tells most."""
        limit = self.target.features.append_limit_bytes
        known = [folder for folder in self.target_folders if folder.selectable]
        if not self.target.features.tells_allowance or not known:
            return Allowance(append_limit_bytes=limit)
        asked = min(known, key=lambda folder: (folder.messages != 0, not folder.path.is_inbox))
        told = cast(AllowingStore, self.target).allowance(asked)
        return told if told.append_limit_bytes else told._replace(append_limit_bytes=limit)

    def _scan(
        self, pairs: Sequence[FolderPair], allowance: Allowance, more: Sequence[FolderPath]
    ) -> dict[FolderPath, deque[int]]:
        """List all messages; return the newest small ones of some folders and of ``more``, for a closer look."""
        counted = {pair.source.path: pair.source.messages for pair in pairs}
        filled = sorted((pair.source for pair in pairs if pair.source.messages), key=_by_weight)
        self.sampled = [folder.path for folder in filled[:SAMPLED_FOLDERS]]
        sampled = {path: deque[int](maxlen=SAMPLE // 2) for path in (*self.sampled, *more)}
        requests = [ScanRequest(pair.source.path) for pair in pairs]
        for path, items in _by_folder(self.source.scan(requests) if requests else iter(())):
            trouble = self.sums.folder(path, items, self.policy, allowance, sampled.get(path))
            if trouble is not None:
                self.foresee(Foreseen.of(trouble, examples=(path.display,)))
                continue
            told, seen = counted[path], self.sums.listed
            if told is not None and seen < told:
                facts: dict[str, Json] = {"counted": told, "listed": seen}
                self.foresee(Foreseen("folder.counts_differ", Severity.NOTES, Side.SOURCE, 1, (path.display,), facts))
        return sampled

    def _compare_room(self) -> None:
        if not self.target.features.has_quota or not self.sums.messages:
            return
        quotas = {quota.resource: quota for quota in cast(QuotaStore, self.target).quotas()}
        wanted = {"messages": self.sums.messages, "size_bytes": self.sums.size_bytes}
        for short in shortages(quotas.values(), **wanted):
            quota = quotas[short.resource]
            bare = wanted["size_bytes" if short.resource == "STORAGE" else "messages"]
            # What is there already may be a part of what would come.
            is_certain = bare - quota.used > quota.free
            facts: dict[str, Json] = {
                "resource": short.resource,
                "needed": bare,
                "free": quota.free,
                "limit": quota.limit,
            }
            code, severity = ("target.full", Severity.STOPS) if is_certain else ("target.nearly_full", Severity.NOTES)
            self.foresee(Foreseen(code, severity, Side.TARGET, facts=facts))

    def _compare_allowance_of_a_day(self, profile: Profile) -> None:
        if profile.bytes_a_day and self.sums.size_bytes > profile.bytes_a_day:
            days = -(-self.sums.size_bytes // profile.bytes_a_day)
            facts: dict[str, Json] = {"bytes_a_day": profile.bytes_a_day, "days": days}
            self.foresee(Foreseen("source.daily_limit", Severity.NOTES, Side.SOURCE, facts=facts))

    def _look_at_writers(self, guessed: Sequence[FolderPath], newest: dict[FolderPath, deque[int]]) -> None:
        """Read a few messages of what is taken for sent mail: did the owner write them?"""
        if not self.policy.kin:
            return
        found = [(path, written(self.source, path, newest.get(path, ()), self.policy.kin)) for path in guessed]
        self.found += of_writers([(path, one.by_owner, one.read) for path, one in found if one.is_doubtful])

    def _look_at_people(self, newest: dict[FolderPath, deque[int]]) -> None:
        """Read a few messages: is the new mailbox somebody else's, and how fast does the old server read?"""
        held = [folder for folder in self.target_folders if folder.messages]
        if held and self.target.features.reads_back:
            count = sum(folder.messages or 0 for folder in held)
            self.foresee(Foreseen("target.holds_mail", Severity.NOTES, Side.TARGET, count))
        asks = bool(held) and self.policy.kin is not None and self.target.features.reads_back
        if not (asks or self.is_sampled):
            return
        people = KinSample(self.limits)
        self.sample = people.read_source(self.source, newest)
        if asks:
            people.read_target(self.target, sorted(held, key=_by_weight)[:SAMPLED_FOLDERS])
            if error := people.verdict(self.policy.kin or frozenset()):
                self.foresee(Foreseen.of(error))


def _timed(call: Callable[[], list[Folder]], side: Side) -> Opened:
    begun = time.monotonic()
    try:
        return call(), None, time.monotonic() - begun
    except MigratorError as error:
        error.side = error.side or side
        return None, error, time.monotonic() - begun


def _by_weight(folder: Folder) -> tuple[bool, int]:
    return not folder.path.is_inbox, -(folder.messages or 0)


def _by_folder(
    items: Iterator[MessageMeta | Trouble],
) -> Iterator[tuple[FolderPath, Iterator[MessageMeta | Trouble]]]:
    return groupby(items, key=lambda item: item.path)
