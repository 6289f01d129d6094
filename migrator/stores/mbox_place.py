"""Put an old mbox into the place where programs of the new machine read it, octet for octet, or look whether it may
stay where it is. Only ever asked for by name; nothing that is there is overwritten, and nothing is removed.

The copy is made whole beside its place, and linked there: nobody ever sees a part of it. A file that is there and empty
keeps its inode, for a delivery agent may be waiting for its lock. One that holds other mail is left alone: old mail
behind new mail would stand in the wrong order, and two programs would disagree on what is whose.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.limits import Clock, SystemClock
from migrator.stores.file_access import exposure, opened, pieces, refusal, shown
from migrator.stores.mbox_index import Contents, Signature, count, read_contents
from migrator.stores.mbox_lock import locked
from migrator.stores.mbox_scan import Window, is_mmdf
from migrator.stores.mbox_syntax import AS_DOVECOT, Zone

LOCK_SECONDS: Final = 30.0
_DRAFT: Final = ".{name}.mailferry-{token}"
_TOKEN: Final = re.compile(r"(?:-[0-9a-f]{8})?")
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Owner(NamedTuple):
    """Whose a file is."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Placed:
    """What is in place now. ``digest`` is that of the octets of the old file, which stand there first."""

    path: Path
    messages: int
    size_bytes: int
    digest: str
    without_fields: int  # messages of which nothing says whether they were read
    is_new: bool  # False: it was there already
    is_exposed: bool  # others may read it
    is_replaceable: bool  # others may put another file in its place: its folder lets everybody write
    without_lengths: int | None = None  # messages when no Content-Length is believed; told where it stays


def look(path: Path, *, zone: Zone = 0, clock: Clock | None = None) -> Placed:
    """Say what a mailbox holds that is going to be used where it is; nothing is changed. Raises ``MigratorError``."""
    with _read_locked(path, clock or SystemClock(), zone) as (descriptor, contents):
        digest = _digest(descriptor, contents.signature.size)
        by_lines = count(descriptor, AS_DOVECOT._replace(has_true_lengths=False))
        return replace(_placed(path, contents, digest, is_new=False), without_lengths=by_lines)


def place(
    source: Path,
    target: Path,
    *,
    owner: Owner | None = None,
    mode: int = 0o600,
    zone: Zone = 0,
    clock: Clock | None = None,
) -> Placed:
    """Copy ``source`` to ``target``; ``owner`` None: that of the source. May be repeated after any end.

    Raises ``MigratorError``: ``place.occupied`` where other mail is, ``file.escapes`` where the place is a link.
    """
    clock = clock or SystemClock()
    with _read_locked(source, clock, zone) as (descriptor, contents):
        size = contents.signature.size
        digest = _digest(descriptor, size)
        found = os.fstat(descriptor)
        try:
            with _folder(target) as folder:
                is_new = _Place(folder, target, descriptor, size, clock).fill(
                    owner or Owner(found.st_uid, found.st_gid), mode
                )
        except OSError as error:
            raise _of_target(error, target) from error
        if Signature.of(os.fstat(descriptor)) != contents.signature:
            raise MigratorError("file.changing", side=Side.SOURCE, reply=shown(source))
        return _placed(target, contents, digest, is_new=is_new)


def _placed(path: Path, contents: Contents, digest: str, *, is_new: bool) -> Placed:
    return Placed(
        path,
        len(contents),
        contents.signature.size,
        digest,
        contents.without_fields,
        is_new,
        is_exposed=exposure(path) is not None,
        is_replaceable=exposure(path.parent) is True,
    )


def set_aside(path: Path, signature: Signature, *, clock: Clock | None = None) -> Path:
    """Move what a mail file holds to a file beside it, whose name is returned, and leave the file empty.

    ``signature`` is of the file as it was read: one that changed since is left as it is (``file.changing``). The file
    itself stays, for a delivery agent may have it open. Raises ``MigratorError``.
    """
    with opened(path, Path(os.path.realpath(path.parent))) as reader, _folder(path) as folder:
        if Signature.of(os.fstat(reader)) != signature or os.path.islink(path):  # noqa: PTH114
            raise MigratorError("file.changing", side=Side.SOURCE, reply=shown(path))
        try:
            there = os.open(path.name, _THERE, dir_fd=folder)
        except OSError as error:
            raise refusal(error, path) from error
        try:
            with locked(path, there, seconds=LOCK_SECONDS, clock=clock or SystemClock(), to_write=True):
                found = os.fstat(there)
                if Signature.of(found) != signature:
                    raise MigratorError("file.changing", side=Side.SOURCE, reply=shown(path))
                name = _keep(there, folder, path.name, found)
                os.ftruncate(there, 0)
                os.fsync(there)
        except OSError as error:
            raise refusal(error, path) from error
        finally:
            os.close(there)
    return path.with_name(name)


def _keep(there: int, folder: int, name: str, found: os.stat_result) -> str:
    """Write what ``there`` holds to a new file beside it, on the disk, and return its name."""
    number = 1
    while True:
        kept = f"{name}.imported" if number == 1 else f"{name}.imported-{number}"
        try:
            made = os.open(kept, _NEW, 0o600, dir_fd=folder)
            break
        except FileExistsError:
            number += 1
    try:
        for piece in pieces(there, 0, found.st_size):
            written = 0
            while written < len(piece):
                written += os.write(made, piece[written:])
        _give(made, Owner(found.st_uid, found.st_gid), 0o600)
        os.fsync(made)
        os.fsync(folder)
    finally:
        os.close(made)
    return kept


