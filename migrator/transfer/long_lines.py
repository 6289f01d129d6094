"""Encode parts with long lines anew, so that no line is longer than a server takes. Pure.

Only the parts to blame change, and what they decode to stays the same, octet for octet. Signed parts stay as they are
unless asked for: their signature is over the encoded form. Works on a mapped file as on octets in memory.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message as Header
from email.parser import BytesHeaderParser
from mmap import mmap
from typing import Final, NamedTuple

Body = bytes | mmap
PIECE_BYTES: Final = 64 * 1024
ENCODED_LINE: Final = 76  # RFC 2045 §6.7, §6.8
LONGEST_STRAY: Final = 60  # of "=" in a row
DEEPEST: Final = 20  # parts within parts
LONGEST_HEADER: Final = 256 * 1024
_HEADER_END: Final = re.compile(rb"\r?\n\r?\n")
_NO_HEADER: Final = re.compile(rb"\r?\n")
_CTE_FIELD: Final = re.compile(
    rb"^Content-Transfer-Encoding[ \t]*:[^\n]*\n(?:[ \t]+[^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_MIME_VERSION: Final = re.compile(rb"^MIME-Version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_BLANKS: Final = re.compile(rb"[ \t\r\n]+")


class Edit(NamedTuple):
    """Octets of the message that others take the place of."""

    start: int
    end: int
    pieces: Iterator[bytes]


def shortened(body: Body, longest: int, *, is_signed: bool = False) -> Iterator[bytes] | None:
    """Return the message with no line longer than ``longest`` octets wherever its structure allows, else None.

    ``is_signed``: inside signed parts too. Left long are preambles, encodings that are not of MIME, and header words
    without a blank.
    """
    scene = _Scene(body, longest, re.compile(rb"[^\r\n]{%d}" % (longest + 1)), is_signed)
    if not scene.has_long_line(0, len(body)):
        return None
    _visit(scene, 0, len(body), 0)
    return _edited(body, scene.edits) if scene.edits else None


@dataclass(slots=True)
class _Scene:
    body: Body
    longest: int
    pattern: re.Pattern[bytes]
    is_signed: bool
    edits: list[Edit] = field(default_factory=list)

    def has_long_line(self, start: int, end: int) -> bool:
        return self.pattern.search(self.body, start, end) is not None


def _edited(body: Body, edits: list[Edit]) -> Iterator[bytes]:
    at = 0
    for edit in edits:
        yield from _pieces(body, at, edit.start)
        yield from edit.pieces
        at = edit.end
    yield from _pieces(body, at, len(body))


def _pieces(body: Body, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, PIECE_BYTES):
        yield body[at : min(at + PIECE_BYTES, end)]


def _visit(scene: _Scene, start: int, end: int, depth: int) -> None:
    """Note what must change in one entity: its header, then what is in it."""
    if depth > DEEPEST or not scene.has_long_line(start, end):
        return
    limit = min(end, start + LONGEST_HEADER)
    found = _NO_HEADER.match(scene.body, start, limit) or _HEADER_END.search(scene.body, start, limit)
    if found is None:
        return  # where its header ends is anybody's guess
    head_end = min(found.end(), end)
    header = BytesHeaderParser().parsebytes(scene.body[start:head_end])
    kind = header.get_content_type()
    if kind == "multipart/signed" and not scene.is_signed:
        _fold(scene, start, head_end)
    elif kind.startswith("multipart/") and header.get_boundary():
        _fold(scene, start, head_end)
        for part_start, part_end in _parts(scene.body, str(header.get_boundary()), head_end, end):
            _visit(scene, part_start, part_end, depth + 1)
    elif kind == "message/rfc822" and _encoding(header) in _IDENTITY:
        _fold(scene, start, head_end)
        _visit(scene, head_end, end, depth + 1)
    else:
        _visit_leaf(scene, header, (start, head_end, end), is_top=depth == 0)


def _parts(body: Body, boundary: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a multipart lie; the line end before a delimiter belongs to the delimiter."""
    mark = re.compile(rb"(?:(?<=\n)|(?<=\r))--" + re.escape(boundary.encode("ascii", "surrogateescape"))
                      + rb"(--)?[ \t]*(?:\r?\n|\Z)")  # fmt: skip
    begun: int | None = None
    for found in mark.finditer(body, start, end):
        stop = found.start()
        stop -= 2 if body[stop - 2 : stop] == b"\r\n" else 1
        if begun is not None:
            yield begun, max(stop, begun)
        if found[1]:
            return
        begun = found.end()
    if begun is not None:
        yield begun, end  # never closed


