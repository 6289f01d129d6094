"""Named repairs of messages that a target refuses as they are. Pure: octets in, octets out.

A repair mends one fault and nothing else. A message without that fault is left alone: :func:`repaired` returns None.
Bodies may be mapped files: no repair holds more than a header and a few pieces of a body in memory.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from itertools import chain
from mmap import mmap
from typing import Final
from urllib.parse import quote

from migrator.errors import MigratorError
from migrator.transfer.long_lines import shortened

Body = bytes | mmap
PIECE_BYTES: Final = 64 * 1024
LONGEST_LINE: Final = 998  # RFC 5322 §2.1.1
SHORTEST_LIMIT: Final = 78


class Repair(StrEnum):
    """What may be mended. The names are stored and spoken of: never rename one."""

    NUL = "nul"  # NUL becomes 0x80, in the header X: what other servers store in its place
    LINE_ENDS = "line-ends"  # bare CR and LF become CRLF
    MBOX_LINE = "mbox-line"  # a first line "From ..." or ">From ..." goes
    SEPARATOR = "separator"  # the missing blank line between header and body
    HEADER_LINE = "header-line"  # a header line that is none continues the line before
    HEADER_8BIT = "header-8bit"  # raw 8-bit words of the header are encoded (RFC 2047, RFC 2231)
    LONG_LINES = "long-lines"  # parts with long lines are encoded anew, long header lines folded
    LONG_LINES_SIGNED = "long-lines-signed"  # the same inside signed parts: their signatures break
    READ_RECEIPT = "read-receipt"  # nobody is told that the message was read
    POP_NAME = "pop-name"  # no fault: the line X-UIDL says by which name POP3 programs know it (CopyPolicy.pop_name_of)


_MALFORMED: Final = (
    Repair.MBOX_LINE,
    Repair.LINE_ENDS,
    Repair.NUL,
    Repair.SEPARATOR,
    Repair.HEADER_LINE,
    Repair.HEADER_8BIT,
    Repair.LONG_LINES,
    Repair.LONG_LINES_SIGNED,
)
# What a refusal may be about, narrow words first: code, words, and the repairs in the order they are tried.
_BY_REFUSAL: Final = (
    ("message.nul", "", (Repair.NUL,)),
    ("message.malformed", r"bare newline", (Repair.LINE_ENDS,)),
    ("message.malformed", r"separator", (Repair.SEPARATOR,)),
    ("message.malformed", r"non-ascii|8.?bit", (Repair.HEADER_8BIT,)),
    ("message.malformed", r"invalid header", (Repair.MBOX_LINE, Repair.SEPARATOR, Repair.HEADER_LINE)),
    ("message.malformed", "", _MALFORMED),
    ("message.refused_bare", "", (Repair.LONG_LINES, Repair.LONG_LINES_SIGNED, Repair.READ_RECEIPT)),
    ("message.refused", r"\bline\b.*\b(long|length)|\blong\b.*\bline", (Repair.LONG_LINES, Repair.LONG_LINES_SIGNED)),
)


def repairs_for(error: MigratorError, allowed: Collection[Repair]) -> Sequence[Repair]:
    """Return which of the ``allowed`` repairs may help against a refusal, in the order they should be tried."""
    for code, words, repairs in _BY_REFUSAL:
        if error.code == code and (not words or re.search(words, error.reply, re.IGNORECASE)):
            return [repair for repair in repairs if repair in allowed]
    return ()


def repaired(repair: Repair, body: Body, longest_line: int = LONGEST_LINE) -> Iterator[bytes] | None:
    """Return the mended message in pieces, None when it does not have the fault.

    The second time there is nothing to mend, but for a first line that hides another one of its kind. ``body`` must
    live until the last piece is taken.
    """
    match repair:
        case Repair.NUL:
            return _without_nul(body)
        case Repair.LINE_ENDS:
            return _with_line_ends(body)
        case Repair.MBOX_LINE:
            found = _MBOX_LINE.match(body)
            return _pieces(body, found.end()) if found else None
        case Repair.SEPARATOR:
            return _separated(body)
        case Repair.HEADER_LINE:
            return _with_header_line(body)
        case Repair.HEADER_8BIT:
            return _with_ascii_header(body)
        case Repair.READ_RECEIPT:
            return _disarmed(body)
        case Repair.POP_NAME:
            return None  # see named(): it takes a name
        case Repair.LONG_LINES | Repair.LONG_LINES_SIGNED:
            return shortened(body, longest_line, is_signed=repair is Repair.LONG_LINES_SIGNED)


def named(body: Body, name: bytes) -> Iterator[bytes] | None:
    """Return the message with the line ``X-UIDL: name`` on top, None when its first such line says so already."""
    header = bytes(body[: header_length(body)])
    first = _POP_NAME.search(header)
    if first is not None and first[1].strip() == name:
        return None
    return chain((b"X-UIDL: " + name + b"\r\n",), _pieces(body, 0))


def _pieces(body: Body, start: int, end: int | None = None) -> Iterator[bytes]:
    end = len(body) if end is None else end
    for at in range(start, end, PIECE_BYTES):
        yield body[at : min(at + PIECE_BYTES, end)]


# -- the header as a whole ------------------------------------------------------------------------------------------

# An atomic group takes CRLF as one line end, always: its halves never count as two.
_HEADER_END: Final = re.compile(rb"\A(?=[\r\n])|(?>\r\n|\n|\r)(?=[\r\n]|\Z)")
_POP_NAME: Final = re.compile(rb"^X-UIDL:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_MBOX_LINE: Final = re.compile(rb">?From [^\r\n]*(?>\r\n|\n|\r|\Z)")
_LINE: Final = re.compile(rb"[^\r\n]*(?>\r\n|\n|\r|\Z)")
_FIELD: Final = re.compile(rb"[!-9;-~]+[ \t]*:")
# Nobody begins a body with these: where one follows a broken line, the header goes on.
_SURE_FIELD: Final = re.compile(
    rb"(?:From|To|Cc|Subject|Date|Message-ID|Received|Return-Path|Reply-To|MIME-Version|Content-[A-Za-z-]+)[ \t]*:",
    re.IGNORECASE,
)
HEADER_BYTES: Final = 4 * 1024 * 1024  # a header that does not end within is none


def header_length(body: Body) -> int:
    """Return where the header ends, the blank line left out; a message without one is all header, up to a bound."""
    found = _HEADER_END.search(body, 0, min(len(body), HEADER_BYTES))
    return found.end() if found else min(len(body), HEADER_BYTES)


def _broken_line(body: Body, end: int) -> tuple[int, bool] | None:
    """Return where the first header line stands that is none, and whether the header goes on after it."""
    at, broken = 0, None
    while at < end:
        line = _LINE.match(body, at)
        assert line is not None
        if line.start() == line.end():
            break
        is_envelope = at == 0 and _MBOX_LINE.match(body) is not None
        is_good = is_envelope or _FIELD.match(body, at) or (at > 0 and body[at : at + 1] in (b" ", b"\t"))
        if broken is None and not is_good:
            broken = at
        elif broken is not None and _SURE_FIELD.match(body, at):
            return broken, True
        at = line.end()
    return None if broken is None else (broken, False)


def _separated(body: Body) -> Iterator[bytes] | None:
    end = header_length(body)
    broken = _broken_line(body, end)
    if broken is not None:
        at, goes_on = broken
        return None if goes_on else chain(_pieces(body, 0, at), (b"\r\n",), _pieces(body, at))
    if end < len(body) or not end:
        return None
    ending = b"\r\n" if body[end - 1 : end] in (b"\n", b"\r") else b"\r\n\r\n"
    return chain(_pieces(body, 0), (ending,))


def _with_header_line(body: Body) -> Iterator[bytes] | None:
    broken = _broken_line(body, header_length(body))
    if broken is None or not broken[1] or not broken[0]:
        return None
    return _with_indents(body, broken[0])


def _with_indents(body: Body, first: int) -> Iterator[bytes]:
    """Yield the message with every broken line of the header moved in by one blank."""
    end, at, start = header_length(body), first, 0
    while at < end:
        line = _LINE.match(body, at)
        assert line is not None
        if not (_FIELD.match(body, at) or body[at : at + 1] in (b" ", b"\t")):
            yield from _pieces(body, start, at)
            yield b" "
            start = at
        at = line.end()
    yield from _pieces(body, start)


# -- single octets --------------------------------------------------------------------------------------------------

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def _without_nul(body: Body) -> Iterator[bytes] | None:
    if body.find(b"\0") < 0:
        return None
    end = header_length(body)
    head = (piece.replace(b"\0", b"X") for piece in _pieces(body, 0, end))
    return chain(head, (piece.replace(b"\0", b"\x80") for piece in _pieces(body, end)))


def _with_line_ends(body: Body) -> Iterator[bytes] | None:
    return _whole_lines(body) if _BARE.search(body) else None


def _whole_lines(body: Body) -> Iterator[bytes]:
    held = b""
    for piece in _pieces(body, 0):
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""  # its LF may come with the next piece
        yield _LINE_END.sub(b"\r\n", piece[: len(piece) - len(held)])
    yield b"\r\n" if held else b""


# -- fields ---------------------------------------------------------------------------------------------------------

_ASKS_RECEIPT: Final = re.compile(
    rb"(?:(?<=[\r\n])|\A)(?=(?:Disposition-Notification-To|Return-Receipt-To|X-Confirm-Reading-To)[ \t]*:)",
    re.IGNORECASE,
)
_UNFOLDED: Final = re.compile(rb"[^\r\n]*(?>\r\n|\n|\r|\Z)(?:[ \t]+[^\r\n]*(?>\r\n|\n|\r|\Z))*")
_RAW: Final = re.compile(rb"[\x80-\xff]")
_PARAMETER: Final = re.compile(rb'([!#$&-+.\-0-9A-Z^-z|~]+)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]*))')
_ATOM: Final = rb'[^ \t\r\n<>(),:;@"]'
_RAW_ATOM: Final = _ATOM + rb"*[\x80-\xff]" + _ATOM + rb"*"
# An address (left alone), a quoted string, a run of raw words: two encoded words show no blank between them.
_TOKEN: Final = re.compile(
    rb"(<[^>\r\n]*>|" + _ATOM + rb"+@" + _ATOM + rb'*)|("(?:[^"\\\r\n]|\\[^\r\n])*")|('
    + _RAW_ATOM + rb"(?:[ \t]+" + _RAW_ATOM + rb")*)"
)  # fmt: skip
_STRUCTURED: Final = frozenset(
    b"from to cc bcc sender reply-to resent-from resent-to resent-cc disposition-notification-to".split()
)
_WITH_PARAMETERS: Final = frozenset((b"content-type", b"content-disposition"))
_WORD_OCTETS: Final = 42  # of raw text that fit into one encoded word of 75 (RFC 2047 §2), whatever its charset


def _disarmed(body: Body) -> Iterator[bytes] | None:
    end = header_length(body)
    head = body[:end]
    bare = _ASKS_RECEIPT.sub(b"X-Disarmed-", head)
    return None if bare == head else chain((bare,), _pieces(body, end))


def _with_ascii_header(body: Body) -> Iterator[bytes] | None:
    end = header_length(body)
    head = body[:end]
    if head.isascii():
        return None
    return chain((_UNFOLDED.sub(lambda found: _ascii_field(found[0]), head),), _pieces(body, end))


def _ascii_field(field: bytes) -> bytes:
    if field.isascii():
        return field
    name, colon, value = field.partition(b":")
    kind = name.strip().lower()
    if not colon or not name.isascii():
        return _RAW.sub(b"X", field)
    if kind in _WITH_PARAMETERS:
        value = _PARAMETER.sub(_ascii_parameter, value)
    elif kind in _STRUCTURED:
        value = _TOKEN.sub(_ascii_token, value)
    else:
        value = _RAW_RUN.sub(_ascii_text, value)
    # What no rule encodes (an address with raw octets) becomes what Cyrus makes of it.
    return name + colon + _RAW.sub(b"X", value)


def _ascii_parameter(found: re.Match[bytes]) -> bytes:
    if found[0].isascii():
        return found[0]
    value = re.sub(rb"\\(.)", rb"\1", found[2]) if found[2] is not None else found[3]
    return found[1] + b"*=" + _charset(value).encode() + b"''" + quote(value, safe="").encode()


def _ascii_token(found: re.Match[bytes]) -> bytes:
    if found[1] is not None or found[0].isascii():
        return found[0]
    return _encoded_words(found[3] if found[2] is None else re.sub(rb"\\(.)", rb"\1", found[2][1:-1]))


_RAW_WORD: Final = rb"[^ \t\r\n]*[\x80-\xff][^ \t\r\n]*"
# Blanks between it and a neighbour that is encoded already go into the word: outside nobody would see them.
_RAW_RUN: Final = re.compile(
    rb"(=\?[^\s?]+\?[BbQq]\?[^\s?]*\?=)?((?(1)[ \t]+|))("
    + _RAW_WORD + rb"(?:[ \t]+" + _RAW_WORD + rb")*)([ \t]+(?==\?[^\s?]+\?[BbQq]\?))?"
)  # fmt: skip


def _ascii_text(found: re.Match[bytes]) -> bytes:
    left, before, text, after = found[1] or b"", found[2], found[3], found[4] or b""
    return left + (b" " if before else b"") + _encoded_words(before + text + after) + (b" " if after else b"")


def _encoded_words(text: bytes) -> bytes:
    """Return ``text`` as encoded words that never cut a character; they decode to the same octets."""
    charset, words = _charset(text), []
    while text:
        size = min(_WORD_OCTETS, len(text))
        while charset == "utf-8" and size < len(text) and text[size] & 0xC0 == 0x80:
            size -= 1
        words.append(b"=?%s?B?%s?=" % (charset.encode(), b64encode(text[:size])))
        text = text[size:]
    return b"\r\n ".join(words)


def _charset(text: bytes) -> str:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return "unknown-8bit"  # RFC 1428 §3: it says what is known
    return "utf-8"