@contextmanager
def _read_locked(path: Path, clock: Clock, zone: Zone) -> Iterator[tuple[int, Contents]]:
    """Hold the locks of a mailbox and yield it with its index."""
    real = Path(os.path.realpath(path))
    root = Path(os.path.realpath(path.parent))
    with opened(path, root) as descriptor, locked(real, descriptor, seconds=LOCK_SECONDS, clock=clock) as lock:
        if is_mmdf(Window(descriptor, os.fstat(descriptor).st_size)):
            raise MigratorError("file.not_mail", side=Side.SOURCE, reply=f"a file of MMDF, no mbox: {shown(path)}")
        yield descriptor, read_contents(descriptor, AS_DOVECOT._replace(zone=zone), lock)


def _digest(descriptor: int, size: int) -> str:
    hashed = hashlib.sha256()
    for piece in pieces(descriptor, 0, size):
        hashed.update(piece)
    return hashed.hexdigest()


@contextmanager
def _folder(target: Path) -> Iterator[int]:
    """Yield a descriptor of the folder of ``target``: whatever its name leads to later, it is this one."""
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield folder
    finally:
        os.close(folder)


class _Place:
    """The place of one mailbox, and the open file that is to stand there."""

    def __init__(self, folder: int, target: Path, source: int, size: int, clock: Clock) -> None:
        self._folder, self._target, self._source, self._size, self._clock = folder, target, source, size, clock

    def fill(self, owner: Owner, mode: int) -> bool:
        """Put the file there; False when it was there already."""
        self._clear_drafts()
        while True:
            try:
                there = os.open(self._target.name, _THERE, dir_fd=self._folder)
            except FileNotFoundError:
                if self._link_new(owner, mode):
                    return True
                continue  # somebody made it meanwhile
            try:
                return self._complete(there, owner, mode)
            finally:
                os.close(there)

    def _clear_drafts(self) -> None:
        """Remove drafts of runs that died: one that had been linked already gave its file a second name."""
        begin = _DRAFT.format(name=self._target.name, token="").removesuffix("-")
        for name in os.listdir(self._folder):  # noqa: PTH208 - of the open folder
            if name.startswith(begin) and _TOKEN.fullmatch(name, len(begin)) and not self._is_in_use(name):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=self._folder)

    def _is_in_use(self, draft: str) -> bool:
        """True for the draft of a run that lives, which holds its lock."""
        try:
            descriptor = os.open(draft, _THERE, dir_fd=self._folder)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks; a run that lives makes its draft anew
            return False
        finally:
            os.close(descriptor)
        return False

    def _link_new(self, owner: Owner, mode: int) -> bool:
        """Make the file whole under a name that no other run has, and link it to its place; False to look again."""
        draft = _DRAFT.format(name=self._target.name, token=secrets.token_hex(4))
        made = os.open(draft, _NEW, 0o600, dir_fd=self._folder)
        try:
            with suppress(OSError):
                fcntl.flock(made, fcntl.LOCK_EX)
            self._write(made, 0)
            _give(made, owner, mode)
            os.fsync(made)
            os.link(draft, self._target.name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
            os.fsync(self._folder)
        except (FileExistsError, FileNotFoundError):  # another run was faster, or took the draft for a dead one's
            return False
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=self._folder)
            os.close(made)
        return True

    def _complete(self, there: int, owner: Owner, mode: int) -> bool:
        """Fill an empty file in its place, or one that a dead run began; leave one that holds all of it."""
        self._require_plain(there, owner)
        with locked(self._target, there, seconds=LOCK_SECONDS, clock=self._clock, to_write=True):
            held = os.fstat(there).st_size
            if not self._begins_alike(there, min(held, self._size)):
                raise MigratorError("place.occupied", reply=shown(self._target))
            if held >= self._size:
                return False
            self._write(there, held)
            _give(there, owner, mode)
            os.fsync(there)
            return True

    def _require_plain(self, there: int, owner: Owner) -> None:
        """Refuse what somebody else laid in the way: no plain file, another's, or one with a second name."""
        found = os.fstat(there)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise MigratorError("file.escapes", reply=f"no file of its own: {shown(self._target)}")
        if found.st_uid not in (owner.uid, os.geteuid()):
            raise MigratorError("place.of_another", reply=f"{shown(self._target)} belongs to {found.st_uid}")

    def _begins_alike(self, there: int, octets: int) -> bool:
        both = zip(pieces(there, 0, octets), pieces(self._source, 0, octets), strict=True)
        return all(one == other for one, other in both)

    def _write(self, there: int, begun: int) -> None:
        at = begun
        for piece in pieces(self._source, begun, self._size):
            while piece:
                written = os.pwrite(there, piece, at)
                at += written
                piece = piece[written:]


def _give(descriptor: int, owner: Owner, mode: int) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != owner:
        os.fchown(descriptor, *owner)
    os.fchmod(descriptor, mode)


def _of_target(error: OSError, target: Path) -> MigratorError:
    found = refusal(error, target)
    found.side = Side.TARGET
    return found
