"""Where the messages of an mbox begin and end.

A message ends before a separator that stands after an empty line, or, where the empty line was forgotten, before one
that a header follows. A Content-Length is believed when it ends exactly before a separator or at the end of the file,
unless nobody is to believe one. A file of MMDF begins with its own line, and its messages stand between two of these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from migrator.errors import MigratorError, Side
from migrator.stores import mbox_syntax
from migrator.stores.mbox_syntax import AS_DOVECOT, HEADER_LIMIT, LONGEST_SEPARATOR, Separator, State, Variant

CHUNK_BYTES: Final = 1024 * 1024
MMDF_LINE: Final = b"\1\1\1\1"  # before and behind each message where MMDF wrote the file
_MARK: Final = b"\nFrom "


class Piece(NamedTuple):
    """One message as it stands in the file."""

    start: int  # behind the separator
    end: int  # the empty line before the next separator left out
    header: bytes  # as far as it is looked at
    separator: Separator | None  # None for a first line that has no valid date
    state: State


class Window:
    """A part of a file in memory, moved along; the rest is read when asked for."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.size = size
        self.descriptor = descriptor
        self._base = 0
        self._held = b""

    def read(self, at: int, length: int) -> bytes:
        """Return up to ``length`` octets from ``at`` on, fewer only at the end of the file."""
        length = min(length, self.size - at)
        if length <= 0:
            return b""
        if not (self._base <= at and at + length <= self._base + len(self._held)):
            self._load(at, max(length, CHUNK_BYTES))
        return self._held[at - self._base : at - self._base + length]

    def line(self, at: int) -> bytes:
        """Return the line at ``at`` without its end, cut off where it is longer than any separator."""
        return self.read(at, LONGEST_SEPARATOR).partition(b"\n")[0].removesuffix(b"\r")

    def after_line(self, at: int) -> int:
        """Return where the line after the one at ``at`` begins, or the end of the file."""
        found = self.find(b"\n", at, self.size)
        return self.size if found < 0 else found + 1

    def find(self, what: bytes, at: int, end: int) -> int:
        """Return where ``what`` is found whole in ``at`` to ``end``, -1 when it is not."""
        while end - at >= len(what):
            if not (self._base <= at and at + len(what) <= self._base + len(self._held)):
                self._load(at, CHUNK_BYTES)
            limit = min(end, self._base + len(self._held)) - self._base
            found = self._held.find(what, at - self._base, limit)
            if found >= 0:
                return self._base + found
            at = self._base + limit - len(what) + 1
        return -1

    def _load(self, at: int, length: int) -> None:
        length = min(length, self.size - at)
        parts = []
        place = at
        while length > 0:
            part = os.pread(self.descriptor, length, place)
            if not part:
                raise MigratorError("file.changing", side=Side.SOURCE, reply="the file became shorter")
            parts.append(part)
            place += len(part)
            length -= len(part)
        self._base, self._held = at, b"".join(parts)


def messages(window: Window, variant: Variant = AS_DOVECOT) -> Iterator[Piece]:
    """Yield every message of the file, pseudo messages too. Raises ``MigratorError`` (``file.not_mail``) for anything
    that does not begin as an mbox does; an empty file holds no messages.
    """
    if is_mmdf(window):
        yield from _between_lines(window, variant)
        return
    at = _first_line(window)
    keywords: frozenset[str] = frozenset()
    is_first = True
    while at < window.size:
        separator = mbox_syntax.separator(window.line(at), variant.zone)
        start = window.after_line(at)
        limit = _end_of_header(window, start)
        inner = _next_separator(window, start - 1, limit)
        header = window.read(start, min(HEADER_LIMIT, (limit if inner is None else inner) - start))
        header = header[: mbox_syntax.header_length(header)]
        sender = separator.sender if separator else b""
        state = mbox_syntax.state(header, keywords, is_first=is_first, sender=sender)
        if state.base is not None:
            keywords = state.base.keywords
        end, at = _end(window, start, limit, inner, state.content_length if variant.has_true_lengths else None)
        yield Piece(start, end, header, separator, state)
        is_first = False


