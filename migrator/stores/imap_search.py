"""An operator's own SEARCH: which messages of each folder are wanted. Nothing of any mail is ever searched for."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.errors import MigratorError
from migrator.stores.base import Found, ScanRequest, Trouble
from migrator.stores.imap_session import ImapSession
from migrator.stores.imap_walk import Job, Walk, part_writable, trouble

_AHEAD: Final = 64
_HITS: Final = re.compile(rb"\* SEARCH((?: \d{1,19})*) *\Z", re.IGNORECASE)
_LITERAL: Final = re.compile(r"\{\d+\+?\}\Z")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


def fault_of(keys: str) -> str:
    """Return why ``keys`` cannot be sent as the keys of SEARCH (RFC 3501 §6.4.4); empty when they can."""
    if not keys.strip() or not keys.isascii() or not keys.isprintable():
        return "must be keys of an IMAP search in plain letters, as UNSEEN or FROM anna"
    if '"' in _QUOTED.sub("", keys) or _LITERAL.search(keys):
        return "must have each quotation mark closed, and end in no literal"
    return ""


def search(session: ImapSession, requests: Sequence[ScanRequest], keys: str) -> Iterator[Found | Trouble]:
    """Yield the hits of each folder. Raises ``MigratorError("filter.refused")`` where the server refuses to search."""
    writable, troubles = part_writable(session, requests)
    yield from troubles
    command = b"UID SEARCH %s\r\n" % keys.encode("ascii")
    jobs = (Job(one, session.examine(one.path, must_last=True), command) for one in writable)
    for job, tag, opened in Walk(session, jobs, _AHEAD):
        hits: set[int] = set()
        while (response := session.wire.gather()).startswith((b"* ", b"+")) or not response:
            if found := _HITS.match(response):
                hits.update(map(int, found[1].split()))
        status, words = session.tagged(response, tag)
        if isinstance(opened, MigratorError):
            yield trouble(job.path, opened)
        elif status != "OK":
            raise MigratorError("filter.refused", side=session.side, reply=words)
        else:
            yield Found(job.path, array("Q", sorted(hits)))
