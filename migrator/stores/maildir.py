"""A Maildir or Maildir++ of this machine that mail is read from. Nothing in it is changed, and its owner may work on.

``tmp/`` is never looked into, sizes in names (``S=``) are not believed, the internal date is the file's time. Numbers
are those of ``dovecot-uidlist`` or ``courierimapuiddb`` where these name every message, else our own.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from migrator.errors import MigratorError, Side
from migrator.mail import Folder, FolderPath, Message, MessageMeta
from migrator.stores import maildir_names as names
from migrator.stores.base import ReadRequest
from migrator.stores.file_access import inside, of_one_folder, opened, pieces, pieces_with_crlf, refusal, with_crlf
from migrator.stores.file_numbering import Keys, Numbering, ServerNumbers, begin, key_of, with_room
from migrator.stores.file_source import FileSource

INBOX: Final = b"INBOX"
READINGS: Final = 10  # of a folder that changes while it is listed
Signature = tuple[int, int]
_OF_ONE_FILE: Final = ("file.escapes", "file.not_mail", "file.no_permission", "file.unreadable")
_COMPRESSED: Final = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
_UNLISTED: Final = 1 << 63


@dataclass(slots=True, eq=False)
class MaildirIndex:
    """The files of one folder, ascending by UID. Names are packed into one string."""

    folder: Path
    uidvalidity: int
    uidnext: int
    keywords: Mapping[str, str]
    signature: Signature
    uids: array[int] = field(default_factory=lambda: array("Q"))
    names: bytearray = field(default_factory=bytearray)  # new/NAME or cur/NAME
    ends: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, uid: int, name: bytes) -> None:
        """Add one file."""
        self.uids.append(uid)
        self.names += name
        self.ends.append(len(self.names))

    def name(self, at: int) -> bytes:
        """Return the name of a file, its folder in front."""
        return bytes(self.names[self.ends[at - 1] if at else 0 : self.ends[at]])

    def file(self, name: bytes) -> Path:
        """Return the path of a file."""
        return self.folder / os.fsdecode(name)

    def is_current(self) -> bool:
        return _signature(self.folder) == self.signature

    def metas(self, path: FolderPath, after_uid: int) -> Iterator[MessageMeta]:
        for at in range(bisect_right(self.uids, after_uid), len(self.uids)):
            name = self.name(at)
            # One that was renamed or removed since is found, or missed, when it is read.
            found: os.stat_result | None = None
            with suppress(OSError):
                found = self.file(name).stat()
            size, date = (found.st_size, int(found.st_mtime)) if found else (1, None)
            flags = names.flags_of(names.letters_of(name), self.keywords)
            yield MessageMeta(path, self.uids[at], size, date, 0, flags)


class MaildirSource(FileSource[MaildirIndex]):
    """``MaildirSource(path, limits)``: ``path`` is the folder that holds ``cur``, ``new`` and the other folders."""

    product: ClassVar[str] = "Maildir"
    separator: ClassVar[str] = "."

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
        signature, files = _files(inside(folder, self._root()))
        numbering = self._number(path, folder, files)
        keywords = names.keywords(self._small_file(folder / "dovecot-keywords") or b"")
        index = MaildirIndex(folder, numbering.uidvalidity, numbering.uidnext, keywords, signature)
        by_key = {key_of(base): base for base in files}
        for at, uid in enumerate(numbering.uids):
            base = by_key.get(numbering.keys[at])
            if base is not None:
                index.add(uid, files[base])
        return index

    def _number(self, path: FolderPath, folder: Path, files: Mapping[bytes, bytes]) -> Numbering:
        listed = self._uid_list(folder)
        numbering = self._numberings.get(path.raw)
        if numbering is None:
            numbering = _begin(files, listed)
        else:
            numbering = _extend(numbering, files, listed, is_lasting=self._numberings.are_lasting)
        self._numberings.put(path.raw, numbering)
        return numbering

    def _uid_list(self, folder: Path) -> names.UidList | None:
        for name in ("dovecot-uidlist", "courierimapuiddb"):
            written = self._small_file(folder / name)
            if written is not None and (found := names.uid_list(written)):
                return found
        return None

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
        at = bisect_left(index.uids, uid)
        if at < len(index.uids) and index.uids[at] == uid:
            yield from self._read_file(path, uid, index.file(index.name(at)))

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


def _files(folder: Path) -> tuple[Signature, dict[bytes, bytes]]:
    """Return the files of a folder, base name to name with ``new/`` or ``cur/`` in front.

    A file that is renamed while a folder is listed may be missed, or come twice: it is listed until nothing changed.
    """
    found: dict[bytes, bytes] = {}
    for _ in range(READINGS):
        before = _signature(folder)
        found = _list(folder)
        if _signature(folder) == before:
            return before, found
    return (0, 0), found  # of a folder that never rests; what is missed now is there the next time


def _list(folder: Path) -> dict[bytes, bytes]:
    found = {}
    for part in (b"new", b"cur"):  # mail moves from new to cur
        with suppress(FileNotFoundError), os.scandir(os.fsencode(folder) + b"/" + part) as entries:
            for entry in entries:
                if not entry.name.startswith(b"."):
                    found[names.base_of(entry.name)] = part + b"/" + entry.name
    return found


def _begin(files: Mapping[bytes, bytes], listed: names.UidList | None) -> Numbering:
    """Number a folder for the first time: as the server did where it knows every file."""
    order = listed.uids if listed else {}
    bases = sorted(_by_arrival(files), key=lambda base: order.get(base, _UNLISTED))
    uids = [order.get(base, 0) for base in bases]
    server = ServerNumbers(listed.uidvalidity, listed.uidnext, uids) if listed else None
    return begin(Keys.of(map(key_of, bases)), server)


def _extend(
    numbering: Numbering, files: Mapping[bytes, bytes], listed: names.UidList | None, *, is_lasting: bool
) -> Numbering:
    """Number what is new; all else keeps its number, whatever the server does with its own."""
    known = set(numbering.keys)
    added = [base for base in files if key_of(base) not in known]
    if not added:
        return numbering
    extended = with_room(numbering, is_lasting=is_lasting)
    order = listed.uids if listed else {}
    for base in sorted(_by_arrival(added), key=lambda base: order.get(base, _UNLISTED)):
        extended.add(key_of(base), extended.uidnext)
    return extended


def _by_arrival(bases: Mapping[bytes, bytes] | Sequence[bytes]) -> list[bytes]:
    return sorted(bases, key=names.arrival)
