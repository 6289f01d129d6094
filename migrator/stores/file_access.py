"""Opening files of mail safely: never beyond the root, never what is no plain file; nothing is ever written to them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError, Radius, Side

PIECE_BYTES: Final = 64 * 1024
_CODES: Final = {
    errno.ENOENT: "file.missing",
    errno.ENOTDIR: "file.missing",
    errno.EACCES: "file.no_permission",
    errno.EPERM: "file.no_permission",
    errno.ELOOP: "file.escapes",
    errno.EMFILE: "machine.exhausted",
    errno.ENFILE: "machine.exhausted",
    errno.ENOMEM: "machine.exhausted",
}


def refusal(error: OSError, path: Path) -> MigratorError:
    """Return what the system's refusal to open or read ``path`` means."""
    code = _CODES.get(error.errno or 0, "file.unreadable")
    return MigratorError(code, side=Side.SOURCE, reply=f"{error.strerror or error}: {shown(path)}")


def shown(path: Path | bytes | str) -> str:
    """Return a path for people: on one line, whatever the name holds."""
    text = os.fsdecode(path)
    return text if text.isprintable() else ascii(text)[1:-1]


@contextmanager
def opened(path: Path, root: Path) -> Iterator[int]:
    """Open a plain file below ``root`` (resolved) for reading and yield its descriptor. Raises ``MigratorError``.

    A link may lead to another place below the root. What it names is looked up once, and the last step is no link.
    """
    try:
        descriptor = _open(inside(path, root))
    except OSError as error:
        raise refusal(error, path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise MigratorError("file.not_mail", side=Side.SOURCE, reply=f"not a plain file: {shown(path)}")
        yield descriptor
    finally:
        os.close(descriptor)


def inside(path: Path, root: Path) -> Path:
    """Return the real path of ``path``. Raises ``MigratorError`` (``file.escapes``) when it is not below ``root``."""
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise MigratorError("file.escapes", side=Side.SOURCE, reply=f"{shown(path)} leads to {shown(real)}")
    return real


def _open(real: Path) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        # Shells tell of new mail by comparing the times of access and change.
        return os.open(real, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # only the owner may ask for it
        return os.open(real, flags)


def exposure(path: Path) -> bool | None:
    """Return None when only owner and group may read ``path``, else whether others may also write there."""
    mode = path.stat().st_mode
    if not mode & (stat.S_IROTH | stat.S_IWOTH):
        return None
    return bool(mode & stat.S_IWOTH and not mode & stat.S_ISVTX)


def pieces(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Yield the octets from ``start`` to ``end`` in pieces. Raises ``MigratorError`` when the file ends before."""
    while start < end:
        piece = os.pread(descriptor, min(PIECE_BYTES, end - start), start)
        if not piece:
            raise MigratorError("file.changing", side=Side.SOURCE, reply="the file became shorter")
        start += len(piece)
        yield piece


def lines_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a text that comes in pieces, without their ends."""
    rest = b""
    for part in parts:
        whole, end, rest_of_part = (rest + part).rpartition(b"\n")
        yield from (whole + end).splitlines()
        rest = rest_of_part
    yield from rest.splitlines()


def with_crlf(body: bytes) -> bytes:
    """Return ``body`` with every bare LF as CRLF, as IMAP carries mail. A bare CR stays what it is."""
    if b"\r" not in body:
        return body.replace(b"\n", b"\r\n")
    if bare_ends(body) == 0:
        return body
    return body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def bare_ends(body: bytes) -> int:
    """Return how many octets :func:`with_crlf` adds."""
    return body.count(b"\n") - (body.count(b"\r\n") if b"\r" in body else 0)


def pieces_with_crlf(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Do the same piece by piece."""
    carried = b""
    for part in parts:
        whole = carried + part
        carried = b"\r" if whole.endswith(b"\r") else b""
        if body := whole[: len(whole) - len(carried)]:
            yield with_crlf(body)
    if carried:
        yield carried


def of_one_folder(error: MigratorError) -> MigratorError:
    """Narrow an error about one file to the folder that it is."""
    if error.code.startswith("file.") and error.code != "file.changing":
        error.radius = Radius.FOLDER
    return error
