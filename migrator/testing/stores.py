"""Stores on a mailbox in memory, with the manners of an IMAP server.

Effects come before receipts, so that a lost line leaves bundles stored that nobody confirmed; a bundle is stored as a
whole or not at all, as with MULTIAPPEND (RFC 3502); one request at a time is outstanding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Final, TypeVar

from migrator.errors import MigratorError, Side, Stopped
from migrator.limits import Limits
from migrator.mail import (
    DELETED,
    Flags,
    Folder,
    FolderPath,
    Grant,
    LostGrant,
    LostNote,
    Message,
    MessageMeta,
    NewFolder,
    Note,
)
from migrator.stores.base import (
    Allowance,
    Closing,
    Features,
    Quota,
    ReadRequest,
    Receipt,
    Removing,
    ScanRequest,
    Trouble,
)
from migrator.testing.faults import FaultPlan
from migrator.testing.mailboxes import MemoryFolder, MemoryMailbox, StoredMessage
from migrator.transfer.digest import canonical_form

T = TypeVar("T")

_SCAN_CHUNK: Final = 50  # messages of a scan per call to the world
_PIECE_BYTES: Final = 64 * 1024


class _MemoryStore(Closing):
    """What both sides share: one session on a mailbox, with one request outstanding at a time."""

    side: Side

    def __init__(self, mailbox: MemoryMailbox, faults: FaultPlan | None = None, limits: Limits | None = None) -> None:
        self.mailbox = mailbox
        self._faults = faults or FaultPlan()
        self._limits = limits or Limits()
        self._session: object | None = None
        self._request: object | None = None
        self.connections = 0
        self._waiting: set[int] = set()  # marks that hold as long as the session

    def _call(self, name: str, effect: Callable[[], T]) -> T:
        """Make one call to the world; a lost line also loses the session."""
        try:
            return self._faults.run(f"{self.side}.{name}", effect, self.side)
        except MigratorError:
            self.drop()
            raise

    def _connect(self) -> None:
        if self._session is None:
            self._session = self._call("connect", object)
            self.connections += 1

    def _exchange(self, name: str, effect: Callable[[], T]) -> T:
        """One request with one answer."""
        assert self._request is None, "an earlier request is still outstanding"
        self._connect()
        return self._call(name, effect)

    def _streamed(self, items: Iterator[T]) -> Iterator[T]:
        """One request whose answer comes bit by bit. Given up half-way, it costs the session, as on a wire."""
        assert self._request is None, "an earlier request is still outstanding"
        self._connect()
        mine = self._request = object()
        try:
            for item in items:
                yield item
                if self._request is not mine:
                    raise MigratorError("line.lost", side=self.side)
            self._request = None
        finally:
            if self._request is mine:
                self.drop()

    @property
    def features(self) -> Features:
        self._connect()
        return self.mailbox.features

    def prefix(self) -> tuple[str, str | None]:
        self._connect()
        return self.mailbox.prefix, self.mailbox.separator

    def folders(self) -> list[Folder]:
        return self._exchange("folders", lambda: [self._describe(folder) for folder in self.mailbox])

    def _describe(self, folder: MemoryFolder) -> Folder:
        named = Folder(folder.path, folder.selectable, folder.subscribed, folder.special_use, folder.no_inferiors)
        if not folder.selectable:
            return named
        return replace(
            named,
            uidvalidity=folder.uidvalidity,
            uidnext=folder.uidnext,
            messages=len(folder.messages) if folder.counted is None else folder.counted,
            highestmodseq=folder.highestmodseq if self.mailbox.features.condstore else None,
        )

    def _open(self, path: FolderPath, uidvalidity: int | None) -> MemoryFolder:
        folder = self.mailbox.find(path)
        if folder is None or not folder.selectable:
            raise MigratorError("folder.missing", side=self.side, reply="[NONEXISTENT] Unknown folder")
        if uidvalidity is not None and uidvalidity != folder.uidvalidity:
            raise MigratorError("folder.changed", side=self.side, reply=f"UIDVALIDITY {folder.uidvalidity}")
        return folder

    def scan(self, requests: Sequence[ScanRequest]) -> Iterator[MessageMeta | Trouble]:
        if not requests:
            return iter(())
        return self._streamed(item for request in requests for item in self._scan_folder(request))

    def _scan_folder(self, request: ScanRequest) -> Iterator[MessageMeta | Trouble]:
        folder = self._call("scan", lambda: self._try_open(request.path, request.uidvalidity))
        if isinstance(folder, Trouble):
            yield folder
            return
        found = [message for message in folder.messages.values() if self._is_asked_for(message, request)]
        for number, message in enumerate(found, 1):
            yield MessageMeta(
                request.path,
                message.uid,
                len(message.body) if message.told_bytes is None else message.told_bytes,
                message.internal_date,
                message.zone_minutes,
                message.flags,
            )
            if number % _SCAN_CHUNK == 0:
                self._call("scan.more", lambda: None)

    def _is_asked_for(self, message: StoredMessage, request: ScanRequest) -> bool:
        if request.changed_since is not None:
            assert self.mailbox.features.condstore, "CHANGEDSINCE without CONDSTORE"
            if message.modseq <= request.changed_since:
                return False
        return message.uid > request.after_uid

    def _try_open(self, path: FolderPath, uidvalidity: int | None) -> MemoryFolder | Trouble:
        try:
            return self._open(path, uidvalidity)
        except MigratorError as error:
            return Trouble(path, error)

    def read(self, requests: Sequence[ReadRequest]) -> Iterator[Message | Trouble]:
        wanted = [request for request in requests if request.uids]
        if not wanted:
            return iter(())
        return self._streamed(item for request in wanted for item in self._read_folder(request))

    def _read_folder(self, request: ReadRequest) -> Iterator[Message | Trouble]:
        folder = self._call("open", lambda: self._try_open(request.path, request.uidvalidity))
        if isinstance(folder, Trouble):
            yield folder
            return
        for uid in request.uids:
            body = self._call("read", partial(_body, folder, uid))
            if body is None:
                continue
            if len(body) <= self._limits.whole_bytes:
                yield Message(request.path, uid, len(body), whole=body)
            else:
                pieces = self._pieces(body)
                yield Message(request.path, uid, len(body), stream=pieces)
                assert next(pieces, None) is None, "a stream was not taken in full before the next message"

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        for start in range(0, len(body), _PIECE_BYTES):
            self._call("read.more", lambda: None)
            yield body[start : start + _PIECE_BYTES]

    def drop(self) -> None:
        self._session = self._request = None

    def close(self) -> None:
        self.drop()


class MemorySource(_MemoryStore):
    """A SourceStore on a mailbox in memory."""

    side = Side.SOURCE

    def grants(self, paths: Sequence[FolderPath]) -> list[Sequence[Grant] | Trouble]:
        return self._exchange("grants", lambda: [self._grants_of(path) for path in paths])

    def notes(self, paths: Sequence[FolderPath]) -> list[Sequence[Note] | Trouble]:
        return self._exchange("notes", lambda: [self._notes_of(path) for path in paths])

    def _notes_of(self, path: FolderPath) -> Sequence[Note] | Trouble:
        folder = self._try_open(path, None)
        return folder if isinstance(folder, Trouble) else [Note(*note) for note in folder.notes.items()]

    def _grants_of(self, path: FolderPath) -> Sequence[Grant] | Trouble:
        folder = self._try_open(path, None)
        return folder if isinstance(folder, Trouble) else list(folder.grants)

    def mark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        self._exchange("mark", lambda: self._mark(self._open(path, uidvalidity), uids, is_on=True))

    def unmark(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        self._exchange("unmark", lambda: self._mark(self._open(path, uidvalidity), uids, is_on=False))

    def _mark(self, folder: MemoryFolder, uids: Sequence[int], *, is_on: bool) -> None:
        if self.mailbox.features.removing is Removing.AT_END:
            self._waiting = set(uids) if is_on else set()
            return
        for message in (folder.messages[uid] for uid in uids if uid in folder.messages):
            folder.set_flags(message.uid, message.flags | {DELETED} if is_on else message.flags - {DELETED})

    def remove_marked(self, path: FolderPath, uids: Sequence[int], uidvalidity: int) -> None:
        waiting = self._waiting
        try:
            self._exchange("remove", lambda: self._remove(self._open(path, uidvalidity), uids, waiting))
        finally:
            if self.mailbox.features.removing is Removing.AT_END:
                self.drop()

    def _remove(self, folder: MemoryFolder, uids: Sequence[int], waiting: set[int]) -> None:
        for uid in uids:
            message = folder.messages.get(uid)
            if message is not None and (DELETED in message.flags or uid in waiting) and message.is_removable:
                folder.expunge(uid)

    def drop(self) -> None:
        super().drop()
        self._waiting = set()


class MemoryTarget(_MemoryStore):
    """A TargetStore on a mailbox in memory. Bundles are atomic, as with MULTIAPPEND (RFC 3502)."""

    side = Side.TARGET

    def ensure_folders(self, folders: Sequence[NewFolder]) -> list[Folder | Trouble]:
        results = [self._exchange("create", partial(self._ensure, wanted)) for wanted in folders]
        return [
            self._exchange("grant", partial(self._give, wanted, result)) if wanted.grants else result
            for wanted, result in zip(folders, results, strict=True)
        ]

    def _give(self, wanted: NewFolder, result: Folder | Trouble) -> Folder | Trouble:
        folder = self.mailbox.find(wanted.path)
        if folder is None or isinstance(result, Trouble):
            return result
        refused = {grant for grant in wanted.grants if grant.name in self.mailbox.strangers}
        if not self.mailbox.features.acl or any(grant.is_denial for grant in refused):
            refused = set(wanted.grants)
        given = [grant for grant in wanted.grants if grant not in refused]
        kept = [one for one in folder.grants if all(one[:2] != other[:2] for other in given)]
        folder.grants = kept + given
        return replace(result, lost_grants=tuple(LostGrant(one) for one in wanted.grants if one in refused))

    def annotate(self, wanted: Sequence[tuple[FolderPath, Sequence[Note]]]) -> list[list[LostNote]]:
        return [self._exchange("annotate", partial(self._annotate, path, notes)) for path, notes in wanted]

    def _annotate(self, path: FolderPath, notes: Sequence[Note]) -> list[LostNote]:
        folder = self.mailbox.find(path)
        assert folder is not None
        if not self.mailbox.features.metadata:
            return [LostNote(note) for note in notes]
        held = [folder.notes.setdefault(*note) for note in notes]
        return [LostNote(note, is_taken=True) for note, value in zip(notes, held, strict=True) if value != note.value]

    def _ensure(self, wanted: NewFolder) -> Folder | Trouble:
        if wanted.create:
            self.mailbox.add_folder(wanted.path, special_use=self._free_role(wanted))
        folder = self._try_open(wanted.path, None)
        if isinstance(folder, Trouble):
            return folder
        folder.subscribed = folder.subscribed or wanted.subscribe
        return replace(self._describe(folder), permanent_flags=self.mailbox.permanent_flags_of(folder))

    def _free_role(self, wanted: NewFolder) -> str | None:
        taken = {folder.special_use for folder in self.mailbox}
        return None if wanted.special_use in taken or not self.mailbox.features.special_use else wanted.special_use

    def allowance(self, folder: Folder) -> Allowance:
        return self._exchange("allowance", partial(self._allow, folder.path))

    def _allow(self, path: FolderPath) -> Allowance:
        flags = self.mailbox.permanent_flags_of(self._open(path, None))
        return Allowance(flags, self.mailbox.features.append_limit_bytes)

    def quotas(self) -> list[Quota]:
        return self._exchange("quotas", self._quotas)

    def _quotas(self) -> list[Quota]:
        most = self.mailbox.quota_bytes
        return [] if most is None else [Quota("STORAGE", self.mailbox.size_bytes, most)]

    def append(self, messages: Iterable[Message], *, bundle_messages: int | None = None) -> Iterator[Receipt]:
        most = bundle_messages or self._limits.bundle_messages
        feed = iter(messages)
        first = next(feed, None)
        if first is not None:  # without messages nothing is sent
            yield from self._streamed(self._append(chain((first,), feed), most if self.mailbox.multiappend else 1))

    def _append(self, messages: Iterator[Message], most: int) -> Iterator[Receipt]:
        unconfirmed: list[Receipt] = []
        failure: list[Exception] = []
        for bundle in self._bundles(_up_to_failure(messages, failure), most):
            unconfirmed.append(self._call("store", partial(self._store, bundle)))
            while self._is_window_full(unconfirmed):
                yield self._confirm(unconfirmed)
        while unconfirmed:
            yield self._confirm(unconfirmed)
        if failure:
            raise failure[0]

    def _bundles(self, messages: Iterable[Message], most: int) -> Iterator[list[tuple[Message, bytes]]]:
        """Take bodies off the feed; a bundle is one folder's, and ends at its limits."""
        bundle: list[tuple[Message, bytes]] = []
        for message in messages:
            if bundle and bundle[0][0].target != message.target:
                yield bundle
                bundle = []
            bundle.append((message, _take_body(message)))
            if self._is_bundle_full(bundle, most):
                yield bundle
                bundle = []
        if bundle:
            yield bundle

    def _is_bundle_full(self, bundle: list[tuple[Message, bytes]], most: int) -> bool:
        return len(bundle) >= most or sum(len(body) for _, body in bundle) >= self._limits.bundle_bytes

    def _is_window_full(self, unconfirmed: list[Receipt]) -> bool:
        sizes = [message.size_bytes for receipt in unconfirmed for message in receipt.messages]
        return len(sizes) > self._limits.window_messages or sum(sizes) > self._limits.window_bytes

    def _confirm(self, unconfirmed: list[Receipt]) -> Receipt:
        return self._call("receipt", lambda: unconfirmed.pop(0))

    def _store(self, bundle: list[tuple[Message, bytes]]) -> Receipt:
        path = bundle[0][0].target
        assert path is not None, "a message to append names its target"
        messages = [message for message, _ in bundle]
        try:
            folder = self._open(path, None)
            self._check(bundle)
        except MigratorError as error:
            return Receipt(path, messages, None, error)
        uids = [self._keep(folder, message, body) for message, body in bundle]
        told = self.mailbox.features.uidplus
        return Receipt(path, messages, uids if told else None, None, folder.uidvalidity if told else None)

    def _keep(self, folder: MemoryFolder, message: Message, body: bytes) -> int:
        form = canonical_form(body) if self.mailbox.canonicalise else body
        return folder.add(
            form, self.mailbox.kept_flags(folder, message.flags), message.internal_date, message.zone_minutes
        )

    def _check(self, bundle: list[tuple[Message, bytes]]) -> None:
        """Raise the refusal of a server that does not take all of this bundle."""
        limit, quota = self.mailbox.features.append_limit_bytes, self.mailbox.quota_bytes
        for message, body in bundle:
            refusal = self.mailbox.refuse(message, body) if self.mailbox.refuse else None
            if refusal is not None:
                raise refusal
            if not body:
                raise MigratorError("message.empty", side=self.side, reply="Can't save a zero byte message.")
            if limit is not None and len(body) > limit:
                raise MigratorError("message.too_big", side=self.side, reply="[TOOBIG] Message too large.")
        if quota is not None and self.mailbox.size_bytes + sum(len(body) for _, body in bundle) > quota:
            raise MigratorError("target.full", side=self.side, reply="[OVERQUOTA] Quota exceeded")

    def set_flags(self, changes: Mapping[FolderPath, Mapping[int, Flags]]) -> list[Trouble]:
        answers = [
            self._exchange("set_flags", partial(self._set_flags, path, flags)) for path, flags in changes.items()
        ]
        return [answer for answer in answers if answer is not None]

    def _set_flags(self, path: FolderPath, flags_by_uid: Mapping[int, Flags]) -> Trouble | None:
        folder = self._try_open(path, None)
        if isinstance(folder, Trouble):
            return folder
        for uid, flags in flags_by_uid.items():
            folder.set_flags(uid, self.mailbox.kept_flags(folder, flags))
        return None


def _body(folder: MemoryFolder, uid: int) -> bytes | None:
    message = folder.messages.get(uid)
    return message.body if message and message.is_readable else None


def _up_to_failure(messages: Iterator[Message], failure: list[Exception]) -> Iterator[Message]:
    """Pass messages on. When the feed fails between two of them, what was sent before can still be confirmed."""
    try:
        yield from messages
    except (MigratorError, Stopped) as error:
        failure.append(error)


def _take_body(message: Message) -> bytes:
    body = message.whole if message.whole is not None else b"".join(message.stream or ())
    assert len(body) == message.size_bytes, "a body has the length it was announced with"
    message.whole = message.stream = None
    return body
