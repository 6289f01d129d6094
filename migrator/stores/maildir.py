"""A Maildir or Maildir++ of this machine that mail is read from. Nothing in it is changed, and its owner may work on.

``tmp/`` is never looked into, sizes in names (``S=``) are not believed, the internal date is the file's time. Numbers
are those of ``dovecot-uidlist`` or ``courierimapuiddb`` where these name every message, else our own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, Final

from migrator.errors import MigratorError, Side
from migrator.limits import Limits
from migrator.mail import Folder, FolderPath, Message, MessageMeta
from migrator.stores import maildir_names as names
from migrator.stores.base import ReadRequest
from migrator.stores.file_access import (
    inside,
    lines_of,
    of_one_folder,
    opened,
    pieces,
    pieces_with_crlf,
    refusal,
    with_crlf,
)
from migrator.stores.file_numbering import Numbering, begin, with_room
from migrator.stores.file_source import FileSource
from migrator.stores.maildir_files import FoundFiles, NumberedFiles

INBOX: Final = b"INBOX"
READINGS: Final = 10  # of a folder that changes while it is listed
Signature = tuple[int, int]
_OF_ONE_FILE: Final = ("file.escapes", "file.not_mail", "file.no_permission", "file.unreadable")
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")


@dataclass(slots=True, eq=False)
class MaildirIndex:
    """The files of one folder, ascending by UID."""

    folder: Path
    uidvalidity: int
    uidnext: int
    keywords: Mapping[str, str]
    signature: Signature
    files: NumberedFiles

    @property
    def uids(self) -> Sequence[int]:
        return self.files.uids

    def file(self, name: bytes) -> Path:
        """Return the path of a file."""
        return self.folder / os.fsdecode(name)

    def is_current(self) -> bool:
        return _signature(self.folder) == self.signature

    def metas(self, path: FolderPath, after_uid: int) -> Iterator[MessageMeta]:
        for uid, name in self.files.after(after_uid):
            # One that was renamed or removed since is found, or missed, when it is read.
            found: os.stat_result | None = None
            with suppress(OSError):
                found = self.file(name).stat()
            size, date = (found.st_size, int(found.st_mtime)) if found else (1, None)
            flags = names.flags_of(names.letters_of(name), self.keywords)
            yield MessageMeta(path, uid, size, date, 0, flags)


class MaildirSource(FileSource[MaildirIndex]):
    """``MaildirSource(path, limits)``: ``path`` is the folder that holds ``cur``, ``new`` and the other folders."""

    product: ClassVar[str] = "Maildir"
    separator: ClassVar[str] = "."

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        super().__init__(path, limits)
        self._found: FoundFiles | None = None

    def folders(self) -> list[Folder]:
        """List INBOX and every ``.Sub.Folder``. What leads out of the Maildir is told and left out."""
        subscribed = self._subscriptions()
        found = []
        self._places = self._tree()
        for raw, folder in self._places.items():
            path = FolderPath(raw, self.separator)
            try:
                inside(folder, self._root())
                index = self._index(path)
            except MigratorError as error:
                if error.radius is not of_one_folder(error).radius or raw == INBOX:
                    raise
                self._tell_skipped(folder, error)
                continue
            is_subscribed = raw == INBOX or subscribed is None or raw in subscribed
            found.append(self._describe(path, index, subscribed=is_subscribed))
        return found

    def _root(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _tree(self) -> dict[bytes, Path]:
        try:
            entries = sorted(entry.name for entry in os.scandir(self.path) if entry.name.startswith("."))
        except OSError as error:
            raise refusal(error, self.path) from error
        if not (self.path / "cur").is_dir() and not (self.path / "new").is_dir():
            raise MigratorError("file.not_mail", side=Side.SOURCE, reply=f"no cur and no new in {self.path}")
        self._tell_exposure(self.path)
        found = {INBOX: self.path}
        for entry in entries:
            raw = os.fsencode(entry[1:])
            if raw and (self.path / entry / "cur").is_dir():
                found[b"INBOX." + raw if raw.upper() == INBOX else raw] = self.path / entry
        return found

    def _subscriptions(self) -> frozenset[bytes] | None:
        """Return the folders subscribed to; None where nobody keeps a list: then all are."""
        for name, prefix in (("subscriptions", b""), ("courierimapsubscribed", b"INBOX.")):
            written = self._small_file(self.path / name)
            if written is not None:
                return names.subscriptions(written, prefix)
        return None

    def _small_file(self, path: Path) -> bytes | None:
        try:
            with opened(path, self._root()) as descriptor:
                return b"".join(pieces(descriptor, 0, os.fstat(descriptor).st_size))
        except MigratorError:
            return None

    def _make_index(self, path: FolderPath) -> MaildirIndex:
        folder = self._place(path)
        files = self._found = self._found or FoundFiles()
        signature = _find(inside(folder, self._root()), files)
        self._take_uid_list(folder, files)
        numbering = self._number(path, files)
        keywords = names.keywords(self._small_file(folder / "dovecot-keywords") or b"")
        numbered = files.numbered(numbering)
        return MaildirIndex(folder, numbering.uidvalidity, numbering.uidnext, keywords, signature, numbered)

    def _number(self, path: FolderPath, files: FoundFiles) -> Numbering:
        """Number the files; a folder's first numbering is the server's where it knows every file."""
        numbering = self._numberings.get(path.raw)
        if numbering is None:
            numbering = begin(*files.in_order())
        else:
            numbering = _extend(numbering, files, is_lasting=self._numberings.are_lasting)
        self._numberings.put(path.raw, numbering)
        return numbering

    def _take_uid_list(self, folder: Path, files: FoundFiles) -> None:
        for name in ("dovecot-uidlist", "courierimapuiddb"):
            with suppress(MigratorError), opened(folder / name, self._root()) as descriptor:
                lines = lines_of(pieces(descriptor, 0, os.fstat(descriptor).st_size))
                head = names.uid_list_head(next(lines, b""))
                if head is not None:
                    files.take_server(head, names.uid_list_rows(head, lines))
                    return

    def _read_folder(self, request: ReadRequest, index: MaildirIndex) -> Iterator[Message]:
        """Read; a file that may not be read, or leads elsewhere, is left out: it alone is to blame."""
        for uid in request.uids:
            try:
                yield from self._read_message(request.path, uid, index)
            except MigratorError as error:
                if error.code == "file.missing":
                    # Its flags were changed: the file has another name now, and perhaps the next ones, too.
                    index = self._index(request.path, index.uidvalidity)
                    with suppress(MigratorError):  # renamed once more: the caller compares, and asks again
                        yield from self._read_message(request.path, uid, index)
                elif error.code not in _OF_ONE_FILE:
                    raise

    def _read_message(self, path: FolderPath, uid: int, index: MaildirIndex) -> Iterator[Message]:
        name = index.files.name(uid)
        if name is not None:
            yield from self._read_file(path, uid, index.file(name))

    def _read_file(self, path: FolderPath, uid: int, file: Path) -> Iterator[Message]:
        with opened(file, self._root()) as descriptor:
            size = os.fstat(descriptor).st_size
            if os.pread(descriptor, 6, 0).startswith(_COMPRESSED):
                # Servers can store mail so (Dovecot: zlib). Handed on as it is, it would be no mail to anybody.
                raise MigratorError("file.not_mail", side=Side.SOURCE, reply="the message is compressed")
            if size <= self._limits.whole_bytes:
                body = with_crlf(b"".join(pieces(descriptor, 0, size)))
                if len(body) <= self._limits.whole_bytes:
                    yield Message(path, uid, len(body), body)
                    return
            length = sum(map(len, pieces_with_crlf(pieces(descriptor, 0, size))))
            yield Message(path, uid, length, stream=pieces_with_crlf(pieces(descriptor, 0, size)))


def _signature(folder: Path) -> Signature:
    try:
        return (folder / "new").stat().st_mtime_ns, (folder / "cur").stat().st_mtime_ns
    except FileNotFoundError:
        return 0, 0
    except OSError as error:
        raise refusal(error, folder) from error


def _find(folder: Path, found: FoundFiles) -> Signature:
    """Find the files of a folder; return what is another when they are changed.

    A file that is renamed while a folder is listed may be missed, or come twice: it is listed until nothing changed.
    """
    signature = 0, 0  # of a folder that never rests; what is missed now is there the next time
    for _ in range(READINGS):
        before = _signature(folder)
        found.replace(_list(folder))
        if _signature(folder) == before:
            signature = before
            break
    found.settle()
    return signature


def _list(folder: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield base names, and names with ``new/`` or ``cur/`` in front."""
    for part in (b"new", b"cur"):  # mail moves from new to cur
        with suppress(FileNotFoundError), os.scandir(os.fsencode(folder) + b"/" + part) as entries:
            for entry in entries:
                if not entry.name.startswith(b"."):
                    yield names.base_of(entry.name), part + b"/" + entry.name


def _extend(numbering: Numbering, files: FoundFiles, *, is_lasting: bool) -> Numbering:
    """Number what is new; all else keeps its number, whatever the server does with its own."""
    added = files.added_to(numbering)
    first = next(added, None)
    if first is None:
        return numbering
    extended = with_room(numbering, is_lasting=is_lasting)
    for key in chain((first,), added):
        extended.add(key, extended.uidnext)
    return extended
