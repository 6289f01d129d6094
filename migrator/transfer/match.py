"""Recognise by content what a target already holds, as a multiset: two equal messages in the source are two messages.

Used wherever the target may hold mail that no record claims: after a crash, after an answer was lost, when a folder
was renumbered, when another tool or the delivery agent was there before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from migrator.mail import Digest, Flags, Message
from migrator.transfer.digest import RunningDigest, digest_whole

_HEADER_LIMIT: Final = 256 * 1024
# Marks that other copy tools leave in the header of what they store: mbsync, offlineimap.
_TOOL_HEADER: Final = re.compile(rb"^(?:X-TUID|X-OfflineIMAP): [^\r\n]*\r?\n", re.MULTILINE | re.IGNORECASE)
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")


class Candidates:
    """Target messages of one folder that no record claims, found by their canonical digest."""

    def __init__(self) -> None:
        self._by_digest: dict[bytes, list[int]] = {}
        self._digests: dict[int, tuple[bytes, ...]] = {}
        self._flags: dict[int, Flags] = {}
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._digests)

    def add(self, target_uid: int, digests: tuple[bytes, ...], flags: Flags, size_bytes: int) -> None:
        """Add one message; any of ``digests`` (canonical forms) identifies it. In ascending UID order."""
        self._digests[target_uid] = digests
        self._flags[target_uid] = flags
        self._sizes[target_uid] = size_bytes
        for digest in dict.fromkeys(digests):
            self._by_digest.setdefault(digest, []).append(target_uid)

    def take(self, canonical: bytes) -> tuple[int, Flags] | None:
        """Claim the lowest message with this digest: its UID and flags, or None. It is not there a second time."""
        uids = self._by_digest.get(canonical)
        while uids:
            uid = uids.pop(0)
            if self._digests.pop(uid, None) is not None:
                self._sizes.pop(uid)
                return uid, self._flags.pop(uid)
        return None

    def holds(self, canonical: bytes) -> bool:
        """True when a message with this digest is there that nobody has claimed."""
        return any(uid in self._digests for uid in self._by_digest.get(canonical, ()))

    def holds_big(self, above_bytes: int) -> bool:
        """True when a candidate might be a message of more than ``above_bytes``; stores grow mail up to twofold."""
        return any(size > above_bytes for size in self._sizes.values())

    def remaining(self) -> Iterator[tuple[int, bytes]]:
        """Yield (UID, canonical digest) of what nobody claimed, ascending."""
        for uid, digests in sorted(self._digests.items()):
            yield uid, digests[0]


def identities(message: Message) -> tuple[bytes, ...]:
    """Consume the body of a target message; return its canonical digest, and the one without another tool's marks.

    The second is there only where such a mark stands in the header. Memory stays within the header's length.
    """
    if message.whole is not None:
        return _whole_identities(message.whole)
    plain, stripped = RunningDigest(), RunningDigest()
    for piece, bare in _split_marks(message.stream or iter(())):
        plain.update(piece)
        stripped.update(bare)
    return _unique(plain.finish(), stripped.finish())


def _whole_identities(body: bytes) -> tuple[bytes, ...]:
    plain = digest_whole(body)
    bare = without_marks(body)
    return (plain.canonical,) if bare is body else _unique(plain, digest_whole(bare))


def _unique(plain: Digest, stripped: Digest) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys((plain.canonical, stripped.canonical)))


def without_marks(body: bytes) -> bytes:
    """Return ``body`` without the header lines other copy tools add; the same object when there are none."""
    end = _HEADER_END.search(body)
    head = body if end is None else body[: end.end()]
    bare = _TOOL_HEADER.sub(b"", head)
    return body if len(bare) == len(head) else bare + body[len(head) :]


def _split_marks(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield each piece beside itself without marks; pieces of the header come joined."""
    head = b""
    for piece in pieces:
        head += piece
        if _HEADER_END.search(head) or len(head) > _HEADER_LIMIT:
            break
    yield head, without_marks(head)
    for piece in pieces:
        yield piece, piece
