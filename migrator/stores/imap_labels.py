"""Gmail's labels: one message lies in many folders, and the server tells which places are one message (X-GM-EXT-1).

A label is spelled as a folder's name is. The labels of the system begin with a backslash: ``\\Inbox``, ``\\Starred``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from migrator.errors import MigratorError
from migrator.mail import DELETED, FolderPath
from migrator.stores import imap_parse
from migrator.stores.base import Identity, ScanRequest, Trouble
from migrator.stores.imap_parse import Opened, Value
from migrator.stores.imap_session import ImapSession, Reply
from migrator.stores.imap_walk import Job, Walk, part_writable, trouble

LABELS: Final = "X-GM-EXT-1"
_AHEAD: Final = 64
_PLAIN: Final = re.compile(
    rb"\* \d{1,10} FETCH \((?:(?:X-GM-MSGID (\d{1,20})|UID (\d{1,10})|FLAGS \(([^()\r\n]*)\)|X-GM-LABELS \(\)|"
    rb"MODSEQ \(\d+\))[ )])+\Z"
)
_NO_ATOM: Final = re.compile(rb"[\x00-\x20\x7f-\xff(){%*\"\\\]]")  # what no keyword may hold (RFC 3501 §9, atom)


def read(session: ImapSession, requests: Sequence[ScanRequest]) -> Iterator[Identity | Trouble]:
    """Yield what each message is, folder by folder as ``LabellingSource.identities`` promises. Reads only."""
    writable, troubles = part_writable(session, requests)
    yield from troubles
    for job, tag, opened in Walk(session, (_job(session, request) for request in writable), _AHEAD):
        yield from _folder(session, job, tag, opened)


def _job(session: ImapSession, request: ScanRequest) -> Job[ScanRequest]:
    examine = session.examine(request.path, must_last=True)
    return Job(request, examine, b"UID FETCH 1:* (UID FLAGS X-GM-MSGID X-GM-LABELS)\r\n")


def _folder(
    session: ImapSession, job: Job[ScanRequest], tag: bytes, opened: Opened | MigratorError
) -> Iterator[Identity | Trouble]:
    is_open = isinstance(opened, Opened)
    while (response := session.wire.gather()).startswith((b"* ", b"+")) or not response:
        identity = _identity(job.path, response) if is_open else None
        if identity is not None:
            yield identity
    reply = Reply(*session.tagged(response, tag), [])
    if isinstance(opened, MigratorError):
        yield trouble(job.path, opened)
    elif not reply.is_ok and opened.messages:
        yield trouble(job.path, session.refusal(reply, "FETCH"))


def _identity(path: FolderPath, response: bytes) -> Identity | None:
    """Understand one response; None for what is none, or not whole."""
    if plain := _PLAIN.match(response):  # most lie in one folder only
        identity, uid, words = plain.groups()
        under: tuple[bytes, ...] = ()
    else:
        items = imap_parse.fetched(response) or {}
        identity, uid, words = _octets(items, b"X-GM-MSGID"), _octets(items, b"UID"), _words(items.get(b"FLAGS"))
        under = labels(items.get(b"X-GM-LABELS"))
    if words is None or not (identity and identity.isdigit() and uid and uid.isdigit()):
        return None
    if not (0 < int(identity) < 2**64 and 0 < int(uid) < 2**63):
        return None
    return Identity(path, int(uid), int(identity), DELETED in imap_parse.flags(words), under)


def _octets(items: Mapping[bytes, Value], name: bytes) -> bytes | None:
    value = items.get(name)
    return value if isinstance(value, bytes) and len(value) <= 20 else None


def _words(value: Value) -> bytes | None:
    return b" ".join(word for word in value if isinstance(word, bytes)) if isinstance(value, list) else None


def labels(value: Value | None) -> tuple[bytes, ...]:
    """Return the labels that an item spells."""
    return tuple(word for word in value if isinstance(word, bytes) and word) if isinstance(value, list) else ()


def is_of_system(label: bytes) -> bool:
    """True for a label that Gmail sets by itself, or that another flag or folder says as well."""
    return label.startswith(b"\\")


def keyword_of(label: bytes) -> str | None:
    """Return the keyword that stands for a label: what no keyword may hold becomes ``_``. None: no keyword is needed.

    Stars are the flag \\Flagged already, and what is in the inbox, sent or a draft is told by its folder.
    """
    if is_of_system(label):
        return "$Important" if label.lower() == b"\\important" else None  # RFC 8457
    return _NO_ATOM.sub(b"_", label).decode("ascii")
