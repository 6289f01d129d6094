"""What sources made of files share: requests over many folders, whatever the files look like."""

from __future__ import annotations

import abc
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from migrator.errors import MigratorError, Radius, Side
from migrator.events import Event, EventSink, FileSkipped, StoreExposed
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, Grant, Message, MessageMeta
from migrator.stores.base import Closing, Features, MessageName, ReadRequest, ScanRequest, Trouble
from migrator.stores.file_access import exposure, of_one_folder, refusal, shown
from migrator.stores.file_numbering import Numberings

_ENDLESS: Final = 1 << 64
MOST_KEPT: Final = 50_000  # messages of folders whose index is kept beside the one in use


class FileIndex(Protocol):
    """Where the messages of one folder are, in the order of their UIDs. Packed."""

    uidvalidity: int
    uidnext: int

    @property
    def uids(self) -> Sequence[int]: ...

    def is_current(self) -> bool:
        """True when the files are as they were when the index was made. Raises ``MigratorError``."""
        ...

    def metas(self, path: FolderPath, after_uid: int) -> Iterator[MessageMeta]:
        """Yield what a scan tells."""
        ...


Index = TypeVar("Index", bound=FileIndex)
Item = TypeVar("Item")


class FileSource(Closing, Generic[Index]):
    """A ``NamingSource`` and ``TellingSource`` on the files of this machine; nothing in them is changed."""

    product: ClassVar[str]
    separator: ClassVar[str]

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self._limits = limits or Limits()
        self._news: list[Event] = []
        self._numberings = Numberings()
        self._listed_to: dict[bytes, int] = {}  # the first UID that the last listing did not know
        self._indexes: OrderedDict[bytes, Index] = OrderedDict()
        self._places: dict[bytes, Path] = {}
        self._told: set[str] = set()
        self._epoch = 0

    @property
    def features(self) -> Features:
        return Features(product=self.product, names_messages=True, has_news=True)

    def prefix(self) -> tuple[str, str | None]:
        return "", self.separator

    def recall(self, names: Iterable[MessageName]) -> None:
        self._numberings.recall(names)
        self._indexes.clear()
        self._listed_to.clear()

    def take_fresh_names(self) -> Sequence[MessageName]:
        return self._numberings.take_fresh()

    def tell_news(self, sink: EventSink) -> None:
        news, self._news = self._news, []
        for event in news:
            sink.emit(event)

    @abc.abstractmethod
    def folders(self) -> list[Folder]:
        """List the folders with their counters. Raises ``MigratorError``."""

    @abc.abstractmethod
    def _tree(self) -> dict[bytes, Path]:
        """Return where the folders are, by their names. Raises ``MigratorError`` when there is no mail at all."""

    @abc.abstractmethod
    def _make_index(self, path: FolderPath) -> Index:
        """Read where the messages of a folder are. Raises ``MigratorError``: ``folder.missing`` when there is none."""

    @abc.abstractmethod
    def _read_folder(self, request: ReadRequest, index: Index) -> Iterator[Message]:
        """Yield the bodies asked for that are there. Raises ``MigratorError``."""

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        return self._unless_dropped(item for request in requests for item in self._scan(request))

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        return self._unless_dropped(item for request in requests for item in self._read(request))

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        """Files open to nobody: what others may do is not told by them."""
        return [() for _ in paths]

    def drop(self) -> None:
        self._epoch += 1

    def close(self) -> None:
        self.drop()
        self._indexes.clear()

    def _index(self, path: FolderPath, uidvalidity: int | None = None) -> Index:
        """Return a current index of a folder; one that holds other numbers than asked for is an error."""
        index = self._indexes.get(path.raw)
        if index is None or not index.is_current():
            index = self._indexes[path.raw] = self._make_index(path)
        self._indexes.move_to_end(path.raw)
        while len(self._indexes) > 1 and sum(len(kept.uids) for kept in self._indexes.values()) > MOST_KEPT:
            self._indexes.popitem(last=False)
        if uidvalidity is not None and uidvalidity != index.uidvalidity:
            raise MigratorError("folder.changed", side=Side.SOURCE, reply=f"UIDVALIDITY {index.uidvalidity}")
        return index

    def _scan(self, request: ScanRequest) -> Iterator[MessageMeta | Trouble]:
        try:
            # What came since the last listing has numbers that nobody keeps yet.
            end = self._listed_to.get(request.path.raw, _ENDLESS) if self._numberings.are_lasting else _ENDLESS
            metas = self._index(request.path, request.uidvalidity).metas(request.path, request.after_uid)
            yield from takewhile(lambda meta: meta.uid < end, metas)
        except MigratorError as error:
            yield _trouble(request.path, error)

    def _read(self, request: ReadRequest) -> Iterator[Message | Trouble]:
        if not request.uids:
            return
        try:
            yield from self._read_folder(request, self._index(request.path, request.uidvalidity))
        except MigratorError as error:
            yield _trouble(request.path, error)

    def _unless_dropped(self, items: Iterator[Item]) -> Iterator[Item]:
        epoch = self._epoch
        for item in items:
            yield item
            if epoch != self._epoch:
                raise MigratorError("line.lost", side=Side.SOURCE, reply="the source was closed meanwhile")

    def _describe(self, path: FolderPath, index: Index, *, subscribed: bool) -> Folder:
        self._listed_to[path.raw] = index.uidnext
        return Folder(
            path,
            subscribed=subscribed,
            uidvalidity=index.uidvalidity,
            uidnext=index.uidnext,
            messages=len(index.uids),
        )

    def _place(self, path: FolderPath) -> Path:
        """Return where a folder is. Raises ``MigratorError``: ``folder.missing``."""
        if path.raw not in self._places:
            self._places = self._tree()
        if path.raw not in self._places:
            raise MigratorError("folder.missing", side=Side.SOURCE, reply=f"no folder {shown(path.raw)}")
        return self._places[path.raw]

    def _tell_exposure(self, path: Path) -> None:
        """Warn once when others than the owner may read what is in ``path``."""
        try:
            is_writable = exposure(path)
        except OSError as error:
            raise refusal(error, path) from error
        if is_writable is not None and self._is_news(f"exposed {path}"):
            self._news.append(StoreExposed(path=shown(path), is_writable=is_writable))

    def _tell_skipped(self, path: Path, error: MigratorError) -> None:
        if self._is_news(f"skipped {path}"):
            self._news.append(FileSkipped(path=shown(path), error=of_one_folder(error)))

    def _is_news(self, what: str) -> bool:
        is_news = what not in self._told
        self._told.add(what)
        return is_news


def _trouble(path: FolderPath, error: MigratorError) -> Trouble:
    error = of_one_folder(error)
    if error.radius not in (Radius.FOLDER, Radius.MESSAGE):
        raise error
    return Trouble(path, error)