def _encoding(header: Header) -> str:
    return str(header.get("Content-Transfer-Encoding", "7bit")).strip().lower()


_IDENTITY: Final = ("7bit", "8bit", "binary", "")


def _visit_leaf(scene: _Scene, header: Header, place: tuple[int, int, int], *, is_top: bool) -> None:
    start, head_end, end = place
    if not scene.has_long_line(head_end, end):
        _fold(scene, start, head_end)
        return
    encoding = _encoding(header)
    if encoding == "base64":
        _fold(scene, start, head_end)
        scene.edits.append(Edit(head_end, end, _rewrapped(scene.body, head_end, end)))
    elif encoding == "quoted-printable":
        _fold(scene, start, head_end)
        scene.edits.append(Edit(head_end, end, _softened(scene.body, head_end, end)))
    elif encoding in _IDENTITY and header.get_content_maintype() not in ("multipart", "message"):
        is_text = header.get_content_maintype() == "text"
        name = b"quoted-printable" if is_text else b"base64"
        encode = _quoted if is_text else _based
        head = _with_encoding(scene.body[start:head_end], name, is_top=is_top)
        scene.edits.append(Edit(start, head_end, iter((_folded(head, scene.longest),))))
        scene.edits.append(Edit(head_end, end, encode(scene.body, head_end, end)))
    else:
        _fold(scene, start, head_end)


def _with_encoding(head: bytes, name: bytes, *, is_top: bool) -> bytes:
    end = b"\r\n" if head.endswith(b"\r\n") else b"\n"
    line_end = b"\r\n" if b"\r\n" in head else b"\n"
    fields = _CTE_FIELD.sub(b"", head[: -len(end)])
    if is_top and not _MIME_VERSION.search(fields):
        fields += b"MIME-Version: 1.0" + line_end
    return fields + b"Content-Transfer-Encoding: " + name + line_end + end


# -- the four encodings -----------------------------------------------------------------------------------------------


def _rewrapped(body: Body, start: int, end: int) -> Iterator[bytes]:
    """Base64 in lines of 76: blanks and line ends mean nothing in it."""
    held = b""
    for piece in _pieces(body, start, end):
        held += _BLANKS.sub(b"", piece)
        full = len(held) - len(held) % ENCODED_LINE
        yield b"".join(held[at : at + ENCODED_LINE] + b"\r\n" for at in range(0, full, ENCODED_LINE))
        held = held[full:]
    tail = held + b"\r\n" if held else b""
    yield tail


def _based(body: Body, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, 57 * 1024):
        yield base64.encodebytes(body[at : min(at + 57 * 1024, end)]).replace(b"\n", b"\r\n")


_LINES: Final = re.compile(rb"[^\r\n]{0,16384}")


def _quoted(body: Body, start: int, end: int) -> Iterator[bytes]:
    """Quoted-printable: CRLF stays, a bare CR or LF is encoded, a character is never cut by our own breaks."""
    at = start
    while at < end:
        found = _LINES.match(body, at, end)
        assert found is not None
        stop = found.end()
        is_cut = stop < end and body[stop : stop + 1] not in (b"\r", b"\n")
        if is_cut:
            stop = _character_start(body, stop)
        ending = body[stop : min(stop + 2, end)]
        yield from _quoted_line(body[at:stop])
        if is_cut:
            yield b"=\r\n"
            at = stop
        elif ending == b"\r\n":
            yield b"\r\n"
            at = stop + 2
        else:
            yield b"=%02X=\r\n" % ending[0] if ending else b""
            at = stop + 1


