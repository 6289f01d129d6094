"""Mail of one file is appended to an mbox, once, whatever happens meanwhile: what is about to be done is noted first.

The note says where it begins in the mailbox. Whoever finds one looks there how far it came.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import NamedTuple

from migrator.disk import sync
from migrator.errors import MigratorError
from migrator.stores.file_access import pieces, shown


class _Intent(NamedTuple):
    """What is being put back: so many octets with this SHA-256, behind ``lead``, from ``start`` on."""

    size: int
    digest: str
    start: int
    lead: str


def put_back(held: int, there: int, note: Path) -> None:
    """Append what ``held`` holds to ``there``, both open and locked, and empty it; ``note`` is a file for the intent.

    Raises ``hold.half_put_back`` where an earlier attempt ended in the middle and one of both was changed since. What
    else it raises leaves the mailbox as it was.
    """
    size = os.fstat(held).st_size
    if size:
        intent = _known(note) or _begin(held, size, there, note)
        if (intent.size, intent.digest) != (size, _digest(held, size)):
            raise MigratorError("hold.half_put_back", reply=shown(note))
        _append(held, there, intent, note)
        os.ftruncate(held, 0)
        os.fsync(held)
    note.unlink(missing_ok=True)


def _append(held: int, there: int, intent: _Intent, note: Path) -> None:
    """Write what is not there yet. What cannot be written whole is taken out again: the next delivery comes behind."""
    lead = intent.lead.encode()
    whole = len(lead) + intent.size
    done = min(os.fstat(there).st_size - intent.start, whole)
    same = _same(held, there, intent, done) if done >= 0 else 0
    if same != done:
        place = f"; from octet {intent.start} of the mailbox on {same} of {whole} are there, and then other mail"
        raise MigratorError("hold.half_put_back", reply=shown(note) + (place if same else ""))
    try:
        _complete(held, there, intent, done)
    except BaseException:
        if done < whole:  # else others may have written behind it
            os.ftruncate(there, intent.start)
            os.fsync(there)
            note.unlink()
            sync(note.parent)
        raise


def _same(held: int, there: int, intent: _Intent, octets: int) -> int:
    """Return how many of the first ``octets`` from ``start`` on are those that were to be written there."""
    lead = intent.lead.encode()[:octets]
    same = _alike(os.pread(there, len(lead), intent.start), lead)
    if same < len(lead):
        return same
    at = intent.start + same
    for one, other in zip(pieces(there, at, intent.start + octets), pieces(held, 0, octets - same), strict=True):
        alike = _alike(one, other)
        same += alike
        if alike < len(other):
            break
    return same


def _alike(one: bytes, other: bytes) -> int:
    """Return how many octets both begin with."""
    if one == other:
        return len(one)
    return next((at for at, (first, second) in enumerate(zip(one, other, strict=False)) if first != second), len(one))


def _complete(held: int, there: int, intent: _Intent, done: int) -> None:
    lead = intent.lead.encode()
    _write(there, lead[done:], intent.start + min(done, len(lead)))
    of_mail = max(done - len(lead), 0)
    at = intent.start + len(lead) + of_mail
    for piece in pieces(held, of_mail, intent.size):
        _write(there, piece, at)
        at += len(piece)
    os.fsync(there)


def _write(there: int, octets: bytes, at: int) -> None:
    rest = memoryview(octets)
    while rest:
        written = os.pwrite(there, rest, at)
        at, rest = at + written, rest[written:]


def _begin(held: int, size: int, there: int, note: Path) -> _Intent:
    start = os.fstat(there).st_size
    end = os.pread(there, 2, max(start - 2, 0))
    lead = "" if not start or end == b"\n\n" else "\n" if end.endswith(b"\n") else "\n\n"
    intent = _Intent(size, _digest(held, size), start, lead)
    draft = note.with_name(f"{note.name}-new")
    with draft.open("w") as file:
        file.write(json.dumps(intent._asdict()))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(note)
    sync(note.parent)
    return intent


def _known(note: Path) -> _Intent | None:
    try:
        return _Intent(**json.loads(note.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise MigratorError("hold.half_put_back", reply=shown(note)) from None


def _digest(descriptor: int, size: int) -> str:
    hashed = hashlib.sha256()
    for piece in pieces(descriptor, 0, size):
        hashed.update(piece)
    return hashed.hexdigest()
