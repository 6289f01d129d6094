"""Writing what an IMAP server shall understand: folder names, strings, flags, sets of UIDs. Pure.

A command is a tuple of segments: the server must ask with ``+`` before the next one is sent (RFC 3501 §7.5). With
LITERAL+ (RFC 7888) or without literals there is one segment, and the command can be sent ahead of others' answers.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from migrator.mail import Flags, FolderPath

Command = tuple[bytes, ...]
SET_OCTETS: Final = 1000  # RFC 7162 §4 recommends 8000 for whole lines; Exchange, Zimbra and Domino take far less
_PLAIN: Final = re.compile(rb"[\x20-\x7e]*")
_FORBIDDEN: Final = re.compile(rb"[\r\n\0]")
_FLAG: Final = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')


class Unwritable(ValueError):
    """A string that is never put on the wire: CR, LF and NUL would become commands of their own on some servers."""


def string(raw: bytes, *, literal_plus: bool) -> Command:
    """Return ``raw`` as a quoted string where every server reads it alike, else as a literal. Raises ``Unwritable``."""
    if _FORBIDDEN.search(raw):
        raise Unwritable("CR, LF or NUL in a name")
    if _PLAIN.fullmatch(raw):
        if b'"' not in raw and b"\\" not in raw:
            return (b'"%s"' % raw,)
        if not literal_plus:
            return (b'"%s"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"'),)
    return (b"{%d+}\r\n%s" % (len(raw), raw),) if literal_plus else (b"{%d}\r\n" % len(raw), raw)


def literal(octets: bytes, *, literal_plus: bool) -> Command:
    """Return ``octets`` as a literal, line ends and all. Raises ``Unwritable`` for NUL, which only RFC 3516 allows."""
    if b"\0" in octets:
        raise Unwritable("NUL in a literal")
    head = b"{%d+}\r\n" if literal_plus else b"{%d}\r\n"
    return (head % len(octets) + octets,) if literal_plus else (head % len(octets), octets)


def command(*parts: bytes | Command) -> Command:
    """Join words and strings into one command; segments stay where a string has them."""
    segments = [b""]
    for part in parts:
        first, *others = (part,) if isinstance(part, bytes) else part
        segments[-1] += first
        segments.extend(others)
    segments[-1] += b"\r\n"
    return tuple(segments)


def is_writable(path: FolderPath) -> bool:
    """True for a name that can be sent to a server at all."""
    return not _FORBIDDEN.search(path.raw)


def flag_list(flags: Flags) -> bytes:
    """Return flags in parentheses, sorted; what RFC 3501 §9 does not allow is left out: it would break the command."""
    words = [flag.encode("utf-8") for flag in sorted(flags)]
    return b"(%s)" % b" ".join(word for word in words if _FLAG.fullmatch(word))


def uid_sets(
    uids: Sequence[int], known: Sequence[int] | None = None, limit: int = SET_OCTETS
) -> Iterator[tuple[bytes, int, int]]:
    """Cut ascending ``uids`` into sets of at most ``limit`` octets; yield each with the slice of ``uids`` it means.

    UIDs that are neighbours in ``known`` (all that exist in the folder) make a range, so that gaps cost nothing.
    """
    if known is not None and len(known) == len(uids) and uids:
        yield b"%d:%d" % (uids[0], uids[-1]) if len(uids) > 1 else b"%d" % uids[0], 0, len(uids)
        return
    parts: list[bytes] = []
    octets = begun = 0
    for start, end in _runs(uids, known):
        part = b"%d" % uids[start] if end - start == 1 else b"%d:%d" % (uids[start], uids[end - 1])
        if parts and octets + len(part) >= limit:
            yield b",".join(parts), begun, start
            parts, octets, begun = [], 0, start
        parts.append(part)
        octets += len(part) + 1
    if parts:
        yield b",".join(parts), begun, len(uids)


def _runs(uids: Sequence[int], known: Sequence[int] | None) -> Iterator[tuple[int, int]]:
    """Yield start and end of every run of neighbours in ``uids``."""
    start, total = 0, len(uids)
    while start < total:
        end = start + 1
        if known is None:
            while end < total and uids[end] == uids[end - 1] + 1:
                end += 1
        else:
            place, last = bisect_left(known, uids[start]) + 1, len(known)
            while end < total and place < last and known[place] == uids[end]:
                end += 1
                place += 1
        yield start, end
        start = end