def _character_start(body: Body, at: int) -> int:
    """Return where the UTF-8 character at ``at`` begins; ``at`` itself where there is none."""
    return next((at - back for back in range(4) if body[at - back] & 0xC0 != 0x80), at)


def _quoted_line(line: bytes) -> Iterator[bytes]:
    """Encode what has no line end in it; breaks come between characters."""
    encoded = binascii.b2a_qp(line, istext=False).replace(b"=\n", b"")
    rest = 0
    while len(encoded) - rest > ENCODED_LINE:
        stop = rest + ENCODED_LINE - 1
        stop -= _inside_code(encoded, stop)
        stop = _between_characters(encoded, rest, stop)
        yield encoded[rest:stop] + b"=\r\n"
        rest = stop
    yield encoded[rest:]


def _inside_code(text: bytes, at: int) -> int:
    """Return how far back from ``at`` a break would cut no ``=XX``, 0 when it cuts none where it is.

    A stray ``=`` that codes nothing must not come before a break either: together they would read otherwise.
    """
    back = next((back for back in (2, 1) if text[at - back : at - back + 1] == b"="), 0)
    while 0 < back < LONGEST_STRAY and text[at - back - 1 : at - back] == b"=":
        back += 1
    return back if back < LONGEST_STRAY else 0


def _between_characters(encoded: bytes, start: int, stop: int) -> int:
    """Move a break back to where an encoded UTF-8 character begins, at most three octets."""
    at = stop
    for _ in range(3):
        if encoded[at : at + 1] != b"=" or encoded[at + 1 : at + 2] not in (b"8", b"9", b"A", b"B") or at - 3 <= start:
            break
        at -= 3
    return at if encoded[at : at + 1] == b"=" else stop


def _softened(body: Body, start: int, end: int) -> Iterator[bytes]:
    """Quoted-printable that has long lines: soft breaks are put in, never inside ``=XX``."""
    at = start
    room = ENCODED_LINE - 1
    while at < end:
        found = _LINES.match(body, at, end)
        assert found is not None
        stop = found.end()
        if stop < end and body[stop : stop + 1] not in (b"\r", b"\n"):
            stop -= _inside_code(body[stop - 2 : stop], 2)
        line, at, rest = body[at:stop], stop, 0
        while len(line) - rest > room:
            stop = rest + room
            stop -= _inside_code(line, stop)
            yield line[rest:stop] + b"=\r\n"
            rest = stop
        yield line[rest:]
        ending = body[at : min(at + 1, end)]
        if ending in (b"\r", b"\n"):
            yield ending
            at += 1
        elif ending:
            yield b"=\r\n"


# -- header lines -----------------------------------------------------------------------------------------------------


def _fold(scene: _Scene, start: int, end: int) -> None:
    if scene.has_long_line(start, end):
        head = scene.body[start:end]
        folded = _folded(head, scene.longest)
        if folded != head:
            scene.edits.append(Edit(start, end, iter((folded,))))


_HEADER_LINE: Final = re.compile(rb"([^\r\n]+)(\r\n|\n|\r|\Z)")
_FOLD: Final = re.compile(rb"(?<=[^ \t])(?=[ \t]+[^ \t])")


def _folded(head: bytes, longest: int) -> bytes:
    """Fold long lines at blanks (RFC 5322 §2.2.3): unfolded they are what they were."""
    return _HEADER_LINE.sub(lambda found: _fold_line(found[1], longest) + found[2], head)


def _fold_line(line: bytes, longest: int) -> bytes:
    if len(line) <= longest:
        return line
    lines, begun, last = [], 0, 0
    for found in _FOLD.finditer(line):
        at = found.start()
        if at - begun > longest and last > begun:
            lines.append(line[begun:last])
            begun = last
        last = at
    if len(line) - begun > longest and last > begun:
        lines.append(line[begun:last])
        begun = last
    return b"\r\n".join((*lines, line[begun:]))
