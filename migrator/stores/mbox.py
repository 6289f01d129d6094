"""Mail in mbox files of this machine: one file, a user's ``/var/mail/USER``, or a tree of files. Nothing is changed.

A file is locked while it is listed, and not while it is read: a slow target must not keep mail from being delivered.
Each message is checked by its hash when it is read. When another program changed the file meanwhile, it is listed anew
and the reading goes on; the numbers of the messages stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

from migrator.errors import MigratorError, Side
from migrator.events import FieldsMissing
from migrator.limits import Clock, Limits, SystemClock
from migrator.mail import NO_FLAGS, Folder, FolderPath, Message
from migrator.packed import Column
from migrator.stores import maildir_names, mbox_place
from migrator.stores.base import Features, ReadRequest
from migrator.stores.file_access import of_one_folder, opened, pieces, pieces_with_crlf, refusal
from migrator.stores.file_numbering import number_in_order, uids_in_order
from migrator.stores.file_source import FileSource
from migrator.stores.mbox_index import (
    Contents,
    MboxIndex,
    Signature,
    body_of,
    new_hash,
    parts_of,
    read_as_mail,
    read_contents,
    without_quotes,
)
from migrator.stores.mbox_lock import locked
from migrator.stores.mbox_syntax import Variant, Zone

INBOX: Final = b"INBOX"
READINGS: Final = 5  # of a file that a program changes without locking it
LOCK_SECONDS: Final = 30.0
_NO_MAIL: Final = (".lock", ".msf", ".db", ".uidl", ".index", ".cache", ".log", ".dat")


class MboxSource(FileSource[MboxIndex]):
    """``MboxSource(path, limits)``: one file is INBOX; in a folder, each file is one, and ``INBOX`` is INBOX.

    ``inbox`` names another file as INBOX. ``zone`` is that of separators that name none. A file that
    ``may_be_missing`` holds no mail: so it is with users who have never got any. ``has_marks`` False: no mail program
    ever wrote to it, so that lines of Status in it are their senders' words, and no marks, and so is all that looks
    like the state of the file. ``reads_marks`` False: its marks count for nothing. ``has_true_lengths`` and
    ``is_quoted``: see ``Variant``. ``names`` is the charset of file names that are no names of IMAP and no UTF-8.

    What a file is read as changes no number: a message is known by what stands in the file.
    """

    product: ClassVar[str] = "mbox"
    separator: ClassVar[str] = "/"

    def __init__(
        self,
        path: Path,
        limits: Limits | None = None,
        *,
        inbox: Path | None = None,
        zone: Zone = 0,
        may_be_missing: bool = False,
        has_marks: bool = True,
        reads_marks: bool = True,
        has_true_lengths: bool = True,
        is_quoted: bool = False,
        names: str = "",
        lock_seconds: float = LOCK_SECONDS,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(path, limits)
        self._inbox = inbox
        self._variant = Variant(zone, has_true_lengths, is_quoted)
        self._names = names
        self._may_be_missing = may_be_missing
        self._has_marks = has_marks
        self._reads_marks = reads_marks and has_marks
        self._lock_seconds = lock_seconds
        self._clock = clock or SystemClock()

    def folders(self) -> list[Folder]:
        """List every mbox. A file that is none, or leads out of the tree, is told and left out."""
        subscribed = self._subscriptions()
        found = []
        self._places = self._tree()
        for raw, file in self._places.items():
            path = FolderPath(raw, self.separator)
            try:
                index = self._index(path)
            except MigratorError as error:
                if raw == INBOX or not error.code.startswith("file.") or error.code == "file.changing":
                    raise
                self._tell_skipped(file, of_one_folder(error))
                continue
            is_subscribed = raw == INBOX or subscribed is None or raw in subscribed
            found.append(self._describe(path, index, subscribed=is_subscribed))
            self._tell_missing_fields(path, index)
        return found

    @property
    def features(self) -> Features:
        return replace(super().features, sets_aside=not self.path.is_dir(), has_flags=self._reads_marks)

    def set_aside(self) -> Path:
        """See ``SettingAsideSource``."""
        index = self._indexes.get(INBOX)
        # What came after the last listing has been shown to nobody.
        if index is None or index.uidnext > self._listed_to.get(INBOX, 0):
            raise MigratorError("file.changing", side=Side.SOURCE, reply=str(self.path))
        self._indexes.clear()
        return mbox_place.set_aside(self.path, index.contents.signature, clock=self._clock)

    def _tell_missing_fields(self, path: FolderPath, index: MboxIndex) -> None:
        messages = index.contents.without_fields
        if messages and self._reads_marks and self._is_news(f"fields {path.raw!r}"):
            self._news.append(FieldsMissing(folder=path.display, messages=messages))

    def _root(self) -> Path:
        return Path(os.path.realpath(self.path if self.path.is_dir() else self.path.parent))

    def _root_of(self, raw: bytes) -> Path:
        if raw == INBOX and self._inbox is not None:
            return Path(os.path.realpath(self._inbox.parent))
        return self._root()

    def _tree(self) -> dict[bytes, Path]:
        """Return the files that may be mail, by the name of their folder."""
        if not self.path.is_dir():
            if not os.path.lexists(self.path) and self._may_be_missing and self.path.parent.is_dir():
                return {INBOX: self.path}
            if not os.path.lexists(self.path):
                raise MigratorError("file.missing", side=Side.SOURCE, reply=str(self.path))
            self._tell_exposure(self.path)
            return {INBOX: self.path}
        self._tell_exposure(self.path)
        found: dict[bytes, Path] = {}
        if self._inbox is not None:
            found[INBOX] = self._inbox
        for file in self._files():
            raw = self._raw(os.fsencode(file.relative_to(self.path)))
            if raw in found:  # that is the name of another file; both are mail
                raw = os.fsencode(file.relative_to(self.path))
            if raw.upper() == INBOX:
                raw = b"INBOX/" + raw if INBOX in found else INBOX
            found[raw] = file
        return found

    def _raw(self, name: bytes) -> bytes:
        """Return the name of the folder that a file with ``name`` is, as IMAP writes it where we know its charset."""
        if not self._names or _in_utf8(name) is not None:
            return name
        try:
            levels = [_in_utf8(level) or level.decode(self._names) for level in name.split(b"/")]
        except UnicodeError:
            return name
        return FolderPath.of(("/".join(levels),), self.separator).raw

    def _files(self) -> Iterator[Path]:
        def fail(error: OSError) -> None:
            raise refusal(error, self.path)

        for folder, levels, files in os.walk(self.path, onerror=fail):
            levels[:] = sorted(level for level in levels if not level.startswith("."))
            for name in sorted(files):
                if not name.startswith(".") and not name.endswith(_NO_MAIL):
                    yield Path(folder, name)

    def _subscriptions(self) -> frozenset[bytes] | None:
        """Return the folders subscribed to; None where nobody keeps a list: then all are."""
        for name in (".subscriptions", ".mailboxlist"):
            try:
                with opened(self.path / name, self._root()) as descriptor:
                    written = b"".join(pieces(descriptor, 0, os.fstat(descriptor).st_size))
                return frozenset(map(self._raw, maildir_names.subscriptions(written, separator=b"/")))
            except MigratorError:
                continue
        return None

    def _make_index(self, path: FolderPath) -> MboxIndex:
        file = self._place(path)
        if self._may_be_missing and not os.path.lexists(file):
            return self._numbered(path, Contents(Signature(0, 0, 0, 0)), file)
        for reading in range(READINGS):
            try:
                return self._list(path, file)
            except MigratorError as error:
                if error.code != "file.changing" or reading == READINGS - 1:
                    raise
            self._clock.wait(0.05)
        raise AssertionError("unreachable")

    def _list(self, path: FolderPath, file: Path) -> MboxIndex:
        real = Path(os.path.realpath(file))
        with (
            opened(file, self._root_of(path.raw)) as descriptor,
            locked(real, descriptor, seconds=self._lock_seconds, clock=self._clock) as lock,
        ):
            if real.stat().st_ino != os.fstat(descriptor).st_ino:
                raise MigratorError("file.changing", side=Side.SOURCE, reply="it was replaced")
            read = read_contents if self._has_marks else read_as_mail
            contents = read(descriptor, self._variant, lock)
        if not self._reads_marks:
            contents.flag_sets = [NO_FLAGS] * len(contents.flag_sets)
        return self._numbered(path, contents, real)

    def _numbered(self, path: FolderPath, contents: Contents, real: Path) -> MboxIndex:
        numbering = number_in_order(
            contents.keys,
            contents.server_numbers,
            self._numberings.get(path.raw),
            is_lasting=self._numberings.are_lasting,
        )
        self._numberings.put(path.raw, numbering)
        contents.server_uids = Column()
        uids = uids_in_order(contents.keys, numbering)
        return MboxIndex(contents, numbering.uidvalidity, numbering.uidnext, uids, real)

    def _read_folder(self, request: ReadRequest, index: MboxIndex) -> Iterator[Message]:
        """Read; when the file is found changed, list it anew and go on with what is still there."""
        done = readings = 0
        while done < len(request.uids):
            try:
                with opened(index.path, self._root_of(request.path.raw)) as descriptor:
                    while done < len(request.uids):
                        yield from self._message(request.path, request.uids[done], index, descriptor)
                        done += 1
                        readings = 0
            except MigratorError as error:
                if error.code not in ("file.changing", "file.missing") or (readings := readings + 1) > READINGS:
                    raise
                index = self._indexes[request.path.raw] = self._make_index(request.path)
                if request.uidvalidity is not None and index.uidvalidity != request.uidvalidity:
                    raise MigratorError("folder.changed", side=Side.SOURCE, reply="the file was rewritten") from error

    def _message(self, path: FolderPath, uid: int, index: MboxIndex, descriptor: int) -> Iterator[Message]:
        at = index.position(uid)
        if at is None:
            return
        contents = index.contents
        start, size = contents.starts[at], contents.size_bytes(at)
        end = start + contents.lengths[at]
        if size > self._limits.whole_bytes:
            yield Message(path, uid, size, stream=_checked(descriptor, start, end, contents.keys[at], self._variant))
            return
        body = body_of(b"".join(pieces(descriptor, start, end)))
        if body.key != contents.keys[at]:
            raise MigratorError("file.changing", side=Side.SOURCE, reply="a message is no longer where it was")
        literal = body.without_quotes(self._variant).literal
        yield Message(path, uid, len(literal), literal)


def _in_utf8(name: bytes) -> str | None:
    """Return a name that is in UTF-8, or ASCII, None for another; by chance hardly any in another is."""
    try:
        return name.decode("utf-8")
    except UnicodeError:
        return None


def _checked(descriptor: int, start: int, end: int, key: bytes, variant: Variant) -> Iterator[bytes]:
    """Yield a message, its last piece only when all of it is what was listed: else the target never gets it whole."""
    hashed = new_hash()

    def parts() -> Iterator[bytes]:
        for part in parts_of(descriptor, start, end):
            hashed.update(part)
            yield part

    held = b""
    for piece in pieces_with_crlf(without_quotes(parts(), variant)):
        if held:
            yield held
        held = piece
    if hashed.digest() != key:
        raise MigratorError("file.changing", side=Side.SOURCE, reply="a message is no longer where it was")
    yield held
