"""Other ways to one message that a server lists and does not hand out: as RFC 822, in two halves, in slices.

Exchange completes a FETCH without data, others answer NIL or nothing at all, and give the same message to another
question. What comes so is believed only when it is whole: no shorter than the server says the message is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Final

from migrator.errors import MigratorError
from migrator.mail import Message
from migrator.stores.base import ReadRequest
from migrator.stores.imap_bodies import is_substitute
from migrator.stores.imap_parse import Value, fetched, number
from migrator.stores.imap_seen import seen, unsee
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_walk import open_folder

SLICE_OCTETS: Final = 64 * 1024
HELD_OCTETS: Final = 4 * 1024 * 1024  # what may come in one answer; a bigger message comes in slices only
MOST_OCTETS: Final = 2**40

Items = dict[bytes, Value]


def read_otherwise(session: ImapSession, request: ReadRequest) -> Iterator[Message]:
    """Yield those messages of ``request`` that one of the other ways brings whole. Leaves the messages as they are."""
    session.wire.is_private = True
    try:
        yield from _read(session, request)
    finally:
        session.wire.is_private = False


def _read(session: ImapSession, request: ReadRequest) -> Iterator[Message]:
    if isinstance(open_folder(session, request), MigratorError):
        return
    for uid in request.uids:
        size = number(_ask(session, uid, b"RFC822.SIZE").get(b"RFC822.SIZE"))
        if not size:
            continue  # nobody could say whether what comes is all of it
        body = _at_once(session, request, uid, size) if size <= HELD_OCTETS else None
        if body is not None:
            yield Message(request.path, uid, len(body), body)
            continue
        with tempfile.TemporaryFile() as kept:
            length = _in_slices(session, uid, size, kept)
            if length:
                yield Message(request.path, uid, length, stream=iter(partial(kept.read, SLICE_OCTETS), b""))


def _at_once(session: ImapSession, request: ReadRequest, uid: int, size: int) -> bytes | None:
    unseen = not seen(session, uid)
    body = _octets(_ask(session, uid, b"RFC822").get(b"RFC822"))
    if unseen and seen(session, uid):
        unsee(session, request.path, uid)
        open_folder(session, request)
    if _is_whole(session, body, size):
        return body
    halves = _ask(session, uid, b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]")
    header, text = _octets(halves.get(b"BODY[HEADER]")), _octets(halves.get(b"BODY[TEXT]"))
    both = header + text if header else b""
    return both if _is_whole(session, both, size) else None


def _in_slices(session: ImapSession, uid: int, size: int, kept: IO[bytes]) -> int:
    """Fill ``kept`` slice by slice; return its length, 0 when not all of the message came."""
    length = 0
    while length < MOST_OCTETS:
        items = _ask(session, uid, b"BODY.PEEK[]<%d.%d>" % (length, SLICE_OCTETS))
        piece = _octets(items.get(b"BODY[]<%d>" % length))
        kept.write(piece)
        length += len(piece)
        if len(piece) != SLICE_OCTETS:  # the last one, or one that is longer than it may be
            break
    kept.seek(0)
    first = kept.read(SLICE_OCTETS)
    kept.seek(0)
    return length if length >= size and _is_whole(session, first, min(size, len(first))) else 0


def _is_whole(session: ImapSession, body: bytes, size: int) -> bool:
    return len(body) >= size and len(body) > 0 and not is_substitute(body, session.profile.substitutes)


def _ask(session: ImapSession, uid: int, items: bytes) -> Items:
    """Return what the server says of one message, nothing when it refuses."""
    reply = session.ask((b"UID FETCH %d (UID %s)\r\n" % (uid, items),))
    if not reply.is_ok:
        return {}
    found = [fetched(response) or {} for response in reply.untagged]
    return next((items for items in found if number(items.get(b"UID")) == uid and len(items) > 1), {})


def _octets(value: Value) -> bytes:
    return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else b""