def is_mmdf(window: Window) -> bool:
    """True for a file that MMDF wrote."""
    return window.line(0) == MMDF_LINE


def _between_lines(window: Window, variant: Variant) -> Iterator[Piece]:
    """Yield the messages of a file of MMDF. A From_ line, where one comes first, is no part of the message."""
    at, keywords, is_first = 0, frozenset[str](), True
    while at < window.size:
        while window.line(at) == MMDF_LINE:
            at = window.after_line(at)
        separator = mbox_syntax.separator(window.line(at), variant.zone)
        start = window.after_line(at) if separator else at
        end = at = _next_mmdf_line(window, start - 1)
        if start == end and separator is None:
            continue
        header = window.read(start, min(HEADER_LIMIT, end - start))
        header = header[: mbox_syntax.header_length(header)]
        sender = separator.sender if separator else b""
        state = mbox_syntax.state(header, keywords, is_first=is_first, sender=sender)
        keywords = state.base.keywords if state.base else keywords
        yield Piece(start, end, header, separator, state)
        is_first = False


def _next_mmdf_line(window: Window, at: int) -> int:
    """Return where the next line of MMDF stands after the line end at ``at`` or later; else the end of the file."""
    while (found := window.find(b"\n" + MMDF_LINE, at, window.size)) >= 0:
        at = found + 1
        if window.line(at) == MMDF_LINE:
            return at
    return window.size


def _first_line(window: Window) -> int:
    """Return where the first separator stands; empty lines before it are passed over."""
    at = 0
    while at < window.size and window.read(at, 2)[:1] in b"\r\n":
        at += 1
    if at < window.size and window.read(at, 5) != b"From ":
        raise MigratorError("file.not_mail", side=Side.SOURCE, reply="the first line is no From_ line")
    return at


def _end_of_header(window: Window, start: int) -> int:
    """Return where the body begins, the end of the file when there is none."""
    place = start - 1  # the end of the separator: a header may be empty
    found = window.find(b"\n\n", place, window.size)
    found_crlf = window.find(b"\n\r\n", place, window.size if found < 0 else found)
    if found_crlf >= 0:
        return found_crlf + 3
    return window.size if found < 0 else found + 2


def _end(window: Window, start: int, body: int, inner: int | None, length: int | None) -> tuple[int, int]:
    """Return where the message ends, and where the next separator stands (the end of the file for the last)."""
    if inner is None and length is not None and (following := _checked(window, body + length)) is not None:
        return body + length, following
    following = inner if inner is not None else _next_separator(window, body - 1, window.size)
    if following is None:
        following = window.size
    return max(start, following - _empty_line(window, following)), following


def _checked(window: Window, end: int) -> int | None:
    """Return where the next separator stands if a message may end at ``end``, None if it may not."""
    if end > window.size:
        return None
    rest = window.read(end, 4)
    for gap in (b"\r\n\r\n", b"\n\n", b"\r\n", b"\n", b""):
        if rest.startswith(gap):
            at = end + len(gap)
            # a line end must stand before it
            if at == window.size or (mbox_syntax.separator(window.line(at)) and window.read(at - 1, 1) == b"\n"):
                return at
    return None


def _next_separator(window: Window, at: int, end: int) -> int | None:
    """Return where the next valid separator stands after the line end at ``at`` or later."""
    while (found := window.find(_MARK, at, end)) >= 0:
        at = found + 1
        if mbox_syntax.separator(window.line(at)) is not None and (
            _empty_line(window, at) or mbox_syntax.begins_like_header(window.line(window.after_line(at)))
        ):
            return at
    return None


def _empty_line(window: Window, at: int) -> int:
    """Return how many octets an empty line before ``at`` has: 0 when there is none."""
    before = window.read(max(0, at - 3), min(3, at))
    if before.endswith(b"\n\n"):
        return 1
    return 2 if before == b"\n\r\n" else 0
