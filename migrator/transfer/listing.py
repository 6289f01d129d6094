"""List both sides, pair their folders, and plan every message: the reading half of a pass. Writes no mail."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import groupby, islice
from types import MappingProxyType
from typing import Final, NamedTuple, TypeVar, cast

from migrator.errors import MigratorError, Patience
from migrator.events import CountsDiffer, FolderLeftOut, FolderRenamed, PassPlanned, UidlFormat
from migrator.mail import DELETED, Folder, FolderPath, MessageMeta
from migrator.packed import Column
from migrator.stores.base import ScanRequest, SourceStore, TargetStore, TellingSource, Trouble
from migrator.stores.profiles import choose
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.folders import FolderMap, FolderPair, FolderRules, map_folders
from migrator.transfer.kinship import Correspondents, refuse_strangers
from migrator.transfer.labels import LabelBook, as_archive, open_book, system_prefix
from migrator.transfer.ledger import FolderState, Ledger, LeftBehind
from migrator.transfer.look import look
from migrator.transfer.moved import known_targets, renumbered_since
from migrator.transfer.names import CAUTIOUS
from migrator.transfer.numbering import list_source
from migrator.transfer.per_message import FlagChange
from migrator.transfer.plan import (
    ALL_MESSAGES,
    Append,
    CompareFlags,
    CopyPolicy,
    Depth,
    FlagTable,
    Leave,
    Mode,
    plan_messages,
    scan_depth,
)
from migrator.transfer.searching import judge, narrow
from migrator.transfer.terms import PassMemory, Terms
from migrator.transfer.uid_map import UidMap

PART_MESSAGES: Final = 1000  # planned at once
NOTHING_OPENED: Final[Mapping[bytes, bytes]] = MappingProxyType({})
UNSPEAKABLE_NAME: Final = "unspeakable_name"  # map_folders' reason for a name with CR, LF or NUL

First = TypeVar("First")
Second = TypeVar("Second")


class LeftOutFolder(NamedTuple):
    """A source folder that is not copied, and why: a code."""

    source: FolderPath
    reason: str
    messages: int | None  # None: the server did not tell


class Plan(NamedTuple):
    """What a pass is going to do."""

    folders: list[FolderPass]
    left_out: list[LeftOutFolder]
    labels: LabelBook | None = None


def plan_pass(source: SourceStore, target: TargetStore, ledger: Ledger, terms: Terms, memory: PassMemory) -> Plan:
    """Return every folder pair with its plan: what waits, what the target holds unclaimed, which flags differ."""
    listing = partial(list_source, source, ledger)
    source_folders, target_folders = _at_once(listing, target.folders, overlap=terms.limits.overlap)
    if source.features.has_news:
        cast(TellingSource, source).tell_news(terms.sink)
    if source.features.uidl_format is not None:
        terms.sink.emit(UidlFormat(form=source.features.uidl_format))
    states = ledger.states()
    if any(state.intent_uidnext is not None for state in states):
        target_folders = _wait_until_quiet(target, target_folders, terms)
    rules = terms.policy.rules
    if memory.is_cautious:
        rules = replace(rules, also_forbidden=rules.also_forbidden + CAUTIOUS)
    mapping = map_account(source, target, source_folders, target_folders, ledger, states, rules, memory.opened)
    folders = _pair(mapping, target_folders, ledger, states, source, terms, memory)
    narrow(source, folders, terms.policy.search)
    book = open_book(source, source_folders, folders, ledger, terms)
    _scan_source(source, target, ledger, folders, terms)
    _look_at_first(source, target, states, folders, terms)
    for folder in folders:
        folder.close_plan()
    terms.sink.emit(
        PassPlanned(
            folders=len(folders),
            messages=sum(len(f.pending) for f in folders),
            size_bytes=sum(f.pending.total_bytes() for f in folders),
            flag_changes=sum(len(f.flag_changes) for f in folders),
        )
    )
    return Plan(folders, _left_out(mapping, terms), book)


def _left_out(mapping: FolderMap, terms: Terms) -> list[LeftOutFolder]:
    """Return the folders that hold messages and are not copied; a mere name is nothing that anybody misses."""
    left = [
        LeftOutFolder(folder.path, reason, folder.messages) for folder, reason in mapping.left_out if folder.selectable
    ]
    for folder in left:
        terms.sink.emit(FolderLeftOut(folder=folder.source.display, reason=folder.reason, messages=folder.messages))
    return left


def _at_once(first: Callable[[], First], second: Callable[[], Second], *, overlap: bool) -> tuple[First, Second]:
    """Call both, at the same time where allowed: connecting and listing costs round trips, not work.

    When both fail, the error that trying again does not help is raised: a wrong password is not tried twice.
    """
    if not overlap:
        return first(), second()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(second)
        try:
            return first(), later.result()
        except MigratorError as error:
            other = later.exception()
            if error.patience is Patience.NOW and isinstance(other, MigratorError):
                raise other from error
            raise


def _wait_until_quiet(target: TargetStore, folders: list[Folder], terms: Terms) -> list[Folder]:
    """List the target until it stops changing.

    A server goes on storing what it had received when our last session died. Who looks too early does not see the rest
    come, and sends it a second time.
    """
    clock, limits = terms.clock, terms.limits
    begun = unchanged_since = clock.monotonic()
    counters = _counters(folders)
    while clock.monotonic() - unchanged_since < limits.quiet_seconds:
        if terms.stop.is_set() or clock.monotonic() - begun > limits.quiet_patience_seconds:
            break
        clock.wait(min(1.0, limits.quiet_seconds))
        folders = target.folders()
        if _counters(folders) != counters:
            counters, unchanged_since = _counters(folders), clock.monotonic()
    return folders


def _counters(folders: Sequence[Folder]) -> dict[bytes, tuple[int | None, int | None]]:
    return {folder.path.raw: (folder.uidnext, folder.messages) for folder in folders}


def map_account(
    source: SourceStore,
    target: TargetStore,
    source_folders: Sequence[Folder],
    target_folders: Sequence[Folder],
    ledger: Ledger,
    states: Sequence[FolderState],
    rules: FolderRules,
    opened: Mapping[bytes, bytes] = NOTHING_OPENED,
) -> FolderMap:
    """Pair the folders of two mailboxes that were just listed, as every pass does.

    ``states`` are those of ``ledger``; ``opened`` maps raw source names to raw target names that took, beyond them.
    """
    source_prefix, source_separator = source.prefix()
    target_prefix, target_separator = target.prefix()
    if source.features.has_labels:
        source_folders = as_archive(source_folders, rules)
        source_prefix = source_prefix or system_prefix(source_folders)
    return map_folders(
        source_folders,
        target_folders,
        source_prefix=source_prefix,
        source_separator=source_separator,
        target_prefix=target_prefix,
        target_separator=target_separator,
        profile=choose(target.features.product, {}, frozenset()),
        source_profile=choose(source.features.product, {}, frozenset()),
        rules=_in_homes(rules, source, target),
        known={
            **known_targets(source_folders, states),
            **renumbered_since(source, source_folders, ledger, states),
            **opened,
        },
    )


def _in_homes(rules: FolderRules, source: SourceStore, target: TargetStore) -> FolderRules:
    """Let the rules speak of a mailbox as its owner sees it, where an administrator sees it below a root."""
    root = target.features.root
    return replace(
        rules,
        strip_prefix=rules.strip_prefix or source.features.root,
        add_prefix=rules.add_prefix if rules.add_prefix.startswith(root) else root + rules.add_prefix,
        # An administrator who subscribes to a folder of somebody else subscribes for themselves.
        subscribe=rules.subscribe and not root,
    )


def _pair(
    mapping: FolderMap,
    target_folders: Sequence[Folder],
    ledger: Ledger,
    states: Sequence[FolderState],
    source: SourceStore,
    terms: Terms,
    memory: PassMemory,
) -> list[FolderPass]:
    by_source = {state.source: state for state in states}
    listed = {folder.path.raw: folder for folder in target_folders if folder.selectable}  # a mere name is created
    was_there = {state.target for state in states}
    table = FlagTable()
    folders = []
    for pair in mapping.pairs:
        is_moved = pair.source.path.raw not in by_source and pair.target.raw in was_there
        reason = pair.renamed or ("renamed_since" if is_moved else None)
        if reason:
            terms.sink.emit(FolderRenamed(folder=pair.source.path.display, target=pair.target.display, reason=reason))
        if pair.source.selectable:
            key = pair.source.path.raw
            folder = _begin(pair, by_source.get(key), listed.get(pair.target.raw), source, terms, table)
            folder.tally = memory.tally(key)
            folders.append(folder)
    by_key = {folder.key: folder for folder in folders}
    for row in ledger.left_behind():
        if row.folder in by_key:
            _adopt(by_key[row.folder], row)
    return folders


def _begin(
    pair: FolderPair,
    state: FolderState | None,
    listed: Folder | None,
    source: SourceStore,
    terms: Terms,
    table: FlagTable,
) -> FolderPass:
    """Start the bookkeeping of one pair; a numbering that no longer holds starts anew, behind a look at everything."""
    folder = pair.source
    target_uidvalidity = (listed.uidvalidity if listed else None) or 0
    holds = (
        state is not None
        and state.target == pair.target.raw
        and state.source_uidvalidity == (folder.uidvalidity or 0)
        and state.target_uidvalidity == target_uidvalidity
    )
    if state is None or not holds:
        state = _renumbered(pair, state, target_uidvalidity, terms)
    features = source.features
    depth = scan_depth(folder, state, condstore=features.condstore, policy=terms.policy)
    return FolderPass(
        folder,
        pair.target,
        state,
        depth,
        table,
        listed,
        special_use=pair.special_use,
        knows_flags=features.has_flags,
    )


def _renumbered(pair: FolderPair, state: FolderState | None, target_uidvalidity: int, terms: Terms) -> FolderState:
    source_uidvalidity = pair.source.uidvalidity or 0
    if state is None:
        return FolderState(pair.source.path.raw, pair.target.raw, source_uidvalidity, target_uidvalidity)
    same_source = state.source_uidvalidity == source_uidvalidity
    if same_source and state.is_complete and terms.policy.mode is Mode.CATCH_UP:
        # The target is live: what its owner removed or renamed is not brought back.
        return replace(state, target_uidvalidity=target_uidvalidity, target_uidnext=0)
    return replace(
        state,
        target=pair.target.raw,
        source_uidvalidity=source_uidvalidity,
        target_uidvalidity=target_uidvalidity,
        watermark=0,
        target_uidnext=0,
        intent_uidnext=1,
        ours_from=None,
        is_complete=False,
        totals={},
        removed=0,
    )


def _adopt(folder: FolderPass, row: LeftBehind) -> None:
    """Take over the row of a message left behind; one of another numbering goes."""
    if row.source_uidvalidity == folder.state.source_uidvalidity and folder.state.totals:
        if not row.outcome.is_on_target:  # what was repaired is there
            folder.left_behind[row.uid] = row.outcome
    else:
        folder.resolved.append((row.folder, row.source_uidvalidity, row.uid))


def _scan_source(
    source: SourceStore, target: TargetStore, ledger: Ledger, folders: Sequence[FolderPass], terms: Terms
) -> None:
    limit = target.features.append_limit_bytes
    wanted = [folder for folder in folders if folder.depth is not Depth.NONE]
    _scan(source, ledger, wanted, limit, terms)
    # Some servers count changes and refuse to list them.
    unexplained = [f for f in wanted if f.depth is Depth.CHANGES and (f.error is not None or not f.changes_add_up)]
    for folder in unexplained:
        folder.depth = Depth.FULL
        folder.restart()
    _scan(source, ledger, unexplained, limit, terms)
    _scan_rest(source, [folder for folder in wanted if _is_short(folder)], limit, terms)
    for folder in wanted:
        counted = folder.source.messages
        if folder.listed is not None and counted is not None and len(folder.listed) < counted:
            terms.sink.emit(CountsDiffer(folder=folder.source.path.display, counted=counted, listed=len(folder.listed)))


def _scan(source: SourceStore, ledger: Ledger, folders: Sequence[FolderPass], limit: int | None, terms: Terms) -> None:
    by_path = {folder.key: folder for folder in folders}
    requests = [
        ScanRequest(
            folder.source.path,
            folder.state.source_uidvalidity or None,
            changed_since=folder.state.source_modseq if folder.depth is Depth.CHANGES else None,
        )
        for folder in folders
    ]
    for folder in folders:
        if folder.depth is Depth.FULL:
            folder.listed = Column()
        folder.recall(ledger)
    _take(source, requests, by_path, limit, terms)


def _is_short(folder: FolderPass) -> bool:
    """True when a list holds fewer messages than the folder: some servers cut long answers."""
    counted = folder.source.messages
    is_sound = folder.error is None and folder.depth is Depth.FULL
    return is_sound and bool(folder.listed) and counted is not None and len(folder.listed or ()) < counted


def _scan_rest(source: SourceStore, short: Sequence[FolderPass], limit: int | None, terms: Terms) -> None:
    """Ask for what comes behind the end of a list that was cut, as long as more comes."""
    while short:
        lengths = {folder.key: len(folder.listed or ()) for folder in short}
        requests = [
            ScanRequest(folder.source.path, folder.state.source_uidvalidity or None, after_uid=folder.listed[-1])
            for folder in short
            if folder.listed
        ]
        _take(source, requests, {folder.key: folder for folder in short}, limit, terms)
        short = [folder for folder in short if _is_short(folder) and len(folder.listed or ()) > lengths[folder.key]]


def _take(
    source: SourceStore,
    requests: Sequence[ScanRequest],
    by_path: Mapping[bytes, FolderPass],
    limit: int | None,
    terms: Terms,
) -> None:
    for raw, items in groupby(source.scan(requests) if requests else (), key=lambda item: item.path.raw):
        _plan_folder(by_path[raw], items, limit, terms)


def _plan_folder(folder: FolderPass, items: Iterator[MessageMeta | Trouble], limit: int | None, terms: Terms) -> None:
    above = folder.knowledge.above_watermark if folder.knowledge else UidMap()
    outcomes, lies_elsewhere = folder.left_behind, folder.lies_elsewhere
    found = folder.found
    is_fresh = not (folder.state.watermark or above or outcomes or lies_elsewhere) and found is None
    for part in _parts(folder, items):
        if is_fresh and not _has_exceptions(part, limit, terms.policy):
            _plan_fresh(folder, part)
            continue
        unrecorded = _unrecorded(folder, part, outcomes, terms.policy)
        operations = plan_messages(
            _counted(folder, part, above, unrecorded),
            watermark=folder.state.watermark,
            above_watermark=above,
            left_behind=outcomes,
            append_limit_bytes=limit,
            policy=terms.policy,
            unrecorded=unrecorded,
        )
        for operation in operations:
            if isinstance(operation, CompareFlags):
                if terms.policy.mode is Mode.STAGE and folder.knows_flags:
                    folder.compare(operation.meta)
                continue
            if found is not None:
                judged = judge(found, operation, outcomes.get(operation.meta.uid))
                if judged is None:
                    continue
                operation = judged
            if lies_elsewhere is not None and isinstance(operation, Append) and lies_elsewhere(operation.meta.uid):
                folder.elsewhere.append(operation.meta.uid)
                continue
            folder.pending.add(operation.meta)
            if isinstance(operation, Leave):
                folder.decide(operation.meta.uid, operation.outcome)


def _parts(folder: FolderPass, items: Iterator[MessageMeta | Trouble]) -> Iterator[list[MessageMeta]]:
    """Yield metadata in parts, up to the first trouble."""
    while part := list(islice(items, PART_MESSAGES)):
        trouble = next((item for item in part if isinstance(item, Trouble)), None)
        if trouble is not None:
            folder.error = trouble.error
            part = part[: part.index(trouble)]
        yield part  # type: ignore[misc]  # no trouble in it any more


def _has_exceptions(part: Sequence[MessageMeta], limit: int | None, policy: CopyPolicy) -> bool:
    """True when a message of ``part`` may be left behind."""
    if limit is not None and any(meta.size_bytes > limit for meta in part):
        return True
    if policy.wanted is not ALL_MESSAGES and any(map(policy.wanted.leaves_out, part)):
        return True
    return not policy.copy_deleted and any(DELETED in flags for flags in {meta.flags for meta in part})


def _plan_fresh(folder: FolderPass, part: Sequence[MessageMeta]) -> None:
    """Plan a part of a folder that no record knows: all of it waits. What plan_messages would say, faster."""
    if part:
        if folder.listed is not None:
            folder.listed.extend([meta.uid for meta in part])
        folder.new_listed += len(part)
        folder.pending.extend(part)


def _unrecorded(
    folder: FolderPass, part: Sequence[MessageMeta], outcomes: Container[int], policy: CopyPolicy
) -> Container[int]:
    """Return UIDs below the watermark without a record: servers have been seen to list less than they hold."""
    below = [meta.uid for meta in part if meta.uid <= folder.state.watermark]
    if not below:
        return frozenset()
    if folder.knowledge is None:
        missing = set(below)
    else:
        # A live target that was renumbered is not filled again with what its owner removed.
        missing = folder.knowledge.without_record(below, counts_elsewhere=policy.mode is Mode.CATCH_UP)
    return {uid for uid in missing if uid not in outcomes}


def _counted(
    folder: FolderPass, metas: Iterable[MessageMeta], above: Container[int], unrecorded: Container[int]
) -> Iterator[MessageMeta]:
    """Pass metadata on; count it by what the ledger knows."""
    listed, watermark = folder.listed, folder.state.watermark
    for meta in metas:
        if listed is not None:
            listed.append(meta.uid)
        if (meta.uid <= watermark and meta.uid not in unrecorded) or meta.uid in above:
            folder.recorded_listed += 1
        else:
            folder.new_listed += 1
        yield meta


def _look_at_first(
    source: SourceStore,
    target: TargetStore,
    states: Sequence[FolderState],
    folders: Sequence[FolderPass],
    terms: Terms,
) -> None:
    """Look at the target; at the first contact of two mailboxes also at whose they are."""
    kin = terms.policy.kin
    if kin is None or any(state.totals for state in states):
        _look(target, folders)
        return
    named = Correspondents()
    _look(target, folders, named.note)
    refuse_strangers(source, folders, named, kin, terms.limits)


def _look(target: TargetStore, folders: Sequence[FolderPass], note: Callable[[bytes], None] | None = None) -> None:
    """Look at target folders that may hold what no record claims, and at the flags of copied messages."""
    wanted = []
    for folder in folders:
        listed = folder.listed_target
        if folder.depth is Depth.CHANGES:
            _change_flags_unseen(folder)
        folder.looked_to = folder.state.target_uidnext
        if folder.error is not None or listed is None or listed.messages == 0:
            folder.compared.clear()
            folder.looked_to = (listed.uidnext if listed else None) or folder.looked_to
            continue
        if len(folder.pending) or folder.unplaced:
            folder.look_from = _look_from(folder, listed)
        if folder.look_from is not None:
            folder.looked_to = listed.uidnext or folder.looked_to
        if folder.look_from is not None or folder.compared:
            wanted.append(folder)
    if wanted:
        look(target, wanted, note)


def _look_from(folder: FolderPass, listed: Folder) -> int | None:
    """Return the lowest target UID that may lack a record, None when every one has one."""
    state = folder.state
    if state.intent_uidnext is not None:
        return state.intent_uidnext
    reached = max(state.target_uidnext, 1)
    has_foreign = bool(folder.knowledge and folder.knowledge.foreign)
    if listed.uidnext is not None and listed.uidnext <= reached and not has_foreign:
        return None
    return reached


def _change_flags_unseen(folder: FolderPass) -> None:
    """The server named what changed since: set it without comparing."""
    known = folder.knowledge
    for uid, number in folder.compared:
        target_uid = known.target_uid(uid) if known else 0
        if target_uid:
            folder.flag_changes[target_uid] = FlagChange(folder.table.flags(number), None)
    folder.compared.clear()
