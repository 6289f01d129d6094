"""One account carried over by several connections at once.

Whole folders are dealt out, so that each keeps its order. The first lane has the two sessions of the pass, every
further one two of its own. A server that lets nobody in once more costs nothing but speed: what such a lane should
have carried goes by the first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, cast

from migrator.errors import MigratorError
from migrator.events import Event, EventSink
from migrator.limits import StopSignal
from migrator.stores.base import Features, ReplicatedStore, SourceStore, TargetStore, offers
from migrator.transfer.dates import Sample
from migrator.transfer.folder_pass import FolderPass
from migrator.transfer.stream import Stream
from migrator.transfer.terms import Terms

ASKED_CONNECTIONS: Final = 4  # to a target that must ask for each message: a round trip each, and many at once
FEW_MESSAGES: Final = 50  # are not worth a second sign-in
MESSAGE_BYTES: Final = 20_000  # what a message costs beside its size, in octets
OpenMore = Callable[[], tuple[SourceStore, TargetStore]]
Streaming = Callable[[SourceStore, TargetStore, Sequence[FolderPass], Terms], Stream]


def carry(
    make: Streaming,
    source: SourceStore,
    target: TargetStore,
    folders: Sequence[FolderPass],
    terms: Terms,
    more: OpenMore | None,
) -> Sample | None:
    """Run the streams that ``make`` makes over all ``folders``; return a sample of what was stored last.

    One lane's failure stops the others at the next message; it is raised when all have committed what was confirmed.
    """
    shares = deal(folders, _lanes(terms, target.features, folders) if more is not None else 1)
    if more is None or len(shares) == 1:
        return _run(make(source, target, folders, terms))
    halt = _Halt(terms.stop)
    shared = replace(terms, stop=halt, sink=_OneByOne(terms.sink))

    def more_beside() -> tuple[SourceStore, TargetStore]:
        opened = more()
        for store, first in zip(opened, (source, target), strict=True):
            if offers(store, "stay_with"):
                cast(ReplicatedStore, store).stay_with(first)
        return opened

    with ThreadPoolExecutor(len(shares) - 1, thread_name_prefix="lane") as pool:
        others = [pool.submit(_lane, make, more_beside, share, shared, halt) for share in shares[1:]]
        with halt.on_failure():
            first = _End(_run(make(source, target, shares[0], shared)))
    ends = [first, *(lane.result() for lane in others)]
    left = [folder for end in ends for folder in end.left]
    samples = [end.sample for end in ends if end.sample is not None]
    if left and not terms.stop.is_set():
        return _run(make(source, target, left, terms)) or next(iter(samples), None)
    return next(iter(samples), None)


def deal(folders: Sequence[FolderPass], lanes: int) -> list[list[FolderPass]]:
    """Deal whole folders to at most ``lanes`` lanes, so that all have about as much to do; order is kept in each."""
    busy = sorted((folder for folder in folders if _is_busy(folder)), key=_weight, reverse=True)
    lanes = max(1, min(lanes, len(busy)))
    loads, owner = [0] * lanes, {}
    for folder in busy:
        lane = loads.index(min(loads))
        loads[lane] += _weight(folder)
        owner[folder.key] = lane
    return [[folder for folder in folders if owner.get(folder.key, 0) == lane] for lane in range(lanes)]


@dataclass(frozen=True, slots=True)
class _End:
    """How a lane ended that nothing broke."""

    sample: Sample | None = None
    left: Sequence[FolderPass] = ()  # nobody was let in to carry these


def _lanes(terms: Terms, target: Features, folders: Sequence[FolderPass]) -> int:
    wanted = terms.limits.connections
    if wanted is not None:
        return wanted
    messages = sum(len(folder.pending) for folder in folders if _is_busy(folder))
    return ASKED_CONNECTIONS if target.waits_for_each and messages > FEW_MESSAGES else 1


def _is_busy(folder: FolderPass) -> bool:
    return folder.error is None and folder.has_work


def _weight(folder: FolderPass) -> int:
    return folder.pending.total_bytes() + MESSAGE_BYTES * len(folder.pending)


def _run(stream: Stream) -> Sample | None:
    stream.run()
    return stream.sample


def _lane(make: Streaming, more: OpenMore, share: Sequence[FolderPass], terms: Terms, halt: _Halt) -> _End:
    """Carry ``share`` by two sessions of its own."""
    with halt.on_failure():
        source, target = more()
        with source, target:
            if not _is_let_in(source, target):
                return _End(left=share)
            return _End(_run(make(source, target, share, terms)))


def _is_let_in(source: SourceStore, target: TargetStore) -> bool:
    try:
        for store in (source, target):
            _ = store.features  # connects
    except MigratorError:
        # That this account is let in was seen by the first lane: now there are too many connections, or too much to do.
        return False
    return True


class _Halt:
    """Stops all lanes: when the caller does, or when one of them failed."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop
        self._failed = threading.Event()

    def is_set(self) -> bool:
        """See StopSignal."""
        return self._failed.is_set() or self._stop.is_set()

    @contextmanager
    def on_failure(self) -> Iterator[None]:
        """Stop the others when what is done here fails."""
        try:
            yield
        except BaseException:
            self._failed.set()
            raise


class _OneByOne:
    """Events of many lanes, one after the other."""

    def __init__(self, sink: EventSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """See EventSink."""
        with self._lock:
            self._sink.emit(event)
